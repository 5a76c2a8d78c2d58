"""Providers and a line in the test's own process, satisfying the protocols by shape; time is the
loop's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

from voice_ai.call.line import AudioIn, DigitIn, LineEvent, MarkIn
from voice_ai.codec.formats import PCM16_8K, ULAW_8K
from voice_ai.codec.g711 import ulaw_decode
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import (
    Audio,
    CallInfo,
    SpokenTo,
    Taken,
    TextDelta,
    ToolRequested,
    ToolSpec,
)
from voice_ai.turn.events import (
    CallerSaid,
    EagerEndOfTurn,
    EndOfTurn,
    Said,
    SpeechEvent,
    StartOfTurn,
    TurnResumed,
    Update,
)

MS_PER_CHAR = 50


def voiced(text: str) -> bytes:
    """PCM16 at 8 kHz in which every character is a level of its own, of those that µ-law keeps."""
    return ulaw_decode(b"".join(bytes([ord(letter)]) * 8 * MS_PER_CHAR for letter in text))


class FakeLine:
    """Plays as Twilio plays: in order, in real time; marks when reached, all at once on `clear`."""

    format = ULAW_8K

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.inbox: asyncio.Queue[LineEvent | Exception | None] = asyncio.Queue()
        self.sent: list[tuple[str, object, float]] = []
        self.played_until = 0.0
        self.marks: dict[str, asyncio.TimerHandle] = {}
        self.echo_marks = True
        self.hung_up = False
        self.stuck = asyncio.Event()
        self.stuck.set()

    def tap(self, target: object, n_octets: object, arrived: object, marked: object) -> None:
        """All audio comes as messages."""

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        while (event := await self.inbox.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def talk(self) -> None:
        """Send a frame of silence every 20 ms, as Twilio does whatever the caller does."""
        for n in range(10**6):
            self.inbox.put_nowait(AudioIn(b"\xff" * 160, n * 20))
            await asyncio.sleep(0.02)

    @property
    def is_free(self) -> bool:
        return self.stuck.is_set()

    def gate(self, voice: object, otherwise: object) -> None:
        """All of a voice is written piece by piece."""

    def write_audio(self, data: bytes) -> None:
        self._play(data)

    def write_mark(self, name: str) -> None:
        self._mark(name)

    async def send_audio(self, data: bytes) -> None:
        await self.stuck.wait()
        self._play(data)

    def _play(self, data: bytes) -> None:
        now = self.loop.time()
        self.sent.append(("audio", data, now))
        self.played_until = max(now, self.played_until) + len(data) / 8000

    async def send_mark(self, name: str) -> None:
        self._mark(name)

    def _mark(self, name: str) -> None:
        self.sent.append(("mark", name, self.loop.time()))
        if self.echo_marks:
            self.marks[name] = self.loop.call_at(
                max(self.loop.time(), self.played_until), self._echo, name
            )

    def _echo(self, name: str) -> None:
        del self.marks[name]
        self.inbox.put_nowait(MarkIn(name))

    async def clear(self) -> None:
        self.sent.append(("clear", None, self.loop.time()))
        self.played_until = self.loop.time()
        for name in list(self.marks):
            self.marks[name].cancel()
            self._echo(name)

    async def hang_up(self) -> None:
        self.sent.append(("hang up", None, self.loop.time()))
        self.hung_up = True
        self.inbox.put_nowait(None)

    def caller_hangs_up(self) -> None:
        self.inbox.put_nowait(None)

    def press(self, digit: str) -> None:
        self.inbox.put_nowait(DigitIn(digit))

    def audio_octets(self, since: float = 0.0) -> int:
        return sum(len(data) for kind, data, at in self.sent if kind == "audio" and at >= since)

    def played(self) -> str:
        """The characters that the caller heard, as `voiced` made them."""
        heard, until = bytearray(), 0.0
        for kind, data, at in self.sent:
            if kind == "audio":
                heard += data
                until = max(at, until) + len(data) / 8000
            elif kind == "clear":
                unplayed = max(0, round((until - at) * 8000))
                del heard[len(heard) - unplayed :]
                until = min(until, at)
        runs = [(code, len(list(run))) for code, run in groupby(heard)]
        return "".join(chr(code) * round(n / 8 / MS_PER_CHAR) for code, n in runs)

    def kinds(self) -> list[str]:
        """What was sent, runs of the same kind once."""
        kinds = [kind for kind, _, _ in self.sent]
        return [kind for n, kind in enumerate(kinds) if n == 0 or kinds[n - 1] != kind]


class FakeStt:
    """Hears what the test says it hears."""

    input_format = PCM16_8K

    def __init__(self) -> None:
        self.events: asyncio.Queue[SpeechEvent | ProviderError | None] = asyncio.Queue()
        self.dial: asyncio.Event = asyncio.Event()
        self.dial.set()
        self.refuse: ProviderError | None = None
        self.received = bytearray()
        self.open_streams = 0
        self.turns = 0
        self.is_late = False

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator["FakeStt"]:
        await self.dial.wait()
        if self.refuse:
            raise self.refuse
        self.open_streams += 1
        try:
            yield self
        finally:
            self.open_streams -= 1

    def send(self, audio: bytes) -> bool:
        assert audio
        self.received += audio
        return self.is_late

    async def __aiter__(self) -> AsyncIterator[SpeechEvent]:
        while (event := await self.events.get()) is not None:
            if isinstance(event, ProviderError):
                raise event
            yield event

    def start(self) -> None:
        self.turns += 1
        self.events.put_nowait(StartOfTurn(self.turns))

    def update(self, text: str) -> None:
        self.events.put_nowait(Update(self.turns, text))

    def eager(self, text: str) -> None:
        self.events.put_nowait(EagerEndOfTurn(self.turns, text))

    def resume(self) -> None:
        self.events.put_nowait(TurnResumed(self.turns))

    def end(self, text: str, speech_end_ms: float = 0.0, decided_ms: float = 0.0) -> None:
        self.events.put_nowait(EndOfTurn(self.turns, text, speech_end_ms, decided_ms))

    def hear(self, text: str) -> None:
        self.start()
        self.end(text)


Answer = str | ToolRequested | ProviderError | Sequence[str | ToolRequested | ProviderError]


class FakeLlm:
    """Answers with what `answer` makes of what was said, a word at a time."""

    def __init__(self, answer: Callable[[Sequence[Said]], Answer] | None = None) -> None:
        self.answer = answer or (lambda said: f"You said: {last_words(said)}.")
        self.delay_s = 0.0
        self.requests: list[tuple[Said, ...]] = []
        self.settled: list[tuple[Said, ...]] = []
        self.specs: tuple[ToolSpec, ...] = ()
        self.live = 0
        self.refuse: ProviderError | None = None

    @asynccontextmanager
    async def open(
        self, call: CallInfo, instructions: str, tools: Sequence[ToolSpec]
    ) -> AsyncIterator["FakeLlm"]:
        self.specs = tuple(tools)
        if self.refuse:
            raise self.refuse
        yield self

    @asynccontextmanager
    async def reply(
        self, turn: int, said: Sequence[Said]
    ) -> AsyncIterator[AsyncIterator[TextDelta | ToolRequested]]:
        self.requests.append(tuple(said))
        self.live += 1
        try:
            yield self._events(self.answer(said))
        finally:
            self.live -= 1

    async def _events(self, answer: Answer) -> AsyncIterator[TextDelta | ToolRequested]:
        parts = [answer] if isinstance(answer, str | ToolRequested | ProviderError) else answer
        for part in parts:
            await asyncio.sleep(self.delay_s)
            if isinstance(part, ProviderError):
                raise part
            if isinstance(part, ToolRequested):
                yield part
                continue
            for word in part.split(" "):
                yield TextDelta(word + " ")

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        self.settled.append(tuple(said))


def last_words(said: Sequence[Said]) -> str:
    return next(item.text for item in reversed(said) if isinstance(item, CallerSaid))


class FakeTts:
    """Speaks at MS_PER_CHAR, all of a text at once, after `delay_s`."""

    output_format = PCM16_8K

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.fail: ProviderError | None = None
        self.refuse: ProviderError | None = None
        self.silent = False
        self.spoken: list[str] = []
        self.leave_s = 0.0
        self.live = 0
        self.utterance: _Utterance | None = None

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator["FakeTts"]:
        if self.refuse:
            raise self.refuse
        yield self

    @asynccontextmanager
    async def utter(self) -> AsyncIterator["_Utterance"]:
        self.live += 1
        assert self.live == 1, "one utterance at a time"
        try:
            self.utterance = _Utterance(self)
            yield self.utterance
        finally:
            await asyncio.sleep(self.leave_s)
            self.live -= 1


class _Utterance:
    def __init__(self, tts: FakeTts) -> None:
        self.tts = tts
        self.texts: asyncio.Queue[str | None] = asyncio.Queue()
        self.take: Callable[[bytes], bool] = lambda audio: False
        self.taken = Taken()
        self.owes = False

    def offer(self, take: Callable[[bytes], bool]) -> None:
        self.take = take

    async def _is_taken(self, audio: bytes) -> bool:
        """Offer audio as a socket does, in a callback of the loop's; cancelling comes too late."""
        taken: asyncio.Future[bool] = asyncio.Future()
        taken.get_loop().call_soon(
            lambda: self.take(audio) if taken.cancelled() else taken.set_result(self.take(audio))
        )
        return await taken

    async def send(self, text: str) -> None:
        self.texts.put_nowait(text)

    async def finish(self) -> None:
        self.texts.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Audio | SpokenTo]:
        n_chars = 0
        while (text := await self.texts.get()) is not None:
            await asyncio.sleep(self.tts.delay_s)
            if self.tts.fail:
                raise self.tts.fail
            self.tts.spoken.append(text)
            n_chars += len(text)
            if not self.tts.silent and not await self._is_taken(voiced(text)):
                yield Audio(voiced(text))
            yield SpokenTo(n_chars)
