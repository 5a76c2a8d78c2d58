"""A stand-in for Deepgram Aura: a voice in which every word has a length and a tone of its own.

`FakeAura` is what `/v1/speak` does; `fakes.deepgram.FakeDeepgram` serves it on a port.
`speak_words` says what audio a text gives, so that tests can tell what was played. Shapes are those
of the vendor's protocol.
"""

import asyncio
import json
import re
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from fakes.faults import VoiceFault
from fakes.moments import Moments

Voice = Callable[[str, str, int], bytes]
Refusal = Callable[[], tuple[int, str] | None]

CHAR_MS = 60
AMPLITUDE = 8000
CHUNK_OCTETS = (1371, 997, 2048, 641)  # whole frames and whole samples only by chance
MAX_CHARS = 2000
MAX_FLUSHES, FLUSH_WINDOW_S = 20, 60.0

RATES = {"linear16": {8000, 16000, 24000, 32000, 48000}, "mulaw": {8000, 16000}}
KNOWN = {"model", "encoding", "sample_rate", "speed", "mip_opt_out"}


def check_parameters(query: dict[str, list[str]]) -> str | None:
    """Return what is wrong with a handshake's query, or None."""
    if unknown := sorted(query.keys() - KNOWN):
        return f"Unknown query parameter(s): {', '.join(unknown)}"
    if twice := [name for name, values in query.items() if len(values) > 1]:
        return f"Repeated query parameter(s): {', '.join(twice)}"
    model = query.get("model", ["aura-asteria-en"])[0]
    if not re.fullmatch(r"aura-(2-)?[a-z]+-(en|es|de|nl|fr|it|ja)", model):
        return f"No such model: {model}"
    encoding = query.get("encoding", ["linear16"])[0]
    if encoding not in RATES:
        return f"Unsupported encoding: {encoding}"
    rate = query.get("sample_rate", ["24000" if encoding == "linear16" else "8000"])[0]
    if rate not in map(str, RATES[encoding]):
        return f"Unsupported sample_rate for {encoding}: {rate}"
    return None


def speak_words(text: str, encoding: str, rate_hz: int) -> bytes:
    """Return the audio of a text: CHAR_MS a character, each word at its own pitch, spaces silent.

    Texts cut between words give the same audio as the whole.
    """
    return b"".join(_token(token, encoding, rate_hz) for token in re.findall(r"\S+|\s", text))


def _token(token: str, encoding: str, rate_hz: int) -> bytes:
    n_samples = len(token) * CHAR_MS * rate_hz // 1000
    pitch = 0 if token.isspace() else 300 + zlib.crc32(token.encode()) % 2700
    wave = AMPLITUDE * np.sin(2 * np.pi * pitch * np.arange(n_samples) / rate_hz)
    pcm16 = np.round(wave).astype("<i2")
    return pcm16.tobytes() if encoding == "linear16" else pcm16_to_ulaw(pcm16)


def pcm16_to_ulaw(pcm16: "np.ndarray[Any, np.dtype[np.int16]]") -> bytes:
    """Encode G.711 mu-law by the formula of the standard, apart from the package's own tables."""
    value = pcm16.astype(np.int32)
    biased = np.minimum(np.abs(value), 32635) + 0x84
    exponent = np.floor(np.log2(biased)).astype(np.int32) - 7
    code = (exponent << 4) | ((biased >> (exponent + 3)) & 0x0F)
    return (~(code | np.where(value < 0, 0x80, 0)) & 0xFF).astype(np.uint8).tobytes()


@dataclass(frozen=True)
class Cut:
    """What befalls one connection after so many octets of audio, to the octet.

    `how` is a close code; "abort", without a frame (RST, if anything was unread); "stall", open and
    silent; or "error", the service's Error and then its close.
    """

    after: int
    how: int | str = 1011


