"""One port for webhooks, pages and websockets.

Every connection begins as an HTTPConnection. When a request may upgrade, the transport is given to
a ServerConnection of websockets', made with the arguments that `websockets.asyncio.server.serve`
prepared for this very connection: by its `create_connection`, which is public, we stand where the
ServerConnection would. So the opening, pings, closing with 1001 and waiting for endpoints remain
the library's. (Its HTTP drops a POST with a body without any answer, and Twilio's webhooks are POST
by default.)
"""

import asyncio
import errno
import logging
import ssl
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol

from voice_ai.errors import UsageError
from voice_ai.server.connection import HTTPConnection
from voice_ai.server.http import Request, Route, Routes, WebSocketRoute
from voice_ai.server.limits import LOOPBACK, Crowd, Network, Rate, Refused, Throttle, client_of
from voice_ai.server.reader import MAX_BODY_OCTETS, MAX_HEAD_OCTETS
from voice_ai.server.upgrade import handshake_head

logger = logging.getLogger(__name__)
# At DEBUG websockets logs every frame, with tokens and what callers say; at INFO each coming and
# going.
websocket_logger = logging.getLogger("voice_ai.websocket")
websocket_logger.setLevel(logging.WARNING)

# Connections that the kernel holds until we accept them: a burst of calls after a stop of the loop.
BACKLOG: Final = 512
# Seconds for the handshake of TLS: its silent clients are nobody's to count before it is over.
TLS_HANDSHAKE_S: Final = 5.0
# Seconds for a client to answer the end of TLS.
TLS_SHUTDOWN_S: Final = 2.0
# After `close_s` everything is aborted; what does not end within this either is left to the loop's
# end.
ABORT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may take of us; seconds, octets, frames.

    Args:
        idle_s: between two requests, and before the first.
        request_s: from the first octet of a request to its last.
        write_s: for a client to take an answer.
        linger_s: for a client to close after our last answer.
        close_s: for everybody to go when the server stops.
        websocket_close_s: for the closing handshake of a websocket; less than `close_s`.
        ping_interval_s, ping_timeout_s: of websockets; None sends no pings.
        max_waiting: connections whose client has the word; for the next the oldest has to go.
        max_waiting_per_client: the same, of one address that is no proxy's.
        per_client, overall: requests that nobody vouches for; more are answered 429 and 503.
        max_message_octets: of a websocket message; more closes it with 1009. Twilio's have 250.
        max_queue_frames: received and not read by the endpoint; above it the socket is not read.
    """

    idle_s: float = 15.0
    request_s: float = 10.0
    write_s: float = 10.0
    linger_s: float = 2.0
    close_s: float = 5.0
    websocket_close_s: float = 3.0
    max_head_octets: int = MAX_HEAD_OCTETS
    max_body_octets: int = MAX_BODY_OCTETS
    ping_interval_s: float | None = 20.0
    ping_timeout_s: float | None = 20.0
    max_waiting: int = 2048
    max_waiting_per_client: int = 128
    per_client: Rate = Rate(20, 100)
    overall: Rate = Rate(500, 2500)
    max_message_octets: int = 16 * 1024
    max_queue_frames: int = 64


class MakeWebSocket(Protocol):
    """What gives a transport to a new websocket."""

    def __call__(
        self, transport: asyncio.Transport, route: WebSocketRoute, request: Request, rest: bytes
    ) -> None:
        """Set the transport's protocol, then replay the handshake and what came after it."""


