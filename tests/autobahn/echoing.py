"""Two echo servers for Autobahn: our port with the media connection under it, and websockets.

Nothing of the product echoes: the front, the upgrade and the tap are the product's, the endpoint is
written here. Both take messages of the same size and compress nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

from voice_ai.codec.formats import PCM16_16K
from voice_ai.server.front import Front, Limits, serve
from voice_ai.server.http import Request, Routes
from voice_ai.server.media import MediaConnection

PATH = "/ws"
# Cases 9.1.6 and 9.2.6 send 16 MiB in one message.
MAX_MESSAGE_OCTETS = 17 * 1024 * 1024
LIMITS = Limits(max_message_octets=MAX_MESSAGE_OCTETS)


async def echo_media(socket: ServerConnection, request: Request) -> None:
    """Echo with the tap at work, which judges every text frame before websockets sees it."""
    assert isinstance(socket, MediaConnection)
    tap = socket.take_media("MZ1", PCM16_16K, 1, lambda: None, lambda text: False)
    assert tap is not None
    async for message in socket:
        tap.n_read += 1
        await socket.send(message)


async def echo(socket: ServerConnection) -> None:
    try:
        async for message in socket:
            await socket.send(message)
    except ConnectionClosed:
        return


@asynccontextmanager
async def both() -> AsyncIterator[dict[str, str]]:
    """Serve both for as long as the block; yields their URLs by name."""
    routes = Routes()
    routes.add_websocket(PATH, echo_media, connection=MediaConnection)
    options = {"compression": None, "max_size": MAX_MESSAGE_OCTETS, "server_header": None}
    async with (
        serve(Front(routes, LIMITS), "127.0.0.1", 0) as ours,
        serve_websockets(echo, "127.0.0.1", 0, **options) as theirs,
    ):
        port = next(iter(theirs.sockets)).getsockname()[1]
        yield {
            "websockets": f"ws://127.0.0.1:{port}{PATH}",
            "voice_ai": f"ws://127.0.0.1:{ours.port}{PATH}",
        }
