"""What every line does to its websocket: sending within a time, and closing in any case."""

import asyncio

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from voice_ai.errors import PeerError

# Seconds for one message; a peer that does not read costs its socket's buffer, then its call.
# bolna allows 5 s too, by its OUTPUT_SEND_TIMEOUT_S.
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


def is_free(socket: ServerConnection) -> bool:
    """Whether `write` may be called: the socket is open, and the kernel takes everything."""
    return socket.protocol.state is State.OPEN and not socket.paused


def write(socket: ServerConnection, opcode: Opcode, data: bytes) -> None:
    """Write a message at once: websockets' `send` costs 9 us more for the contexts it enters."""
    socket.transport.write(Frame(opcode, data).serialize(mask=False))


async def send_text(socket: ServerConnection, text: bytes) -> None:
    """Send a text message, in UTF-8; as `send_binary`."""
    await _send(socket, Opcode.TEXT, text)


async def send_binary(socket: ServerConnection, data: bytes) -> None:
    """Send a binary message; nothing happens when the peer has gone, which the reading side tells.

    Raises:
        PeerError: the peer takes nothing for SEND_TIMEOUT_S.
    """
    await _send(socket, Opcode.BINARY, data)


async def _send(socket: ServerConnection, opcode: Opcode, data: bytes) -> None:
    if is_free(socket):
        write(socket, opcode, data)
        return
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await socket.send(data, text=opcode is Opcode.TEXT)
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
