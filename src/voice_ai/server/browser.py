"""A browser as a call's line: the same call as by phone, without the phone.

Messages, once `start` has come from us:

    both ways   binary: PCM16, mono, 16 kHz, little-endian, whole samples
    to us       {"event":"mark","name":...}   all sound before our mark of this name was played
                {"event":"text","text":...}   typed, instead of spoken: a whole turn
                {"event":"stop"}              the caller hangs up; closing does as well
    from us     {"event":"start","call_sid":...,"rate_hz":16000}
                {"event":"mark","name":...}   to be sent back when all sound before it was played
                {"event":"clear"}             drop the sound that waits, send its marks back at once
                {"event":"call","call":{}}    the call as `/api/calls` shows it, when it changes;
                                              likewise `turn`, by its `n`, and each `note`
"""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import orjson
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from voice_ai.call.line import AudioIn, LineEvent, MarkIn, TextIn
from voice_ai.codec.formats import PCM16_16K, AudioFormat
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProtocolError
from voice_ai.server.feed import Feed
from voice_ai.server.http import Request, Response, plain
from voice_ai.server.loopback import from_this_machine
from voice_ai.server.websocket import INVALID_DATA, close, is_free, send_binary, send_text, write

# 20 ms, by which frames are counted.
FRAME_OCTETS = 640
# What a caller says in two minutes.
MAX_TEXT_CHARS = 2000


def check_browser(request: Request) -> Response | None:
    """Refuse a browser on another machine, and a page of another site in one on this machine."""
    own = "Origin" not in request.headers or _site(request) == request.headers.get("Host")
    if own and from_this_machine(request):
        return None
    return plain(403, "the console is for this machine only")


def _site(request: Request) -> str:
    """Return host and port of the page that asks; a page without a site has the origin `null`."""
    return request.headers.get("Origin").partition("://")[2]


class BrowserLine:
    """A Line (call/line.py) over a browser's websocket."""

    def __init__(self, socket: ServerConnection) -> None:
        """Speak on this socket; `begin` comes first."""
        self._socket = socket
        self.feed = Feed(partial(write, socket, Opcode.TEXT), lambda: self.is_free)
        self._n_octets = 0
        self.n_frames_in = 0
        self.n_frames_out = 0

    @property
    def format(self) -> AudioFormat:
        """PCM16 at 16 kHz, both ways."""
        return PCM16_16K

    def tap(
        self,
        target: AudioFormat,
        n_octets: int,
        arrived: Callable[[], None],
        marked: Callable[[str], bool],
    ) -> None:
        """All audio comes as messages."""

    async def begin(self, call_sid: str) -> None:
        """Tell the browser that its call is up, and what it will hear."""
        await self._tell({"event": "start", "call_sid": call_sid, "rate_hz": PCM16_16K.rate_hz})

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Yield what the browser sends until it hangs up.

        Raises:
            ProtocolError: a message of another form.
        """
        try:
            async for message in self._socket:
                event = self._audio(message) if isinstance(message, bytes) else _parse(message)
                if event is None:
                    return
                yield event
        except ConnectionClosed:
            return

    def _audio(self, data: bytes) -> AudioIn:
        if not data or len(data) % 2:
            raise ProtocolError(f"{len(data)} octets of audio; needed whole samples of 2 octets")
        timestamp_ms = int(PCM16_16K.duration_ms(self._n_octets))
        self._n_octets += len(data)
        self.n_frames_in = self._n_octets // FRAME_OCTETS
        return AudioIn(data, timestamp_ms)

    @property
    def is_free(self) -> bool:
        """Whether something can be written at once."""
        return is_free(self._socket)

    def gate(self, voice: Transcoder, otherwise: Callable[[bytes], bool]) -> None:
        """All of a voice is written piece by piece."""

    def write_audio(self, data: bytes) -> None:
        """Write PCM16 for playing."""
        self.n_frames_out += -(-len(data) // FRAME_OCTETS)
        write(self._socket, Opcode.BINARY, data)

    def write_mark(self, name: str) -> None:
        """Write a mark."""
        text = orjson.dumps({"event": "mark", "name": name})
        write(self._socket, Opcode.TEXT, text)

    async def send_audio(self, data: bytes) -> None:
        """Queue PCM16 for playing."""
        self.n_frames_out += -(-len(data) // FRAME_OCTETS)
        await send_binary(self._socket, data)

    async def send_mark(self, name: str) -> None:
        """Ask for a mark back."""
        await self._tell({"event": "mark", "name": name})

    async def clear(self) -> None:
        """Empty the browser's buffer."""
        await self._tell({"event": "clear"})

    async def hang_up(self) -> None:
        """Close the websocket."""
        self.feed.close()
        await close(self._socket)

    async def _tell(self, message: dict[str, Any]) -> None:
        await send_text(self._socket, orjson.dumps(message))


def _parse(text: str) -> MarkIn | TextIn | None:
    """Read a message of the browser's; None when it hangs up."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        what = f"a message of {len(text)} characters is not JSON: {error.msg}"
        raise ProtocolError(what, INVALID_DATA) from None
    match message:
        case {"event": "mark", "name": str(name)}:
            return MarkIn(name)
        case {"event": "text", "text": str(words)}:
            if len(words) > MAX_TEXT_CHARS:
                raise ProtocolError(f"{len(words)} characters of text; {MAX_TEXT_CHARS} may come")
            return TextIn(words)
        case {"event": "stop"}:
            return None
    raise ProtocolError("needed an event, mark with a name, text with a text, or stop")
