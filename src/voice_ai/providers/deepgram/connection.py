"""websockets' client connection; what it receives goes past the library's queue.

Audio and texts are taken from the octets as they come, before they are the library's messages.
The handshake, control frames, fragments, and all checks, are the library's.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

from voice_ai.codec._binary_tap import BinaryTap

# In messages. Between utterances nobody reads: this many hold 10 s and more of unwanted audio, so
# that pings are still answered. When full, the socket is not read any further until somebody reads
# half of it.
MAX_UNREAD: Final = 512
# RFC 9112, section 2.1.
END_OF_HEAD: Final = b"\r\n\r\n"


class Connection(ClientConnection):
    """A ClientConnection that is read by `receive` and written by `send_frame`.

    `recv` and iteration find nothing. Audio is a message, wherever the service's begin and end.
    """

    # More attributes than 30 in one dict, and it shares no keys with others: 1.3 KB a connection.
    __slots__ = (
        "_head",
        "_is_paused",
        "_parts",
        "_take",
        "_tap",
        "_unread",
        "_waiter",
        "data_received",
        "glance",
        "is_writable",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # MAX_UNREAD, and what one more read holds. Mostly it is empty, and a deque has 0.7 KB then.
        self._unread: list[str | bytes] = []
        self._parts: list[Frame] = []
        self._tap = BinaryTap()
        self._tap.before = self._opening
        self._tap.otherwise = self._received
        setattr(self, "data_received", self._tap.data_received)  # noqa: B010 (a method to mypy)
        self._take: Callable[[bytes], bool] | None = None
        self._head = b""
        self._waiter: asyncio.Future[None] | None = None
        self._is_paused = False
        # Offered texts as they come, while nothing before them is unread; what it declines is.
        self.glance: Callable[[str], bool] | None = None
        # Whether the socket is open and the kernel takes everything.
        self.is_writable = False

    async def receive(self) -> str | bytes:
        """Return the next message; one task at a time.

        Raises:
            ConnectionClosed: nothing more will come.
            TimeoutError: `wake` was called, and nothing had come.
        """
        while not self._unread:
            if self.state is State.CLOSED:
                raise self.close_exc
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._is_paused and len(self._unread) <= MAX_UNREAD // 2:
            self._is_paused = False
            self.transport.resume_reading()
        message = self._unread.pop(0)
        if not self._unread:
            self._tap.take = self._take
        return message

    def offer(self, take: Callable[[bytes], bool] | None) -> None:
        """Offer audio as it comes, while nothing before it is unread; what is declined is."""
        self._take = take
        self._tap.take = None if self._unread else take

    def wake(self) -> None:
        """Have a `receive` that waits raise TimeoutError now; no message is lost."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def send_frame(self, opcode: Opcode, data: bytes) -> bool:
        """Write a message, if the kernel takes everything; else return False, nothing is written.

        websockets' own `send` costs 9 us more, for the contexts that it enters.
        """
        if not self.is_writable:
            return False
        self.transport.write(Frame(opcode, data).serialize(mask=True))
        return True

    def _opening(self, data: bytes) -> None:
        """Take the octets of the handshake, and what came behind it on an open connection."""
        behind = self._behind_handshake(data)
        if self.state is not State.CONNECTING:
            self._tap.before = None
            self._tap.data_received(behind)

    def _received(self, rest: bytes | None) -> None:
        """Handle what is more than audio that somebody took, in its order."""
        audio = self._tap.audio
        if audio:
            self._keep(audio)
        for text in self._tap.texts:
            if self._unread or self.glance is None or not self.glance(text):
                self._keep(text)
        if rest is not None:
            super().data_received(rest)

    def send_data(self) -> None:
        """Write what the library has: with the handshake it opens, with a close frame it ends."""
        super().send_data()
        self._look()

    def pause_writing(self) -> None:
        """Note that the kernel takes nothing."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """Note that the kernel takes something again."""
        super().resume_writing()
        self._look()

    def process_event(self, event: Frame | Response) -> None:  # type: ignore[override]
        """Keep a message; leave the handshake and control frames to the library."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
        elif event.fin and not self._parts:
            self._keep_frame(event.opcode, bytes(event.data))
        else:  # the library has checked that fragments are in order, and their size
            self._parts.append(event)
            if event.fin:
                data = b"".join(part.data for part in self._parts)
                opcode = self._parts[0].opcode
                self._parts.clear()
                self._keep_frame(opcode, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits, to hear that nothing more comes."""
        super().connection_lost(exc)
        self._look()
        self._tell()

    def _look(self) -> None:
        self.is_writable = self.state is State.OPEN and not self.paused

    def _behind_handshake(self, data: bytes) -> bytes:
        """Give the library its response, and return what came behind it on an open connection."""
        end = (self._head + data).find(END_OF_HEAD)
        n_head = len(data) if end < 0 else end + len(END_OF_HEAD) - len(self._head)
        self._head = (self._head + data)[1 - len(END_OF_HEAD) :]
        super().data_received(data[:n_head])
        self._look()
        if self.state is State.OPEN:
            return data[n_head:]
        if data[n_head:]:  # the body of a refusal
            super().data_received(data[n_head:])
        return b""

    def _keep_frame(self, opcode: Opcode, data: bytes) -> None:
        try:
            self._keep(data.decode() if opcode is Opcode.TEXT else data)
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at position {error.start}"
            self.protocol.fail(CloseCode.INVALID_DATA, reason)
            self.send_data()

    def _keep(self, message: str | bytes) -> None:
        self._unread.append(message)
        self._tap.take = None
        if len(self._unread) > MAX_UNREAD and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._tell()

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def forget_handshake(connection: ClientConnection) -> None:
    """Drop the headers of the handshake, our key among them: the library keeps them, 3 KB."""
    for message in (connection.request, connection.response):
        if message is not None:
            message.headers.clear()
