"""Several processes on one port: one server to everybody who asks."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import Server, faults, started

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import ulaw_encode
from voice_ai.phone import CallPlan, place_call, tones
from voice_ai.phone.plan import CallResult

HANDSHAKE = (
    b"GET /ws/twilio HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
N_WEBHOOKS, N_CONNECTIONS = 10_000, 50


@asynccontextmanager
async def workers(tmp_path: Path, n_workers: int, **settings: Any) -> AsyncIterator[Server]:
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, "--workers", str(n_workers), **settings) as server,
    ):
        await server.until("Ready.")
        yield server


def call(server: Server, *words: str) -> Any:
    said = [ulaw_encode(tones.encode(text)) for text in words or ("Hello?",)]
    return place_call(CallPlan(server_url=server.url, utterances=said, quiet_ms=300.0))


async def get(server: Server, path: str) -> httpx.Response:
    """Ask over a connection of its own, so that any worker may be the one who answers."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        return await http.get(path)


async def until_live(server: Server, n_calls: int) -> None:
    async with asyncio.timeout(10):
        while (await get(server, "/health")).json()["calls_now"] != n_calls:
            pass


async def connected(server: Server, first: int) -> int:
    """Ask for many calls over one connection, and count those that are connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    n_connected = 0
    for number in range(first, N_WEBHOOKS, N_CONNECTIONS):
        body = f"CallSid=CA{number:032d}".encode()
        head = f"POST /incoming-call HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"</Response>")
        n_connected += b"<Connect>" in answer
    writer.close()
    await writer.wait_closed()
    return n_connected


@pytest.mark.parametrize("n_workers", [1, 4])
async def test_exactly_the_capacity_is_admitted_out_of_ten_thousand(
    tmp_path: Path, n_workers: int
) -> None:
    async with workers(tmp_path, n_workers, MAX_CALLS=37) as server:
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(connected(server, n)) for n in range(N_CONNECTIONS)]
        per_connection = [task.result() for task in racing]
        assert sum(per_connection) == 37
        refused = f'voice_ai_calls_refused_total{{why="full"}} {float(N_WEBHOOKS - 37)}'
        assert refused in (await get(server, "/metrics")).text


async def test_a_call_is_one_whichever_workers_it_meets(tmp_path: Path) -> None:
    async with workers(tmp_path, 3) as server:
        assert len(server.workers()) == 3
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call(server)) for _ in range(8)]
            await until_live(server, 8)
            for _ in range(3):  # whichever worker is asked
                assert "voice_ai_places_taken 8.0" in (await get(server, "/metrics")).text
        results: list[CallResult] = [task.result() for task in calls]
        # The record is asked for by HTTP: a worker that has it not asks the others.
        assert [r.transcript["turns"][0]["caller"] for r in results if r.transcript] == [
            "Hello?"
        ] * 8
        assert [faults(r) for r in results] == [[]] * 8
        for _ in range(6):
            assert len((await get(server, "/api/calls")).json()) == 8
            metrics = (await get(server, "/metrics")).text
            assert "voice_ai_calls_started_total 8.0" in metrics
            assert "voice_ai_calls 0.0" in metrics
            assert "voice_ai_places_taken 0.0" in metrics
            assert "voice_ai_places_limit 40.0" in metrics
            assert 'voice_ai_turn_latency_seconds_count{stage="first_heard"} 8.0' in metrics
            assert "voice_ai_voice_to_voice_seconds_count 8.0" in metrics
            assert (await get(server, "/api/calls?call_sid=CA1")).status_code == 404
        assert server.said.count("Listening on") == server.said.count("Ready.") == 1


async def test_a_worker_that_dies_is_followed_by_another_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path, 2, MAX_CALLS=4) as server:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call(server)) for _ in range(4)]
            await until_live(server, 4)
            first, second = server.workers()
            os.kill(first, signal.SIGKILL)
            await server.until("worker ")
            async with asyncio.timeout(20):
                while len(server.workers()) < 2 or first in server.workers():
                    await asyncio.sleep(0.02)
        whole = [task.result() for task in calls if not faults(task.result())]
        assert second in server.workers()
        assert server.said.count("over, 1 turns: the caller hung up") == len(whole)
        # The places of the calls that died are free again.
        async with asyncio.TaskGroup() as group:
            again = [group.create_task(call(server)) for _ in range(4)]
        assert [task.result().refused for task in again] == [""] * 4


async def test_workers_that_cannot_use_the_settings_end_with_their_words(tmp_path: Path) -> None:
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, "--workers", "2", AGENT="no_such:agent") as server,
    ):
        assert await server.ended() == 2
        await asyncio.sleep(0)
    assert "its last words:\nserver: " in server.said
    assert "no_such" in server.said.partition("its last words:")[2]


async def test_workers_that_die_again_and_again_are_given_up(tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(
        "import os, sys\nprint('I die', file=sys.stderr)\nos._exit(7)"
    )
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, "--workers", "2", AGENT="dying:agent") as server,
    ):
        assert await server.ended() == 7
    assert server.said.partition("its last words:")[2].count("I die") >= 1
    assert 6 <= server.said.count("ended with 7") <= 12


async def test_sigterm_drains_all_of_them(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as server:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call(server)) for _ in range(4)]
            await until_live(server, 4)
            server.process.send_signal(signal.SIGTERM)
        assert [faults(task.result()) for task in calls] == [[]] * 4
        assert await server.ended() == 0
    assert server.said.count("Draining:") == server.said.count("Stopped.") == 1
    assert server.said.count("over, 1 turns: the caller hung up") == 4


@pytest.mark.parametrize("n_workers", [1, 2])
async def test_sigint_closes_calls_and_a_second_ends_at_once(
    tmp_path: Path, n_workers: int
) -> None:
    async with workers(tmp_path, n_workers) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HANDSHAKE)  # and then this caller says nothing, not even when it is closed
        await reader.readuntil(b"\r\n\r\n")
        server.process.send_signal(signal.SIGINT)
        assert await reader.readexactly(1) == b"\x88"  # the first one closes
        server.process.send_signal(signal.SIGINT)
        assert await server.ended(within_s=1) == (-signal.SIGINT if n_workers == 1 else 0)
        writer.transport.abort()


async def test_workers_whose_supervisor_is_killed_go_after_it(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as server:
        assert len(server.workers()) == 2
        server.process.kill()
        await server.ended()
        async with asyncio.timeout(20):
            while server.workers():
                await asyncio.sleep(0.05)


async def test_a_port_that_is_taken_is_not_shared_by_mistake(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as server:
        async with (
            FakeDeepgram() as deepgram,
            FakeOpenAI() as openai,
            started(tmp_path, deepgram, openai, "--workers", "2", PORT=server.port) as second,
        ):
            assert await second.ended() == 2
        assert "cannot be had" in second.said
