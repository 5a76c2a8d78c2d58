"""Kept calls out of the file, as records show them; each call of these opens it, and may wait."""

from collections.abc import Container
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from voice_ai.server.archive import sweep
from voice_ai.server.archive.rows import join
from voice_ai.server.archive.schema import connect, is_present

MAX_LISTED: Final = 500

# CallSid and begin: a caller who was put through in vain comes back under the same id.
CallKey: TypeAlias = tuple[str, float]

LATEST: Final = """SELECT call_sid, started_at FROM calls
WHERE facts IS NOT NULL AND started_at < ? ORDER BY started_at DESC LIMIT ?"""
# Call by call: a list shows a few of what may be many thousands.
OF_TURNS: Final = "FROM turns t WHERE t.call_sid = c.call_sid AND t.started_at = c.started_at"
SUMMARY: Final = f"""SELECT c.facts, w.words, (SELECT count(*) {OF_TURNS}),
    (SELECT total_ms {OF_TURNS} AND total_ms IS NOT NULL ORDER BY n DESC LIMIT 1),
    (SELECT max(total_ms) {OF_TURNS})
FROM calls c
LEFT JOIN words w ON w.call_sid = c.call_sid AND w.started_at = c.started_at AND w.kind = 'call'
WHERE c.call_sid = ? AND c.started_at = ?"""
NEWEST: Final = """SELECT c.started_at, c.facts, w.words FROM calls c
LEFT JOIN words w ON w.call_sid = c.call_sid AND w.started_at = c.started_at AND w.kind = 'call'
WHERE c.call_sid = ? AND c.facts IS NOT NULL ORDER BY c.started_at DESC LIMIT 1"""
PARTS: Final = """SELECT p.facts, w.words FROM {table} p
LEFT JOIN words w ON w.call_sid = p.call_sid AND w.started_at = p.started_at AND w.kind = ?
    AND w.n = p.n
WHERE p.call_sid = ? AND p.started_at = ? ORDER BY p.n"""


def recent(
    file: Path, limit: int, before: float, known: Container[CallKey]
) -> list[dict[str, Any]]:
    """Return summaries of calls that began before a time, newest first, but for those known.

    Raises:
        sqlite3.Error: the file cannot be read.
        NewerError: it is not ours.
    """
    if not file.exists():
        return []
    with closing(connect(file)) as db:
        if not is_present(db):
            return []
        db.execute("BEGIN")  # one state of the file for all of it
        latest = db.execute(LATEST, (before, min(limit, MAX_LISTED))).fetchall()
        found = [db.execute(SUMMARY, call).fetchone() for call in latest if call not in known]
    return [
        {**join("call", facts, words), "n_turns": n_turns, "last_ms": last_ms, "worst_ms": worst_ms}
        for facts, words, n_turns, last_ms, worst_ms in found
    ]


def find(file: Path, call_sid: str) -> dict[str, Any] | None:
    """Return the newest call of this id with its turns and notes.

    Raises: as `recent`.
    """
    if not file.exists():
        return None
    with closing(connect(file)) as db:
        db.execute("BEGIN")  # one state of the file for all of it
        call = db.execute(NEWEST, (call_sid,)).fetchone() if is_present(db) else None
        if call is None:
            return None
        started_at, facts, words = call
        turns = db.execute(PARTS.format(table="turns"), ("turn", call_sid, started_at)).fetchall()
        notes = db.execute(PARTS.format(table="notes"), ("note", call_sid, started_at)).fetchall()
    return {
        **join("call", facts, words),
        "turns": [join("turn", *part) for part in turns],
        "notes": [join("note", *part) for part in notes],
    }


def forget(file: Path, call_sid: str) -> bool:
    """Delete the calls of this id; returns whether there was one.

    Raises: as `recent`.
    """
    if not file.exists():
        return False
    with closing(connect(file)) as db:
        return is_present(db) and sweep.forget(db, call_sid)
