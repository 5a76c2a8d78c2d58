"""What every line does to its websocket: sending within a time, and closing in any case."""

import asyncio

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from voice_ai.errors import PeerError

# Seconds for one message; a peer that does not read costs its socket's buffer, then its call.
# bolna allows 5 s too (FIELD 1a, "half-dead socket").
SEND_TIMEOUT_S = 5.0
# Seconds for the closing handshake; the front's limit for it is 3.
CLOSE_TIMEOUT_S = 4.0
# Octets of a close frame's reason (RFC 6455 section 5.5: 125 with the code).
REASON_OCTETS = 123
# RFC 6455 section 7.4.1.
UNSUPPORTED_DATA = 1003
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013


async def send(socket: ServerConnection, message: str | bytes) -> None:
    """Send a message; nothing happens when the peer has gone, which the reading side tells.

    Raises:
        PeerError: the peer takes nothing for SEND_TIMEOUT_S.
    """
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await socket.send(message)
    except TimeoutError:
        raise PeerError(f"the far end took no message for {SEND_TIMEOUT_S:g} s") from None
    except ConnectionClosed:
        return


async def close(socket: ServerConnection, code: int = 1000, reason: str = "") -> None:
    """Close a websocket, by force if its peer does not read: `close` alone then waits for ever."""
    octets = reason.encode()[:REASON_OCTETS]
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await socket.close(code, octets.decode(errors="ignore"))
    except TimeoutError:
        socket.transport.abort()
