import asyncio
import logging
import socket

import pytest

from rawhttp import answers, ask, on_both_loops, talk, until
from voice_ai.errors import UsageError
from voice_ai.server.front import Front, Limits, serve
from voice_ai.server.http import Response, Routes, plain

LAST = b"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
GET = LAST.replace(b"Connection: close\r\n", b"")
HEADERS = b" HTTP/1.1\r\nHost: h\r\n"
CLOSE = HEADERS + b"Connection: close\r\n"
QUICK = Limits(idle_s=0.2, request_s=0.2, write_s=0.5, linger_s=0.2, close_s=0.5)
LARGE = b"x" * 30_000_000


class Endpoints:
    def __init__(self):
        self.seen: list[str] = []
        self.held = asyncio.Event()
        self.entered = asyncio.Event()
        self.routes = routes = Routes()
        routes.add("/hello", GET=self.hello, POST=self.hello)
        routes.add("/fail", GET=self.fail)
        routes.add("/hold", GET=self.hold)
        routes.add("/large", GET=self.large)
        routes.add("/probe", while_draining=True, GET=self.hello)
        routes.add_websocket("/ws", self.silent)

    async def hello(self, request):
        self.seen.append(request.target)
        return plain(
            200, f"{request.method} {request.target} {request.body.decode()} {request.peer}"
        )

    async def fail(self, request):
        raise LookupError("a secret detail")

    async def hold(self, request):
        self.entered.set()
        await self.held.wait()
        return plain(200, "held")

    async def large(self, request):
        return Response(200, LARGE)

    async def silent(self, websocket, request):
        await websocket.wait_closed()


def front(limits=None):
    endpoints = Endpoints()
    return endpoints, Front(endpoints.routes, limits)


@on_both_loops
async def test_a_client_that_says_nothing_is_let_go_without_a_word():
    _, served = front(QUICK)
    async with serve(served, "127.0.0.1", 0) as bound:
        assert await talk(bound.port) == b""
        await emptied(served)


@on_both_loops
async def test_a_client_that_leaves_at_once_leaves_nothing_behind():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        for sent in (b"", b"GET", b"POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"):
            assert await talk(bound.port, sent, end=True) == b""
        await emptied(served)


@on_both_loops
async def test_a_get_is_answered():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        (answer,) = await ask(bound.port, LAST)
    assert (answer.status, answer.body) == (200, b"GET /hello  127.0.0.1\n")
    assert answer.headers["Connection"] == "close" and answer.headers["Date"].endswith("GMT")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


STATUSES = [
    (b"GET /none" + CLOSE + b"\r\n", 404, {}),
    (b"GET /hello/" + CLOSE + b"\r\n", 404, {}),
    (b"PUT /hello" + CLOSE + b"\r\n", 405, {"Allow": "GET, HEAD, POST"}),
    (b"POST /fail" + CLOSE + b"Content-Length: 2\r\n\r\nab", 405, {"Allow": "GET, HEAD"}),
    (b"GET /fail" + CLOSE + b"\r\n", 500, {}),
    (b"GET /ws" + CLOSE + b"\r\n", 426, {"Upgrade": "websocket"}),
    (b"POST /ws" + CLOSE + b"Content-Length: 0\r\n\r\n", 405, {"Allow": "GET"}),
    (b"rubbish\r\n\r\n", 400, {"Connection": "close"}),
    (b"GET / HTTP/1.1\r\n\r\n", 400, {}),
    (b"GET /hello HTTP/2.0\r\nHost: h\r\n\r\n", 505, {}),
    (b"GET /" + b"a" * 20_000, 431, {"Connection": "close"}),
    (b"GET /hello" + HEADERS + b"X: y\r\n" * 4000 + b"\r\n", 431, {}),
    (b"POST /hello" + HEADERS + b"Content-Length: 65537\r\n\r\n", 413, {"Connection": "close"}),
    (b"POST /hello" + HEADERS + b"Content-Length: 9999999\r\n\r\n" + b"x" * 500_000, 413, {}),
    (b"POST /hello" + HEADERS + b"Content-Length: 65\r\n\r\n", 408, {"Connection": "close"}),
    (b"GET /hello" + HEADERS, 408, {"Connection": "close"}),
]


