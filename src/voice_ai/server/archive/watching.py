"""The archive as the server sees it: it watches calls, and is asked for them later."""

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Self, TypeVar

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

# Seconds after which what does not end a turn or a call is written: a turn changes some five times
# before it is over.
SOON_S: Final = 2.0
# Seconds that what is kept of a call's cost may be old while the call is under way.
COST_S: Final = 30.0
# Calls under way that are known at once; beyond it the oldest one's changes are all written.
MAX_KNOWN: Final = 4096
# Seconds for the last changes when the server ends; a transaction takes milliseconds.
LEAVE_S: Final = 5.0


class _Known(NamedTuple):
    """What was last kept of a call under way, and when, by the monotonic clock."""

    summary: dict[str, Any]
    at_s: float


class Archive:
    """Keeps calls: a Watcher of their records. What it is told costs the call microseconds.

    Args:
        keeping: where and how much.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._file = keeping.file
        self._pending = Pending()
        self._known: dict[tuple[str, float], _Known] = {}
        self._changed: dict[Key, tuple[CallRecord, TurnRecord | None]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._writer = Writer(keeping, self._pending, self._summary)
        self._is_unreadable = False

    async def __aenter__(self) -> Self:
        self._writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flush()
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
        """Keep the call's summary: within two seconds, its beginning and its end at once."""
        call = record.call.call_sid, record.started_at
        if record.ended or call not in self._known:
            self._put_call(record)
        else:
            self._put_later(Key("call", *call), record, None)

    def call_moved(self, record: CallRecord) -> None:
        """See what passes, and is no reason to write."""

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        """Keep the turn within two seconds; at once if it is over, and what the call has cost."""
        key = Key("turn", record.call.call_sid, record.started_at, turn.n)
        if not turn.over:
            self._put_later(key, record, turn)
            return
        self._changed.pop(key, None)
        self._put(key, turn.as_json())
        known = self._known.get((record.call.call_sid, record.started_at))
        if not known or time.monotonic() - known.at_s >= COST_S:
            self._put_call(record)

    def noted(self, record: CallRecord, note: Note) -> None:
        """Keep the note within two seconds if its record does."""
        if record.notes and record.notes[-1] is note and not self._writer.refused:
            key = Key("note", record.call.call_sid, record.started_at, len(record.notes))
            self._pending.put(Row(key, note.as_json(), time.monotonic()))
            self._flush_later()

    async def recent(
        self,
        limit: int = 50,
        before: float = math.inf,
        known: Container[reading.CallKey] = frozenset(),
    ) -> list[dict[str, Any]]:
        """Return summaries of kept calls begun before a time, newest first, but for those known.

        Each has `n_turns`, `last_ms` and `worst_ms` beside: the total latency of the last turn that
        was answered and of the slowest. Without a file that can be read there are none.
        """
        return await self._read(lambda: reading.recent(self._file, limit, before, known), [])

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

    def _put_call(self, record: CallRecord) -> None:
        call, summary = (record.call.call_sid, record.started_at), _summary(record)
        key = Key("call", *call)
        self._changed.pop(key, None)
        self._put(key, summary)
        if summary["ended"]:
            self._known.pop(call, None)
            return
        if len(self._known) >= MAX_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[call] = _Known(summary, time.monotonic())

    def _put(self, key: Key, value: dict[str, Any]) -> None:
        if not self._writer.refused:
            self._pending.put(Row(key, value, time.monotonic()))
            self._writer.wake()

    def _put_later(self, key: Key, record: CallRecord, turn: TurnRecord | None) -> None:
        self._changed[key] = record, turn
        self._flush_later()

    def _flush_later(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(SOON_S, self._flush)

    def _flush(self) -> None:
        """Put what has changed, as it is now."""
        if self._handle:
            self._handle.cancel()
            self._handle = None
        changed, self._changed = self._changed, {}
        for key, (record, turn) in changed.items():
            if turn is not None:
                self._put(key, turn.as_json())
            else:
                self._put_call(record)
        self._writer.wake()

    def _summary(self, call_sid: str, started_at: float) -> dict[str, Any] | None:
        """Return what was last kept of a call under way; asked by the writer's thread."""
        known = self._known.get((call_sid, started_at))
        return known.summary if known else None


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
