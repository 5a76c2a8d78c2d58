import asyncio
import logging

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from rawhttp import ask, on_both_loops, talk, until
from voice_ai.server.front import Front, Limits, serve
from voice_ai.server.http import Routes, plain

KEY = b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
ASK = b"Host: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
HEAD = b"GET /echo?a=b HTTP/1.1\r\n" + ASK + KEY + VERSION + b"\r\n"
HI = b"\x81\x82\x00\x00\x00\x00hi"
SHORT = Limits(linger_s=0.2, close_s=0.5, websocket_close_s=0.2)


class Sockets:
    def __init__(self):
        self.requests = []
        self.ended = asyncio.Event()
        self.unstuck = asyncio.Event()
        self.entered = asyncio.Event()
        self.checked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.routes = routes = Routes()
        routes.add_websocket("/echo", self.echo)
        routes.add_websocket("/own", self.echo, connection=OwnConnection)
        routes.add_websocket("/no", self.echo, check=lambda request: plain(403, "not you"))
        routes.add_websocket("/slow", self.echo, check=self.slowly)
        routes.add_websocket("/broken", self.echo, check=self.broken)
        routes.add_websocket("/fails", self.fails)
        routes.add_websocket("/stuck", self.stuck)
        routes.add_websocket("/unread", self.unread)

    async def echo(self, websocket, request):
        self.requests.append(request)
        # The library's copies of the headers are not kept for as long as a call.
        assert not websocket.request.headers and not websocket.response.headers
        self.entered.set()
        try:
            async for message in websocket:
                await websocket.send(message)
        finally:
            self.ended.set()

    async def slowly(self, request):
        self.checked.set()
        await self.go_on.wait()
        return None

    def broken(self, request):
        raise LookupError("a detail")

    async def fails(self, websocket, request):
        raise LookupError("a detail")

    async def stuck(self, websocket, request):
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.unstuck.set()

    async def unread(self, websocket, request):
        self.transport = websocket.transport
        await websocket.wait_closed()


class OwnConnection(ServerConnection):
    n_octets = 0

    def data_received(self, data):
        OwnConnection.n_octets += len(data)
        super().data_received(data)


def front(limits=None):
    sockets = Sockets()
    return sockets, Front(sockets.routes, limits)


def tracebacks(caplog):
    return [record for record in caplog.records if record.exc_info or "Traceback" in record.message]


