"""Whether a connection that still tells us something falls ever further behind what it was sent."""

# A service that is well is behind by a round trip and some 0.1 s of its own. What is behind by more
# ends turns later by as much ...
BEHIND_MS = 1000.0
# ... but another connection only helps if this one gets worse, over so many messages. They come
# every 250 ms (docs/flux/state), and audio goes out 80 ms at a time: twice as much is chance.
MESSAGES = 4
CHANGE_MS = 200.0


class Lag:
    """Messages in a row that were told of audio more than BEHIND_MS before the latest."""

    def __init__(self) -> None:
        self._n = 0
        self._first_ms = self._last_ms = 0.0

    def grows(self, behind_ms: float) -> bool:
        """Take how far behind the next one is; return whether the connection is to be replaced."""
        if not self._n or behind_ms < self._last_ms - CHANGE_MS:  # it catches up
            self._n, self._first_ms = 0, behind_ms
        self._n += 1
        self._last_ms = behind_ms
        return self._n >= MESSAGES and behind_ms >= self._first_ms + CHANGE_MS

    def ends(self) -> None:
        """Take one that is not behind, or may be."""
        self._n = 0
