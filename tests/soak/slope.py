"""Does a measured quantity grow? A straight line through it, and how sure its slope is."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Neighbouring samples of a process's memory resemble each other, which a regression over them
# would take for certainty. So it goes through the means of so many blocks.
BLOCKS = 16
# Student's t for 95 %, two-sided, by degrees of freedom: 14 for 16 blocks.
T_95 = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    6: 2.447,
    8: 2.306,
    10: 2.228,
    12: 2.179,
    14: 2.145,
}


@dataclass(frozen=True, slots=True)
class Slope:
    """How much a quantity grows for each unit of x, and half of its 95 % confidence interval."""

    per_x: float
    half: float
    x_range: float

    @property
    def grows(self) -> bool:
        """Whether the interval lies above zero."""
        return self.per_x - self.half > 0

    def over(self, n: float) -> tuple[float, float]:
        """Return the interval of the growth over so many units of x."""
        return (self.per_x - self.half) * n, (self.per_x + self.half) * n

    def exceeds(self, allowed: float) -> bool:
        """Whether it surely grew by more than `allowed` within what was measured."""
        return self.over(self.x_range)[0] > allowed


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line to points in the order of their x; of fewer than four nothing is known."""
    n_blocks = max((n + 2 for n in T_95 if n + 2 <= min(BLOCKS, len(points))), default=0)
    if n_blocks < 4:
        return Slope(0.0, math.inf, 0.0)
    edges = [round(i * len(points) / n_blocks) for i in range(n_blocks + 1)]
    blocks = [points[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    xs = [statistics.fmean(x for x, _ in block) for block in blocks]
    ys = [statistics.fmean(y for _, y in block) for block in blocks]
    middle_x, middle_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    if not spread:
        return Slope(0.0, math.inf, 0.0)
    per_x = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    residual = sum(
        (y - middle_y - per_x * (x - middle_x)) ** 2 for x, y in zip(xs, ys, strict=True)
    )
    error = math.sqrt(residual / (n_blocks - 2) / spread)
    return Slope(per_x, T_95[n_blocks - 2] * error, points[-1][0] - points[0][0])
