"""When a fake did what, by a clock of its own: what the product says of it is held against that."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Moments:
    """The first time of each thing, by what it was and the words that it was about."""

    now_s: Callable[[], float] = time.monotonic
    at_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def note(self, what: str, words: str) -> None:
        """Note that this happens now."""
        self.at_s.setdefault((what, words), self.now_s())

    def of(self, what: str, words: str) -> float:
        """Return when it first happened to a text that has these words in it."""
        return min(
            at_s for (kind, text), at_s in self.at_s.items() if kind == what and words in text
        )
