"""How late the event loop is: what a call waits for because others had the loop."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Self

logger = logging.getLogger(__name__)

# A wake of an idle process costs 20 to 100 us: at this pace no more than 0.2 % of a core.
BEAT_S: Final = 0.05
# Five frames: what we had yet to send comes so late that a caller may hear a gap.
LONG_S: Final = 0.1


class LagMeter:
    """Wakes the loop every 50 ms, for as long as it is entered, and tells how late each time was.

    By perf_counter: uvloop's own clock counts whole milliseconds, which also makes a single value
    wrong by up to one.

    Args:
        observe: told the seconds of each beat.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._next()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            self._handle.cancel()

    def _next(self) -> None:
        self._due = time.perf_counter() + BEAT_S
        self._handle = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def _beat(self) -> None:
        late_s = max(0.0, time.perf_counter() - self._due)
        self._observe(late_s)
        if late_s > LONG_S:
            logger.warning("loop lag: late_ms=%.0f", late_s * 1000)
        self._next()
