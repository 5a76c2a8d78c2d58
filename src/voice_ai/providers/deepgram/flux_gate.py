"""While Flux is down for everybody, one call of a process tries it at a time.

The breaker alone would have each call wait for ten seconds, and a caller without a recogniser hangs
up after four. So while it is open calls still try, but all of them together only every PROBE_S, and
those that wait are let through as soon as one has been heard again. A call whose turn does not come
in its four seconds ends with the agent's goodbye, as one does whose tries have all failed.
"""

from collections.abc import Callable

from voice_ai.providers.breaker import Breaker

# Four handshakes a second, however many calls: sixteen are tried within a caller's patience.
PROBE_S = 0.25


class FluxGate:
    """Shared by all calls of a process.

    Args:
        breaker: told of what went well and what did not.
        clock: seconds, monotonic.
    """

    def __init__(self, breaker: Breaker, clock: Callable[[], float]) -> None:
        self.breaker = breaker
        self._clock = clock
        self._probed_s = float("-inf")

    def ask(self) -> float:
        """Return 0 where a connection may be dialled now, else seconds after which to ask again."""
        now_s = self._clock()
        if not self.breaker.allows() and (left_s := self._probed_s + PROBE_S - now_s) > 0:
            return left_s
        self._probed_s = now_s
        return 0.0
