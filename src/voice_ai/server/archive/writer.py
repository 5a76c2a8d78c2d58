"""The thread that writes what is pending, keeps the file in order, and outlives its faults."""

import logging
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Final

from voice_ai.server.archive.pending import MAX_ROWS, Pending
from voice_ai.server.archive.rows import Row
from voice_ai.server.archive.schema import NewerError, move_aside, open_file
from voice_ai.server.archive.store import Known, Store, by_call
from voice_ai.server.archive.sweep import Keeping, sweep
from voice_ai.server.owners import Owner, alone

logger = logging.getLogger(__name__)

# Seconds between two transactions, at least: one costs as much as a dozen rows, and of 100 calls a
# turn is over every tenth of a second. What is lost with a killed process is no older.
REST_S: Final = 0.15
# Seconds after which words that are due are gone, and before a file that failed is tried again.
SWEEP_S: Final = 60.0
RETRY_S: Final = 5.0


class Writer(threading.Thread):
    """Has the file to itself in this process, from `start` to `leave`.

    Args:
        keeping: which file, and how much of it.
        pending: what is to be written.
        known: see Store.
    """

    def __init__(
        self, keeping: Keeping, pending: Pending, known: Known, *, retry_s: float = RETRY_S
    ) -> None:
        super().__init__(name="archive", daemon=True)  # one that hangs keeps no server from ending
        self.refused = False
        self._keeping = keeping
        self._pending = pending
        self._retry_s = retry_s
        self._owner = Owner(keeping.directory / "servers")
        self._store = Store(self._owner.name, known, keeps_words=keeping.words_s > 0)
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._sweep_at = 0.0
        self._n_at_once = MAX_ROWS
        self._fault = ""
        self._n_unwritable = 0
        self._n_told = 0
        self._told_lost = False
        self._wake = threading.Event()
        self._leaving = threading.Event()

    @property
    def n_lost(self) -> int:
        """How many changes could not be kept."""
        return self._pending.n_lost + self._n_unwritable

    def wake(self) -> None:
        """Have what is pending written now. Costs a microsecond, less if it is awake already."""
        if not self._wake.is_set():
            self._wake.set()

    def sweep_soon(self) -> None:
        """Sweep now, not within a minute."""
        self._sweep_at = 0.0
        self._wake.set()

    def leave(self, within_s: float) -> bool:
        """Write what is left and end; False if that takes longer."""
        self._leaving.set()
        self._wake.set()
        self.join(within_s)
        return not self.is_alive()

    def run(self) -> None:
        """Write until told to leave, or until the file is not ours."""
        try:
            while not self._leaving.is_set():
                is_well = self._work()
                if self.refused:
                    return
                if not is_well:
                    self._leaving.wait(self._retry_s)
                    continue
                time.sleep(REST_S)  # a wait for an event costs several times as much
                self._wake.wait(SWEEP_S)
                self._wake.clear()
            self._work()
        finally:
            self._close()
            self._owner.release()

    def _work(self) -> bool:
        """Sweep if it is time, write what is pending; False if that has to be tried again."""
        rows: list[Row] = []
        try:
            db = self._open()
            if time.monotonic() >= self._sweep_at and not self._leaving.is_set():
                self._sweep(db)
            rows = sorted(self._pending.take(), key=by_call)
            while rows:
                self._n_unwritable += self._store.write(db, rows[: self._n_at_once])
                rows = rows[self._n_at_once :]
        except NewerError as error:
            logger.warning("no calls are kept: %s: %s", self._keeping.file, error)
            self.refused = True
            return False
        except (sqlite3.Error, OSError) as error:
            too_old_s = time.monotonic() - self._keeping.words_s
            self._pending.put_back(sorted(rows, key=lambda row: row.at_s), too_old_s)
            self._fail(error)
            return False
        self._recover()
        return True

    def _sweep(self, db: sqlite3.Connection) -> None:
        is_done = sweep(db, self._keeping, self._owner.lives)
        self._sweep_at = time.monotonic() + (SWEEP_S if is_done else self._retry_s)
        if not self._fault:
            self._tell_lost()

    def _open(self) -> sqlite3.Connection:
        """Return the file as it is now: somebody may have moved or deleted the one that we had."""
        file = self._keeping.file
        with suppress(FileNotFoundError):
            if self._db is not None and file.stat().st_ino == self._inode:
                return self._db
        self._close()
        directory = self._keeping.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner.hold()
        with alone(directory):
            self._db = self._open_or_begin()
            self._inode = file.stat().st_ino
        self._sweep_at = 0.0
        return self._db

    def _open_or_begin(self) -> sqlite3.Connection:
        file, max_octets = self._keeping.file, self._keeping.max_octets
        try:
            return open_file(file, max_octets)
        except sqlite3.DatabaseError as error:
            if not _is_unreadable(error):
                raise
            logger.warning("%s cannot be read (%s): moved to %s", file, error, move_aside(file))
            return open_file(file, max_octets)

    def _fail(self, error: sqlite3.Error | OSError) -> None:
        """Say once that there is a fault; what cannot be read any more gives way to a new file."""
        self._close()
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            # The sweep that comes with opening makes room; perhaps not for all at once.
            self._n_at_once = max(1, self._n_at_once // 2)
        if _is_unreadable(error):
            self._move_aside(error)
        elif not self._fault:
            self._fault = str(error)
            logger.warning("calls are not kept for now: %s: %s", self._keeping.file, error)
        elif not self._told_lost:
            self._told_lost = self._tell_lost()

    def _recover(self) -> None:
        self._n_at_once = MAX_ROWS
        if self._fault:
            logger.info("calls are kept again: %s", self._keeping.file)
            self._tell_lost()
            self._fault, self._told_lost = "", False

    def _tell_lost(self) -> bool:
        """Tell how many changes were lost since it was told last; False if none were."""
        n_lost = self.n_lost
        n_new, self._n_told = n_lost - self._n_told, n_lost
        if n_new:
            logger.warning("%d changes of calls could not be kept and are lost", n_new)
        return n_new > 0

    def _move_aside(self, error: sqlite3.Error | OSError) -> None:
        """Move the file away, unless another process has done so since we opened it."""
        file = self._keeping.file
        with suppress(OSError), alone(self._keeping.directory):
            if file.stat().st_ino == self._inode:
                logger.warning("%s cannot be read (%s): moved to %s", file, error, move_aside(file))

    def _close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None


def _is_unreadable(error: sqlite3.Error | OSError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it tells the kind
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
