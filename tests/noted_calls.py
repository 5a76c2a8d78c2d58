"""Callers that note, by a clock of their own, what they did and heard when: phones and a page."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fakes.ear import HOP_MS, LOUD, Ear
from voice_ai import ResampleStream
from voice_ai.phone import CallPlan, caller, tones
from voice_ai.phone.buffer import FRAME_OCTETS, PlayoutBuffer

Now = Callable[[], float]

# Of silence after which a caller takes a reply for finished.
QUIET_MS = 300
FRAME_S = 0.02
# The loop is looked at so often; it stood still when it comes later than LATE_S: what one notes and
# another is told of goes through two turns of it, which together may take the 5 ms to agree within.
BEAT_S = 0.002
LATE_S = 0.003


class ExactEar(Ear):
    """Knows where speech ends to the sample, not to the hop of 20 ms."""

    def _judge(self, is_loud: bool) -> Iterator[dict[str, Any]]:
        begin = self._n_done - self._n_gone - self._n_octets(HOP_MS)
        events = list(super()._judge(is_loud))
        if is_loud:
            hop = np.frombuffer(bytes(self._pcm[begin:]), "<i2", self._n_octets(HOP_MS) // 2)
            last = int(np.flatnonzero(np.abs(hop.astype(int)) > LOUD)[-1])
            self._speech_end_ms = self.now_ms - HOP_MS + round(last * 1000 / self.rate_hz)
        yield from events


@dataclass(frozen=True)
class TurnNote:
    """When a caller had spoken, when sound of the reply came in, and when it began to be played.

    `marked_s` is when a mark was sent back that lies behind the first sound.
    """

    spoke_s: float
    came_s: float
    played_s: float
    marked_s: float


class NotedPhones:
    """Phones of the product's own that note when they began to play sound, by their CallSid."""

    def __init__(self, now_s: Now) -> None:
        self._now_s = now_s
        self._phones: dict[str, Any] = {}

    def began_s(self, call_sid: str) -> float:
        """When the stream's start message had been sent."""
        return float(self._phones[call_sid]._began)

    def turns(self, call_sid: str) -> list[TurnNote]:
        """Return the turns of a call that is over."""
        phone, began_s = self._phones[call_sid], self.began_s(call_sid)
        notes = []
        for turn in phone.conduct.turns:
            came_s = began_s + turn.first_frame_ms / 1000
            # uvloop's clock, by which the phone goes, counts whole milliseconds.
            played_s = min(at_s for at_s in phone._buffer.sounds_s if at_s >= came_s - 0.001)
            marked_s = min(at_s for at_s in phone._buffer.marks_s if at_s >= played_s)
            spoke_s = began_s + turn.speech_end_ms / 1000
            notes.append(TurnNote(spoke_s, came_s, played_s, marked_s))
        return notes

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Have `place_call` use them."""
        now_s, phones = self._now_s, self._phones

        class Buffer(PlayoutBuffer):
            def __init__(self) -> None:
                super().__init__()
                self.sounds_s: list[float] = []  # when it began to sound after silence
                self.marks_s: list[float] = []
                self._was_silent = True

            def play(self, n_octets: int = FRAME_OCTETS) -> tuple[bytes, list[str]]:
                sound, names = super().play(n_octets)
                if sound and self._was_silent:
                    self.sounds_s.append(now_s())
                self._was_silent = not sound
                if names:
                    self.marks_s.append(now_s())
                return sound, names

        class Phone(caller._Phone):
            def __init__(self, plan: CallPlan, call_sid: str, *args: Any) -> None:
                super().__init__(plan, call_sid, *args)
                phones[call_sid] = self

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(caller, "PlayoutBuffer", Buffer)
            patch.setattr(caller, "_Phone", Phone)
            yield


@dataclass
class Page:
    """A browser's side of one call, without a browser: says one thing after the other."""

    texts: Sequence[str]
    now_s: Now
    call_sid: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    notes: list[TurnNote] = field(default_factory=list)
    _spoke_s: float = 0.0
    _came_s: float = 0.0
    _marked_s: float = 0.0
    _played_until: float = 0.0
    _marks: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def call(self, url: str) -> None:
        """Call, say everything, hang up."""
        async with connect(url, compression=None) as socket, asyncio.TaskGroup() as group:
            self.call_sid = json.loads(await socket.recv())["call_sid"]
            tasks = [group.create_task(work(socket)) for work in (self._listen, self._answer)]
            await self._speak(socket)
            await socket.send('{"event":"stop"}')
            await socket.wait_closed()
            for task in tasks:
                task.cancel()

    async def _speak(self, socket: ClientConnection) -> None:
        """Send 20 ms every 20 ms: each text when what came before it has been played."""
        loop, texts, speech = asyncio.get_running_loop(), list(self.texts), b""
        due = loop.time()
        while True:
            if not speech and self._came_s and loop.time() > self._played_until + QUIET_MS / 1000:
                if self._spoke_s:
                    self.notes.append(TurnNote(self._spoke_s, *self._reply_s))
                if not texts:
                    return
                speech = ResampleStream(8000, 16000).resample_chunk(tones.encode(texts.pop(0)))
            await socket.send(speech[: 4 * FRAME_OCTETS].ljust(4 * FRAME_OCTETS, b"\0"))
            if speech:
                self._spoke_s, self._came_s, self._marked_s = self.now_s(), 0.0, 0.0
            speech = speech[4 * FRAME_OCTETS :]
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    @property
    def _reply_s(self) -> tuple[float, float, float]:
        """A page plays what comes at once."""
        return self._came_s, self._came_s, self._marked_s

    async def _listen(self, socket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                message = await socket.recv()
                now = loop.time()
                if isinstance(message, bytes):
                    if not self._came_s:
                        self._came_s = self.now_s()
                    self._played_until = max(self._played_until, now) + len(message) / 32_000
                elif (event := json.loads(message))["event"] == "mark":
                    at = max(now, self._played_until)
                    loop.call_at(at, self._marks.put_nowait, event["name"])
                else:
                    self.told.append(event)
        except ConnectionClosed:
            return

    async def _answer(self, socket: ClientConnection) -> None:
        while True:
            name = await self._marks.get()
            await socket.send(json.dumps({"event": "mark", "name": name}))
            self._marked_s = self._marked_s or self.now_s()


@dataclass
class Stalls:
    """When the loop stood still, and with it all who are on it."""

    spans_s: list[tuple[float, float]] = field(default_factory=list)

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            due = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            if now - due > LATE_S:
                self.spans_s.append((due - BEAT_S, now))

    def hit(self, moments_s: Sequence[float]) -> bool:
        """Whether one of these moments was in a stall, or just behind it."""
        return any(self.between(moment - LATE_S, moment) for moment in moments_s)

    def between(self, from_s: float, to_s: float) -> bool:
        """Whether a stall lay between, if only in part."""
        return any(begin <= to_s and from_s <= end for begin, end in self.spans_s)
