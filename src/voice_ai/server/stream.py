"""Twilio's media stream as a call's line."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from voice_ai.call.line import AudioIn, CallerAudio, DigitIn, LineEvent, MarkIn
from voice_ai.codec import MediaWriter
from voice_ai.codec._voice_gate import VoiceGate
from voice_ai.codec.formats import ULAW_8K, AudioFormat
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProtocolError
from voice_ai.server.media import MediaConnection
from voice_ai.server.websocket import (
    POLICY_VIOLATION,
    UNSUPPORTED_DATA,
    close,
    is_free,
    send_text,
)
from voice_ai.wire import twilio

logger = logging.getLogger(__name__)

# Seconds for `connected` and `start`; Twilio sends both at once. Nothing is dialled for a stranger
# before.
START_TIMEOUT_S = 3.0
# Twilio's have 34; a stream of a longer one than the codec writes is no failure of ours.
MAX_SID_LETTERS = 64
# 20 ms, as Twilio sends it; what we send comes in any length.
FRAME_OCTETS = 160


class TwilioLine:
    """A Line (call/line.py) over a media stream whose `start` has been read."""

    def __init__(self, socket: MediaConnection, start: twilio.Start) -> None:
        """Speak on this socket as the stream that `start` began."""
        self._socket = socket
        self._sid = start.stream_sid
        self._writer = MediaWriter(start.stream_sid, rate_hz=None)
        self._n_odd_frames_in = 0
        self._gate: VoiceGate | None = None
        self._n_frames_out = 0

    @property
    def format(self) -> AudioFormat:
        """µ-law at 8 kHz, the telephone's."""
        return ULAW_8K

    @property
    def n_frames_in(self) -> int:
        """Media messages so far."""
        return self._n_odd_frames_in + self._socket.tap.n_frames

    @property
    def n_frames_out(self) -> int:
        """Frames of 20 ms so far; what is shorter counts as one."""
        passed = 0 if self._gate is None else -(-self._gate.n_octets // FRAME_OCTETS)
        return self._n_frames_out + passed

    def tap(
        self,
        target: AudioFormat,
        n_octets: int,
        arrived: Callable[[], None],
        marked: Callable[[str], bool],
    ) -> CallerAudio | None:
        """Have media messages converted before the library sees them, but for odd ones."""
        told = partial(self._told, marked)
        return self._socket.take_media(self._sid, target, n_octets, arrived, told)

    def _told(self, marked: Callable[[str], bool], text: bytes) -> bool:
        """Take the echo of a mark of ours; whatever else it is comes by the iterator."""
        try:
            message = twilio.parse_message(text)
        except ProtocolError:
            return False
        if not isinstance(message, twilio.Mark) or message.stream_sid != self._sid:
            return False
        return marked(message.name)

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Yield the caller's audio, our marks as they come back, and keys; ends with the stream.

        Raises:
            ProtocolError: a message that a started stream may not carry.
        """
        async for message in _messages(self._socket):
            match message:
                case twilio.Media(stream_sid, payload, timestamp_ms):
                    self._check(stream_sid)
                    self._n_odd_frames_in += 1
                    yield AudioIn(payload, timestamp_ms)
                case twilio.Mark(stream_sid, name):
                    self._check(stream_sid)
                    yield MarkIn(name)
                case twilio.Dtmf(stream_sid, digit):
                    self._check(stream_sid)
                    yield DigitIn(digit)
                case twilio.Stop():
                    return
                case twilio.Start() | twilio.Connected():
                    name = type(message).__name__.lower()
                    raise ProtocolError(f"a second {name} on a stream that has begun")

    def _check(self, stream_sid: str) -> None:
        if stream_sid != self._sid:
            raise ProtocolError(f"streamSid is {stream_sid[:40]!r}; this stream is {self._sid!r}")

    @property
    def is_free(self) -> bool:
        """Whether something can be written at once."""
        return is_free(self._socket)

    def gate(self, voice: Transcoder, otherwise: Callable[[bytes], bool]) -> VoiceGate | None:
        """Let a voice through that is µ-law or becomes it by a FIR."""
        if self._gate is not None:
            self._n_frames_out = self.n_frames_out
            self._gate.close()
            self._gate = self._socket.gate = None
        if voice.target != ULAW_8K or (voice.fir is None and voice.source != ULAW_8K):
            return None
        write = self._socket.transport.write
        self._gate = self._socket.gate = VoiceGate(
            self._writer.frame, self._mark, write, self._socket.tap, voice.fir, otherwise
        )
        return self._gate

    def _mark(self, name: str) -> bytes:
        return Frame(Opcode.TEXT, twilio.mark(self._sid, name).encode()).serialize(mask=False)

    def write_audio(self, data: bytes) -> None:
        """Write µ-law octets for playing."""
        self._n_frames_out += -(-len(data) // FRAME_OCTETS)
        self._socket.transport.write(self._writer.frame(data))

    def write_mark(self, name: str) -> None:
        """Write a mark."""
        self._socket.transport.write(self._mark(name))

    async def send_audio(self, data: bytes) -> None:
        """Queue µ-law octets for playing."""
        self._n_frames_out += -(-len(data) // FRAME_OCTETS)
        await send_text(self._socket, self._writer.message(data))

    async def send_mark(self, name: str) -> None:
        """Ask for a mark back."""
        await send_text(self._socket, twilio.mark(self._sid, name).encode())

    async def clear(self) -> None:
        """Empty Twilio's buffer."""
        await send_text(self._socket, twilio.clear(self._sid).encode())

    async def hang_up(self) -> None:
        """Close the stream: nothing is after `<Connect>`, so Twilio ends the call."""
        await close(self._socket)


async def _messages(socket: MediaConnection) -> AsyncIterator[twilio.Message]:
    try:
        async for raw in socket:
            # Whoever asks for it has dealt with it before anything else can be received.
            socket.tap.n_read += 1
            if isinstance(raw, bytes):
                raise ProtocolError(
                    f"a binary message of {len(raw)} octets; needed text", UNSUPPORTED_DATA
                )
            yield twilio.parse_message(raw)
    except ConnectionClosed:
        return


async def read_start(socket: MediaConnection) -> twilio.Start:
    """Read `connected`, if it comes, and `start`.

    Raises:
        ProtocolError: something else came first, nothing came in time, the stream ended, or its id
            is no such.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            async for message in _messages(socket):
                match message:
                    case twilio.Connected():
                        continue
                    case twilio.Start(stream_sid):
                        if len(stream_sid) > MAX_SID_LETTERS:
                            text = f"start.streamSid is {len(stream_sid)} characters"
                            raise ProtocolError(f"{text}, at most {MAX_SID_LETTERS} may be")
                        return message
                    case _:
                        raise ProtocolError(f"{type(message).__name__.lower()} before start")
    except TimeoutError:
        raise ProtocolError(f"no start within {START_TIMEOUT_S:g} s", POLICY_VIOLATION) from None
    raise ProtocolError("the stream ended before its start")
