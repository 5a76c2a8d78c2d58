"""One load from the first webhook to the last hang-up; a window in its middle is measured."""

import asyncio
import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from voice_ai.errors import PeerError
from voice_ai.phone.load.behind import Behind
from voice_ai.phone.load.callers import Callers
from voice_ai.phone.load.histogram import Spread
from voice_ai.phone.load.measure import buckets, lag
from voice_ai.phone.load.stream import Counts
from voice_ai.phone.load.usage import Usage, stolen_s, usage
from voice_ai.phone.plan import CallPlan

METRICS_TIMEOUT_S = 5.0
PROGRESS_S = 0.5

# What is being done, how much of it is done, and of how much.
Tell = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A load: whom to call, how often at once, how long; times in s.

    Args:
        call: how each call is placed.
        warmup_s: how long all calls are up before the window begins.
        pid: the server's process, to be measured; None measures none.
    """

    call: CallPlan
    n_calls: int
    seconds: float
    warmup_s: float = 3.0
    pid: int | None = None


@dataclass(slots=True, kw_only=True)
class Measured:
    """What was measured of a load, unjudged; times of processes are in CPU seconds.

    Args:
        idle, begin, end: the server before any call and on both sides of the window.
        stolen_s: CPU time that the machine's host kept for itself and others.
        services: what the services say of the window, None without them.
    """

    n_calls: int
    n_up: int
    seconds: float
    calls: list[Counts | None]
    faults: Counter[str]
    late: Spread | None
    lag: dict[str, float] | None
    idle: Usage | None
    begin: Usage | None
    end: Usage | None
    rig_cpu_s: float
    services_cpu_s: float | None
    stolen_s: float = 0.0
    services: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    server: Usage | None
    rig_cpu_s: float
    services_cpu_s: float | None
    stolen_s: float


async def load(plan: LoadPlan, behind: Behind | None, tell: Tell) -> Measured:
    """Put the load on a server that is ready, and measure it.

    Args:
        plan: the load.
        behind: the services that the server was started with, if they are ours.
        tell: is told how far it is; must not block.

    Raises:
        PeerError: the server's process, or the services', is gone.
    """
    idle = usage(plan.pid) if plan.pid is not None else None
    with _before_others(), _uncollected():
        return await _load(plan, behind, tell, idle)


@contextmanager
def _before_others() -> Iterator[None]:
    """Let the callers, who are the clock, run before the services, where the system allows it."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, usual - 10)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, usual)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let no collection delay the callers' frames, by up to 50 ms: a load comes to an end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _load(plan: LoadPlan, behind: Behind | None, tell: Tell, idle: Usage | None) -> Measured:
    callers = Callers(plan.call, plan.n_calls)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=METRICS_TIMEOUT_S) as http,
        callers.calling(lambda n: tell("opening", n, plan.n_calls)),
    ):
        await _wait("warming up", plan.warmup_s, tell)
        lag_before = await _lag_buckets(http, plan.call.server_url)
        if behind is not None:
            await behind.begin()
        callers.count_anew()
        begin = _read(plan, behind)
        await _wait("measuring", plan.seconds, tell)
        end = _read(plan, behind)
        late, calls, n_up = callers.late.spread(), callers.count_anew(), callers.n_up
        services = await behind.end() if behind is not None else None
        lag_after = await _lag_buckets(http, plan.call.server_url)
    return Measured(
        n_calls=plan.n_calls,
        n_up=n_up,
        seconds=end.at - begin.at,
        calls=calls,
        faults=callers.faults,
        late=late,
        lag=lag(lag_before, lag_after),
        idle=idle,
        begin=begin.server,
        end=end.server,
        rig_cpu_s=end.rig_cpu_s - begin.rig_cpu_s,
        services_cpu_s=_difference(begin.services_cpu_s, end.services_cpu_s),
        stolen_s=end.stolen_s - begin.stolen_s,
        services=services,
    )


def _read(plan: LoadPlan, behind: Behind | None) -> _Reading:
    server = usage(plan.pid) if plan.pid is not None else None
    services = usage(behind.pid).cpu_s if behind is not None else None
    return _Reading(time.monotonic(), server, time.process_time(), services, stolen_s())


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


async def _wait(doing: str, seconds: float, tell: Tell) -> None:
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        tell(doing, seconds - left, seconds)
        await asyncio.sleep(min(left, PROGRESS_S))


async def _lag_buckets(http: httpx.AsyncClient, url: str) -> dict[float, float] | None:
    """Read how late the server's loop is by its own account; None of a server that does not say."""
    try:
        answer = await http.get(url.rstrip("/") + "/metrics")
        return buckets(answer.text) if answer.status_code == httpx.codes.OK else None
    except httpx.HTTPError:
        return None
    except ValueError as error:
        raise PeerError(f"{url}/metrics is not for Prometheus: {error}") from error
