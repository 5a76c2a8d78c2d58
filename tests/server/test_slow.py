"""Thousands of slow clients beside a call: webhooks are answered, and nobody on a call notices."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
from processes import Server, faults, started

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import ulaw_encode
from voice_ai.phone import CallPlan, place_call, tones

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://phone.example.com"
N_SLOW = 5000
# Descriptors of the test itself, beside those of its slow clients.
SPARE = 300
# Nobody says anything after these: connected only; a head that has begun; a body that has; a
# handshake that nobody signed; another protocol's beginning.
BEGINNINGS = (
    b"",
    b"GET /livez HTTP/1.1\r\nHost: h\r\nX-Slow: ",
    b"POST /incoming-call HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\nCallSid=",
    b"GET /ws/twilio HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
)


def n_possible() -> int:
    """So many as the system lets us have, at most N_SLOW."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = N_SLOW + SPARE
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(N_SLOW, soft - SPARE)


@contextmanager
def slow_clients(port: int, n: int) -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


async def crowd(port: int, sockets: list[socket.socket], n: int) -> None:
    """Connect them all, and have each say an octet now and then for as long as it may."""
    loop = asyncio.get_running_loop()
    for i in range(n):
        each = socket.socket()
        each.setblocking(False)
        sockets.append(each)
        await loop.sock_connect(each, ("127.0.0.1", port))
        each.send(BEGINNINGS[i % len(BEGINNINGS)])


async def trickle(sockets: list[socket.socket]) -> None:
    while True:
        for i, each in enumerate(sockets):
            if i % 50 == 0:
                await asyncio.sleep(0.01)
            try:
                each.send(b"x")
            except OSError:
                continue


async def answered_in(http: httpx.AsyncClient, server: Server) -> float:
    began = monotonic()
    answer = await http.post(f"{server.url}/incoming-call", data={"CallSid": "CA1"})
    assert answer.status_code == 403  # nobody signed it
    return monotonic() - began


async def test_webhooks_are_answered_and_calls_go_on_beside_slow_clients(tmp_path: Path) -> None:
    n = n_possible()
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        about = {"PUBLIC_URL": PUBLIC_URL, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
        async with started(tmp_path, deepgram, openai, **about) as server:
            await server.until("Ready.")
            with slow_clients(server.port, n) as sockets:
                async with asyncio.TaskGroup() as group, asyncio.timeout(60):
                    plan = CallPlan(
                        server_url=server.url,
                        utterances=[ulaw_encode(tones.encode("Hello?"))] * 2,
                        public_url=PUBLIC_URL,
                        auth_token=AUTH_TOKEN,
                        quiet_ms=300.0,
                    )
                    early = group.create_task(place_call(plan))
                    await crowd(server.port, sockets, n)
                    trickling = group.create_task(trickle(sockets))
                    late = group.create_task(place_call(plan))
                    times = []
                    limits = httpx.Limits(max_keepalive_connections=0)  # a connection for each
                    async with httpx.AsyncClient(trust_env=False, limits=limits) as http:
                        while not (early.done() and late.done()):
                            times.append(await answered_in(http, server))
                            await asyncio.sleep(0.05)
                    trickling.cancel()
            for call in (early.result(), late.result()):
                assert (call.refused, faults(call), len(call.turns)) == ("", [], 2)
            print(f"{n} slow clients, {len(times)} webhooks, {1000 * max(times):.0f} ms at most")
            assert len(times) >= 20 and max(times) < 2.0
        assert "Traceback" not in server.said, server.said[server.said.index("Traceback") - 400 :]
