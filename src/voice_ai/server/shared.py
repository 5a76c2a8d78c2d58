"""What the processes that share a port know together: places, tokens, and who takes calls.

A call's webhook and its stream reach two of them by chance. They meet in a SQLite file: its
transactions are atomic among processes and outlive one that is killed in the middle, at some 50 µs
each, three a call. The file is in a folder of the port, so that a server that takes over from
another counts the calls that are left there. Each process holds a lock on a file of its own for as
long as it lives: what a dead one held is given back when a place is missed.
"""

import hmac
import os
import secrets
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from voice_ai.errors import UsageError
from voice_ai.server.admission import HOLD_S, TOKEN_OCTETS, USED_S, Clock
from voice_ai.server.owners import Owner, alone

TABLES: Final = """
CREATE TABLE IF NOT EXISTS processes (owner TEXT PRIMARY KEY, takes_calls INTEGER);
CREATE TABLE IF NOT EXISTS tokens (call_sid TEXT PRIMARY KEY, token TEXT, until REAL);
CREATE TABLE IF NOT EXISTS used (call_sid TEXT PRIMARY KEY, until REAL);
CREATE TABLE IF NOT EXISTS places (call_sid TEXT PRIMARY KEY, until REAL, owner TEXT);
"""
# Seconds for another's transaction to end; one takes microseconds.
BUSY_S: Final = 5.0


class Shared:
    """The folder of a port and its file, open for as long as it is entered.

    Raises:
        UsageError: the folder cannot be made, or is not ours alone.
    """

    def __init__(self, port: int, *, parent: Path | None = None) -> None:
        self.directory = (parent or _private_folder()) / str(port)
        self._owner = Owner(self.directory)
        self.owner = self._owner.name
        self._db: sqlite3.Connection

    def __enter__(self) -> Self:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(self.directory):
            # What is left of servers that are gone may be of before a restart of the machine.
            if not self._owner.all_living():
                for left in self.directory.glob("state.sqlite*"):
                    left.unlink()
            self._owner.hold()
            self._db = sqlite3.connect(
                self.directory / "state.sqlite", timeout=BUSY_S, isolation_level=None
            )
            # Nothing has to outlive the machine, only a process.
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {TABLES}")
        return self

    def __exit__(self, *_: object) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM places WHERE owner = ?", (self.owner,))
            db.execute("DELETE FROM processes WHERE owner = ?", (self.owner,))
        self._db.close()
        self._owner.release()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do something that no other process comes between."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def take_calls(self, takes_calls: bool) -> None:
        """Tell the others whether this process takes new calls."""
        with self.transaction() as db:
            row = (self.owner, takes_calls)
            db.execute("INSERT OR REPLACE INTO processes VALUES (?, ?)", row)

    def others_take_calls(self) -> bool:
        """Whether another process on this port takes new calls."""
        found = self._db.execute(
            "SELECT owner FROM processes WHERE takes_calls AND owner != ?", (self.owner,)
        ).fetchall()
        return any(self.lives(owner) for (owner,) in found)

    def others(self) -> list[str]:
        """Return the other processes of this port that live."""
        return [name for name in self._owner.all_living() if name != self.owner]

    def lives(self, owner: str) -> bool:
        """Whether a process is there."""
        return self._owner.lives(owner)


