"""The recordings of calls: a folder, one thread that writes to it, and how long they are kept."""

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from voice_ai.call.record import CallRecord
from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import UsageError
from voice_ai.server.recording import Recording
from voice_ai.server.recording_file import RecordingFile, lock, mend
from voice_ai.server.webhook import CALL_SID

logger = logging.getLogger(__name__)

FOLDER: Final = "recordings"
SUFFIX: Final = ".wav"
# Seconds between two writes to a file: with the 80 ms in which a caller's audio comes, a process
# that is killed loses less than a second.
WRITE_EVERY_S: Final = 0.5
PURGE_EVERY_S: Final = 60.0
# Seconds that the disk has for the last writes when the server stops.
LEAVE_S: Final = 5.0
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: so many days, and so many octets of all calls together, oldest gone first."""

    days: float = 7.0
    max_octets: int = 1 << 30


def file_of(folder: Path, call_sid: str) -> Path | None:
    """Return where a call's recording is; None for what is no call's id, so no other path."""
    return folder / f"{call_sid}{SUFFIX}" if CALL_SID.fullmatch(call_sid) else None


class Recordings:
    """Every recording of this process, and the folder that it shares with others.

    The queue of new files is unbounded: its unit is calls, which admission bounds.
    """

    def __init__(self, folder: Path, retention: Retention | None = None) -> None:
        """Write to this folder once `start` was called."""
        self._folder = folder
        self._retention = retention or Retention()
        self._coming: queue.SimpleQueue[RecordingFile | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        """Make the folder, mend and purge what is in it, and begin to write. It waits for the disk.

        Raises:
            UsageError: the folder cannot be made or written to.
        """
        try:
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self._folder, os.W_OK | os.X_OK):
                raise PermissionError(None, "it may not be written to")
        except OSError as error:
            text = f"RECORD=1 needs the folder {self._folder}: {error.strerror}"
            raise UsageError(text) from error
        mend_all(self._folder)
        purge(self._folder, self._retention, time.time())
        self._thread.start()

    def stop(self) -> None:
        """Write the last of every recording. It waits for the disk, at most `LEAVE_S`."""
        self._coming.put(None)
        self._thread.join(LEAVE_S)
        if self._thread.is_alive():
            logger.warning("the disk has not taken the last recordings in %g s", LEAVE_S)

    def record(self, record: CallRecord, line: AudioFormat, heard: AudioFormat) -> Recording:
        """Return what records this call (a MakeRecorder, call/services.py)."""
        path = file_of(self._folder, record.call.call_sid)
        assert path is not None, "the ids of calls are checked when they come in"
        file = RecordingFile(path)
        self._coming.put(file)
        return Recording(record, file, line, heard)

    def _run(self) -> None:
        files: list[RecordingFile] = []
        is_over, write_at, purge_at = False, 0.0, time.monotonic() + PURGE_EVERY_S
        while not is_over:
            is_over = self._take(files, write_at if files else purge_at)
            now = time.monotonic()
            if is_over:
                for file in files:
                    file.end()
            if now >= write_at or is_over:
                files = [file for file in files if self._write(file)]
                write_at = now + WRITE_EVERY_S
            if now >= purge_at:
                purge(self._folder, self._retention, time.time())
                purge_at = now + PURGE_EVERY_S

    def _write(self, file: RecordingFile) -> bool:
        goes_on = file.write()
        if file.failure and file.is_over:  # the call itself cannot tell any more
            logger.warning("recording %s: its end is lost: %s", file.path.name, file.failure)
        return goes_on

    def _take(self, files: list[RecordingFile], until: float) -> bool:
        """Wait until then for new files, or for the end, which is returned."""
        while (left_s := until - time.monotonic()) > 0:
            try:
                file = self._coming.get(timeout=left_s)
            except queue.Empty:
                break
            if file is None:
                return True
            files.append(file)
            until = min(until, time.monotonic() + WRITE_EVERY_S)
        return False


@asynccontextmanager
async def open_recordings(
    folder: Path, retention: Retention, *, records: bool
) -> AsyncIterator[Recordings | None]:
    """Have calls recorded; without `records`, what is left of before is kept as long as ever.

    Raises:
        UsageError: as `Recordings.start`.
    """
    if not records and not await asyncio.to_thread(folder.is_dir):
        yield None
        return
    recordings = Recordings(folder, retention)
    await asyncio.to_thread(recordings.start)
    try:
        yield recordings if records else None
    finally:
        await asyncio.to_thread(recordings.stop)


def mend_all(folder: Path) -> None:
    """Mend what nobody writes to: its writer was killed."""
    for path in _files(folder):
        _alone_with(path, _mend)


def purge(folder: Path, retention: Retention, now_s: float) -> None:
    """Remove what is too old, and the oldest of what is too much, but for what is being written."""
    found: list[tuple[float, int, Path]] = []
    for path in _files(folder):
        with suppress(FileNotFoundError):  # another process was faster
            about = path.stat()
            found.append((about.st_mtime, about.st_size, path))
    n_octets = sum(size for _, size, _ in found)
    for changed_s, size, path in sorted(found):
        is_old = changed_s < now_s - retention.days * DAY_S
        if not is_old and n_octets <= retention.max_octets:
            return
        if _alone_with(path, partial(_remove, path)):
            n_octets -= size


def _files(folder: Path) -> list[Path]:
    """Return the recordings; anything else in the folder is not ours."""
    return [path for path in folder.glob(f"*{SUFFIX}") if CALL_SID.fullmatch(path.stem)]


def _mend(descriptor: int) -> None:
    before = os.fstat(descriptor)
    mend(descriptor)
    # It is as old as its last word.
    os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))


def _remove(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)


def _alone_with(path: Path, do: Callable[[int], None]) -> bool:
    """Do something to a recording unless somebody writes to it; returns whether it was done."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        logger.warning("recording %s: %s", path.name, error.strerror)
        return False
    try:
        lock(descriptor)
        do(descriptor)
    except BlockingIOError:
        return False
    except (OSError, ValueError) as error:
        logger.warning("recording %s: %s", path.name, error)
        return False
    finally:
        os.close(descriptor)
    return True
