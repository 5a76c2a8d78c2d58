"""Calls that go on while strangers are at the port, and what they lose: no frame is allowed to."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from voice_ai.phone.load.behind import Behind
from voice_ai.phone.load.callers import Callers
from voice_ai.phone.plan import CallPlan

# Services and callers forget what they counted after each window, so that no list grows for ever.
WINDOW_S = 30.0
# Until all are up, and each has been heard from its first frame on.
WARM_UP_S = 2.0


class Alongside:
    """Calls that are up; `lost` has what they lost, by name, and `n_frames` what came through."""

    def __init__(self, callers: Callers, n_calls: int, behind: Behind) -> None:
        self.lost: Counter[str] = Counter()
        self.n_frames: Counter[str] = Counter()
        self.late_ms = 0.0
        self._callers = callers
        self._n_calls = n_calls
        self._behind = behind

    async def begin(self) -> None:
        """Count from now on."""
        await self._behind.begin()
        self._callers.count_anew()

    async def count(self) -> None:
        """Add what was lost since the last time."""
        services = await self._behind.end()
        await self._behind.begin()
        late = self._callers.late.spread()
        self.late_ms = max(self.late_ms, late.p99 if late else 0.0)
        self._add(services)
        for counts in self._callers.count_anew():
            if counts is None:
                continue
            heard = counts.heard
            self.n_frames["sent"] += counts.n_sent
            self.n_frames["heard"] += heard.n_frames
            self.lost["held back"] += counts.n_held_back
            self.lost["lost on the way out"] += heard.n_lost
            self.lost["out of order on the way out"] += heard.n_out_of_order
            self.lost["garbled on the way out"] += heard.n_garbled
            self.lost["violations"] += len(counts.violations)
        self.lost["calls"] = self._n_calls - self._callers.n_up

    def _add(self, services: dict[str, Any]) -> None:
        stt = services["stt"]
        self.n_frames["recognised"] += stt["n_frames"]
        self.lost["lost on the way in"] += stt["n_lost"]
        self.lost["out of order on the way in"] += stt["n_out_of_order"]

    async def keep_counting(self) -> None:
        """Count window by window, until cancelled."""
        while True:
            await asyncio.sleep(WINDOW_S)
            await self.count()

    @property
    def losses(self) -> list[str]:
        """What was lost, for people."""
        return [f"{n} {what}" for what, n in sorted(self.lost.items()) if n]


@asynccontextmanager
async def alongside(url: str, n_calls: int, behind: Behind) -> AsyncIterator[Alongside]:
    """Have so many calls go on until the block ends; whoever is behind the server tells losses."""
    plan = CallPlan(server_url=url, utterances=())
    callers = Callers(plan, n_calls)
    async with callers.calling(lambda n: None):
        began = time.monotonic()
        counted = Alongside(callers, n_calls, behind)
        await asyncio.sleep(max(0.0, began + WARM_UP_S - time.monotonic()))
        await counted.begin()
        yield counted
    counted.lost["faults"] = sum(n for why, n in callers.faults.items() if why != "hung up")
