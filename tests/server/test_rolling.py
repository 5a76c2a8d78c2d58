"""One server takes over from another on the same port, and no call notices."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from processes import Server, faults, started

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import ulaw_encode
from voice_ai.phone import CallPlan, place_call, tones
from voice_ai.phone.plan import CallResult

# The whole proof takes minutes: VOICE_AI_RESTARTS=20.
N_RESTARTS = int(os.environ.get("VOICE_AI_RESTARTS", "2"))
N_CALLERS = 4


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def keep_calling(url: str, stop: asyncio.Event, results: list[CallResult]) -> None:
    """Call, and call again as soon as a call is over, until nobody restarts any more."""
    said = [ulaw_encode(tones.encode("Hello?"))]
    while not stop.is_set():
        results.append(await place_call(CallPlan(server_url=url, utterances=said, quiet_ms=300.0)))


@pytest.mark.parametrize("options", [("--reuse-port",), ("--reuse-port", "--workers", "2")])
async def test_restarts_under_load_lose_no_call(tmp_path: Path, options: tuple[str, ...]) -> None:
    results: list[CallResult] = []
    stop = asyncio.Event()
    port = free_port()
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:

        def start() -> Any:
            return started(tmp_path, deepgram, openai, *options, PORT=port)

        async with start() as first, asyncio.TaskGroup() as callers, asyncio.TaskGroup():
            await first.until("Ready.")
            for _ in range(N_CALLERS):
                callers.create_task(keep_calling(first.url, stop, results))
            await first.until(": begun", times=N_CALLERS)
            await roll(first, start, N_RESTARTS, stop)
    assert len(results) >= N_CALLERS * 2
    assert [r.refused for r in results if r.refused] == []
    assert [faults(r) for r in results if faults(r)] == []
    # Its record may be gone with its server, which ends when its last call does.
    assert {(r.ended_by, r.close_code) for r in results} == {("caller", 1000)}
    assert [r for r in results if not r.turns or r.turns[0].latency_ms is None] == []
    assert deepgram.violations + openai.violations == []


async def roll(old: Server, start: Any, n_left: int, stop: asyncio.Event) -> None:
    """Have a new server take over from the old one, so many times."""
    if not n_left:
        stop.set()
        # The callers' last calls are over when the last server has drained.
        old.process.send_signal(signal.SIGTERM)
        assert await old.ended() == 0, old.said
        return
    async with start() as new:
        await new.until("Ready.")
        old.process.send_signal(signal.SIGTERM)
        await new.until(": begun")
        assert await old.ended() == 0, old.said
        assert "closed" not in old.said
        await roll(new, start, n_left - 1, stop)
