"""A call as it is recorded: what the caller said, and what the caller heard at that time.

The recording's clock is the caller's audio. It comes in at the pace of speech, so what has come in
says how late it is, and what we send is played from then on, or from the end of what was sent
before it: as the ledger has it (turn/playout.py). A `clear` drops what has not been played by then.
So nothing that is sent later can be heard before the end of the caller's audio, and up to there
both sides are final.
"""

from types import TracebackType
from typing import Final, Protocol, Self

# µ-law's silence.
SILENCE: Final = b"\xff"
OCTETS_A_MS: Final = 8


class Recorder(Protocol):
    """Records one call while it is entered. Nothing in it waits or raises."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        places: TracebackType | None,
        /,
    ) -> None:
        """Keep what was told, and end."""

    def caller(self, audio: bytes, gap_ms: float, /) -> None:
        """Take the caller's next audio, as the recogniser gets it.

        So much is missing before it, by the timestamps. What has come and what was missing is the
        recording's time.
        """

    def agent(self, audio: bytes, now_ms: float, /) -> None:
        """Take audio in the line's format that is sent at this time of the recording."""

    def clear(self, now_ms: float, /) -> None:
        """Take note that what the far end has not played by now is not heard."""

    def mark(self, name: str, now_ms: float, /) -> None:
        """Take note that a mark has come back."""


class Mixer:
    """Lays the two sides of a call beside each other; no clock, no file.

    All audio is µ-law at 8 kHz. What was sent and is not final yet waits here: at most what a far
    end's buffer holds, 4.8 MB of Twilio's 10 minutes.
    """

    def __init__(self) -> None:
        self._n_final = 0
        # What the far end plays from there on, as far as anything was sent.
        self._heard = bytearray()

    def agent(self, ulaw: bytes, now_ms: float) -> None:
        """Have this played from now on, or from the end of what was sent before."""
        n_silent = self._from_final(now_ms) - len(self._heard)
        if n_silent > 0:
            self._heard += SILENCE * n_silent
        self._heard += ulaw

    def clear(self, now_ms: float) -> None:
        """Drop what is not played by now."""
        del self._heard[self._from_final(now_ms) :]

    def caller(self, ulaw: bytes, gap_ms: float = 0.0) -> bytes:
        """Take what the caller said next, and silence for what is missing before it.

        Returns:
            What has become final: an octet of the caller's and one of what they heard, in turns.
        """
        said = SILENCE * round(gap_ms * OCTETS_A_MS) + ulaw
        n_final = len(said)
        heard = self._heard[:n_final]
        del self._heard[:n_final]
        self._n_final += n_final
        stereo = bytearray(SILENCE) * (2 * n_final)
        stereo[::2] = said
        stereo[1 : 2 * len(heard) : 2] = heard
        return bytes(stereo)

    def _from_final(self, now_ms: float) -> int:
        return max(0, round(now_ms * OCTETS_A_MS) - self._n_final)
