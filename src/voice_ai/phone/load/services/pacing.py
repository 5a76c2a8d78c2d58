"""One timer for many voices: whoever is due within a tick is served at its end."""

import asyncio
from collections.abc import Callable
from math import ceil
from time import monotonic

from voice_ai.phone.load.services.measured import Measured

# Pieces of 20 ms are four ticks apart. 200 wake-ups a second cost less than a percent of a core.
TICK_S = 0.005
# The loop's timers are whole milliseconds: a tick that comes this early is not waited for again.
EARLY_S = 0.001

Act = Callable[[], None]


class Pacer:
    """Calls back at a time, or up to TICK_S after it; how late that is beyond this is measured."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self._loop = asyncio.get_running_loop()
        self._next = 0  # the tick that comes next
        self._acts: dict[int, list[tuple[float, Act]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def at(self, due_s: float, act: Act) -> None:
        """Have something done; it may ask to be called again."""
        if self._timer is None:
            self._next = ceil(monotonic() / TICK_S)
            self._arm()
        tick = max(ceil(due_s / TICK_S), self._next)
        self._acts.setdefault(tick, []).append((due_s, act))

    def close(self) -> None:
        """Forget all."""
        self._acts.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        wait_s = self._next * TICK_S - monotonic()
        self._timer = self._loop.call_later(max(0.0, wait_s), self._ring)

    def _ring(self) -> None:
        """Do what a tick brings; one that is behind reads, too, before it goes on."""
        if self._next * TICK_S <= monotonic() + EARLY_S:
            acts = self._acts.pop(self._next, ())
            self._next += 1
            for due_s, act in acts:
                self._measured.late.add(monotonic() - ceil(due_s / TICK_S) * TICK_S)
                act()
        if self._acts:
            self._arm()
        else:
            self._timer = None