class Front:
    """The routes and everybody who is connected. `serve` gives it a port."""

    def __init__(
        self, routes: Routes, limits: Limits | None = None, proxies: Sequence[Network] = LOOPBACK
    ) -> None:
        self.routes = routes
        self.limits = limits or Limits()
        self.connections: set[HTTPConnection] = set()
        self._proxies = proxies
        self._waiting: Crowd[HTTPConnection] = Crowd(
            self.limits.max_waiting, self.limits.max_waiting_per_client
        )
        self._throttle = Throttle(self.limits.per_client, self.limits.overall)
        self.draining = False
        self.leaving = False
        self.closing = False
        self._tasks: asyncio.TaskGroup | None = None
        self._upgraded: WeakKeyDictionary[ServerConnection, tuple[WebSocketRoute, Request]]
        self._upgraded = WeakKeyDictionary()

    def drain(self) -> None:
        """Take nothing new: answer 503 but on routes that say `while_draining`. Calls go on."""
        self.draining = True

    def leave(self) -> None:
        """Answer one more request on each connection at most: new ones go to other processes."""
        self.leaving = True
        for connection in tuple(self.connections):
            if connection.idle:
                connection.finish()

    def wait_for(self, connection: HTTPConnection) -> None:
        """Let a connection wait for its client; who has waited longest may have to go for it."""
        gone = self._waiting.enter(connection, client_of(connection.peer, "", self._proxies))
        if gone is not None:
            gone.make_room()

    def wait_no_more(self, connection: HTTPConnection) -> None:
        """Have a connection wait no more: it is being answered, or has gone. Idempotent."""
        self._waiting.leave(connection)

    def refuse(self, request: Request, route: Route | WebSocketRoute | None) -> Refused | None:
        """Count a request; whoever asks too often is refused, unless somebody vouches for it."""
        forwarded = request.headers.get("X-Forwarded-For")
        client = client_of(request.peer, forwarded, self._proxies)
        refused = self._throttle.refuse(client, time.monotonic()) if client else None
        if refused and route is not None and route.vouches is not None and route.vouches(request):
            return None
        return refused

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a connection's task; its lifetime is that of `serve`."""
        assert self._tasks is not None, "a front is served before it is connected to"
        return self._tasks.create_task(work)

    def make_connection(
        self, protocol: ServerProtocol, server: Server, **options: Any
    ) -> HTTPConnection:
        """Stand in for ServerConnection at the start of a connection."""

        def make_websocket(
            transport: asyncio.Transport, route: WebSocketRoute, request: Request, rest: bytes
        ) -> None:
            websocket = (route.connection or ServerConnection)(protocol, server, **options)
            self._upgraded[websocket] = route, request
            transport.set_protocol(websocket)
            websocket.connection_made(transport)
            ServerConnection.data_received(websocket, handshake_head(request))
            if rest:
                websocket.data_received(rest)

        return HTTPConnection(self, make_websocket)

    async def serve_websocket(self, websocket: ServerConnection) -> None:
        """Run the endpoint of an opened websocket; that the client goes away is no failure."""
        route, request = self._upgraded.pop(websocket)
        # The endpoint has the request; of what the library keeps, its headers are the bulk.
        for message in (websocket.request, websocket.response):
            if message is not None:
                message.headers.clear()
        try:
            await route.endpoint(websocket, request)
        except ConnectionClosed as closed:
            logger.info("%s: %s", request.path, closed)

    def listen(
        self, host: str, port: int, reuse_port: bool = False, tls: ssl.SSLContext | None = None
    ) -> Server:
        """Return websockets' server, not yet listening; with `reuse_port` not even once awaited."""
        limits = self.limits
        handshake: dict[str, Any] = {
            "ssl_handshake_timeout": TLS_HANDSHAKE_S,
            "ssl_shutdown_timeout": TLS_SHUTDOWN_S,
        }
        return serve_websockets(
            self.serve_websocket,
            host,
            port,
            compression=None,
            ping_interval=limits.ping_interval_s,
            ping_timeout=limits.ping_timeout_s,
            close_timeout=limits.websocket_close_s,
            max_size=limits.max_message_octets,
            max_queue=limits.max_queue_frames,
            server_header=None,
            logger=websocket_logger,
            create_connection=cast(Any, self.make_connection),
            backlog=BACKLOG,
            reuse_port=reuse_port or None,
            start_serving=not reuse_port,
            ssl=tls,
            **(handshake if tls else {}),
        )

    def enter(self, tasks: asyncio.TaskGroup) -> None:
        """Take the group that connections run in."""
        self._tasks = tasks


