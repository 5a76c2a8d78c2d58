"""The archive as the server sees it: it watches calls, and is asked for them later."""

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar

from voice_ai.call.record import CallRecord, Note, TurnRecord
from voice_ai.server.archive import reading
from voice_ai.server.archive.pending import Pending
from voice_ai.server.archive.rows import Key, Row
from voice_ai.server.archive.schema import NewerError
from voice_ai.server.archive.sweep import Keeping
from voice_ai.server.archive.writer import Writer
from voice_ai.server.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

# What changes many times a turn, and is no reason to write.
PASSING: Final = {"partial": "", "phase": "", "duration_ms": 0, "cost": {}}
# Calls under way that are known at once; beyond it the oldest one's changes are all written.
MAX_KNOWN: Final = 4096
# Seconds for the last changes when the server ends; a transaction takes milliseconds.
LEAVE_S: Final = 5.0


class Archive:
    """Keeps calls: a Watcher of their records. What it is told costs the call microseconds.

    Args:
        keeping: where and how much.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._file = keeping.file
        self._pending = Pending()
        self._known: dict[tuple[str, float], tuple[dict[str, Any], dict[str, Any]]] = {}
        self._writer = Writer(keeping, self._pending, self._summary)
        self._is_unreadable = False

    async def __aenter__(self) -> Self:
        self._writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not await asyncio.to_thread(self._writer.leave, LEAVE_S):
            logger.warning("the last changes of calls are not written: %s hangs", self._file)

    @property
    def keeps(self) -> bool:
        """Whether calls are kept: not in a file of a later version of this program."""
        return not self._writer.refused

    @property
    def n_lost(self) -> int:
        """How many changes could not be kept."""
        return self._writer.n_lost

    def call_changed(self, record: CallRecord) -> None:
        """Keep the call's summary, unless only what passes is new."""
        summary = _summary(record)
        known = self._known.get((record.call.call_sid, record.started_at))
        if not known or known[0] != summary | PASSING:
            self._put_call(record, summary)

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        """Keep the turn as it is now; with one that is over, what the call has cost by then."""
        self._put(Key("turn", record.call.call_sid, record.started_at, turn.n), turn.as_json())
        if turn.over:
            self._put_call(record, _summary(record))

    def noted(self, record: CallRecord, note: Note) -> None:
        """Keep the note if its record does."""
        if record.notes and record.notes[-1] is note:
            n = len(record.notes)
            self._put(Key("note", record.call.call_sid, record.started_at, n), note.as_json())

    async def recent(self, limit: int = 50, before: float = math.inf) -> list[dict[str, Any]]:
        """Return summaries of kept calls that began before a time, newest first.

        Each has `n_turns`, `last_ms` and `worst_ms` beside: the total latency of the last turn that
        was answered and of the slowest. Without a file that can be read there are none.
        """
        return await self._read(lambda: reading.recent(self._file, limit, before), [])

    async def find(self, call_sid: str) -> dict[str, Any] | None:
        """Return the newest call of this id as its record showed it; None if it is not kept."""
        return await self._read(lambda: reading.find(self._file, call_sid), None)

    async def forget(self, call_sid: str) -> bool:
        """Delete the calls of this id, and keep nothing that is still told of them.

        Returns:
            Whether there was one.

        Raises:
            sqlite3.Error: it cannot be done now.
        """
        if not self.keeps:
            return False
        is_gone = await asyncio.to_thread(reading.forget, self._file, call_sid)
        self._writer.sweep_soon()
        return is_gone

    async def _read(self, ask: Callable[[], T], without: T) -> T:
        if not self.keeps:
            return without
        try:
            found = await asyncio.to_thread(ask)
        except (sqlite3.Error, NewerError, OSError) as error:
            if not self._is_unreadable:
                logger.warning("kept calls cannot be read: %s: %s", self._file, error)
            self._is_unreadable = True
            return without
        self._is_unreadable = False
        return found

    def _put_call(self, record: CallRecord, summary: dict[str, Any]) -> None:
        call = record.call.call_sid, record.started_at
        self._put(Key("call", *call), summary)
        if summary["ended"]:
            self._known.pop(call, None)
            return
        if len(self._known) >= MAX_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[call] = summary | PASSING, summary

    def _put(self, key: Key, value: dict[str, Any]) -> None:
        if not self._writer.refused:
            self._pending.put(Row(key, value, time.monotonic()))
            if key.kind == "call" or value.get("over"):
                self._writer.wake()

    def _summary(self, call_sid: str, started_at: float) -> dict[str, Any] | None:
        """Return what was last kept of a call under way; asked by the writer's thread."""
        known = self._known.get((call_sid, started_at))
        return known[1] if known else None


def _summary(record: CallRecord) -> dict[str, Any]:
    """Return a call's summary as it is now: the record goes on with its own lists."""
    summary = record.summary()
    summary["failures"] = [*summary["failures"]]
    summary["late_tools"] = [*summary["late_tools"]]
    return summary


@asynccontextmanager
async def open_archive(settings: Settings) -> AsyncIterator[Archive | None]:
    """Keep calls until the block ends, and have all of them written then; None if none are kept.

    The file is opened by the archive's own thread: whatever is wrong with it, the server starts.
    """
    if not settings.keep_calls:
        yield None
        return
    async with Archive(keeping_of(settings)) as archive:
        yield archive


def keeping_of(settings: Settings) -> Keeping:
    """Return what the settings say of it."""
    return Keeping(
        settings.data_dir,
        words_s=settings.transcript_retention_s,
        calls_s=settings.calls_retention_days * 86_400,
        max_octets=settings.calls_max_mb << 20,
    )
