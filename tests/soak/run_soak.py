"""Short calls and long ones for a long time; what is left of them afterwards: `make soak`.

On virtual time: so many short calls one after another, then one call of some hours. On the real
clock: short calls over sockets beside a few long ones. SOAK_CALLS, SOAK_HOURS, SOAK_SECONDS and
SOAK_LONG say how many of each. Fails where a task, a file, a socket, a thread or a sort of object
is left, where a long call loses a frame, or where memory surely grew.
"""

import asyncio
import os
import sys
import time

import uvloop

from soak.fast import soak_fast
from soak.served import soak_served
from soak.slope import Slope

# Octets by which memory may have grown over all calls: allocators' pools settle for some minutes.
GROWTH_OCTETS = 3 << 20


def told(what: str, found: Slope, unit: str) -> str:
    low, high = (octets / 1024 for octets in found.over(1))
    return f"  memory: {low:+.2f} to {high:+.2f} KB {unit} (95 %){', ' + what if what else ''}"


def number(name: str, usual: float) -> float:
    return float(os.environ.get(name, usual))


def fast() -> list[str]:
    """Run what is on virtual time; returns what is wrong."""
    began = time.perf_counter()
    found = soak_fast(int(number("SOAK_CALLS", 500)), number("SOAK_HOURS", 2))
    print(
        f"virtual time: {found.n_calls} short calls and {found.hours:.1f} hours of one, "
        f"{found.turns} turns, in {time.perf_counter() - began:.0f} s"
    )
    wrong = list(found.left)
    for unit, one in found.slopes.items():
        print(told("", one, f"for {unit}"))
        if one.exceeds(GROWTH_OCTETS):
            wrong.append(f"memory grows with {unit}")
    return wrong


def served() -> list[str]:
    """Run what is on the real clock; returns what is wrong."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(soak_served(number("SOAK_SECONDS", 180), int(number("SOAK_LONG", 3))))
    print(f"real time: {found.n_calls} short calls in {found.seconds:.0f} s")
    print(told("", found.slope, "for a short call"))
    wrong = [*found.left, *found.losses]
    if found.refused:
        wrong.append(f"{len(found.refused)} calls were refused: {found.refused[0]}")
    if found.slope.exceeds(GROWTH_OCTETS):
        wrong.append("memory grows with each call")
    return wrong


def main() -> int:
    wrong = [*fast(), *served()]
    print(*(wrong or ["nothing is left"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
