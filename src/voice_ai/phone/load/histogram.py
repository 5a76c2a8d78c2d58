"""Times by the thousand: as many as come, in a fixed amount of memory."""

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass

BIN_MS = 0.01
# 200 ms; what is longer is counted as that, but for the maximum, which is exact.
N_BINS = 20_000


@dataclass(frozen=True, slots=True)
class Spread:
    """How some times are spread, in ms."""

    n: int
    p50: float
    p99: float
    p99_9: float
    max: float

    def as_dict(self) -> dict[str, float]:
        """Return it as JSON has it: rounded to a µs."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def spread(times_ms: Iterable[float]) -> Spread | None:
    """Return how these times are spread; None without any."""
    ordered = sorted(times_ms)
    if not ordered:
        return None
    p50, p99, p99_9 = (ordered[_rank(q, len(ordered))] for q in (0.5, 0.99, 0.999))
    return Spread(len(ordered), p50, p99, p99_9, ordered[-1])


def _rank(quantile: float, n: int) -> int:
    """Return the place of a quantile among n ordered values: the nearest rank."""
    return max(0, min(n - 1, -int(-quantile * n // 1) - 1))


class Histogram:
    """Counts times in bins of 10 µs."""

    __slots__ = ("_bins", "_max", "_n")

    def __init__(self) -> None:
        self._bins = array("Q", bytes(8 * N_BINS))
        self._n = 0
        self._max = 0.0

    def add(self, ms: float) -> None:
        """Count a time, which is not negative."""
        place = int(ms / BIN_MS)
        self._bins[place if place < N_BINS else N_BINS - 1] += 1
        self._n += 1
        if ms > self._max:
            self._max = ms

    def spread(self) -> Spread | None:
        """Return how the times are spread, each as its bin's upper edge; None without any."""
        if not self._n:
            return None
        p50, p99, p99_9 = (self._at(_rank(q, self._n)) for q in (0.5, 0.99, 0.999))
        return Spread(self._n, p50, p99, p99_9, self._max)

    def _at(self, rank: int) -> float:
        seen = 0
        for place, count in enumerate(self._bins):
            seen += count
            if seen > rank:
                return min((place + 1) * BIN_MS, self._max)
        return self._max