@pytest.mark.parametrize(("raw", "status", "headers"), STATUSES)
@on_both_loops
async def test_status(raw, status, headers):
    _, served = front(Limits(request_s=0.15, linger_s=0.3))
    async with serve(served, "127.0.0.1", 0) as bound:
        (answer,) = await ask(bound.port, raw)
        assert answer.status == status and answer.headers.items() >= headers.items()
        await emptied(served)


@on_both_loops
async def test_a_body_of_the_limit_is_taken():
    _, served = front()
    body = b"b" * 65_536
    async with serve(served, "127.0.0.1", 0) as bound:
        head = b"POST /hello" + CLOSE + b"Content-Length: 65536\r\n\r\n"
        (answer,) = await ask(bound.port, head, body)
    assert answer.status == 200 and body in answer.body


@on_both_loops
async def test_a_failure_is_logged_and_tells_the_client_nothing(caplog):
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        (answer, after) = await ask(bound.port, GET.replace(b"hello", b"fail"), LAST)
    assert (answer.status, answer.body, after.status) == (500, b"Internal Server Error\n", 200)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "GET /fail failed" and record.exc_info


@on_both_loops
async def test_pipelined_requests_are_answered_in_their_order():
    endpoints, served = front()
    n = 300
    requests = [GET.replace(b"hello", b"hello?%d" % i) for i in range(n)]
    async with serve(served, "127.0.0.1", 0) as bound:
        got = await ask(bound.port, b"".join(requests) + LAST)
    assert len(got) == n + 1 and endpoints.seen == [*(f"/hello?{i}" for i in range(n)), "/hello"]
    assert [answer.body for answer in got[:n]] == [
        f"GET /hello?{i}  127.0.0.1\n".encode() for i in range(n)
    ]
    assert "Connection" not in got[0].headers


@on_both_loops
async def test_what_is_pipelined_behind_a_slow_request_is_not_read_without_bound():
    endpoints, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(GET.replace(b"hello", b"hold"))
        await endpoints.entered.wait()
        writer.write(GET * 400_000 + LAST)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        (connection,) = served.connections
        assert len(connection._reader) < 400_000
        writer.transport.abort()
        endpoints.held.set()
        await connection.task
        # The reset is noticed between two requests, not after all of them.
        assert len(endpoints.seen) < 100 and reader is not None


@on_both_loops
async def test_reading_goes_on_when_what_waited_has_been_answered():
    endpoints, served = front()
    post = b"POST /hello" + HEADERS + b"Content-Length: 60000\r\n\r\n" + b"b" * 60_000
    async with serve(served, "127.0.0.1", 0) as bound:
        talking = asyncio.create_task(
            ask(bound.port, GET.replace(b"hello", b"hold"), post * 4, post * 4, LAST)
        )
        await endpoints.entered.wait()
        (connection,) = served.connections
        await until(lambda: len(connection._reader) > 64 * 1024)
        endpoints.held.set()
        assert [answer.status for answer in await talking] == [200] * 10


