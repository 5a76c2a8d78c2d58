"""What is to be written yet: each changed part of a call once, as it was last."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from voice_ai.server.archive.rows import Key, Row

# Rows; 0.5 to 4 KB each, so some 10 MB when a file cannot be written. A writer that can takes all
# of them six times a second, and 100 calls make a few dozen in that time.
MAX_ROWS: Final = 4096


class Pending:
    """Rows on their way from the event loop to the writer's thread.

    When it is full the oldest turn that is not over goes, since more will be told of it; without
    any such the oldest row.
    """

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self.n_lost = 0
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._settled: OrderedDict[Key, Row] = OrderedDict()
        self._passing: OrderedDict[Key, Row] = OrderedDict()  # turns that are not over

    def __len__(self) -> int:
        return len(self._settled) + len(self._passing)

    def put(self, row: Row) -> None:
        """Have this row written instead of an earlier one of its key."""
        key, value = row.key, row.value
        with self._lock:
            if key.kind == "turn" and not value["over"] and key not in self._settled:
                self._passing[key] = row
            else:
                self._passing.pop(key, None)
                self._settled[key] = row
            if len(self._settled) + len(self._passing) > self._max_rows:
                self._lose_one()

    def take(self) -> list[Row]:
        """Return all rows, the oldest first; they are the writer's now."""
        with self._lock:
            rows = [*self._settled.values(), *self._passing.values()]
            self._settled, self._passing = OrderedDict(), OrderedDict()
        return rows

    def put_back(self, rows: Sequence[Row], since_s: float) -> None:
        """Keep what could not be written, but for what has changed since, and what is too old.

        Args:
            rows: as `take` returned them.
            since_s: rows from before are lost: words are in memory so long and no longer.
        """
        with self._lock:
            newer = [*self._settled.values(), *self._passing.values()]
            self._settled, self._passing = OrderedDict(), OrderedDict()
            for row in (*rows, *newer):
                passing = row.key.kind == "turn" and not row.value["over"]
                self._passing.pop(row.key, None)
                self._settled.pop(row.key, None)
                (self._passing if passing else self._settled)[row.key] = row
            for kept in (self._settled, self._passing):
                for key in [key for key, row in kept.items() if row.at_s < since_s]:
                    del kept[key]
                    self.n_lost += 1
            while len(self._settled) + len(self._passing) > self._max_rows:
                self._lose_one()

    def _lose_one(self) -> None:
        (self._passing or self._settled).popitem(last=False)
        self.n_lost += 1
