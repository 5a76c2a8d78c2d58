"""How a contender is timed: loops of their own, laps that alternate, and the figures kept.

Every bench runs once a lap and the laps go round the whole suite, so each contender meets the same
quiet and the same busy moments of the machine as its peers. pytest-benchmark times the rounds. A
round is a loop of calls, at least 100 µs of them: shorter ones would time the clock.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import getitem
from time import perf_counter
from types import FunctionType
from typing import Any

LAPS = 8
LAP_S = 0.05
ROUND_S = 100e-6
MIN_ROUNDS = 5


class Missing(Exception):
    """A contender that cannot run here, and why."""


@dataclass(frozen=True, slots=True)
class Work:
    """One call of a contender: `call(*args)`, with one or two arguments.

    Args:
        whole: a round holds a multiple of so many calls, for those that work in bursts.
        rounds: of a lap; 0 chooses as many as fit into it.
    """

    call: Callable[..., Any]
    args: tuple[Any, ...]
    whole: int = 1
    rounds: int = 0


@dataclass(slots=True)
class Times:
    """The seconds a call of one contender took, each the mean of a round."""

    seconds: list[float] = field(default_factory=list)
    n_calls: int = 0
    missing: str = ""

    @property
    def min(self) -> float:
        return min(self.seconds)

    @property
    def p99(self) -> float:
        """The smallest time that 99 % of the rounds did not exceed."""
        return sorted(self.seconds)[math.ceil(0.99 * len(self.seconds)) - 1]


@dataclass(frozen=True, order=True, slots=True)
class Unit:
    """What is timed: a job and the size of it."""

    job: str
    size: str


@dataclass(slots=True)
class Figures:
    """All that a run measured: times by unit and contender, qualities by resampler.

    Args:
        absent: the resamplers that are not there, and why.
        unfit: why no time of this run counts; "" if they do.
    """

    times: dict[Unit, dict[str, Times]] = field(default_factory=dict)
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unfit: str = ""

    def of(self, unit: Unit, contender: str) -> Times:
        return self.times.setdefault(unit, {}).setdefault(contender, Times())


def _loop_of_one(call: Callable[[Any], object], n_calls: int, a: object) -> None:
    for _ in range(n_calls):
        call(a)


def _loop_of_two(call: Callable[[Any, Any], object], n_calls: int, a: object, b: object) -> None:
    for _ in range(n_calls):
        call(a, b)


def memcpy(n_octets: int) -> Work:
    """Return the floor of all that makes new bytes: an allocation and a copy, nothing else.

    A slice of nearly everything; `bytes(buffer)` costs 40 ns more.
    """
    return Work(getitem, (b"\x55" * (n_octets + 1), slice(0, n_octets)))


def own_loop(n_args: int) -> FunctionType:
    """Return a loop with a code object of its own.

    CPython specialises a call for what it calls: in a loop that contenders share, each would pay
    for the one before.
    """
    template = {1: _loop_of_one, 2: _loop_of_two}[n_args]
    return FunctionType(template.__code__.replace(), globals(), template.__name__)


def calibrated(loop: FunctionType, work: Work) -> tuple[int, float]:
    """Find how many calls make a round, and about how long that takes."""
    n_calls = work.whole
    while True:
        start = perf_counter()
        loop(work.call, n_calls, *work.args)
        took = perf_counter() - start
        if took >= ROUND_S:
            return n_calls, took
        n_calls *= 2


def run(benchmark: Any, work: Work, times: Times) -> None:
    """Time one lap of a contender by pytest-benchmark and keep its rounds."""
    loop = own_loop(len(work.args))
    n_calls, took = calibrated(loop, work)
    rounds = work.rounds or max(MIN_ROUNDS, int(LAP_S / took))
    benchmark.pedantic(loop, (work.call, n_calls, *work.args), rounds=rounds)
    times.seconds += [seconds / n_calls for seconds in benchmark.stats.stats.data]
    times.n_calls += rounds * n_calls
