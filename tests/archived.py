"""Calls as a server makes them, and an archive to keep them in."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, TurnRecord
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.archive import Archive
from voice_ai.server.archive.schema import FILE
from voice_ai.server.archive.sweep import Keeping

# Of real time, on two cores that may be busy with other tests.
WITHIN_S = 20.0
CALLER, CALLED = "+15550100001", "+15550100002"


def archive(folder: Path, **changes: Any) -> Archive:
    return Archive(Keeping(folder, **changes))


def begin(watcher: Archive | None, sid: str = "CA1", started_at: float | None = None) -> CallRecord:
    """A call that the archive watches from its first moment on."""
    info = CallInfo(sid, "MZ1", caller=CALLER, called=CALLED)
    record = CallRecord(info, time.time() if started_at is None else started_at)
    record.begin(time.perf_counter)
    if watcher:
        record.watchers.append(watcher)
    record.changed()
    return record


def say(record: CallRecord, words: str = "How late is it?", reply: str = "Noon.") -> TurnRecord:
    """A turn, from the caller's words to the end of what was heard of the answer."""
    now = time.perf_counter()
    latency = Latency(now, now + 0.3, now + 0.31, now + 0.5, now + 0.6, now + 0.61)
    turn = record.add_turn(words, latency)
    for turn.reply in (reply[: len(reply) // 2], reply):
        record.turn_changed(turn)
    turn.heard, turn.over, turn.complete = reply, True, True
    record.turn_changed(turn)
    return turn


async def hold(folder: Path, n_calls: int = 1, words: str = "How late is it?") -> None:
    """Have calls kept that are over, by a server that has come and gone."""
    async with archive(folder) as kept:
        for number in range(n_calls):
            record = begin(kept, f"CA{number}")
            say(record, words)
            record.end()


def rows(folder: Path, query: str, *values: Any) -> list[Any]:
    """What the file has; nothing before it is there."""
    try:
        with closing(sqlite3.connect(f"file:{folder / FILE}?mode=rw", uri=True)) as db:
            return db.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        assert "no such table" in str(error) or "unable to open" in str(error)
        return []


def on_disk(folder: Path, *words: str) -> list[str]:
    """Those of the words that some file of the folder has in it, deleted or not."""
    octets = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return [word for word in words if word.encode() in octets]


async def until(condition: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def until_kept(kept: Archive, sid: str, within_s: float = WITHIN_S) -> dict[str, Any]:
    async with asyncio.timeout(within_s):
        while (found := await kept.find(sid)) is None:
            await asyncio.sleep(0.01)
    return found
