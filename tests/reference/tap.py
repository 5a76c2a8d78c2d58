"""A caller's audio by the slow way, with a tap before it or without: the oracle of `MediaTap`.

websockets' own parser reads the frames, `wire.twilio` the messages, a `Transcoder` makes the audio.
"""

from collections import deque

from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

from voice_ai.codec.formats import ULAW_8K, AudioFormat
from voice_ai.codec.frames import MediaTap
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProtocolError
from voice_ai.wire import twilio

SID = "MZ0123456789abcdef0123456789abcdef"
START = twilio.start(SID, "CA1", "AC1")
MASK = b"\xa1\x02\x7f\xd4"
DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def frame(
    payload: bytes | str,
    opcode: int = Opcode.TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    n_length: int | None = None,
) -> bytes:
    """Build a frame, also one that no client may send.

    `n_length` is the number of octets that the length takes beside the second: 0, 2 or 8.
    """
    data = payload.encode() if isinstance(payload, str) else payload
    if n_length is None:
        n_length = 0 if len(data) < 126 else 2 if len(data) < 65536 else 8
    second = {0: len(data), 2: 126, 8: 127}[n_length] | (128 if mask else 0)
    length = len(data).to_bytes(n_length, "big") if n_length else b""
    head = bytes([fin << 7 | rsv << 4 | opcode, second]) + length
    return head + mask + apply_mask(data, mask) if mask else head + data


def media(number: int, payload: bytes = b"\x2a" * 160, sid: str = SID) -> str:
    """Write the caller's message of this number."""
    return twilio.caller_media(sid, number + 2, number, 20 * number, payload)


class Library:
    """What websockets makes of octets, and the messages that nobody has read yet."""

    def __init__(self, max_size: int = 1 << 20) -> None:
        self._protocol = ServerProtocol(state=State.OPEN, max_size=max_size)
        self._message = b""
        self.messages: deque[bytes] = deque()

    def receive(self, octets: bytes) -> None:
        self._protocol.receive_data(octets)
        for event in self._protocol.events_received():
            if event.opcode in DATA:
                self._message += event.data
                if event.fin:
                    self.messages.append(self._message)
                    self._message = b""


class Way:
    """The reader of the library's messages: audio is put, once `start` has come.

    `log` has each other message, behind the milliseconds of audio before it.
    """

    def __init__(self, max_size: int = 1 << 20) -> None:
        self.library = Library(max_size)
        self.has_started = False
        self.log: list[tuple[float, bytes]] = []

    def read(self, message: bytes) -> None:
        try:
            parsed = twilio.parse_message(message)
        except ProtocolError:
            parsed = None
        if self.has_started and isinstance(parsed, twilio.Media) and parsed.stream_sid == SID:
            self.put(parsed.payload, parsed.timestamp_ms)
            return
        self.log.append((self.heard_ms(), message))
        if isinstance(parsed, twilio.Start) and not self.has_started:
            self.has_started = True
            self.start()

    def start(self) -> None:
        """Begin to take media."""

    def put(self, payload: bytes, timestamp_ms: int) -> None:
        """Take audio."""
        raise NotImplementedError

    def heard_ms(self) -> float:
        """Return how much audio there was."""
        raise NotImplementedError


class SlowWay(Way):
    """No tap: every octet goes through the library, and every message is read at once."""

    def __init__(self, target: AudioFormat) -> None:
        super().__init__()
        self.transcoder = Transcoder(ULAW_8K, target)
        self.audio = bytearray()
        self.received_ms = 0.0
        self.until_ms = 0.0

    def receive(self, octets: bytes) -> None:
        self.library.receive(octets)
        while self.library.messages:
            self.read(self.library.messages.popleft())

    def put(self, payload: bytes, timestamp_ms: int) -> None:
        n_ms = len(payload) / 8
        self.audio += self.transcoder.convert(payload)
        self.received_ms += n_ms
        self.until_ms = max(self.until_ms, timestamp_ms + n_ms)

    def heard_ms(self) -> float:
        return self.received_ms


class TappedWay(Way):
    """The tap before the library, whose messages are read when it is said."""

    def __init__(self, rate_hz: int | None, max_size: int = 1 << 20) -> None:
        super().__init__(max_size)
        self.tap = MediaTap(limit_ms=3_600_000)
        self.passed = bytearray()
        self._rate_hz = rate_hz

    def receive(self, octets: bytes) -> None:
        rest = self.tap.feed(octets)
        if rest is not None:
            self.passed += rest
            self.library.receive(rest)

    def read_some(self, n_messages: int) -> None:
        for _ in range(min(n_messages, len(self.library.messages))):
            self.read(self.library.messages.popleft())
            self.tap.n_read += 1

    def start(self) -> None:
        self.tap.start(SID, rate_hz=self._rate_hz)

    def put(self, payload: bytes, timestamp_ms: int) -> None:
        self.tap.put(payload, timestamp_ms)

    def heard_ms(self) -> float:
        return self.tap.received_ms