@dataclass
class Spoken:
    """A text that was begun, and where its audio lies among the octets sent on its socket."""

    text: str
    start: int
    end: int

    def words(self, n_octets_per_char: float) -> list[tuple[str, float]]:
        """Return its words as far as they were spoken, each with its share of 0 to 1."""
        n_chars = (self.end - self.start) / n_octets_per_char
        shares = [
            (word[0], (n_chars - word.start()) / len(word[0]))
            for word in re.finditer(r"\S+", self.text)
        ]
        return [(word, min(share, 1.0)) for word, share in shares if share > 0]


class AuraConnection:
    """One client's socket, as the service sees it."""

    def __init__(self, service: "FakeAura", socket: ServerConnection, query: dict[str, list[str]]):
        self.service = service
        self.socket = socket
        self.query = query
        self.encoding = query.get("encoding", ["linear16"])[0]
        self.rate_hz = int(query.get("sample_rate", ["24000"])[0])
        self.messages: list[dict[str, Any]] = []
        self.ledger: list[Spoken] = []
        self.sent = bytearray()
        self.said_goodbye = False
        self.gone = asyncio.Event()
        self.fault = service.faults.popleft() if service.faults else None
        self._text = ""
        self._jobs: deque[str | None] = deque()  # texts to speak; None is a Flush
        self._has_jobs = asyncio.Event()
        self._generation = 0  # of Clear
        self._flushed_at: deque[float] = deque()
        self._n_answers = 0
        self.cut = service.cuts.popleft() if service.cuts else None

    @property
    def words(self) -> list[tuple[str, float]]:
        """The words that it spoke, each with its share."""
        n_octets_per_char = len(self.service.voice("a", self.encoding, self.rate_hz))
        return [word for spoken in self.ledger for word in spoken.words(n_octets_per_char)]

    @property
    def n_flushes(self) -> int:
        """How many times the client flushed."""
        return sum(message["type"] == "Flush" for message in self.messages)

    async def serve(self) -> None:
        """Speak the protocol until either side closes."""
        await self.send({"type": "Metadata", "request_id": str(self.socket.id)})
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak_jobs())
            try:
                async for message in self.socket:
                    await self._obey(message)
            except ConnectionClosed:
                pass
            finally:
                speaking.cancel()
                self.gone.set()
                await self.service.notify()

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        """Send a message; text and audio go out as they are."""
        await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def _obey(self, data: str | bytes) -> None:
        try:
            message = json.loads(data) if isinstance(data, str) else {}
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            self.service.violations.append(f"unreadable message: {data[:80]!r}")
            await self.socket.close(1008, "DATA-0000")
            return
        self.messages.append(message)
        if self.said_goodbye:
            self.service.violations.append(f"{kind} after Close")
        await self._suffer(0)
        match kind:
            case "Speak":
                await self._take(message.get("text"))
            case "Flush":
                await self._flush()
            case "Clear":
                await self._clear()
            case "Close":
                self.said_goodbye = True
                await self.socket.close()
            case _:
                self.service.violations.append(f"unknown message: {kind}")
                await self.send({"type": "Error", "code": "DATA-0000", "description": "unknown"})
                await self.socket.close(1008, "DATA-0000")
        await self.service.notify()

    async def _take(self, text: object) -> None:
        if not isinstance(text, str) or not text.strip():
            self.service.violations.append("Speak without text")
        elif len(text) > MAX_CHARS or len(self._text) + len(text) > MAX_CHARS:
            self.service.violations.append(f"more than {MAX_CHARS} characters without a Flush")
            await self.socket.close(1009, "BIG-0000")
        else:
            self.service.moments.note("speak", text)
            self._text += text
            if self.service.segments and (cut := self._text.rfind(". ") + 2) > 1:
                self._jobs.append(self._text[:cut])
                self._text = self._text[cut:]
                self._has_jobs.set()

    async def _flush(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._flushed_at and self._flushed_at[0] <= now - FLUSH_WINDOW_S:
            self._flushed_at.popleft()
        self._flushed_at.append(now)
        if len(self._flushed_at) > MAX_FLUSHES:
            self.service.violations.append(
                f"more than {MAX_FLUSHES} Flush in {FLUSH_WINDOW_S:.0f} s"
            )
        if self._withholds("Flush") or len(self._flushed_at) > self.service.max_flushes:
            await self.send(
                {"type": "Warning", "code": "EXCESSIVE_FLUSH", "description": "Flush was ignored"}
            )
            return
        if self._text:
            self._jobs.append(self._text)
        self._text = ""
        self._jobs.append(None)
        self._has_jobs.set()

    async def _clear(self) -> None:
        n_flushes = self._jobs.count(None)
        self._generation += 1
        self._jobs.clear()
        self._text = ""
        if self.service.late_octets:
            await self.send(bytes(self.service.late_octets))
        if not self.service.answers_clear:
            return
        await self._answer("Cleared")
        for _ in range(n_flushes if self.service.answers_flush_after_clear else 0):
            await self._answer("Flushed")

    async def _suffer(self, n_octets: int) -> None:
        """Have the fault happen, if it is time for it; it does not return while it stalls."""
        fault = self.fault
        if fault is None or fault.withholds or (fault.stalls and not n_octets):
            return
        if n_octets < fault.after:
            self.fault = replace(fault, after=fault.after - n_octets)
            return
        self.service.n_struck += 1
        self.fault = None
        if fault.text:
            await self.send(fault.text)
        if fault.code is not None:
            await self.socket.close(fault.code, "NET-0000")
        elif fault.stalls:
            await asyncio.Event().wait()

    def _withholds(self, kind: str) -> bool:
        if self.fault is None or self.fault.withholds != kind:
            return False
        self.service.n_struck += 1
        return True

    async def _answer(self, kind: str) -> None:
        if self._withholds(kind):
            return
        await self.send({"type": kind, "sequence_id": self._n_answers})
        self._n_answers += 1

    async def _speak_jobs(self) -> None:
        try:
            while True:
                while not self._jobs:
                    self._has_jobs.clear()
                    await self._has_jobs.wait()
                # A job stays in the queue while it is worked on, so that Clear finds its Flush.
                generation, job = self._generation, self._jobs[0]
                if job is None:
                    await self.service.until_unstalled(len(self.sent))
                    if generation == self._generation:
                        await self._answer("Flushed")
                else:
                    await self._speak(job, generation)
                if generation == self._generation:
                    self._jobs.popleft()
        except ConnectionClosed:
            pass

    async def _speak(self, text: str, generation: int) -> None:
        service = self.service
        audio = service.voice(text, self.encoding, self.rate_hz)
        spoken = Spoken(text, len(self.sent), len(self.sent))
        self.ledger.append(spoken)
        await asyncio.sleep(service.first_byte_ms / 1000)
        n_octets_per_s = self.rate_hz * (2 if self.encoding == "linear16" else 1)
        sizes, start = cycle(service.chunk_octets), 0
        while start < len(audio):
            await service.until_unstalled(len(self.sent))
            if generation != self._generation:
                return
            chunk = audio[start : start + next(sizes)]
            if self.cut is not None:
                chunk = chunk[: self.cut.after - len(self.sent)]
            start += len(chunk)
            if chunk:
                await self._suffer(len(chunk))
                service.moments.note("audio", text)
                await self.send(chunk)
            self.sent += chunk
            spoken.end = len(self.sent)
            if self.cut is not None and len(self.sent) >= self.cut.after:
                await self._be_cut(self.cut.how)
            if service.close_after is not None and len(self.sent) >= service.close_after[0]:
                await self.socket.close(*service.close_after[1:])
            pace = 0.0 if service.rate is None else len(chunk) / n_octets_per_s / service.rate
            await asyncio.sleep(pace)

    async def _be_cut(self, how: int | str) -> None:
        """Let happen what is to befall this connection; nothing is spoken on it any more."""
        await self.service.notify()
        if how == "error":
            await self.send({"type": "Error", "code": "NET-0000", "description": "synthesis"})
            how = 1011
        if how == "abort":
            self.socket.transport.abort()
        elif isinstance(how, int):
            await self.socket.close(how, "NET-0000")
        await asyncio.Event().wait()


class FakeAura:
    """The service: what all connections share, and how they are to fail.

    Args:
        voice: text, encoding, rate -> audio.
        first_byte_ms: how long each text takes before its first audio.
        rate: times real time at which audio is sent; None for as fast as it goes.

    Set to fail or to script: `refuse` (status, body) of the next handshakes; `close_after` (octets
    of audio, code, reason); `stall_after` octets until `unstall()`; `max_flushes` before Warnings;
    `answers_clear`; `answers_flush_after_clear`; `late_octets` of audio between Clear and Cleared;
    `segments` for a service that speaks whole sentences without a Flush. `cuts` holds what befalls
    each connection, in order; those after it are well. `moments`: when text came, and its audio
    went.
    """

    path = "/v1/speak"
    check = staticmethod(check_parameters)

    def __init__(
        self,
        voice: Voice = speak_words,
        *,
        first_byte_ms: float = 0.0,
        rate: float | None = None,
        chunk_octets: tuple[int, ...] = CHUNK_OCTETS,
    ) -> None:
        self.voice = voice
        self.first_byte_ms = first_byte_ms
        self.rate = rate
        self.chunk_octets = chunk_octets
        self.refuse: tuple[int, str] | Refusal | None = None
        self.close_after: tuple[int, int, str] | None = None
        self.stall_after: int | None = None
        self.max_flushes = MAX_FLUSHES
        self.answers_clear = True
        self.answers_flush_after_clear = False
        self.late_octets = 0
        self.segments = True
        self.cuts: deque[Cut | None] = deque()
        self.faults: deque[VoiceFault] = deque()
        self.n_struck = 0
        self.violations: list[str] = []
        self.connections: list[AuraConnection] = []
        self.changed = asyncio.Condition()
        self.moments = Moments()

    async def serve(self, socket: ServerConnection, query: dict[str, list[str]]) -> None:
        """Serve one accepted handshake."""
        connection = AuraConnection(self, socket, query)
        self.connections.append(connection)
        await self.notify()
        await connection.serve()

    def befall(self, fault: VoiceFault) -> None:
        """Have this befall the connection that is open, or else the next handshake."""
        live = [connection for connection in self.connections if not connection.gone.is_set()]
        if live and fault.refuse is None:
            live[-1].fault = fault
        else:
            self.faults.append(fault)
            self.refuse = self._refusal

    def _refusal(self) -> tuple[int, str] | None:
        if not self.faults or self.faults[0].refuse is None:
            return None
        self.n_struck += 1
        return self.faults.popleft().refuse or 500, "{}"

    async def notify(self) -> None:
        """Wake those who wait for something to change."""
        async with self.changed:
            self.changed.notify_all()

    async def until(self, holds: Callable[[], bool], within_s: float = 5.0) -> None:
        """Wait until something is so, looking at every message and every change of sockets."""
        async with asyncio.timeout(within_s), self.changed:
            await self.changed.wait_for(holds)

    async def until_unstalled(self, n_sent: int) -> None:
        """Wait while the service is stuck."""
        async with self.changed:
            await self.changed.wait_for(
                lambda: self.stall_after is None or n_sent < self.stall_after
            )

    async def unstall(self) -> None:
        """Go on."""
        self.stall_after = None
        await self.notify()

    @property
    def last(self) -> AuraConnection:
        """The newest connection."""
        return self.connections[-1]

    @property
    def words(self) -> list[tuple[str, float]]:
        """The words of all connections, each with the share that was spoken."""
        return [word for connection in self.connections for word in connection.words]

    @property
    def texts(self) -> list[str]:
        """All texts of all connections, as they were begun."""
        return [spoken.text for connection in self.connections for spoken in connection.ledger]

    async def close_idle(self, code: int = 1011, reason: str = "NET-0000") -> None:
        """Close the newest connection, as the service does when it has been idle for long."""
        await self.last.socket.close(code, reason)
