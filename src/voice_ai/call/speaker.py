"""One turn of ours on its way to the caller: the voice in the line's format, with marks between."""

import asyncio
from collections.abc import Callable, Sequence

from voice_ai.call.clock import LineClock
from voice_ai.call.line import Gate, Line
from voice_ai.codec.transcode import Transcoder
from voice_ai.turn.playout import Passed, Playout

# Sparse marks tell what was heard; one for each packet delayed audio for others
# (twilio-samples/speech-assistant-openai-realtime-api-python, issue 20).
MARK_EVERY_MS = 400
# What may pass before the books are looked at again; the ledger looks by itself when it is asked.
PASS_MS = 2000
# Less is not given up: to find out how much may be costs as much as to keep it.
FORGET_MS = 1000


class Speaker:
    """Sends one turn's audio as it is made and keeps the ledger of it; the far end paces it.

    While it is held nothing is sent and the voice waits. What was sent is kept for `resume`, 8
    octets a ms on the telephone, until the ledger knows that it was heard.
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
        self._n_ms = 0.0
        self._gate: Gate | None = None
        self._n_forgotten = 0  # octets that were sent before those
        self._whole = True
        self._is_saying = False
        self._free = asyncio.Event()
        self._free.set()

    @property
    def n_ms(self) -> float:
        """How much of this turn was sent, what is sent again not counted."""
        return self._n_ms + (self._gate.n_octets / self._per_ms if self._gate else 0.0)

    def gated(self, otherwise: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Return what is to be given the voice's audio; `otherwise` is to `offer` it."""
        self._gate = self._line.gate(self._transcoder, otherwise)
        return otherwise if self._gate is None else self._gate

    def shut(self) -> None:
        """Let nothing through that is not offered."""
        if self._gate is not None:
            self._gate.shut()

    def passed(self) -> Passed:
        """Return what went through the gate since the last time."""
        if self._gate is None:
            return Passed()
        sent, stretches, marks = self._gate.take()
        self._sent += sent
        return Passed([(now, n_octets / self._per_ms) for now, n_octets in stretches], marks)

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
        self._let_through()
        return True

    def _let_through(self) -> None:
        """Open the gate, if nothing is in the way."""
        if self._gate is None or not self._line.is_free or not self._free.is_set():
            return
        at = self._playout.ahead(self.turn)
        if at:
            n_octets = PASS_MS * self._per_ms
            self._gate.open(n_octets, at.dry_ms, at.label, at.sent_ms, at.mark_ms, at.every_ms)

    async def fill(self, audio: bytes) -> None:
        """Put audio in the line's format before the turn's own, of which it is no part."""
        if self.n_ms or not self._free.is_set():
            return
        self._sent += audio
        await self._put(audio)
        self._playout.spoken_to(self.turn, 0)

    def follow(self, audio: bytes) -> None:
        """Count as a filler what the far end has still to play before anything of this turn."""
        self._sent += audio
        self._enter(audio)
        self._playout.spoken_to(self.turn, 0)

    async def sound(self, audio: bytes) -> None:
        """Put audio in the line's format, which is no speech, after what was said."""
        await self._say(audio)

    async def finish(self, *, whole: bool) -> None:
        """Ask to be told when all has been heard; `whole` if that is the turn's whole text."""
        self.shut()
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
        return bool(self._n_forgotten or self._sent)

    def hold(self) -> None:
        """Send no more until `resume`."""
        self.shut()
        self._free.clear()

    async def resume(self, position_ms: float) -> None:
        """Send again what was sent from this position on, and go on."""
        at = max(int(position_ms) * self._per_ms, self._n_forgotten)
        while piece := self._sent_from(at):
            at += len(piece)
            await self._put(piece)
        if self.finished:
            await self._mark_the_end()
        self._free.set()

    def forget(self) -> None:
        """Give up the audio that no `resume` can go back to any more, once it is worth while."""
        if len(self._sent) < FORGET_MS * self._per_ms:
            return
        n_octets = int(self._playout.resumable_ms(self.turn)) * self._per_ms - self._n_forgotten
        if n_octets > 0:
            self._forget(n_octets)

    def end(self) -> None:
        """Take note that what was heard of it is known: it is never resumed."""
        self.over.set()
        self._forget(len(self._sent))

    def _sent_from(self, at: int) -> bytes:
        """The next piece to be sent again; marks that come back meanwhile move its place."""
        begin = at - self._n_forgotten
        return bytes(self._sent[begin : begin + self._piece])

    def _forget(self, n_octets: int) -> None:
        del self._sent[:n_octets]
        self._n_forgotten += n_octets

    async def _say(self, data: bytes) -> None:
        self.shut()
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
        mark = self._enter(piece)
        self._sent += piece
        self._n_ms += len(piece) / self._per_ms
        return mark

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
