"""The websocket under Deepgram's SDK, with limits of our own.

The SDK's own is `websockets.legacy` with fixed options: compression, 10 s to open, and up to 20 s
to leave when the peer does not answer. Its `transport_factory` puts this one in its place, for the
whole process. The factory is called without await, so a Transport dials later: `dial` enters the
SDK's `connect`, which makes it, and then opens it. Other users of the SDK in this process are
served too: it also opens at first use.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from contextvars import ContextVar
from functools import cache
from typing import TypeVar
from urllib.parse import urlsplit

# The SDK imports every socket it has when it is given a transport: 0.4 s, mostly for this one.
# Here it falls into our own import, which can be done in a thread, not into making a client.
import deepgram.agent.v1.client  # noqa: F401
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from websockets.asyncio.client import connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidStatus,
    WebSocketException,
)
from websockets.frames import Opcode
from websockets.protocol import State

from voice_ai.codec._binary_tap import binary_frame
from voice_ai.errors import ProtocolError, ProviderError, Stage, UsageError
from voice_ai.providers.deepgram.connection import Connection, forget_handshake

DEEPGRAM_URL = "wss://api.deepgram.com"
# A handshake over TLS takes 3 round trips, 1 s at the worst; the SDK's 10 s are longer than a
# caller waits.
OPEN_TIMEOUT_S = 5.0
# A send only waits when 32 KiB (1 s of PCM16 at 16 kHz) are unread: then the peer or the network is
# gone.
SEND_TIMEOUT_S = 2.0
# providers/protocols.py: a stream is left within a second. A farewell may use the first part of it.
FAREWELL_TIMEOUT_S = 0.25
CLOSE_TIMEOUT_S = 0.7
# As the SDK's own transport; the services close after 60 s without a ping or data
# (deepgram-python-sdk#618).
PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 20.0
# As the SDK's own transport; the largest message seen is an audio chunk of a few KiB.
MAX_MESSAGE_OCTETS = 2**20
# A key or a request that was refused once is refused again.
PERMANENT_STATUSES = frozenset({400, 401, 402, 403, 404})
# What they are about: developers.deepgram.com/docs/errors. Of a websocket's 429 that is the number
# of streams at once (reference/api-rate-limits), not of requests.
STATUSES = {
    400: "the request is wrong",
    401: "the key is unknown",
    402: "the account has no credit",
    403: "the key may not use this model",
    404: "there is no such address",
    429: "the account's limit of concurrent streams is reached",
}
MAX_BODY_SHOWN = 200

# At DEBUG the library logs headers and payloads.
_log = logging.getLogger(f"{__name__}.websocket")
_log.setLevel(logging.INFO)

_made: ContextVar["list[Transport]"] = ContextVar("made")
_Client = TypeVar("_Client")


class Transport:
    """What the SDK sends through and we receive from. One task may send while another receives."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = dict(headers)
        self._connection: Connection | None = None
        self._is_waiting = False
        self._expected_s: float | None = None
        self._patience: asyncio.TimerHandle | None = None
        _made.get([]).append(self)

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent, as far as is known."""
        return self._connection is not None and self._connection.state is State.OPEN

    @property
    def is_writable(self) -> bool:
        """Whether `write` may be called: the socket is open, and the kernel takes everything."""
        return self._connection is not None and self._connection.is_writable

    def write(self, audio: bytes) -> bool:
        """Send a message of audio at once; False, and nothing is sent, unless `is_writable`."""
        connection = self._connection
        if connection is None or not connection.is_writable:
            return False
        connection.transport.write(binary_frame(audio))
        return True

    def offer(self, take: Callable[[bytes], bool] | None) -> None:
        """Offer audio to `take` before `recv` gets it, or to nobody any more."""
        if self._connection is not None:
            self._connection.offer(take)

    def show(self, glance: Callable[[str], bool]) -> None:
        """Show texts to `glance` before `recv` gets them; those that it takes are done with."""
        if self._connection is not None:
            self._connection.glance = glance

    async def open(self) -> Connection:
        """Dial, unless that has been done. Raises what the websocket library raises."""
        if self._connection is None:
            made = await connect(
                self._url,
                additional_headers=self._headers,
                user_agent_header=None,
                compression=None,
                proxy=None,
                ssl=_tls() if self._url.startswith("wss:") else None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=PING_INTERVAL_S,
                ping_timeout=PING_TIMEOUT_S,
                max_size=MAX_MESSAGE_OCTETS,
                create_connection=Connection,
                logger=_log,
            )
            assert isinstance(made, Connection), "as it was told"
            forget_handshake(made)
            self._connection = made
        return self._connection

    async def send(self, data: str | bytes) -> None:
        """Send one message, a text or audio."""
        if isinstance(data, str):
            await self.send_text(data.encode())
        else:
            await self._send(Opcode.BINARY, data)

    async def send_text(self, data: bytes) -> None:
        """Send a text message, given in UTF-8."""
        await self._send(Opcode.TEXT, data)

    async def _send(self, opcode: Opcode, data: bytes) -> None:
        connection = self._connection or await self.open()
        if connection.send_frame(opcode, data):
            return
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await connection.send(data, text=opcode is Opcode.TEXT)

    async def recv(self) -> str | bytes:
        """Return the next message; raise TimeoutError if one was expected and is late."""
        connection = self._connection or await self.open()
        self._is_waiting = True
        if self._expected_s is not None:
            self._wait_no_longer_than(self._expected_s)
        try:
            return await connection.receive()
        finally:
            self._is_waiting = False
            self._expected_s = None
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

    def expect(self, within_s: float) -> None:
        """Have `recv` fail if the next message is later than this; the first call counts."""
        if self._expected_s is None:
            self._expected_s = within_s
            if self._is_waiting:
                self._wait_no_longer_than(within_s)

    def wake(self) -> None:
        """Have a `recv` that waits raise TimeoutError now; no message is lost."""
        if self._connection is not None:
            self._connection.wake()

    async def is_alive(self, within_s: float) -> bool:
        """Whether the peer answers a ping in time."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(within_s):
                await (await self._connection.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    def when_lost(self, call: Callable[[], None]) -> None:
        """Have this called when the connection is gone; for who does not receive."""
        assert self._connection is not None, "it was opened"
        self._connection.connection_lost_waiter.add_done_callback(lambda _: call())

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield messages to the end; an abnormal end raises ConnectionClosedError."""
        with suppress(ConnectionClosedOK):
            while True:
                yield await self.recv()

    async def farewell(self, say: Callable[[], Awaitable[None]]) -> None:
        """Say the service's word for the end, if it can still be said; no answer is waited for."""
        if not self.is_open:
            return
        try:
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await say()
        except (TimeoutError, ConnectionClosed) as error:
            logging.getLogger(__name__).debug("no farewell was sent: %s", type(error).__name__)

    async def close(self) -> None:
        """Leave within CLOSE_TIMEOUT_S, if need be by aborting. The SDK calls this."""
        if (connection := self._connection) is None:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await connection.close()
        except TimeoutError:
            _log.info("Deepgram did not answer the close within %s s", CLOSE_TIMEOUT_S)
        finally:
            connection.transport.abort()
        await connection.wait_closed()

    def abort(self) -> None:
        """Drop the connection without a word; `close` then returns at once."""
        if self._connection is not None:
            self._connection.transport.abort()

    def _wait_no_longer_than(self, within_s: float) -> None:
        self._patience = asyncio.get_running_loop().call_later(within_s, self.wake)

    def without_key(self, text: str) -> str:
        """Return a text of the peer's with our key masked, in case that it quotes our request."""
        key = self._headers.get("Authorization", "").rpartition(" ")[2]
        return text.replace(key, "***") if key else text


@cache
def _tls() -> ssl.SSLContext:
    """Make one context for all connections: it takes 38 ms, as it reads all certificates."""
    return ssl.create_default_context()


def deepgram_client(api_key: str, base_url: str) -> AsyncDeepgramClient:
    """Make the SDK's client for a base such as `wss://api.deepgram.com` or `ws://127.0.0.1:9101`.

    Cost: 0.2 s the first time, as the SDK imports more of itself; then 40 ms for certificates.

    Raises:
        UsageError: the base is no ws, wss, http or https URL with a host, or the key is empty.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname or parts.query:
        raise UsageError(f"cannot reach Deepgram at {base_url!r}, needed e.g. {DEEPGRAM_URL}")
    if not api_key:
        raise UsageError("an empty Deepgram API key, needed one from console.deepgram.com")
    tail = parts.netloc + parts.path.rstrip("/")
    secure = "s" if parts.scheme in ("wss", "https") else ""
    http, ws = f"http{secure}://{tail}", f"ws{secure}://{tail}"
    environment = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(
        api_key=api_key, environment=environment, transport_factory=Transport
    )


@asynccontextmanager
async def dial(
    stage: Stage, connecting: AbstractAsyncContextManager[_Client]
) -> AsyncIterator[tuple[_Client, Transport]]:
    """Enter the SDK's `connect`, open the transport that it made, and leave both within a second.

    Raises:
        ProviderError: no connection; not retryable if Deepgram refused the key or the request.
    """
    made: list[Transport] = []
    async with AsyncExitStack() as entered:
        token = _made.set(made)
        try:
            client = await entered.enter_async_context(connecting)
        finally:
            _made.reset(token)
        (transport,) = made
        await _open(stage, transport)
        yield client, transport


async def _open(stage: Stage, transport: Transport) -> None:
    try:
        with peer_errors(stage, "connecting"):
            await transport.open()
    except ProviderError as error:
        if isinstance(error.__cause__, InvalidStatus):
            raise _refused(stage, error.__cause__, transport) from error.__cause__
        raise


def _refused(stage: Stage, cause: InvalidStatus, transport: Transport) -> ProviderError:
    """Tell what the SDK drops: Deepgram's own words, and the ids that its support asks for."""
    response = cause.response
    body = transport.without_key((response.body or b"").decode(errors="replace"))[:MAX_BODY_SHOWN]
    headers = response.headers
    ids = [
        f"{name} {transport.without_key(headers[name])[:MAX_BODY_SHOWN]}"
        for name in ("dg-error", "dg-request-id")
        if name in headers
    ]
    status = response.status_code
    why = f", as {STATUSES[status]}," if status in STATUSES else ""
    text = ", ".join([f"Deepgram refused the connection{why} with status {status}: {body}", *ids])
    return ProviderError(stage, text, retryable=status not in PERMANENT_STATUSES)


def is_services_own(error: Exception) -> bool:
    """Whether a dial failed for Deepgram's sake: not our key's, nor our account's limit."""
    cause = error.__cause__
    return not isinstance(cause, InvalidStatus) or cause.response.status_code >= 500


@contextmanager
def peer_errors(stage: Stage, doing: str) -> Iterator[None]:
    """Turn what the network, the websocket or the wire raises into a ProviderError."""
    try:
        yield
    except TimeoutError as error:
        raise ProviderError(stage, f"Deepgram did not answer in time while {doing}") from error
    except ConnectionClosed as error:
        raise ProviderError(
            stage, f"Deepgram's socket is closed while {doing}: {closing(error)}"
        ) from error
    except ProtocolError as error:
        raise ProviderError(stage, str(error)) from error
    except (OSError, WebSocketException) as error:
        raise ProviderError(stage, f"Deepgram cannot be reached while {doing}: {error}") from error


def closing(error: ConnectionClosed) -> str:
    """Return the close code and reason that came, such as `1011 NET-0000`."""
    if error.rcvd is None:
        return "no close frame came"
    return f"{error.rcvd.code} {error.rcvd.reason}".rstrip()
