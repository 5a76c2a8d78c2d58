"""How far a load is: a bar where somebody watches, else a line now and then.

Not rich's bar: drawing that takes the callers' loop ms, and this µs.
"""

import sys
import time

WIDTH = 30
# Where nobody watches.
LINE_EVERY_S = 10.0


def bar(doing: str, done: float, of: float) -> str:
    """Return one line, e.g. `measuring  [######------]  30/60`."""
    n = int(WIDTH * min(1.0, done / of)) if of else WIDTH
    return f"{doing:<10}  [{'#' * n}{'-' * (WIDTH - n)}]  {done:.0f}/{of:g}"


class Progress:
    """Shows on stderr how far it is."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        """Begin each line with a title; `quiet` says nothing where nobody watches."""
        self._title = title
        self._watched = sys.stderr.isatty()
        self._silent = quiet and not self._watched
        self._told_at = time.monotonic()

    def tell(self, doing: str, done: float, of: float) -> None:
        """Show that of something so much is done."""
        line = f"{self._title}  {bar(doing, done, of)}"
        if self._watched:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif not self._silent and time.monotonic() - self._told_at >= LINE_EVERY_S:
            self._told_at = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def done(self) -> None:
        """Take the bar away."""
        if self._watched:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
