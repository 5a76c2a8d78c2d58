"""A stand-in for Deepgram Flux that really listens: it tells speech from silence and ends turns.

`FakeFlux` is what `/v2/listen` does; `fakes.deepgram.FakeDeepgram` serves it on a port. The words
come from `transcripts`, or else from tones that the phone typed (`voice_ai.phone.tones`). Tests can
also take the floor themselves (`say_start`, `end_turn`, `send`) and make it fail. Shapes are those
of the vendor's protocol.
"""

import asyncio
import json
import socket
import struct
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from fakes.ear import Ear, typed_words
from fakes.faults import WELL, Fault
from fakes.moments import Moments
from fakes.spoken import WordEar

Transcripts = Sequence[str] | Callable[[int, bytes], str]
Refusal = Callable[[], tuple[int, str] | None]

MODELS = {"flux-general-en", "flux-general-multi"}
RANGES = {
    "eot_threshold": (0.5, 1.0),
    "eager_eot_threshold": (0.3, 0.9),
    "eot_timeout_ms": (500, 60_000),
}
ENCODINGS = {"linear16", "linear32", "mulaw", "alaw", "opus", "ogg-opus"}
HEARD = {"linear16", "mulaw"}  # what this ear can decode
RATES = {8000, 16000, 24000, 44100, 48000}
FREE = {"keyterm", "language_hint", "profanity_filter", "numerals", "redact", "mip_opt_out", "tag"}


def check_parameters(query: dict[str, list[str]]) -> str | None:
    """Return what is wrong with a handshake's query, or None."""
    known = {"model", "encoding", "sample_rate", *RANGES, *FREE}
    if unknown := sorted(query.keys() - known):
        return f"Unknown query parameter(s): {', '.join(unknown)}"
    if twice := [name for name, values in query.items() if len(values) > 1 and name not in FREE]:
        return f"Repeated query parameter(s): {', '.join(twice)}"
    if query.get("model", [""])[0] not in MODELS:
        return f"No such model: {query.get('model')}"
    if query.get("encoding", [""])[0] not in ENCODINGS & HEARD:
        return f"Unsupported encoding: {query.get('encoding')}"
    if query.get("sample_rate", [""])[0] not in map(str, RATES):
        return f"Unsupported sample_rate: {query.get('sample_rate')}"
    for name, (low, high) in RANGES.items():
        if name in query and not _is_within(query[name][0], low, high):
            return f"{name} must be between {low} and {high}: {query[name][0]}"
    return None


def _is_within(text: str, low: float, high: float) -> bool:
    try:
        return low <= float(text) <= high
    except ValueError:
        return False


