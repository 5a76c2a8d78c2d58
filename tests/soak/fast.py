"""Calls on virtual time, hours in minutes: many short ones, one after another, and a long one.

All run on one loop, so that what one leaves behind is still there after the next.
"""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from call_world import World, hold
from clock import VirtualTimeLoop
from leaks.growth import resident_octets
from soak.census import Census, census
from soak.slope import Slope, slope
from voice_ai.providers.protocols import ToolRequested

TURN_S = 20.0
WARM_CALLS = 20


@dataclass(slots=True)
class Fast:
    """What came of it; memory by calls of the short ones, by hours of the long one."""

    n_calls: int = 0
    hours: float = 0.0
    turns: int = 0
    begin: Census | None = None
    end: Census | None = None
    short: list[tuple[float, float]] = field(default_factory=list)
    long: list[tuple[float, float]] = field(default_factory=list)

    @property
    def left(self) -> list[str]:
        assert self.begin is not None and self.end is not None
        return self.end.left(self.begin, self.n_calls)

    @property
    def slopes(self) -> dict[str, Slope]:
        return {"a short call": slope(self.short), "an hour of a call": slope(self.long)}


async def _short(world: World) -> None:
    """A greeting that is cut short, a question, an answer, a tool, a digit."""
    await world.listening()
    world.stt.hear("When are you open?")
    await world.quiet()
    world.stt.start()
    world.stt.update("No")
    await asyncio.sleep(0.4)
    world.stt.end("No, wait.")
    await world.quiet()
    world.line.press("5")
    await world.quiet()


def _long(n_turns: int, each: Callable[[World], None]) -> Callable[[World], Awaitable[None]]:
    async def script(world: World) -> None:
        await world.listening()
        rng = random.Random(n_turns)
        for turn in range(n_turns):
            world.stt.start()
            await asyncio.sleep(0.5)
            world.stt.update("Tell me")
            world.stt.end(f"Tell me more of {turn}.")
            # A third of them cut the answer short, which lasts some seconds.
            await asyncio.sleep(rng.choice((1.5, TURN_S, TURN_S)))
            forget(world)
            each(world)

    return script


def resident() -> float:
    """Return the process's memory, without what the next collection would give back."""
    gc.collect()
    return float(resident_octets())


def forget(world: World) -> None:
    """Drop what the fakes have kept for tests that ask for it; nothing of the call's own."""
    world.stt.received.clear()
    world.tts.spoken.clear()
    world.llm.settled.clear()
    del world.line.sent[:-1]


def _prepare(world: World) -> None:
    asked = iter((ToolRequested("1", "opening_hours", '{"day":"monday"}'),))
    usual = world.llm.answer
    world.llm.answer = lambda said: next(asked, None) or usual(said)


async def _soak(n_short: int, hours: float) -> Fast:
    found = Fast()
    for n in range(WARM_CALLS + n_short):
        if n == WARM_CALLS:
            found.begin = census()
        world = await hold(_short, prepare=_prepare)
        found.turns += len(world.record.turns)
        if n >= WARM_CALLS and n % max(1, n_short // 100) == 0:
            found.short.append((float(n), resident()))
    found.n_calls = n_short
    if hours:
        await _one_long(found, hours)
    del world
    found.end = census()
    return found


async def _one_long(found: Fast, hours: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    n_turns = max(1, round(hours * 3600 / (0.5 + TURN_S * 0.72)))

    def note(world: World) -> None:
        found.long.append(((loop.time() - began) / 3600, resident()))

    world = await hold(_long(n_turns, note))
    found.hours = (loop.time() - began) / 3600
    found.turns += len(world.record.turns)
    assert len(world.record.turns) >= n_turns * 0.9, "turns were lost on the way"


def soak_fast(n_short: int, hours: float) -> Fast:
    """Hold so many short calls and a long one of so many hours, on one loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_soak(n_short, hours))