@on_both_loops
async def test_octet_by_octet_and_chunked():
    _, served = front()
    chunked = (
        b"POST /hello" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    async with serve(served, "127.0.0.1", 0) as bound:
        for raw, body in ((LAST, b"GET /hello  127"), (chunked, b"POST /hello abc 127")):
            (answer,) = await ask(bound.port, *(bytes([octet]) for octet in raw))
            assert answer.status == 200 and answer.body.startswith(body)


@on_both_loops
async def test_head_is_answered_without_the_body_and_the_connection_goes_on():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        raw = await talk(bound.port, GET.replace(b"GET", b"HEAD"), LAST)
    head, rest = raw.split(b"\r\n\r\n", 1)
    assert b"Content-Length: 23" in head and [a.status for a in answers(rest)] == [200]


@on_both_loops
async def test_http_1_0_closes_unless_asked_to_stay():
    _, served = front()
    old = b"GET /hello HTTP/1.0\r\n\r\n"
    stays = b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    async with serve(served, "127.0.0.1", 0) as bound:
        got = await ask(bound.port, stays + old + old)
    assert [answer.headers["Connection"] for answer in got] == ["keep-alive", "close"]


@on_both_loops
async def test_nothing_is_answered_after_the_request_that_closes():
    endpoints, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        assert len(await ask(bound.port, LAST + GET + GET)) == 1
    assert endpoints.seen == ["/hello"]


@on_both_loops
async def test_a_client_that_has_said_all_still_gets_its_answers():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        assert len(answers(await talk(bound.port, GET + GET, end=True))) == 2


@on_both_loops
async def test_the_body_is_asked_for_when_the_client_expects_it():
    _, served = front()
    head = b"POST /hello" + CLOSE + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with serve(served, "127.0.0.1", 0) as bound:
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        (answer,) = answers(await reader.read())
        writer.close()
    assert answer.status == 200 and b" ab " in answer.body


@on_both_loops
async def test_a_body_that_will_be_refused_is_not_asked_for():
    _, served = front()
    head = b" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with serve(served, "127.0.0.1", 0) as bound:
        for start, status in ((b"POST /none", 404), (b"PUT /hello", 405), (b"GET /ws", 426)):
            (answer,) = await ask(bound.port, start + head)
            assert answer.status == status and answer.headers["Connection"] == "close"


@on_both_loops
async def test_an_idle_connection_is_closed_after_its_answer():
    _, served = front(QUICK)
    async with serve(served, "127.0.0.1", 0) as bound:
        assert len(await ask(bound.port, GET)) == 1


@on_both_loops
async def test_a_client_that_does_not_take_its_answer_is_cut_off():
    _, served = front(QUICK)
    async with serve(served, "127.0.0.1", 0) as bound:
        _, writer = await asyncio.open_connection("127.0.0.1", bound.port, limit=1024)
        writer.write(GET.replace(b"hello", b"large") + GET)
        await asyncio.wait_for(gone(served), 2)
        writer.transport.abort()


async def gone(served):
    await until(lambda: served.connections)
    (connection,) = served.connections
    await connection.task


async def emptied(served):
    await until(lambda: not served.connections)


@on_both_loops
async def test_a_large_answer_arrives_whole():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        (answer,) = await ask(bound.port, b"GET /large" + CLOSE + b"\r\n")
    assert answer.body == LARGE


@on_both_loops
async def test_while_draining_only_probes_are_served():
    _, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        served.drain()
        for path, status in ((b"/hello", 503), (b"/probe", 200), (b"/none", 404)):
            (answer,) = await ask(bound.port, GET.replace(b"/hello", path))
            assert answer.status == status and answer.headers["Connection"] == "close"
    assert not served.connections


@on_both_loops
async def test_leaving_finishes_the_request_at_hand_and_lets_idle_clients_go(caplog):
    endpoints, served = front()
    async with serve(served, "127.0.0.1", 0) as bound:
        idle = asyncio.create_task(talk(bound.port, GET))
        busy = asyncio.create_task(talk(bound.port, GET.replace(b"hello", b"hold") + GET))
        await endpoints.entered.wait()
        await until(lambda: endpoints.seen)
        asyncio.get_running_loop().call_later(0.05, endpoints.held.set)
    (answer,) = answers(await busy)
    assert answer.body == b"held\n" and answer.headers["Connection"] == "close"
    assert len(answers(await idle)) == 1 and not served.connections and not caplog.messages


@on_both_loops
async def test_leaving_is_bounded_and_cancels_what_hangs(caplog):
    endpoints, served = front(Limits(close_s=0.1))
    async with serve(served, "127.0.0.1", 0) as bound:
        stuck = asyncio.create_task(talk(bound.port, GET.replace(b"hello", b"hold")))
        await endpoints.entered.wait()
    await asyncio.wait([stuck])
    assert caplog.messages == ["1 connections did not close in time"]
    await emptied(served)


@on_both_loops
async def test_an_error_in_the_block_leaves_it_as_it_is():
    with pytest.raises(KeyError):
        async with serve(front()[1], "127.0.0.1", 0):
            raise KeyError


@on_both_loops
async def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"^port {port} on 127.0.0.1 is in use$"):
            async with serve(front()[1], "127.0.0.1", port):
                pytest.fail("two servers on one port")


@on_both_loops
async def test_an_address_of_another_machine_is_named():
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        async with serve(front()[1], "192.0.2.1", 0):
            pytest.fail("listening on an address of the documentation")
