"""When Python's garbage collector runs: a little and often, and all of it when nobody waits."""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final, Self

# What all calls together have made in so many of their seconds is gone through at a time: 0.3 ms,
# of 300 calls every 50.
CALL_SECONDS: Final = 15.0
# Each wake costs some 50 us.
LONGEST_S: Final = 0.5
# A full collection stops 200 calls for up to 0.3 s, so while there are any it comes rarely. A call
# that is over leaves some ten kilobytes to it.
FULL_S: Final = 1800.0
# When there are none: calls that come one after the other don't each wait for it.
IDLE_S: Final = 10.0
# More young collections than there are between two full ones.
NEVER: Final = 2**30


class Collector:
    """Collects what is young some times a second, and what is old when no call is up.

    Left to itself, Python goes through all that 200 calls hold about twice a minute, which takes 50
    to 120 ms, and through what is neither young nor old in 30. What is loaded at the start is never
    gone through again. The settings of the process are put back on leaving.

    Args:
        n_calls: tells how many calls there are.
    """

    def __init__(
        self, n_calls: Callable[[], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._n_calls = n_calls
        self._clock = clock
        self._full_at = clock()
        self._is_clean = True
        self._handle: asyncio.TimerHandle | None = None
        self._found = gc.get_threshold()

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        self._found = gc.get_threshold()
        gc.set_threshold(self._found[0], self._found[1], NEVER)
        self._next()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            self._handle.cancel()
        gc.set_threshold(*self._found)
        gc.unfreeze()

    def collect(self) -> None:
        """Collect what is due."""
        n_calls, now = self._n_calls(), self._clock()
        if n_calls:
            self._is_clean = False
        if self._is_clean:
            return
        if now - self._full_at < (FULL_S if n_calls else IDLE_S):
            gc.collect(1)
            return
        gc.collect()
        self._full_at, self._is_clean = now, not n_calls

    def _next(self) -> None:
        wait_s = pause_s(self._n_calls())
        self._handle = asyncio.get_running_loop().call_later(wait_s, self._beat)

    def _beat(self) -> None:
        self.collect()
        self._next()


def pause_s(n_calls: int) -> float:
    """Return how long to wait between two young collections."""
    return min(LONGEST_S, CALL_SECONDS / max(1, n_calls))
