"""When a provider that keeps failing is left alone for a while, and how often a call may retry."""

from collections.abc import Callable
from typing import Final

# Failures in a row, of all calls, after which a provider is taken for down.
MAX_FAILURES: Final = 5
# It is left alone for so long; then one request tries whether it is back.
OPEN_S: Final = 10.0
# Retries of one call's in all: a call that needs more is better ended than repaired.
MAX_RETRIES: Final = 10


class Breaker:
    """One for each provider, shared by all calls of a process.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin closed: requests pass."""
        self._clock = clock
        self._n_failures = 0
        self._open_until: float | None = None

    def allows(self) -> bool:
        """Tell whether to ask the provider now; once in OPEN_S while it is down."""
        if self._open_until is None:
            return True
        if self._clock() < self._open_until:
            return False
        self._open_until = self._clock() + OPEN_S
        return True

    def succeeded(self) -> None:
        """Close: the provider answered."""
        self._n_failures, self._open_until = 0, None

    def failed(self) -> None:
        """Count a failure that was the provider's."""
        self._n_failures += 1
        if self._n_failures >= MAX_FAILURES:
            self._open_until = self._clock() + OPEN_S


class Budget:
    """How many retries a call has left, over all its providers."""

    def __init__(self, n_retries: int = MAX_RETRIES) -> None:
        """Begin full."""
        self._n_left = n_retries

    def take(self) -> bool:
        """Take one retry; False when none is left."""
        self._n_left -= 1
        return self._n_left >= 0
