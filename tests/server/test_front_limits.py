"""What the front does with clients who ask too often, or wait too many."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from rawhttp import answers, ask, on_both_loops, talk, until
from voice_ai.server.front import Front, Limits, serve
from voice_ai.server.http import Routes, plain
from voice_ai.server.limits import Rate

FOREVER = Rate(1e9, 1e9)
CLOSE = b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
ABOUT = b"X-Forwarded-For: 203.0.113.9\r\n"


async def hello(request):
    return plain(200, "hello")


async def silent(websocket, request):
    await websocket.wait_closed()


def front(**limits):
    routes = Routes()
    routes.add("/", GET=hello)
    routes.add("/signed", vouches=lambda request: "Signed" in request.headers, GET=hello)
    routes.add_websocket("/ws", silent)
    vouches = lambda request: "Signed" in request.headers  # noqa: E731
    routes.add_websocket("/signed-ws", silent, vouches=vouches)
    return Front(routes, Limits(**({"per_client": FOREVER, "overall": FOREVER} | limits)))


async def status(bound, path=b"/", fields=ABOUT):
    (answer,) = await ask(bound.port, b"GET " + path + CLOSE + fields + b"\r\n")
    return answer.status


@on_both_loops
async def test_who_asks_too_often_is_told_when_to_come_back_and_let_go():
    async with serve(front(per_client=Rate(0.5, 2)), "127.0.0.1", 0) as bound:
        request = b"GET / HTTP/1.1\r\nHost: h\r\n" + ABOUT + b"\r\n"
        got = answers(await talk(bound.port, request * 4))
        assert [one.status for one in got] == [200, 200, 429]
        assert got[-1].headers["Retry-After"] == "2" and got[-1].headers["Connection"] == "close"
        assert await status(bound, b"/none") == 429
        other = ABOUT.replace(b"9\r", b"10\r")
        assert await status(bound, b"/none", other) == 404
        assert await status(bound, b"/", b"") == 200  # this machine itself


@on_both_loops
async def test_what_somebody_vouches_for_is_answered():
    async with serve(front(per_client=Rate(0.1, 1)), "127.0.0.1", 0) as bound:
        assert [await status(bound) for _ in range(2)] == [200, 429]
        assert await status(bound, b"/signed") == 429
        for _ in range(5):
            assert await status(bound, b"/signed", ABOUT + b"Signed: y\r\n") == 200
        assert await status(bound, b"/", ABOUT + b"Signed: y\r\n") == 429


@on_both_loops
async def test_too_many_of_everybody_are_the_servers_trouble():
    async with serve(front(overall=Rate(0.1, 3)), "127.0.0.1", 0) as bound:
        fields = [b"X-Forwarded-For: 203.0.113.%d\r\n" % n for n in range(5)]
        assert [await status(bound, b"/", each) for each in fields] == [200] * 3 + [503] * 2
        assert await status(bound, b"/signed", fields[0] + b"Signed: y\r\n") == 200


@on_both_loops
async def test_upgrades_are_requests():
    async with serve(front(per_client=Rate(0.1, 1)), "127.0.0.1", 0) as bound:
        url, headers = f"ws://127.0.0.1:{bound.port}", {"X-Forwarded-For": "203.0.113.9"}
        async with connect(f"{url}/ws", additional_headers=headers):
            try:
                async with connect(f"{url}/ws", additional_headers=headers):
                    raise AssertionError("it was opened")
            except InvalidStatus as refused:
                assert refused.response.status_code == 429
            async with connect(f"{url}/signed-ws", additional_headers=headers | {"Signed": "y"}):
                pass


@on_both_loops
async def test_the_one_that_has_waited_longest_makes_room():
    served = front(max_waiting=3)
    async with serve(served, "127.0.0.1", 0) as bound:
        waiting = []
        for said in (b"", b"GET / HTTP/1.1\r\nHo", b"", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
            writer.write(said)
            waiting.append((reader, writer))
            await until(lambda: len(served.connections) == min(3, len(waiting)))
            await until(lambda s=said: not s or any(c._reader.begun for c in served.connections))
        assert await waiting[0][0].read() == b""
        assert await status(bound) == 200  # for which the next one went
        got = answers(await waiting[1][0].read())
        assert [(one.status, one.headers["Retry-After"]) for one in got] == [(503, "1")]
        waiting[3][1].write(b"GET /" + CLOSE + b"\r\n")
        assert b" 200 " in await waiting[3][0].read()
        for _, writer in waiting:
            writer.close()
        await until(lambda: not served.connections)
        assert len(served._waiting) == 0


@on_both_loops
async def test_who_is_being_answered_or_is_upgraded_makes_no_room():
    served, held = front(max_waiting=1), asyncio.Event()

    async def hold(request):
        await held.wait()
        return plain(200, "held")

    served.routes.add("/hold", GET=hold)
    async with serve(served, "127.0.0.1", 0) as bound:
        async with connect(f"ws://127.0.0.1:{bound.port}/ws") as websocket:
            task = asyncio.create_task(status(bound, b"/hold"))
            await until(lambda: len(served.connections) == 1 and len(served._waiting) == 0)
            assert [await status(bound) for _ in range(5)] == [200] * 5
            held.set()
            assert await task == 200
            await (await websocket.ping())
