"""One call's media stream, as Twilio has it: frames out when told, the server's messages in."""

import time
from array import array
from binascii import Error as NoBase64
from binascii import a2b_base64
from dataclasses import dataclass, field

from voice_ai.errors import ProtocolError
from voice_ai.phone.load.ear import Ear, Heard, Segment
from voice_ai.phone.load.extras import picows
from voice_ai.phone.load.playout import Playout
from voice_ai.phone.load.voice import Voice
from voice_ai.wire import twilio

TEXT = picows.WSMsgType.TEXT
BINARY = picows.WSMsgType.BINARY
CONTINUATION = picows.WSMsgType.CONTINUATION
CLOSE = picows.WSMsgType.CLOSE

# What is told of the messages that Twilio would refuse: it too reports one a stream.
MAX_VIOLATIONS = 3


@dataclass(slots=True)
class Counts:
    """What one call counted in the window.

    Args:
        first_frame: the number of the first frame that was sent in it.
        sent_at: when each frame from that one on was sent, as far as there is room.
        n_sent, n_held_back: frames sent; frames not sent, because the server did not read.
        late_ms: the worst lateness of a frame of ours.
        n_late: frames of the server's in mid-sentence that came when all before was played.
        clears: when the server emptied the buffer.
    """

    first_frame: int = 0
    sent_at: "array[float]" = field(default_factory=lambda: array("d"))
    n_sent: int = 0
    n_held_back: int = 0
    late_ms: float = 0.0
    heard: Heard = field(default_factory=Heard)
    segments: list[Segment] = field(default_factory=list)
    n_late: int = 0
    n_marks: int = 0
    clears: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Stream(picows.WSListener):
    """A call that is up. `ended` says why it is no more, and is empty while it is."""

    def __init__(self, call: int, voice: Voice, stream_sid: str, *, room: int) -> None:
        """Be call number `call`; the times of `room` frames at most are kept in a window."""
        self.call = call
        self.counts = Counts()
        self.ended = ""
        self._voice = voice
        self._sid = stream_sid
        self._media = twilio.media(stream_sid, b"").removesuffix('"}}').encode()
        self._room = room
        self._ear = Ear()
        self._playout = Playout()
        self._parts = bytearray()
        self._transport: picows.WSTransport | None = None
        self._reading = True
        self._hung_up = False

    def begin(self, parameters: dict[str, str]) -> None:
        """Say that the stream begins; its frames follow by `speak`."""
        self._send(twilio.connected().encode())
        self._send(self._voice.start(parameters))

    def speak(self, now: float, late_ms: float) -> None:
        """Send the frame that is due, and the marks that have been reached."""
        if self.ended:
            return
        counts = self.counts
        if self._reading:
            self._send(self._voice.frame())
            counts.n_sent += 1
        else:
            self._voice.skip()
            counts.n_held_back += 1
        if len(counts.sent_at) < self._room:
            counts.sent_at.append(now)
        if late_ms > counts.late_ms:
            counts.late_ms = late_ms
        self._echo(self._playout.passed(now))

    def count_anew(self) -> Counts:
        """Return what has been counted, and begin again."""
        counts, self.counts = self.counts, Counts(first_frame=self._voice.n_frames)
        counts.heard, self._ear.heard = self._ear.heard, Heard()
        counts.segments, self._ear.segments = self._ear.segments, []
        return counts

    def hang_up(self) -> None:
        """Stop the stream and close it."""
        if not self.ended:
            self._hung_up = True
            self._send(self._voice.stop())
            if self._transport is not None:
                self._transport.send_close(picows.WSCloseCode.OK)

    def abort(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if self._transport is not None:
            try:
                await self._transport.wait_disconnected()
            except picows.WSError as error:
                self._violated(f"a broken frame: {error}")

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Take the connection."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Take what the server sent."""
        kind = frame.msg_type
        if kind == TEXT and frame.fin:
            self._take(frame.get_payload_as_bytes())
        elif kind == CLOSE:
            self._closed(int(frame.get_close_code().value), frame.get_close_reason())
            transport.disconnect()
        elif kind == TEXT or kind == CONTINUATION:
            self._parts += frame.get_payload_as_bytes()
            if frame.fin:
                whole = bytes(self._parts)
                self._parts.clear()
                self._take(whole)
        elif kind == BINARY:
            self._violated(f"31950: a binary frame of {frame.payload_size} octets; needed text")

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Notice that the connection is gone."""
        self.ended = self.ended or ("hung up" if self._hung_up else "31921: the server broke off")

    def pause_writing(self) -> None:
        """Notice that the server does not read: a caller's voice waits for nobody."""
        self._reading = False

    def resume_writing(self) -> None:
        """Notice that it reads again."""
        self._reading = True

    def _closed(self, code: int, reason: str) -> None:
        if not self._hung_up and not self.ended:
            self.ended = f"31921: the server closed the stream with {code} {reason}".rstrip()

    def _take(self, message: bytes) -> None:
        now = time.monotonic()
        prefix = self._media
        # What our own server sends; anything else is read as strictly as Twilio does.
        if message.startswith(prefix) and message.endswith(b'"}}'):
            try:
                audio = a2b_base64(memoryview(message)[len(prefix) : -3], strict_mode=True)
            except NoBase64:
                audio = b""
            if audio:
                self._hear(audio, now)
                return
        try:
            command = twilio.parse_command(message.decode(), self._sid)
        except (ProtocolError, UnicodeDecodeError) as error:
            self._violated(str(error))
            return
        match command:
            case twilio.PlayMedia(payload):
                self._hear(payload, now)
            case twilio.SendMark(name):
                self.counts.n_marks += 1
                self._ear.mark()
                self._playout.mark(name)
                self._echo(self._playout.passed(now))
            case twilio.ClearBuffer():
                self.counts.clears.append(now)
                self._ear.clear()
                self._echo(self._playout.clear(now))

    def _hear(self, audio: bytes, now: float) -> None:
        ear = self._ear
        within, n_begun = ear.within, ear.n_begun
        ear.hear(audio, now)
        if self._playout.media(len(audio), now) and within and ear.n_begun == n_begun:
            self.counts.n_late += 1

    def _echo(self, names: list[str]) -> None:
        for name in names:
            self._send(self._voice.echo(name))

    def _send(self, message: bytes) -> None:
        if self._transport is not None and not self.ended:
            self._transport.send(TEXT, message)

    def _violated(self, what: str) -> None:
        if len(self.counts.violations) < MAX_VIOLATIONS:
            self.counts.violations.append(what)
