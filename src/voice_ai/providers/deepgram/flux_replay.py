"""What one connection is sent of a call's audio, and where that was in the call.

A connection that replaces another is behind by all that was said meanwhile, and has to hear the end
of what its predecessor heard again. Until it has caught up, long pauses are left out.
"""

from collections.abc import Iterator

from voice_ai.codec.formats import AudioFormat
from voice_ai.providers.deepgram.flux_places import Places
from voice_ai.providers.deepgram.flux_silence import FRAME_MS, KEPT_AFTER, levels, long_pauses
from voice_ai.providers.deepgram.turn_audio import TurnAudio


class Replay:
    """One connection's share of the ring, from where that stands now.

    Args:
        audio: the call's; taken from here alone as long as the connection lasts.
        form: its format.
        trims: whether pauses may be left out, until all that waits has been taken.
    """

    def __init__(self, audio: TurnAudio, form: AudioFormat, *, trims: bool) -> None:
        self._audio = audio
        self._form = form
        self._per_ms = form.n_octets_per_ms
        self._places = Places(audio.sent / self._per_ms)
        self._trims = trims
        self._n_taken = 0
        # How loud the audio is, in frames from here on.
        self._levels: list[int] = []
        self._levels_at = audio.sent

    def place(self, at_ms: float) -> float:
        """Return where in the call a position of the connection's audio is."""
        return self._places.place(at_ms)

    def lost(self) -> None:
        """Note that some of what waited is gone unsent."""
        self._jumped()
        self._levels, self._levels_at = [], self._audio.sent

    def passed(self, audio: bytes) -> None:
        """Note audio that was sent as it came, while nothing waited."""
        self._audio.append_sent(audio)
        self._n_taken += len(audio)

    def take(self, n_octets: int) -> bytes:
        """Return what is to be sent next, at most so much; it counts as sent."""
        if not self._trims:
            return self._take(n_octets)
        chunk = b""
        for begin, end in self._pauses():
            chunk += self._take(min(n_octets - len(chunk), begin - self._audio.sent))
            if self._audio.sent < begin:
                return chunk
            self._audio.skip(end)
            self._jumped()
        chunk += self._take(n_octets - len(chunk))
        self._trims = self._audio.n_unsent > 0
        return chunk

    def _take(self, n_octets: int) -> bytes:
        piece = self._audio.take(n_octets)
        self._n_taken += len(piece)
        return piece

    def _jumped(self) -> None:
        self._places.skip(self._n_taken / self._per_ms, self._audio.sent / self._per_ms)

    def _pauses(self) -> Iterator[tuple[int, int]]:
        """Yield what to leave out of what waits, as (from, to) in octets of the call."""
        n_frame = FRAME_MS * self._per_ms
        fresh = self._audio.kept(self._levels_at + len(self._levels) * n_frame)
        self._levels += levels(fresh, self._form)
        # What was sent counts, for a pause whose beginning it is.
        n_gone = max(0, (self._audio.sent - self._levels_at) // n_frame - KEPT_AFTER - 1)
        del self._levels[:n_gone]
        self._levels_at += n_gone * n_frame
        for begin, end in long_pauses(self._levels):
            until = self._levels_at + end * n_frame
            if until > self._audio.sent:
                yield max(self._audio.sent, self._levels_at + begin * n_frame), until
