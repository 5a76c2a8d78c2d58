"""The client's side of a websocket by itself, against websockets' own server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Frame, Opcode

from voice_ai.providers.deepgram import connection
from voice_ai.providers.deepgram.connection import Connection, forget_handshake

LIMIT_S = 5


@asynccontextmanager
async def connected(
    endpoint: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[Connection]:
    async with (
        asyncio.timeout(LIMIT_S),
        serve(endpoint, "127.0.0.1", 0, compression=None) as server,
    ):
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        async with connect(url, create_connection=Connection, compression=None) as made:
            assert isinstance(made, Connection)
            yield made


async def test_a_socket_that_closes_without_a_word():
    async def endpoint(socket):
        await socket.close(1000)

    async with connected(endpoint) as made:
        with pytest.raises(ConnectionClosedOK):
            await made.receive()
        with pytest.raises(ConnectionClosedOK):  # and again
            await made.receive()


async def test_what_came_before_an_abnormal_end_is_received_first():
    async def endpoint(socket):
        await socket.send("one")
        await socket.send(b"two")
        await socket.close(1011, "broken")

    async with connected(endpoint) as made:
        await made.wait_closed()
        assert [await made.receive(), await made.receive()] == ["one", b"two"]
        with pytest.raises(ConnectionClosedError, match="broken"):
            await made.receive()


async def test_text_that_is_none_ends_the_connection_with_1007():
    codes = []

    async def endpoint(socket):
        socket.transport.write(Frame(Opcode.TEXT, b"\xff").serialize(mask=False))
        await socket.wait_closed()
        codes.append(socket.close_code)

    async with connected(endpoint) as made:
        with pytest.raises(ConnectionClosedError):
            await made.receive()
    assert codes == [1007]


async def test_fragments_are_one_message_with_a_ping_between_them():
    async def endpoint(socket):
        parts = (
            Frame(Opcode.TEXT, b"h\xc3", fin=False),
            Frame(Opcode.PING, b"there?"),
            Frame(Opcode.CONT, b"\xa9", fin=False),
            Frame(Opcode.CONT, b"", fin=True),
            Frame(Opcode.BINARY, b"12", fin=True),
        )
        for part in parts:
            socket.transport.write(part.serialize(mask=False))
        await socket.wait_closed()

    async with connected(endpoint) as made:
        assert [await made.receive(), await made.receive()] == ["h\u00e9", b"12"]


async def test_waking_ends_a_wait_and_loses_nothing():
    go = asyncio.Event()

    async def endpoint(socket):
        await go.wait()
        await socket.send("late")

    async with connected(endpoint) as made:
        made.wake()  # nobody waits: nothing happens
        asyncio.get_running_loop().call_soon(made.wake)
        with pytest.raises(TimeoutError):
            await made.receive()
        go.set()
        assert await made.receive() == "late"


async def test_a_receive_that_is_cancelled_loses_nothing():
    go = asyncio.Event()

    async def endpoint(socket):
        await go.wait()
        await socket.send("kept")

    async with connected(endpoint) as made:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await made.receive()
        go.set()
        assert await made.receive() == "kept"


async def test_a_flood_that_nobody_reads_stops_the_socket_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(connection, "MAX_UNREAD", 4)
    n_sent = 0
    size = 16 * 1024

    async def endpoint(socket):
        nonlocal n_sent
        for n in range(400):
            await socket.send(n.to_bytes(2, "big") * (size // 2))
            n_sent += 1

    async with connected(endpoint) as made:
        before = -1
        while n_sent != before:  # until the sender stands still
            before = n_sent
            await asyncio.sleep(0.1)
        assert n_sent < 400
        received = b""
        while len(received) < 400 * size:
            received += await made.receive()
        assert received == b"".join(n.to_bytes(2, "big") * (size // 2) for n in range(400))


async def test_a_frame_is_written_only_while_the_kernel_takes_everything():
    got = asyncio.Queue()
    stopped = asyncio.Event()

    async def endpoint(socket):
        got.put_nowait(await socket.recv())
        socket.transport.pause_reading()
        await stopped.wait()
        socket.transport.abort()  # it reads no close

    async with connected(endpoint) as made:
        assert made.send_frame(Opcode.BINARY, b"audio")
        assert await got.get() == b"audio"
        n_written = 0
        while made.send_frame(Opcode.BINARY, bytes(60_000)):
            n_written += 1
            await asyncio.sleep(0)
            assert n_written < 10_000
        stopped.set()
        made.transport.abort()
        await made.wait_closed()
        assert not made.send_frame(Opcode.BINARY, b"too late")


async def test_a_connection_goes_on_without_the_headers_of_its_handshake():
    async def endpoint(socket):
        assert await socket.recv() == b"hello"
        await socket.send("there")

    async with connected(endpoint) as made:
        assert made.request.headers and made.response.headers
        forget_handshake(made)
        assert not made.request.headers and not made.response.headers
        assert made.send_frame(Opcode.BINARY, b"hello")
        assert await made.receive() == "there"
        await made.close()


async def test_its_attributes_share_their_names_with_other_connections():
    async def endpoint(socket):
        await socket.wait_closed()

    async with connected(endpoint) as made:
        # Beyond 30 in one dict, CPython gives each object a dict of its own.
        assert len(vars(made)) <= 30
