"""Calls on the real clock: a whole server in this process, over sockets to services in another.

A few long calls go on while short ones come, some at a time. The callers are in this process, too,
so that whatever either side leaves behind is counted.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx

from fuzz.callers_alongside import alongside
from soak.census import Census, census
from soak.fast import resident
from soak.slope import Slope, slope
from voice_ai import Agent
from voice_ai.errors import PeerError
from voice_ai.phone import webhook
from voice_ai.phone.load.behind import Behind, ServicesPlan, services
from voice_ai.phone.load.opening import open_call
from voice_ai.phone.plan import CallPlan
from voice_ai.server import calls
from voice_ai.server.app import App
from voice_ai.server.settings import Settings

AGENT = Agent(instructions="Be brief.", greeting="Hello.")
AT_ONCE = 8
FRAME_S = 0.02
SHORT_FRAMES = 30
# The first calls fill pools and caches, yarl's of 128 URLs among them; and what `/api/calls` keeps,
# which is made less for this. The long ones take a first turn meanwhile, after 4 s, and make the
# metrics for it.
KEPT = 10
WARM_CALLS = 160
# Seconds until all is closed: the SDK's and the closing handshakes have some each.
RESTED_S = 30.0
SAMPLE_S = 1.0


@dataclass(slots=True)
class Served:
    """What came of it; memory by calls."""

    n_calls: int = 0
    seconds: float = 0.0
    begin: Census | None = None
    end: Census | None = None
    memory: list[tuple[float, float]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def left(self) -> list[str]:
        assert self.begin is not None and self.end is not None
        return self.end.left(self.begin, self.n_calls)

    @property
    def slope(self) -> Slope:
        return slope(self.memory)


class _Soak:
    def __init__(self, app: App, behind: Behind) -> None:
        self.found = Served()
        self._plan = CallPlan(server_url=app.url, utterances=())
        self._behind = behind
        self._kept_port = urlsplit(behind.openai_base_url).port or 0

    async def run(self, seconds: float, n_long: int, n_warm: int) -> None:
        """Warm up, count, call for so long, and count again."""
        async with (
            alongside(self._plan.server_url, max(1, n_long), self._behind) as first,
            webhook.client() as http,
        ):
            await self._short_calls(http, lambda n: n < n_warm)
            await first.count()
        found = self.found
        found.n_calls = 0
        found.begin = await self._rested(None)
        async with alongside(self._plan.server_url, max(1, n_long), self._behind) as long:
            began = time.monotonic()
            async with webhook.client() as http, asyncio.TaskGroup() as group:
                counting = group.create_task(long.keep_counting())
                sampling = group.create_task(self._sample())
                await self._short_calls(http, lambda n: time.monotonic() < began + seconds)
                counting.cancel()
                sampling.cancel()
            await long.count()
        found.seconds = time.monotonic() - began
        found.losses = long.losses
        found.end = await self._rested(found.begin)

    async def _short_calls(self, http: httpx.AsyncClient, more: Callable[[int], bool]) -> None:
        async def caller() -> None:
            while more(self.found.n_calls):
                self.found.n_calls += 1
                await self._short_call(http)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(caller())

    async def _short_call(self, http: httpx.AsyncClient) -> None:
        try:
            stream = await open_call(http, self._plan, self.found.n_calls % 1000, room=0)
        except PeerError as error:
            self.found.refused.append(str(error))
            return
        for _ in range(SHORT_FRAMES):
            stream.speak(time.monotonic(), 0.0)
            await asyncio.sleep(FRAME_S)
        stream.hang_up()
        async with asyncio.timeout(RESTED_S):
            await stream.wait_closed()

    async def _sample(self) -> None:
        while True:
            self.found.memory.append((float(self.found.n_calls), resident()))
            await asyncio.sleep(SAMPLE_S)

    async def _rested(self, before: Census | None) -> Census:
        """Count once all is closed; with `before`, wait until there is no more than then."""
        until = time.monotonic() + (RESTED_S if before else 3.0)
        while True:
            now = census(self._kept_port)
            if time.monotonic() > until or (before and not now.held(before)):
                return now
            await asyncio.sleep(0.2)


def _settings(behind: Behind) -> Settings:
    return Settings(
        _env_file=None,
        deepgram_api_key="soak",
        openai_api_key="soak",
        stt="deepgram",
        llm="openai",
        tts="deepgram",
        deepgram_url=behind.deepgram_url,
        openai_base_url=behind.openai_base_url,
        openai_model="gpt-5.6-luna",
        port=0,
        max_calls=1000,
        max_cpu_percent=100,
        keep_calls=False,
    )


async def soak_served(seconds: float, n_long: int, n_warm: int = WARM_CALLS) -> Served:
    """Have short calls for so long beside so many long ones."""
    with patch.object(calls, "KEPT", KEPT):
        return await _soak_served(seconds, n_long, n_warm)


async def _soak_served(seconds: float, n_long: int, n_warm: int) -> Served:
    async with services(ServicesPlan()) as behind:
        app = App(_settings(behind), AGENT)
        async with AsyncExitStack() as stack, app.listen():
            await app.load(stack)
            soak = _Soak(app, behind)
            await soak.run(seconds, n_long, n_warm)
    return soak.found