class _Left:
    """Stands for an asyncio server whose port is given up and whose connections go on.

    By the real one websockets would refuse the handshakes of those that were accepted last.
    """

    def __init__(self, server: asyncio.AbstractServer) -> None:
        server.close()
        self.get_loop = server.get_loop
        self.wait_closed = server.wait_closed
        self._serving = True

    def is_serving(self) -> bool:
        return self._serving

    def close(self) -> None:
        self._serving = False


class serve:  # noqa: N801 (a context manager that reads as a verb, as websockets' own does)
    """Listen on a port for as long as the block runs.

    Leaving it stops accepting, answers the requests at hand, closes websockets with 1001 and waits
    for their endpoints, `limits.close_s` at most; then what is left is aborted and cancelled.

    Args:
        reuse_port: share the port with other processes. It is bound at once and listened on from
            `start` on, since a connection must not come to a process that cannot serve it yet.
        tls: speak TLS with this certificate.

    Raises:
        UsageError: the address cannot be listened on.
    """

    def __init__(
        self,
        front: Front,
        host: str,
        port: int,
        *,
        reuse_port: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._front = front
        self._tls = tls
        self._host = host
        self._port = port
        self._reuse_port = reuse_port
        self._tasks = asyncio.TaskGroup()

    @property
    def host(self) -> str:
        """The address that is bound, as a number."""
        return str(self._address[0])

    @property
    def port(self) -> int:
        """The port that is bound, also when 0 was asked for."""
        return int(self._address[1])

    @property
    def n_unanswered(self) -> int:
        """Connections, once we have left, whose last answer is still to come."""
        return len(self._front.connections) if self._front.leaving else 0

    async def start(self) -> None:
        """Listen on a port that is shared; does nothing to one that is not."""
        await self._server.start_serving()

    async def leave(self) -> None:
        """Accept nobody from now on: who connects gets another process that listens on the port.

        What the kernel has queued is taken first. Who comes in the microseconds between is reset,
        but where `net.ipv4.tcp_migrate_req` is on.
        """
        for _ in range(2):  # the loop accepts all that waits each time it turns
            await asyncio.sleep(0)
        self._server.server = cast(Any, _Left(self._server.server))
        self._front.leave()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._front.enter(self._tasks)  # before listening: connections need it
        try:
            self._server = await self._front.listen(
                self._host, self._port, self._reuse_port, self._tls
            )
            self._address = self._server.sockets[0].getsockname()
        except OSError as error:
            await self._tasks.__aexit__(None, None, None)
            raise UsageError(_why_not(error, self._host, self._port)) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; leave the group without the block's exception, so that no group is made of it."""
        try:
            await self._close()
        finally:
            for connection in tuple(self._front.connections):
                connection.task.cancel()
            await self._tasks.__aexit__(None, None, None)

    async def _close(self) -> None:
        front = self._front
        front.draining = front.closing = True
        self._server.close()
        for connection in tuple(front.connections):
            connection.finish()
        if await self._all_gone(front.limits.close_s):
            return
        logger.warning("%d connections did not close in time", self._n_left())
        for websocket in tuple(self._server.all_connections):
            websocket.transport.abort()
        for task in (
            *self._server.handler_tasks,
            *(connection.task for connection in front.connections),
        ):
            task.cancel()
        await self._all_gone(ABORT_S)

    async def _all_gone(self, within_s: float) -> bool:
        waiting = [connection.task for connection in self._front.connections]
        try:
            async with asyncio.timeout(within_s):
                if waiting:
                    await asyncio.wait(waiting)
                await self._server.wait_closed()
        except TimeoutError:
            return False
        return True

    def _n_left(self) -> int:
        return len(self._front.connections) + len(self._server.handler_tasks)


def _why_not(error: OSError, host: str, port: int) -> str:
    """Say why an address cannot be listened on, in the words of the settings."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs privileges; ports from 1024 do not"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}"
