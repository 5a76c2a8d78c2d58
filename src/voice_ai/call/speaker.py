"""One turn of ours on its way to the caller: the voice in the line's format, with marks between."""

from collections.abc import Callable

from voice_ai.call.clock import LineClock
from voice_ai.call.line import Line
from voice_ai.codec.transcode import Transcoder
from voice_ai.turn.playout import Playout

# Sparse marks tell what was heard; one for each packet delayed audio for others
# (twilio-samples/speech-assistant-openai-realtime-api-python, issue 20).
MARK_EVERY_MS = 400


class Speaker:
    """Sends one turn's audio as it is made and keeps the ledger of it; the far end paces it."""

    def __init__(
        self,
        turn: int,
        line: Line,
        clock: LineClock,
        playout: Playout,
        transcoder: Transcoder,
        started: Callable[[], None],
    ) -> None:
        """Convert by `transcoder`, from the voice's format; `started` is called when it begins."""
        self.n_ms = 0.0
        self._turn = turn
        self._line = line
        self._clock = clock
        self._playout = playout
        self._started = started
        self._transcoder = transcoder
        self._piece = MARK_EVERY_MS * line.format.n_octets_per_ms

    async def say(self, audio: bytes) -> None:
        """Put this stretch of the voice on the line, with a mark wherever the ledger wants one."""
        await self._put_all(self._transcoder.convert(audio))

    async def _put_all(self, data: bytes) -> None:
        for start in range(0, len(data), self._piece):
            await self._put(data[start : start + self._piece])

    async def _put(self, piece: bytes) -> None:
        await self._line.send_audio(piece)
        if not self.n_ms:
            self._started()
        duration_ms = self._line.format.duration_ms(len(piece))
        self.n_ms += duration_ms
        mark = self._playout.sent(self._turn, duration_ms, self._clock.timestamp_ms)
        if mark is not None:
            await self._line.send_mark(mark)

    async def finish(self, *, whole: bool) -> None:
        """Ask to be told when all has been heard; `whole` if that is the turn's whole text."""
        if whole and self.n_ms:
            await self._put_all(self._transcoder.convert(b"", last=True))
        if self.n_ms:
            await self._line.send_mark(self._playout.finish(self._turn, whole=whole))