class SharedTokens:
    """Tokens (admission.py) of all processes."""

    def __init__(
        self, shared: Shared, *, clock: Clock = time.monotonic, valid_s: float = HOLD_S
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._valid_s = valid_s

    def issue(self, call_sid: str) -> str:
        """Make a token for this call."""
        token, now = secrets.token_urlsafe(TOKEN_OCTETS), self._clock()
        with self._shared.transaction() as db:
            db.execute("DELETE FROM tokens WHERE until <= ?", (now,))
            row = (call_sid, token, now + self._valid_s)
            db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", row)
        return token

    def redeem(self, token: str, call_sid: str) -> bool:
        """Return whether this is the call's token, and use it up; a wrong one uses up none."""
        shown = token.encode("utf-8", "surrogatepass")
        with self._shared.transaction() as db:
            known = db.execute(
                "SELECT token FROM tokens WHERE call_sid = ? AND until > ?",
                (call_sid, self._clock()),
            ).fetchone()
            if known is None or not hmac.compare_digest(known[0].encode(), shown):
                return False
            db.execute("DELETE FROM tokens WHERE call_sid = ?", (call_sid,))
            db.execute("DELETE FROM used WHERE until <= ?", (self._clock(),))
            row = (call_sid, self._clock() + USED_S)
            db.execute("INSERT OR REPLACE INTO used VALUES (?, ?)", row)
        return True

    def was_used(self, call_sid: str) -> bool:
        """Whether a token of this call was used in the last USED_S."""
        with self._shared.transaction() as db:
            wanted = (call_sid, self._clock())
            found = db.execute("SELECT 1 FROM used WHERE call_sid = ? AND until > ?", wanted)
            return found.fetchone() is not None


class SharedAdmission:
    """Admission (admission.py) by all processes; `until` is null once a call has begun."""

    def __init__(
        self,
        shared: Shared,
        limit: int,
        *,
        takes_new: Callable[[], bool] = lambda: True,
        clock: Clock = time.monotonic,
        hold_s: float = HOLD_S,
    ) -> None:
        self.limit = limit
        self._shared = shared
        self._takes_new = takes_new
        self._clock = clock
        self._hold_s = hold_s

    def __len__(self) -> int:
        """Places that are taken by all processes."""
        with self._shared.transaction() as db:
            db.execute("DELETE FROM places WHERE until <= ?", (self._clock(),))
            return self._n_taken(db)

    def admit(self, call_sid: str) -> bool:
        """Hold a place for a call; False if there is none. A call that has one keeps it."""
        takes_new = self._takes_new()
        with self._shared.transaction() as db:
            begun = self._place(db, call_sid)
            return begun is True or self._take(db, call_sid, begun, takes_new)

    def begin(self, call_sid: str) -> bool:
        """Make a call's place last until `release`; False if it has none or has begun already."""
        takes_new = self._takes_new()
        with self._shared.transaction() as db:
            begun = self._place(db, call_sid)
            if begun or not self._take(db, call_sid, begun, takes_new):
                return False
            row = (self._shared.owner, call_sid)
            db.execute("UPDATE places SET until = NULL, owner = ? WHERE call_sid = ?", row)
            return True

    def release(self, call_sid: str) -> None:
        """Give the place back. Idempotent."""
        with self._shared.transaction() as db:
            row = (call_sid, self._shared.owner)
            db.execute("DELETE FROM places WHERE call_sid = ? AND owner IN (?, '')", row)

    def _place(self, db: sqlite3.Connection, call_sid: str) -> bool | None:
        """Whether a call has begun; None when it has no place."""
        db.execute("DELETE FROM places WHERE until <= ?", (self._clock(),))
        found = db.execute("SELECT until FROM places WHERE call_sid = ?", (call_sid,)).fetchone()
        return found[0] is None if found else None

    def _take(
        self, db: sqlite3.Connection, call_sid: str, begun: bool | None, takes_new: bool
    ) -> bool:
        if begun is None:
            if not takes_new:
                return False
            if self._n_taken(db) >= self.limit:
                self._forget_dead(db)
                if self._n_taken(db) >= self.limit:
                    return False
        row = (call_sid, self._clock() + self._hold_s)
        # Whoever gets the stream will own it; until then it is given back by the clock alone.
        db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, '')", row)
        return True

    def _n_taken(self, db: sqlite3.Connection) -> int:
        n_taken: int = db.execute("SELECT count(*) FROM places").fetchone()[0]
        return n_taken

    def _forget_dead(self, db: sqlite3.Connection) -> None:
        owners = db.execute("SELECT DISTINCT owner FROM places WHERE owner != ''").fetchall()
        for (owner,) in owners:
            if not self._shared.lives(owner):
                db.execute("DELETE FROM places WHERE owner = ?", (owner,))


def _private_folder() -> Path:
    """Return the folder of this user's servers: tokens are in it, so nobody else may look."""
    folder = Path(tempfile.gettempdir()) / f"voice_ai-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not (stat.S_ISDIR(found.st_mode) and ours):
        raise UsageError(f"{folder} is not a folder of ours alone: remove it")
    return folder
