"""When a caller will have heard what was sent, and the marks that wait for it. No clock, no sound.

Twilio plays what it is sent at the pace of speech: `voice_ai.phone.buffer` does it octet by octet,
this with a number, for hundreds of calls at once.
"""

from collections import deque

OCTETS_PER_S = 8000


class Playout:
    """The far end's buffer, as the time at which it will be empty."""

    __slots__ = ("_marks", "_until")

    def __init__(self) -> None:
        self._until = 0.0
        # When, and the mark's name; the times only grow. Unbounded as Twilio's: marks take no time.
        self._marks: deque[tuple[float, str]] = deque()

    def media(self, n_octets: int, now: float) -> bool:
        """Append audio; return whether everything before it had been played."""
        was_empty = self._until < now
        self._until = (now if was_empty else self._until) + n_octets / OCTETS_PER_S
        return was_empty

    def mark(self, name: str) -> None:
        """Set a mark behind the audio."""
        self._marks.append((self._until, name))

    def clear(self, now: float) -> list[str]:
        """Throw the audio away and return the marks in it, which are echoed at once."""
        self._until = min(self._until, now)
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names

    def passed(self, now: float) -> list[str]:
        """Return the marks before which everything has been played by now, once."""
        names = []
        while self._marks and self._marks[0][0] <= now:
            names.append(self._marks.popleft()[1])
        return names
