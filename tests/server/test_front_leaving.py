"""A port that processes share: listened on late, given up while its connections go on."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from rawhttp import answers, on_both_loops, talk, until
from voice_ai.errors import UsageError
from voice_ai.server.front import Front, serve
from voice_ai.server.http import Response, Routes

GET = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def front(name):
    async def who(request):
        return Response(200, name)

    async def echo(websocket, request):
        async for message in websocket:
            await websocket.send(name + message)

    routes = Routes()
    routes.add("/who", GET=who)
    routes.add_websocket("/ws", echo)
    return Front(routes)


def shared(name, port=0):
    return serve(front(name), "127.0.0.1", port, reuse_port=True)


async def who(port):
    return answers(await talk(port, LAST))[0].body


@on_both_loops
async def test_a_shared_port_is_bound_at_once_and_listened_on_later():
    async with shared(b"one") as one:
        with pytest.raises(ConnectionRefusedError):
            await who(one.port)
        await one.start()
        assert await who(one.port) == b"one"


@on_both_loops
async def test_a_port_that_is_not_shared_is_not_taken_by_one_that_would():
    async with serve(front(b"one"), "127.0.0.1", 0) as one:
        with pytest.raises(UsageError, match="is in use"):
            await shared(b"two", one.port).__aenter__()


@on_both_loops
async def test_who_leaves_gets_nobody_new():
    async with shared(b"one") as one, shared(b"two", one.port) as two:
        await one.start()
        assert await who(one.port) == b"one"
        await two.start()
        await one.leave()
        assert [await who(one.port) for _ in range(20)] == [b"two"] * 20


@on_both_loops
async def test_the_last_to_leave_closes_the_port():
    async with shared(b"one") as one:
        await one.start()
        await one.leave()
        with pytest.raises(ConnectionRefusedError):
            await who(one.port)


@on_both_loops
async def test_who_was_accepted_is_answered_once_more():
    async with shared(b"one") as one:
        await one.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", one.port)
        idle_writer.write(GET)
        await idle_reader.readuntil(b"\r\n\r\none")
        assert one.n_unanswered == 0
        await one.leave()
        await until(lambda: one.n_unanswered == 1)
        assert await idle_reader.read() == b""  # a proxy's connection: its next goes elsewhere
        writer.write(GET)
        answer = answers(await reader.read())[0]
        assert (answer.body, answer.headers["Connection"]) == (b"one", "close")
        for each in (writer, idle_writer):
            each.close()
            await each.wait_closed()


@on_both_loops
async def test_websockets_go_on_and_one_that_is_about_to_open_does():
    async with shared(b"one") as one:
        await one.start()
        url = f"ws://127.0.0.1:{one.port}/ws"
        late = await asyncio.open_connection("127.0.0.1", one.port)
        async with connect(url) as websocket:
            await one.leave()
            await websocket.send(b"!")
            assert await websocket.recv() == b"one!"
            sock = late[1].get_extra_info("socket")
            async with connect(url, sock=sock.dup()) as opened:
                await opened.send(b"?")
                assert await opened.recv() == b"one?"
        late[1].transport.abort()


@on_both_loops
async def test_who_has_left_closes_its_websockets_in_the_end():
    async with shared(b"one") as one:
        await one.start()
        websocket = await connect(f"ws://127.0.0.1:{one.port}/ws")
        await one.leave()
    with pytest.raises(ConnectionClosed) as closed:
        await websocket.recv()
    assert closed.value.rcvd.code == 1001
    await websocket.close()
