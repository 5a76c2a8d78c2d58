"""What goes out of the file: words that are due, calls that are too old or too many, dead calls.

Every server process does it once a minute; whoever comes first finds the work.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from voice_ai.server.archive.schema import BROKEN, FILE, WORDS, limit, size, transaction

KILLED: Final = "the server was killed"
# Of the largest size, once it is reached: else every further call would cost an old one at once.
ROOM: Final = 0.9
# Calls that go in one transaction, for which others have to wait.
AT_ONCE: Final = 50
# Pages, likewise.
PAGES_AT_ONCE: Final = 1000
# A deleted call's id stays so long after its last change, so that who still tells of it is not
# heard: no call lasts as long.
REMEMBERED_S: Final = 86_400.0

WORDS_KEPT: Final = "(c.ended_at IS NULL OR c.ended_at > ?) AND c.facts IS NOT NULL"
# Words of a call that is gone are due, and go with the next ones.
PARTS: Final = ("turns", "notes", "calls")
# Octets: none, but within what max_page_count can say. Making the words anew takes room.
NO_LIMIT: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is kept, where, and for how long.

    Args:
        directory: of the file and what belongs to it.
        words_s: seconds after a call's end; 0 writes no words at all.
        calls_s: seconds after a call's begin.
        max_octets: of the file.
    """

    directory: Path
    words_s: float = 3600.0
    calls_s: float = 30 * 86_400.0
    max_octets: int = 256 << 20

    @property
    def file(self) -> Path:
        """The file's path, absolute: a URI wants that."""
        return self.directory.absolute() / FILE


def sweep(db: sqlite3.Connection, keeping: Keeping, lives: Callable[[str], bool]) -> bool:
    """Take out all that is due.

    Args:
        db: the writer's.
        keeping: how much is kept.
        lives: whether the process of this name is there.

    Returns:
        False if another process was reading: what has gone may be in the log (WAL) still.

    Raises:
        sqlite3.Error, OSError: some of it is there still.
        NewerError: the file is no longer ours.
    """
    now = time.time()
    limit(db, NO_LIMIT)
    try:
        _end_dead(db, lives)
        while _drop_some(db, "started_at <= ?", now - keeping.calls_s):
            pass
        while _drop_some(db, "facts IS NULL AND changed_at <= ?", now - REMEMBERED_S):
            pass
        _drop_words(db, now - keeping.words_s)
        _make_room(db, keeping.max_octets)
        _shrink(db)
    finally:
        limit(db, keeping.max_octets)
    _drop_broken(keeping.directory, now - keeping.words_s)
    return _empty_log(db)


def _end_dead(db: sqlite3.Connection, lives: Callable[[str], bool]) -> None:
    """End the calls of processes that are gone, at the last change that is known of them."""
    open_calls = "FROM calls WHERE ended_at IS NULL AND facts IS NOT NULL"
    owners = [owner for (owner,) in db.execute(f"SELECT DISTINCT owner {open_calls}")]
    for owner in [owner for owner in owners if not lives(owner)]:
        with transaction(db):
            columns = "call_sid, started_at, changed_at, facts"
            theirs = db.execute(f"SELECT {columns} {open_calls} AND owner = ?", (owner,))
            for sid, started_at, changed_at, text in theirs.fetchall():
                lasted_ms = max(0, round((changed_at - started_at) * 1000))
                facts = orjson.loads(text)
                facts |= {"ended": True, "reason": KILLED, "duration_ms": lasted_ms}
                row = (changed_at, orjson.dumps(facts).decode(), sid, started_at)
                db.execute(
                    "UPDATE calls SET ended_at = ?, facts = ? "
                    "WHERE call_sid = ? AND started_at = ?",
                    row,
                )


def _drop_words(db: sqlite3.Connection, until: float) -> None:
    """Forget what was said on calls that had ended by then, and on those that are deleted.

    The table is made anew from what stays (schema.py says why), if something is due.
    """
    gone = (
        "FROM words w LEFT JOIN calls c USING (call_sid, started_at) "
        f"WHERE c.call_sid IS NULL OR NOT ({WORDS_KEPT})"
    )
    if db.execute(f"SELECT 1 {gone} LIMIT 1", (until,)).fetchone() is None:
        return
    with transaction(db):
        _renew_words(db, until)


def _renew_words(db: sqlite3.Connection, until: float) -> None:
    db.execute(WORDS.replace("TABLE words", "TABLE fresh_words"))
    db.execute(
        "INSERT INTO fresh_words SELECT w.* FROM words w JOIN calls c USING (call_sid, started_at) "
        f"WHERE {WORDS_KEPT} ORDER BY 1, 2, 3, 4",
        (until,),
    )
    db.execute("DROP TABLE words")
    db.execute("ALTER TABLE fresh_words RENAME TO words")


def _make_room(db: sqlite3.Connection, max_octets: int) -> None:
    """If the file is full, drop the oldest calls that are over."""
    if size(db) <= max_octets * ROOM:
        return
    while size(db) > max_octets * ROOM and _drop_some(db, "ended_at IS NOT NULL"):
        _drop_words(db, float("-inf"))  # only of the calls that have gone


def forget(db: sqlite3.Connection, call_sid: str) -> bool:
    """Delete the calls of this id, those under way included; returns whether there was one.

    What is told of them later is not kept either.
    """
    with transaction(db):
        mark = "UPDATE calls SET facts = NULL, changed_at = ? WHERE call_sid = ? AND facts NOT NULL"
        if not db.execute(mark, (time.time(), call_sid)).rowcount:
            return False
        for table in ("turns", "notes"):
            db.execute(f"DELETE FROM {table} WHERE call_sid = ?", (call_sid,))
        _renew_words(db, float("-inf"))
    _shrink(db)
    return True


def _empty_log(db: sqlite3.Connection) -> bool:
    """Put the log's changes into the file and the log to nothing; False if a reader is in it."""
    busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return busy == 0


def _drop_some(db: sqlite3.Connection, which: str, *values: float) -> int:
    """Delete the oldest of these calls, so many at once; returns how many that were."""
    with transaction(db):
        found = f"SELECT call_sid, started_at FROM calls WHERE {which} ORDER BY started_at LIMIT ?"
        calls = db.execute(found, (*values, AT_ONCE)).fetchall()
        for table in PARTS:
            db.executemany(f"DELETE FROM {table} WHERE call_sid = ? AND started_at = ?", calls)
    return len(calls)


def _shrink(db: sqlite3.Connection) -> None:
    """Give freed pages back to the file system."""
    while db.execute("PRAGMA freelist_count").fetchone()[0]:
        before = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        if db.execute("PRAGMA page_count").fetchone()[0] == before:
            return


def _drop_broken(directory: Path, until: float) -> None:
    for file in directory.glob(f"{BROKEN}*"):
        if file.stat().st_mtime <= until:
            file.unlink(missing_ok=True)