REFUSED = [
    (b"GET /echo HTTP/1.1\r\n" + ASK + KEY + b"\r\n", 426, "13"),
    (b"GET /echo HTTP/1.1\r\n" + ASK + KEY + b"Sec-WebSocket-Version: 8\r\n\r\n", 426, "13"),
    (b"GET /echo HTTP/1.1\r\n" + ASK + VERSION + b"\r\n", 400, None),
    (b"GET /echo HTTP/1.1\r\n" + ASK + VERSION + KEY + KEY + b"\r\n", 400, None),
    (b"GET /echo HTTP/1.1\r\n" + ASK + VERSION + b"Sec-WebSocket-Key: short\r\n\r\n", 400, None),
    (b"GET /echo HTTP/1.1\r\n" + ASK + VERSION + b"Sec-WebSocket-Key: \xe4\r\n\r\n", 400, None),
    (HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nab"), 400, None),
    (HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"), 426, None),
    (HEAD.replace(b"WebSocket\r\n", b"h2c, websocket\r\n"), 426, None),
    (HEAD.replace(b"GET", b"PUT"), 405, None),
    (HEAD.replace(b"/echo", b"/none").replace(b"keep-alive,", b"close,"), 404, None),
    (HEAD.replace(b"/echo", b"/no"), 403, None),
    (HEAD.replace(b"/echo", b"/broken"), 500, None),
]


@pytest.mark.parametrize(("raw", "status", "version"), REFUSED)
@on_both_loops
async def test_a_refused_handshake_is_answered_by_the_front_and_leaves_nothing(
    raw, status, version, caplog
):
    sockets, served = front(SHORT)
    async with serve(served, "127.0.0.1", 0) as bound:
        (answer,) = await ask(bound.port, raw)
        await until(lambda: not served.connections)
    assert answer.status == status and answer.headers["Connection"] == "close"
    assert answer.headers.get("Sec-WebSocket-Version") == version
    assert sockets.requests == [] and len(tracebacks(caplog)) == (status == 500)


@on_both_loops
async def test_a_client_sees_the_refusal(caplog):
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{bound.port}/no"):
                pytest.fail("the handshake was to be refused")
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"not you\n" and not tracebacks(caplog)


@on_both_loops
async def test_echo_with_fragments_pings_and_a_close_from_the_client():
    sockets, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/echo?a=b") as client:
            for message in ("text", b"octets", "", "x" * 16_384):
                await client.send(message)
                assert await client.recv() == message
            await client.send(iter(["in ", "frag", "ments"]))
            assert await client.recv() == "in fragments"
            await (await client.ping(b"p"))
            assert "Sec-WebSocket-Extensions" not in client.response.headers
        assert client.close_code == 1000
        await sockets.ended.wait()
    (request,) = sockets.requests
    assert request.target == "/echo?a=b" and request.peer == "127.0.0.1"
    assert "Sec-WebSocket-Key" in request.headers


@on_both_loops
async def test_a_route_may_bring_its_own_connection():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/own") as client:
            await client.send("hello")
            assert await client.recv() == "hello" and OwnConnection.n_octets > 0


async def upgraded(port, *pieces):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


@on_both_loops
async def test_frames_sent_with_the_head_are_not_lost():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        for cut in (len(HEAD + HI), len(HEAD), len(HEAD) - 1, len(HEAD) + 3):
            raw = HEAD + HI
            reader, writer = await upgraded(bound.port, raw[:cut], raw[cut:])
            assert await reader.readexactly(4) == b"\x81\x02hi"
            writer.transport.abort()


@on_both_loops
async def test_frames_sent_while_the_handshake_is_being_checked_are_not_lost():
    sockets, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(HEAD.replace(b"/echo", b"/slow"))
        await sockets.checked.wait()
        writer.write(HI * 20_000)
        (connection,) = served.connections
        await until(lambda: len(connection._reader) > 64 * 1024)
        sockets.go_on.set()
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(4 * 20_000) == b"\x81\x02hi" * 20_000
        writer.transport.abort()


@on_both_loops
async def test_reading_goes_on_after_a_handshake_that_had_to_stop_it():
    sockets, served = front(Limits(max_message_octets=64 * 1024))
    long = b"\x82\xfe\x9c\x40\x00\x00\x00\x00" + b"x" * 40_000
    async with serve(served, "127.0.0.1", 0) as bound:
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(HEAD.replace(b"/echo", b"/slow"))
        await sockets.checked.wait()
        writer.write(long * 2)
        (connection,) = served.connections
        await until(lambda: len(connection._reader) == 80_016)
        sockets.go_on.set()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HI)
        assert (await reader.readexactly(80_008 + 4)).endswith(b"\x81\x02hi")
        writer.transport.abort()


@on_both_loops
async def test_draining_refuses_a_handshake_that_is_being_checked():
    sockets, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        task = asyncio.create_task(ask(bound.port, HEAD.replace(b"/echo", b"/slow")))
        await sockets.checked.wait()
        served.drain()
        sockets.go_on.set()
        (answer,) = await task
    assert answer.status == 503


@on_both_loops
async def test_a_request_before_the_handshake_on_the_same_connection():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        first = b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(first + HEAD + HI)
        assert b"404" in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readline() == b"Not Found\n"
        assert b" 101 " in await reader.readline()
        writer.transport.abort()


@on_both_loops
async def test_a_client_that_leaves_during_the_check_opens_nothing(caplog):
    sockets, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        task = asyncio.create_task(talk(bound.port, HEAD.replace(b"/echo", b"/slow"), end=True))
        await sockets.checked.wait()
        (connection,) = served.connections
        await until(lambda: connection._eof)
        sockets.go_on.set()
        assert await task == b""
    assert sockets.requests == [] and not tracebacks(caplog)


@on_both_loops
async def test_a_client_that_vanishes_is_no_failure(caplog):
    sockets, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        _, writer = await upgraded(bound.port, HEAD)
        await sockets.entered.wait()
        writer.transport.abort()
        await sockets.ended.wait()
    assert not tracebacks(caplog)


@on_both_loops
async def test_an_endpoint_that_fails_closes_with_1011_and_is_logged(caplog):
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/fails") as client:
            with pytest.raises(ConnectionClosedError):
                await client.recv()
        assert client.close_code == 1011 and not client.close_reason
    assert len(tracebacks(caplog)) == 1


@on_both_loops
async def test_too_large_a_message_closes_with_1009():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/echo") as client:
            with pytest.raises(ConnectionClosed):
                await client.send("x" * 65_537)
                await client.recv()
        assert client.close_code == 1009


@on_both_loops
async def test_an_endpoint_that_does_not_read_stops_the_socket():
    sockets, served = front(Limits(max_queue_frames=4, websocket_close_s=0.1))
    async with serve(served, "127.0.0.1", 0) as bound:
        client = await connect(f"ws://127.0.0.1:{bound.port}/unread", ping_interval=None)
        for _ in range(5):
            await client.send(b"x")
        await until(lambda: not sockets.transport.is_reading())
        client.transport.abort()


@on_both_loops
async def test_no_message_is_logged_not_even_at_debug(caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets.client").setLevel(logging.WARNING)
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/echo") as client:
            await client.send("a token of the caller")
            await client.recv()
    assert "token" not in caplog.text


@on_both_loops
async def test_draining_refuses_new_websockets_and_keeps_those_there_are():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/echo") as client:
            served.drain()
            (answer,) = await ask(bound.port, HEAD)
            await client.send("still here")
            assert answer.status == 503 and await client.recv() == "still here"


@on_both_loops
async def test_leaving_closes_websockets_with_1001_and_waits_for_their_endpoints():
    sockets, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        client = await connect(f"ws://127.0.0.1:{bound.port}/echo")
        await sockets.entered.wait()
    assert sockets.ended.is_set()
    await client.wait_closed()
    assert client.close_code == 1001


@on_both_loops
async def test_leaving_is_bounded_when_a_client_or_an_endpoint_is_stuck(caplog):
    sockets, served = front(SHORT)
    async with serve(served, "127.0.0.1", 0) as bound:
        _, deaf = await upgraded(bound.port, HEAD)
        await sockets.entered.wait()
        sockets.entered.clear()
        _, writer = await upgraded(bound.port, HEAD.replace(b"/echo", b"/stuck"))
        await sockets.entered.wait()
        loop = asyncio.get_running_loop()
        before = loop.time()
    assert loop.time() - before < 2 and not tracebacks(caplog) and sockets.unstuck.is_set()
    assert caplog.messages == ["1 connections did not close in time"]
    deaf.transport.abort()
    writer.transport.abort()
