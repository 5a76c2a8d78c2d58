"""How often in a row a connection is looked for, and how long in all. No socket, no clock."""

import random
from collections.abc import Callable
from typing import TypeAlias

from voice_ai.providers.breaker import Budget

# Seconds before each try in a row, and the least share of them that jitter leaves.
WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0)
JITTER = 0.5
# Without a recogniser, in all; a caller hangs up on a longer silence.
OUT_S = 4.0
# For one try; a handshake over TLS takes a second at the worst.
TRY_S = 1.5

# Takes the least and the most, returns one between them.
Jitter: TypeAlias = Callable[[float, float], float]


class Tries:
    """How often in a row, and since when, a recogniser has been looked for.

    A row's first try is not taken from the call's budget: a connection that was of use and broke is
    no retry, and a long call may have many.
    """

    def __init__(self, budget: Budget, jitter: Jitter = random.uniform) -> None:
        self.n = 0
        self.since_s: float | None = None
        self._budget = budget
        self._jitter = jitter
        self._heard_ms = 0.0

    @property
    def is_first(self) -> bool:
        """Whether the try under way is the first in its row."""
        return self.n == 1

    def lost(self, now_s: float, heard_ms: float) -> bool:
        """Begin, unless there has been no recogniser anyway; return whether a row goes on."""
        if self.since_s is None:
            self.since_s = now_s
        self._heard_ms = max(self._heard_ms, heard_ms)
        return self.n > 0

    def heard(self, heard_ms: float) -> bool:
        """Take that there is a recogniser; return whether that ends a row.

        If it hears nothing new before it is lost, the row goes on.
        """
        self.since_s = None
        if not self.n or heard_ms <= self._heard_ms:
            return False
        self.n = 0
        return True

    def next_wait_s(self, now_s: float) -> float | None:
        """Return how long to wait before the next try, None if there have been enough."""
        if self.n == len(WAITS_S):
            return None
        wait_s = self._jitter(JITTER, 1.0) * WAITS_S[self.n]
        if self.left_s(now_s) <= wait_s or (self.n and not self._budget.take()):
            return None
        self.n += 1
        return wait_s

    def left_s(self, now_s: float) -> float:
        """Return how long a recogniser may still be looked for."""
        return OUT_S if self.since_s is None else self.since_s + OUT_S - now_s
