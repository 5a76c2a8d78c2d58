"""Changed parts of calls into the tables, one transaction for all of them."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final

from voice_ai.server.archive.rows import Key, Row, split
from voice_ai.server.archive.schema import transaction

UPSERT_CALL: Final = """INSERT INTO calls (call_sid, started_at, owner, ended_at, changed_at, facts)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (call_sid, started_at) DO UPDATE SET owner = excluded.owner,
ended_at = excluded.ended_at, changed_at = excluded.changed_at, facts = excluded.facts
WHERE calls.facts IS NOT NULL"""
TOUCH_CALL: Final = """UPDATE calls SET changed_at = ?
WHERE call_sid = ? AND started_at = ? AND facts IS NOT NULL"""
PUT_TURN: Final = "INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?)"
PUT_NOTE: Final = "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)"
PUT_WORDS: Final = "INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?, ?)"

Known = Callable[[str, float], dict[str, Any] | None]


class Store:
    """Writes for one server process.

    Args:
        owner: the process's name (owners.py).
        known: the summary of a call under way, for when its row is not in the file: that was
            begun anew, say.
        keeps_words: else words never get to the disk.
    """

    def __init__(self, owner: str, known: Known, keeps_words: bool) -> None:
        self._owner = owner
        self._known = known
        self._keeps_words = keeps_words

    def write(self, db: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Write all rows or none; returns how many of them can never be written.

        Args:
            db: the writer's.
            rows: in the order of `by_call`.

        Raises:
            sqlite3.Error: none was written, and all may be later.
            NewerError: the file is no longer ours.
        """
        n_lost = 0
        with transaction(db):
            for (sid, started_at), of_call in groupby(rows, key=_call):
                parts = list(of_call)
                own = parts.pop(0) if parts[0].key.kind == "call" else None
                if self._put_call(db, sid, started_at, own):
                    n_lost += sum(not self._put(db, part) for part in parts)
        return n_lost

    def _put_call(
        self, db: sqlite3.Connection, sid: str, started_at: float, own: Row | None
    ) -> bool:
        """Whether the call is kept: one that was deleted is not, whatever is still told of it."""
        if own is None:
            touched = db.execute(TOUCH_CALL, (time.time(), sid, started_at)).rowcount
            summary = None if touched else self._known(sid, started_at)
            if summary is None:
                return touched == 1
            own = Row(Key("call", sid, started_at), summary, 0.0)
        return self._put(db, own)

    def _put(self, db: sqlite3.Connection, row: Row) -> bool:
        """Whether a part was written."""
        (kind, sid, started_at, n), value = row.key, row.value
        try:
            facts, words = split(kind, value)
        except TypeError:  # half a character: nothing that could be shown either
            return False
        match kind:
            case "call":
                end = started_at + value["duration_ms"] / 1000 if value["ended"] else None
                fields = (sid, started_at, self._owner, end, time.time(), facts)
                if not db.execute(UPSERT_CALL, fields).rowcount:
                    return False
            case "turn":
                was_answered = "first_frame" in value["moments_ms"]
                total_ms = value["latency_ms"]["total"] if was_answered else None
                db.execute(PUT_TURN, (sid, started_at, n, total_ms, facts))
            case "note":
                db.execute(PUT_NOTE, (sid, started_at, n, facts))
        if self._keeps_words:
            db.execute(PUT_WORDS, (sid, started_at, kind, n, words))
        return True


def by_call(row: Row) -> tuple[str, float, str, int]:
    """Sort by this: each call's own row comes before those of its notes and turns."""
    kind, sid, started_at, n = row.key
    return sid, started_at, kind, n


def _call(row: Row) -> tuple[str, float]:
    return row.key.call_sid, row.key.started_at
