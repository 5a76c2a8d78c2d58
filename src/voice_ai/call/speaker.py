"""One turn of ours on its way to the caller: the voice in the line's format, with marks between."""

import asyncio
from collections.abc import Callable, Sequence

from voice_ai.call.clock import LineClock
from voice_ai.call.line import Line
from voice_ai.codec.transcode import Transcoder
from voice_ai.turn.playout import Playout

# Sparse marks tell what was heard; one for each packet delayed audio for others
# (twilio-samples/speech-assistant-openai-realtime-api-python, issue 20).
MARK_EVERY_MS = 400


class Speaker:
    """Sends one turn's audio as it is made and keeps the ledger of it; the far end paces it.

    While it is held nothing is sent and the voice waits. All that was sent is kept for `resume`: 8
    octets a ms of a reply, on the telephone.
    """

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
        self.finished = False
        self.over = asyncio.Event()  # set once what was heard of it is known
        self.turn = turn
        self._line = line
        self._clock = clock
        self._playout = playout
        self._started = started
        self._transcoder = transcoder
        self._per_ms = line.format.n_octets_per_ms
        self._piece = MARK_EVERY_MS * self._per_ms
        self._sent = bytearray()
        self._whole = True
        self._is_saying = False
        self._free = asyncio.Event()
        self._free.set()

    async def say(self, audio: bytes) -> None:
        """Put this stretch of the voice on the line, with a mark wherever the ledger wants one."""
        await self._say(self._transcoder.convert(audio))

    def offer(self, audio: bytes) -> bool:
        """Say this at once, if nothing is in its way; else do nothing and return False."""
        if self._is_saying or not self._free.is_set() or not self._line.is_free:
            return False
        begins = not self.n_ms
        for piece in self._pieces(self._transcoder.convert(audio)):
            mark = self._keep(piece)
            self._line.write_audio(piece)
            if mark is not None:
                self._line.write_mark(mark)
        if begins and self.n_ms:
            self._started()
        return True

    async def fill(self, audio: bytes) -> None:
        """Put audio in the line's format before the turn's own, of which it is no part."""
        if self.n_ms or not self._free.is_set():
            return
        self._sent += audio
        await self._put(audio)
        self._playout.spoken_to(self.turn, 0)

    async def sound(self, audio: bytes) -> None:
        """Put audio in the line's format, which is no speech, after what was said."""
        await self._say(audio)

    async def finish(self, *, whole: bool) -> None:
        """Ask to be told when all has been heard; `whole` if that is the turn's whole text."""
        if whole and self.n_ms:
            await self._say(self._transcoder.convert(b"", last=True))
        await self.free()
        self._whole = whole
        self.finished = True
        await self._mark_the_end()

    async def free(self) -> None:
        """Wait until the turn is not held."""
        await self._free.wait()

    @property
    def audible(self) -> bool:
        """Whether anything was sent."""
        return bool(self._sent)

    def hold(self) -> None:
        """Send no more until `resume`."""
        self._free.clear()

    async def resume(self, position_ms: float) -> None:
        """Send again what was sent from this position on, and go on."""
        n_octets = int(position_ms) * self._per_ms
        for start in range(n_octets, len(self._sent), self._piece):
            await self._put(bytes(self._sent[start : start + self._piece]))
        if self.finished:
            await self._mark_the_end()
        self._free.set()

    async def _say(self, data: bytes) -> None:
        self._is_saying = True
        try:
            for piece in self._pieces(data):
                await self.free()
                begins = not self.n_ms
                await self._send(piece, self._keep(piece))
                if begins:
                    self._started()
        finally:
            self._is_saying = False

    def _pieces(self, data: bytes) -> Sequence[bytes]:
        if len(data) <= self._piece:
            return (data,) if data else ()
        return [data[at : at + self._piece] for at in range(0, len(data), self._piece)]

    def _keep(self, piece: bytes) -> str | None:
        """Keep the books, before it is sent: a hold that comes meanwhile finds them right."""
        self._sent += piece
        self.n_ms += len(piece) / self._per_ms
        return self._enter(piece)

    def _enter(self, piece: bytes) -> str | None:
        n_ms = len(piece) / self._per_ms
        return self._playout.sent(self.turn, n_ms, self._clock.timestamp_ms)

    async def _put(self, piece: bytes) -> None:
        await self._send(piece, self._enter(piece))

    async def _send(self, piece: bytes, mark: str | None) -> None:
        await self._line.send_audio(piece)
        if mark is not None:
            await self._line.send_mark(mark)

    async def _mark_the_end(self) -> None:
        if self.n_ms:
            await self._line.send_mark(self._playout.finish(self.turn, whole=self._whole))
