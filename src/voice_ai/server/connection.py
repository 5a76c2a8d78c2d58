"""One connection to the front: requests in, answers out in order, until it closes or upgrades."""

import asyncio
import inspect
import logging
import math
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from voice_ai.server.http import (
    HTTPEndpoint,
    RefusedError,
    Request,
    Response,
    Route,
    UpgradeCheck,
    WebSocketRoute,
    plain,
)
from voice_ai.server.reader import RequestReader
from voice_ai.server.upgrade import refuse_handshake

if TYPE_CHECKING:
    from voice_ai.server.front import Front, MakeWebSocket

logger = logging.getLogger(__name__)

Endpoint: TypeAlias = HTTPEndpoint | UpgradeCheck

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# To a client that has to go for others.
MAKES_ROOM: Final = plain(503, "too many connections wait", Retry_After="1").encode(
    connection="close"
)
# A longer body is written behind its head and not joined to it: the copy of an hour's recording
# stops the loop for 50 ms.
LONG_OCTETS: Final = 1 << 20
# Octets that wait while a request is being answered; above it the socket is not read. Pipelined
# requests wait here unparsed, so that their number needs no bound. One read adds at most 256 KiB to
# it.
READ_AHEAD_OCTETS: Final = 64 * 1024


class HTTPConnection(asyncio.Protocol):
    """The shell of a RequestReader: its callbacks fill the reader, its one task does the rest."""

    def __init__(self, front: "Front", make_websocket: "MakeWebSocket") -> None:
        self._front = front
        self._limits = front.limits
        self._make_websocket = make_websocket
        self._reader = RequestReader(self._limits.max_head_octets, self._limits.max_body_octets)
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._continued: Request | None = None
        self._eof = self._lost = self._last = self._handed_over = self._served = False
        self._is_tls = self._has_ended = False
        self._transport: asyncio.Transport
        self.task: asyncio.Task[None]

    @property
    def peer(self) -> str:
        """The address that it comes from."""
        return self._reader.peer

    @property
    def idle(self) -> bool:
        """Whether it has been answered and says nothing more."""
        return self._served and not self._reader.begun

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the one task."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        # With a mark of zero `_writable` means that the kernel has taken everything. That of TLS
        # begins at its mark, others above it.
        self._transport.set_write_buffer_limits(int(self._is_tls), 0)
        self._reader.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._front.connections.add(self)
        self._front.wait_for(self)
        self.task = self._front.start(self._run())

    def data_received(self, data: bytes) -> None:
        """Keep octets for the reader, and stop the socket when too many wait."""
        if self._last:
            return
        self._reader.feed(data)
        if len(self._reader) > READ_AHEAD_OCTETS:
            self._transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> bool:
        """Answer what has come, though nothing more will."""
        self._eof = True
        self._changed.set()
        # A client that has said all it has to say still waits for its answers; TLS ends both ways.
        return not self._is_tls

    def connection_lost(self, error: Exception | None) -> None:
        """Wake whoever waits for the client."""
        self._lost = True
        self._front.connections.discard(self)
        self._front.wait_no_more(self)
        self._changed.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The kernel takes no more."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The kernel has taken everything."""
        self._writable.set()

    def finish(self) -> None:
        """Close once the request at hand has been answered, at once if there is none."""
        self._last = True
        self._changed.set()

    def make_room(self) -> None:
        """Go at once, for somebody else's sake."""
        # A write to one that is closing, or has said all it has, would raise at the newcomer.
        is_silent = self._has_ended or self._transport.is_closing()
        if self._reader.begun and not is_silent:
            self._transport.write(MAKES_ROOM)
        if self._is_tls:  # closing it would wait for the client
            self._transport.abort()
        else:
            self._transport.close()

    # The one task.

    async def _run(self) -> None:
        try:
            await self._answer_all()
            if not self._handed_over:
                await self._close()
        except OSError as error:
            logger.debug("a connection broke: %s", error)
        except Exception:
            logger.exception("a connection of the front failed")
        finally:
            if not self._handed_over:
                self._transport.abort()

    async def _answer_all(self) -> None:
        try:
            while request := await self._next():
                await self._answer(request)
                await asyncio.sleep(0)  # others' turn: a pipeline is answered without a wait in it
        except RefusedError as refused:
            await self._send(refused.response.encode(connection="close"))

    async def _next(self) -> Request | None:
        """Return the next request, or None when there will be none."""
        if self._last or self._lost:
            return None
        self._front.wait_for(self)
        request = await self._come()
        self._front.wait_no_more(self)
        return request

    async def _come(self) -> Request | None:
        """Wait for a request to begin, and then to end."""
        try:
            async with asyncio.timeout(self._limits.idle_s):
                while not self._reader.begun:
                    if self._eof or self._lost or self._last:
                        return None
                    await self._wait()
        except TimeoutError:
            return None
        try:
            async with asyncio.timeout(self._limits.request_s):
                return await self._read()
        except TimeoutError:
            text = f"a request has {self._limits.request_s:g} s to arrive"
            raise RefusedError(plain(408, text)) from None

    async def _read(self) -> Request | None:
        """Return the request that has begun, or None if the client leaves before its end."""
        while not self._lost:
            request = self._reader.next()
            if len(self._reader) <= READ_AHEAD_OCTETS:
                self._transport.resume_reading()
            if request is not None or self._eof or self._last:
                return request
            if (waiting := self._reader.waiting) is not None and waiting is not self._continued:
                self._continued = waiting
                await self._continue(waiting)
            await self._wait()
        return None

    async def _continue(self, request: Request) -> None:
        """Have the body sent, unless the answer to it is known already."""
        refusal = self._refuse(request)
        if refusal is None:
            await self._send(CONTINUE)
        else:
            raise RefusedError(refusal)

    def _refuse(self, request: Request) -> Response | None:
        """Return the answer to what no endpoint gets to see."""
        route = self._front.routes.find(request.path)
        if route is None:
            return plain(404)
        if isinstance(route, WebSocketRoute):
            return refuse_handshake(request) or self._refuse_draining()
        if route.serving(request.method) not in route.methods:
            return plain(405, Allow=route.allow)
        return None if route.while_draining else self._refuse_draining()

    def _throttled(self, request: Request, route: Route | WebSocketRoute | None) -> Response | None:
        """Return the answer to who asks too often; it is the connection's last."""
        refused = self._front.refuse(request, route)
        if refused is None:
            return None
        self._last = True
        return plain(refused.status, Retry_After=str(math.ceil(refused.wait_s)))

    def _refuse_draining(self) -> Response | None:
        if not self._front.draining:
            return None
        return plain(503, "the server is shutting down", Retry_After="5")

    async def _answer(self, request: Request) -> None:
        """Answer a request, or hand the connection over; set `_last` when no other may follow."""
        route = self._front.routes.find(request.path)
        response = self._throttled(request, route) or self._refuse(request)
        if response is None and isinstance(route, WebSocketRoute):
            response = await self._upgrade(route, request)
        elif response is None and isinstance(route, Route):
            response = await self._guard(request, route.methods[route.serving(request.method)])
        if response is None:
            self._last = True
            return
        # After a refused handshake the next octets may already be the other protocol.
        after_handshake = isinstance(route, WebSocketRoute) and "Upgrade" in request.headers
        front = self._front
        if not request.keep_alive or front.draining or front.leaving or after_handshake:
            self._last = True
        self._served = True
        head_only, body = request.method == "HEAD", response.body
        is_long = len(body) > LONG_OCTETS and not head_only
        head_only = head_only or is_long
        await self._send(response.encode(head_only=head_only, connection=self._fate(request)))
        if is_long:
            await self._send(body)

    def _fate(self, request: Request) -> str:
        """Return the `Connection` field of an answer (RFC 9112 section 9.3)."""
        if self._last:
            return "close"
        return "keep-alive" if request.version == "1.0" else ""

    async def _upgrade(self, route: WebSocketRoute, request: Request) -> Response | None:
        """Hand over to a websocket, or return why not; None as well if the client has gone."""
        refusal = await self._guard(request, route.check) if route.check is not None else None
        refusal = refusal or self._refuse_draining()
        if refusal is None and not (self._lost or self._eof):
            self._handed_over = True
            self._front.connections.discard(self)
            self._front.wait_no_more(self)
            self._transport.resume_reading()
            # No await from here on: what has come is in the reader, what comes is the websocket's.
            self._make_websocket(self._transport, route, request, self._reader.take_rest())
        return refusal

    async def _guard(self, request: Request, endpoint: Endpoint) -> Response | None:
        """Call what serves a route; whatever goes wrong in it is a 500 that tells nothing."""
        try:
            answer = endpoint(request)
            return await answer if inspect.isawaitable(answer) else answer
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return plain(500)

    async def _wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _send(self, data: bytes) -> None:
        """Write, and wait until the kernel has it all: a client that does not read is cut off."""
        if self._lost:
            return
        self._transport.write(data)
        async with asyncio.timeout(self._limits.write_s):
            await self._writable.wait()

    async def _close(self) -> None:
        """Close so that the last answer can be read: with octets unread it would be reset away."""
        self._last = True
        self._reader.take_rest()
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        if self._is_tls:  # closing it waits for the client by itself
            self._transport.close()
        else:
            self._transport.write_eof()
            self._has_ended = True
        self._front.wait_for(self)
        try:
            async with asyncio.timeout(self._limits.linger_s):
                while not (self._eof or self._lost or self._front.closing):
                    await self._wait()
        except TimeoutError:
            return
