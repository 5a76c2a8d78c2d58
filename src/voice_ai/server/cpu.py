"""How much of a core the event loop takes: what decides whether one more call still fits."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Self

EVERY_S: Final = 0.5
# Samples that are kept, so that the window is 2 s: shorter ones take a burst for a load.
SAMPLES: Final = 5


class CpuMeter:
    """Measures the thread of the loop over the last seconds, for as long as it is entered.

    The loop's thread and not the process: it can have one core and no more, while the threads of
    local models have the others, and have a limit of their own.

    Args:
        max_percent: of a core, above which `over` is true; 100 never is.
    """

    def __init__(
        self,
        max_percent: float,
        *,
        clock: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._max_percent = max_percent
        self._clock = clock
        self._cpu = cpu
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._handle: asyncio.TimerHandle | None = None

    @property
    def percent(self) -> float:
        """How much of a core the loop took; 0 until there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (since, cpu_before), (now, cpu) = self._samples[0], self._samples[-1]
        return 100 * (cpu - cpu_before) / (now - since)

    @property
    def over(self) -> bool:
        """Whether it takes too much for another call."""
        return self._max_percent < 100 and self.percent > self._max_percent

    def sample(self) -> None:
        """Look at both clocks."""
        self._samples.append((self._clock(), self._cpu()))

    def __enter__(self) -> Self:
        self._beat()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            self._handle.cancel()
        self._samples.clear()

    def _beat(self) -> None:
        self.sample()
        self._handle = asyncio.get_running_loop().call_later(EVERY_S, self._beat)
