"""The file: its tables, how it is opened, and how one of an earlier version becomes one of this.

Facts and words of a call (rows.py) are in tables of their own. SQLite's secure_delete overwrites a
deleted row and a freed page, but not the copies that it leaves in a page's gap when rows move; so
words are gone for good only when every page that they ever were on has been freed. The table of
words is therefore made anew without those that are due, and dropped (sweep.py): it holds the words
of an hour and is small.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from voice_ai.errors import VoiceAIError

FILE: Final = "calls.sqlite3"
# What was no database is kept beside it, by this and the time.
BROKEN: Final = f"{FILE}.broken-"
# Seconds for another process's transaction; ours take milliseconds.
BUSY_S: Final = 2.0

CALLS: Final = """CREATE TABLE calls (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, owner TEXT NOT NULL,
    ended_at REAL,
    changed_at REAL NOT NULL,
    facts TEXT,
    PRIMARY KEY (call_sid, started_at)) WITHOUT ROWID"""
TURNS: Final = """CREATE TABLE turns (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, n INTEGER NOT NULL,
    total_ms INTEGER,
    facts TEXT NOT NULL,
    PRIMARY KEY (call_sid, started_at, n)) WITHOUT ROWID"""
NOTES: Final = """CREATE TABLE notes (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, n INTEGER NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (call_sid, started_at, n)) WITHOUT ROWID"""
WORDS: Final = """CREATE TABLE words (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL,
    words TEXT NOT NULL,
    PRIMARY KEY (call_sid, started_at, kind, n)) WITHOUT ROWID"""

# Each makes the next version of the one before. A step that has been released is never changed.
STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (CALLS, "CREATE INDEX calls_by_start ON calls (started_at)", TURNS, WORDS),
    (NOTES,),
)
VERSION: Final = len(STEPS)


class NewerError(VoiceAIError):
    """The file was made by a later version of this program."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that is there for reading and small changes.

    Raises:
        sqlite3.Error: it is not there, or cannot be used.
        NewerError: it is not ours to touch.
    """
    db = sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=BUSY_S, uri=True, isolation_level=None)
    try:
        refuse_newer(db)
        db.execute("PRAGMA secure_delete=ON")
    except BaseException:
        db.close()
        raise
    return db


def is_present(db: sqlite3.Connection) -> bool:
    """Whether the file has the present tables: its writer may be about to make them."""
    return _number(db, "user_version") == VERSION


def open_file(path: Path, max_octets: int) -> sqlite3.Connection:
    """Open the file for its writer, made and brought to the present version where need be.

    Args:
        path: in a folder that is there.
        max_octets: the file grows no larger; beyond it writing fails with SQLITE_FULL.

    Raises:
        sqlite3.Error, OSError: it cannot be used.
        NewerError: it is not ours to touch.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass  # and is not opened here: closing it would drop SQLite's locks on it
    db = connect(path)
    try:
        _prepare(db)
        limit(db, max_octets)
    except BaseException:
        db.close()
        raise
    return db


def limit(db: sqlite3.Connection, max_octets: int) -> None:
    """Let the file grow so far; if it is larger already, no further."""
    db.execute(f"PRAGMA max_page_count={max(1, max_octets // _number(db, 'page_size'))}")


def size(db: sqlite3.Connection) -> int:
    """Return the octets of the file that are in use."""
    n_pages = _number(db, "page_count") - _number(db, "freelist_count")
    return n_pages * _number(db, "page_size")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do something that no other process comes between, in a file of our version."""
    db.execute("BEGIN IMMEDIATE")
    try:
        refuse_newer(db)  # a new server may have migrated it while we run
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def refuse_newer(db: sqlite3.Connection) -> None:
    """Raise NewerError if the file is of a later version."""
    version = _number(db, "user_version")
    if version > VERSION:
        raise NewerError(f"it is of version {version}, this program knows {VERSION}")


def move_aside(path: Path) -> Path:
    """Give a file that cannot be read another name, which says when; return that."""
    moved = path.with_name(f"{BROKEN}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for suffix in ("", "-wal", "-shm"):
        source, target = Path(f"{path}{suffix}"), Path(f"{moved}{suffix}")
        if source.exists():
            os.utime(source)  # it is kept as long as words are, from now on
            source.rename(target)
    return moved


def _prepare(db: sqlite3.Connection) -> None:
    if _number(db, "auto_vacuum") != 2:  # 2 is incremental; a file with tables wants a VACUUM
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        if _number(db, "page_count"):
            db.execute("VACUUM")
    db.execute("PRAGMA journal_mode=WAL")
    # A killed process loses nothing by it; a machine without power at most what came last.
    db.execute("PRAGMA synchronous=NORMAL")
    while (version := _number(db, "user_version")) < VERSION:
        with transaction(db):
            if _number(db, "user_version") == version:  # else another process was faster
                for statement in STEPS[version]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={version + 1}")


def _number(db: sqlite3.Connection, pragma: str) -> int:
    number: int = db.execute(f"PRAGMA {pragma}").fetchone()[0]
    return number