class FluxConnection:
    """One caller's stream, as the service sees it."""

    def __init__(self, service: "FakeFlux", socket: ServerConnection, query: dict[str, list[str]]):
        self.service = service
        self.socket = socket
        self.query = query
        self.chunks: list[int] = []
        self.messages: list[dict[str, Any]] = []
        self.said_goodbye = False
        self.gone = asyncio.Event()
        self.stalled = service.stalled
        self.fault = service.faults.popleft() if service.faults else WELL
        self.withheld = ""
        self.audio = bytearray() if service.keeps_audio else None
        self._n_sent = 0
        self._n_octets = 0
        self.ear = service.ear(
            int(query["sample_rate"][0]),
            query["encoding"][0] == "mulaw",
            self._transcribe,
            service.silence_ms,
            "eager_eot_threshold" in query,
            service.transcripts is not None,
        )

    @property
    def n_octets(self) -> int:
        """Octets of audio received."""
        return self._n_octets

    @property
    def heard_ms(self) -> int:
        """Milliseconds of audio received."""
        return self._n_octets // (self.ear.rate_hz // 1000 * (1 if self.ear.is_ulaw else 2))

    async def serve(self) -> None:
        """Speak the protocol until either side closes."""
        await self._suffer("audio")
        if self.service.says_connected and self.withheld != "Connected":
            await self.send({"type": "Connected"})
        try:
            async for message in self.socket:
                if isinstance(message, bytes):
                    await self._hear(message)
                else:
                    await self._obey(message)
        except ConnectionClosed:
            pass
        finally:
            self._note_chunks()
            self.gone.set()

    async def send(self, message: dict[str, Any] | str) -> None:
        """Send a message, with the ids that all have, or a text as it is."""
        if isinstance(message, dict):
            ids = {"request_id": str(self.socket.id), "sequence_id": self._n_sent}
            message = json.dumps(message | ids)
        self._n_sent += 1
        await self.socket.send(message)

    async def _tell(self, message: dict[str, Any]) -> None:
        """Send what was heard, an end of turn after some thought."""
        if message["event"] == "EndOfTurn":
            if self.service.thinks_s:
                await asyncio.sleep(self.service.thinks_s)
            self.service.ends.append(message)
            self.service.moments.note("end of turn", message["transcript"])
        await self.send(message)

    async def say_start(self) -> None:
        """Begin a turn, whatever is heard."""
        await self.send(self.ear.start())

    async def end_turn(self, text: str) -> None:
        """End the turn with these words, whatever was heard."""
        await self.send(self.ear.end(text))

    async def _hear(self, audio: bytes) -> None:
        service = self.service
        if not audio:
            service.violations.append("empty audio")
            await self.socket.close(1008, "DATA-0000")
            return
        if self.said_goodbye:
            service.violations.append("audio after CloseStream")
        self.chunks.append(len(audio))
        self._n_octets += len(audio)
        await self._suffer("audio")
        if self.audio is not None and not self.stalled:
            self.audio += audio
        if service.stall_after is not None and self._n_octets >= service.stall_after:
            self.stalled = True
        if service.close_after is not None and self._n_octets >= service.close_after[0]:
            await self.socket.close(*service.close_after[1:])
        elif not self.stalled:
            for message in self.ear.feed(audio):
                if message["event"] == self.withheld:
                    continue
                if not service.is_scripted or message["event"] == "Update":
                    await self._tell(message)
                    await self._suffer(message["event"])
                if self.stalled:
                    break
        elif self.fault.how == "UPDATES":
            await self.send({"type": "Warning", "code": "BUSY", "description": ""})
        async with service.changed:
            service.changed.notify_all()

    async def _suffer(self, at: str) -> None:
        """Have the fault happen, if it is time for it."""
        fault = self.fault
        if fault.at != at or self.heard_ms < fault.after_ms or self.stalled:
            return
        self.service.n_struck += 1
        if fault.withholds:
            self.withheld, self.fault = fault.withholds, WELL
            return
        if fault.text:
            await self.socket.send(fault.text)
            if fault.code is None:
                self.fault = WELL
                return
        self.stalled = True
        if fault.how == "FIN":
            self.socket.transport.write_eof()
        elif fault.abort or fault.how == "RST":
            linger = struct.pack("ii", fault.how == "RST", 0)
            self.socket.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            self.socket.transport.abort()
        elif fault.code is not None:
            await self.socket.close(fault.code, "NET-0000")

    async def _obey(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            kind, message = None, {}
        self.messages.append(message)
        match kind:
            case "CloseStream":
                self.said_goodbye = True
                await self._suffer("CloseStream")
                if not self.stalled:
                    await self.send(self.ear.turn_info("Update", ""))
                    await self.socket.close()
            case "ForceEndTurn":
                await self.send(self.ear.end(self._transcribe(self.ear.turn_index, b"")))
            case "Configure":
                await self.send(
                    {"type": "ConfigureSuccess"} | {**message, "type": "ConfigureSuccess"}
                )
            case _:
                self.service.violations.append(f"unknown message: {text[:80]}")
                await self.send(
                    {"type": "Error", "code": "UNPARSABLE_CLIENT_MESSAGE", "description": ""}
                )
                await self.socket.close(1008, "unknown message")

    def _transcribe(self, turn_index: int, pcm16: bytes) -> str:
        source = self.service.transcripts
        if callable(source):
            return source(turn_index, pcm16)
        if source is not None:
            return source[turn_index] if turn_index < len(source) else ""
        return typed_words(pcm16, self.ear.rate_hz) or ""

    def _note_chunks(self) -> None:
        n_octets_per_ms = self.ear.rate_hz // 1000 * (1 if self.ear.is_ulaw else 2)
        if len(self.chunks) >= 10 and sum(self.chunks) / len(self.chunks) < 79 * n_octets_per_ms:
            mean_ms = sum(self.chunks) / len(self.chunks) / n_octets_per_ms
            self.service.violations.append(f"chunks of {mean_ms:.0f} ms, advised are 80")


class FakeFlux:
    """The service: what all connections share, and how they are to fail.

    Args:
        transcripts: what turn 0, 1 ... of every connection says, or a function of turn and PCM16.
        silence_ms: silence that ends a turn.

        hears_spoken: the words are those of `fakes.spoken`, wherever a stream begins.

    Set to fail or to script: `refuse` (status, body) of all handshakes, or a function that tells of
    each; `faults`, one for each handshake or connection to come; `close_after` (octets, code,
    reason); `stall_after` octets; `stalled` from the start; `says_connected`; `is_scripted` for a
    service that hears nothing by itself but sends its Updates; `keeps_audio`, of each connection
    what it has listened to; `ear`, which listens; `thinks_s`, how long after the audio an end of
    turn is told. `ends` are those that were, and `moments` when.
    """

    path = "/v2/listen"
    check = staticmethod(check_parameters)

    def __init__(
        self,
        transcripts: Transcripts | None = None,
        *,
        silence_ms: int = 400,
        hears_spoken: bool = False,
    ) -> None:
        self.transcripts = transcripts
        self.silence_ms = silence_ms
        self.ear: type[Ear] = WordEar if hears_spoken else Ear
        self.thinks_s = 0.0
        self.ends: list[dict[str, Any]] = []
        self.moments = Moments()
        self.refuse: tuple[int, str] | Refusal | None = None
        self.faults: deque[Fault] = deque()
        self.n_struck = 0
        self.keeps_audio = False
        self.close_after: tuple[int, int, str] | None = None
        self.stall_after: int | None = None
        self.stalled = False
        self.says_connected = True
        self.is_scripted = False
        self.violations: list[str] = []
        self.connections: list[FluxConnection] = []
        self.changed = asyncio.Condition()

    def suffer(self, faults: Iterable[Fault]) -> None:
        """Have these befall the next handshakes and connections, one each."""
        self.faults.extend(faults)
        self.refuse = self._refusal

    def befall(self, fault: Fault) -> None:
        """Have this befall the connection that is open, or else the next handshake."""
        live = [connection for connection in self.connections if not connection.gone.is_set()]
        if live and fault.refuse is None:
            live[-1].fault = fault
        else:
            self.suffer([fault])

    def _refusal(self) -> tuple[int, str] | None:
        if not self.faults or self.faults[0].refuse is None:
            return None
        self.n_struck += 1
        return self.faults.popleft().refuse or 500, "{}"

    async def serve(self, socket: ServerConnection, query: dict[str, list[str]]) -> None:
        """Serve one accepted handshake."""
        connection = FluxConnection(self, socket, query)
        self.connections.append(connection)
        async with self.changed:
            self.changed.notify_all()
        await connection.serve()

    async def until(self, holds: Callable[[], bool], within_s: float = 5.0) -> None:
        """Wait until something is so, looking whenever a socket opens or audio comes."""
        async with asyncio.timeout(within_s), self.changed:
            await self.changed.wait_for(holds)

    @property
    def last(self) -> FluxConnection:
        """The newest connection."""
        return self.connections[-1]

    async def say_start(self) -> None:
        """Begin a turn on the newest connection: a false start, if nothing follows."""
        await self.last.say_start()

    async def end_turn(self, text: str) -> None:
        """End the turn of the newest connection."""
        await self.last.end_turn(text)

    async def send(self, message: dict[str, Any] | str) -> None:
        """Send anything on the newest connection; a text goes out as it is."""
        await self.last.send(message)


def new_request_id() -> str:
    """Return an id such as the service gives to every request."""
    return str(uuid.uuid4())
