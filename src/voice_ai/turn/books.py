"""The books of one turn of ours: what was sent of it, when it plays, and which words that is.

Written to by `Playout`, which says what is what; all times are the line's, in ms.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

# English read aloud: about 170 words a minute of five letters and a space.
CHARS_PER_MS = 0.017

_WORD = re.compile(r"\S+")


@dataclass(slots=True)
class TurnBooks:
    """All that is known of a turn; unbroken playing begins at its `stretches`: time, position."""

    turn: int
    # Before a mark's position; another one after each `resume`, so that marks of before are known.
    label: str
    text: str = ""
    sent_ms: float = 0.0
    # The most that was ever sent: more than `sent_ms` while a turn that was held is sent again.
    furthest_ms: float = 0.0
    marked_ms: float = 0.0
    echoed_ms: float = 0.0
    stretches: list[tuple[float, float]] = field(default_factory=list)
    points: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    marks: dict[str, float] = field(default_factory=dict)
    # The point up to which all was heard, and where its last word ends.
    settled: tuple[int, float] = (0, 0.0)
    frozen_ms: float | None = None
    # What was heard before the last `resume`, which may be half a word more than is played again.
    heard_ms: float = 0.0
    held: bool = False
    n_resumed: int = 0
    whole: bool = True
    complete: bool = False

    def position_ms(self, now_ms: float) -> float:
        """How far it has been played."""
        if self.frozen_ms is not None:
            return self.frozen_ms
        return min(self.sent_ms, max(self.echoed_ms, self.played_ms(now_ms)))

    def played_ms(self, now_ms: float) -> float:
        """By the clock alone."""
        later = self.sent_ms
        for time_ms, begin_ms in reversed(self.stretches):
            if now_ms >= time_ms:
                return min(later, begin_ms + now_ms - time_ms)
            later = begin_ms
        return 0.0

    def enter(self, n_ms: float, now_ms: float) -> None:
        """Enter audio that was sent."""
        if not self.stretches or self.played_ms(now_ms) >= self.sent_ms:
            self.stretches.append((now_ms, self.sent_ms))
        self.sent_ms += n_ms
        self.furthest_ms = max(self.furthest_ms, self.sent_ms)

    def resume(self, position_ms: float) -> None:
        """Have what is behind this position sent again."""
        self.heard_ms = max(self.heard_ms, self.frozen_ms or 0.0)
        self.sent_ms = self.marked_ms = self.echoed_ms = position_ms
        self.stretches.clear()
        self.frozen_ms = None
        self.held = False
        self.n_resumed += 1
        self.label = f"{self.turn}.{self.n_resumed}"

    def n_chars(self, position_ms: float) -> float:
        """How many characters of the text are spoken up to a position."""
        after = bisect_right(self.points, position_ms, key=lambda point: point[0])
        from_ms, from_chars = self.points[after - 1]
        return min(len(self.text), from_chars + (position_ms - from_ms) * self.pace(after))

    def ms_of(self, n_chars: int) -> float:
        """The position up to which so many characters are spoken."""
        after = bisect_right(self.points, n_chars, key=lambda point: point[1])
        from_ms, from_chars = self.points[after - 1]
        if n_chars <= from_chars:
            return from_ms
        return from_ms + (n_chars - from_chars) / self.pace(after)

    def pace(self, after: int) -> float:
        """Characters a ms on the way to a point, or beyond the last."""
        from_ms, from_chars = self.points[after - 1]
        if after == len(self.points):
            # What was sent before the text began was a filler.
            return from_chars / (from_ms - self.ms_of(0)) if from_chars else CHARS_PER_MS
        to_ms, to_chars = self.points[after]
        return (to_chars - from_chars) / (to_ms - from_ms)


def end_of_words(text: str, n_chars: float) -> int:
    """Where the last word ends that lies within the first `n_chars`; 0 if none does."""
    end = 0
    for word in _WORD.finditer(text):
        if word.end() > n_chars:
            break
        end = word.end()
    return end


def whole_words(text: str, n_chars: float) -> str:
    """The words of which at least half is within the first `n_chars`."""
    end = 0
    for word in _WORD.finditer(text):
        if (word.start() + word.end()) / 2 > n_chars:
            break
        end = word.end()
    return text[:end].lstrip()
