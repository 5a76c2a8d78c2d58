"""The folder of recordings: its thread, how long they are kept, and what a kill leaves."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import SOURCE

from voice_ai.call.record import CallRecord
from voice_ai.codec.formats import PCM16_16K, ULAW_8K
from voice_ai.errors import UsageError
from voice_ai.phone.riff import parse_wav
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.recording_file import HEAD_OCTETS, audio_octets, head, lock
from voice_ai.server.recordings import (
    DAY_S,
    Recordings,
    Retention,
    file_of,
    mend_all,
    open_recordings,
    purge,
)

WITHIN_S = 20.0
SECOND = bytes(range(250)) * 64


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def recordings(tmp_path: Path) -> Iterator[Recordings]:
    made = Recordings(tmp_path / "data" / "recordings")
    made.start()
    yield made
    made.stop()


def call(sid: str) -> CallRecord:
    return CallRecord(CallInfo(sid), started_at=0.0)


def keep(folder: Path, sid: str, n_octets: int = 16_000, age_s: float = 0.0) -> Path:
    path = folder / f"{sid}.wav"
    path.write_bytes(head(n_octets) + bytes(n_octets))
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return path


@pytest.mark.parametrize(
    "sid", ["", ".", "..", "../CA1", "/etc/passwd", "CA1/..", "CA1\0", "CA1\n", "C" * 65, "CA.1"]
)
def test_no_other_path_comes_of_an_id(sid: str) -> None:
    assert file_of(Path("x"), sid) is None


def test_calls_side_by_side(recordings: Recordings, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "recordings"
    records = [call(f"CA{n}") for n in range(5)]
    made = [recordings.record(record, ULAW_8K, PCM16_16K) for record in records]
    for n, recording in enumerate(made):
        with recording:
            recording.agent(bytes([n + 1]) * 1600, 0.0)
            recording.caller(bytes(2 * 3200), 0.0)
    until(lambda: all((folder / f"CA{n}.wav").exists() for n in range(5)))
    until(lambda: all(audio_octets((folder / f"CA{n}.wav").read_bytes()) for n in range(5)))
    for n in range(5):
        octets = (folder / f"CA{n}.wav").read_bytes()
        assert octets[HEAD_OCTETS + 1 :: 2] == bytes([n + 1]) * 1600
        assert set(octets[HEAD_OCTETS::2]) == {0xFF}
    assert all(record.is_recorded for record in records)
    assert (
        stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    )


def test_stopping_writes_what_waits(tmp_path: Path) -> None:
    made = Recordings(tmp_path)
    made.start()
    with made.record(call("CA1"), ULAW_8K, ULAW_8K) as recording:
        recording.caller(b"c" * 800, 0.0)
        made.stop()
        assert (tmp_path / "CA1.wav").read_bytes() == head(1600) + b"c\xff" * 800


def test_a_folder_that_goes_away_is_told_on_the_call(
    recordings: Recordings, tmp_path: Path
) -> None:
    (tmp_path / "data" / "recordings").rmdir()
    record = call("CA1")
    with recordings.record(record, ULAW_8K, ULAW_8K) as recording:
        assert record.is_recorded
        end = time.monotonic() + WITHIN_S
        while not record.notes:
            assert time.monotonic() < end
            recording.caller(b"", 0.0)
            time.sleep(0.01)
    assert [(note.kind, note.detail) for note in record.notes] == [
        ("fault", "No such file or directory")
    ]
    assert not record.is_recorded


def test_an_end_that_is_lost_is_told_in_the_log(
    recordings: Recordings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data" / "recordings").rmdir()
    with recordings.record(call("CA1"), ULAW_8K, ULAW_8K):
        pass
    until(lambda: caplog.messages)
    assert caplog.messages == ["recording CA1.wav: its end is lost: No such file or directory"]


async def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="RECORD=1 needs the folder .*file"):
        async with open_recordings(tmp_path / "file" / "recordings", Retention(), records=True):
            pass


async def test_without_recording_nothing_is_made(tmp_path: Path) -> None:
    async with open_recordings(tmp_path / "recordings", Retention(), records=False) as made:
        assert made is None
    assert os.listdir(tmp_path) == []


async def test_without_recording_what_there_is_goes_when_its_time_has_come(tmp_path: Path) -> None:
    old, new = keep(tmp_path, "CA1"), keep(tmp_path, "CA2")
    os.utime(new)
    async with open_recordings(tmp_path, Retention(), records=False) as made:
        assert made is None
    assert (old.exists(), new.exists()) == (False, True)


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    keep(tmp_path, "CA1", age_s=7 * DAY_S + 1)
    keep(tmp_path, "CA2", age_s=7 * DAY_S - 1)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "a b.wav").write_text("mine")
    purge(tmp_path, Retention(days=7), 1e9)
    assert {path.name for path in tmp_path.iterdir()} == {"CA2.wav", "notes.txt", "a b.wav"}


def test_of_what_is_too_much_the_oldest_goes(tmp_path: Path) -> None:
    for n in range(5):
        keep(tmp_path, f"CA{n}", age_s=n)
    purge(tmp_path, Retention(max_octets=2 * (HEAD_OCTETS + 16_000)), 1e9)
    assert {path.name for path in tmp_path.iterdir()} == {"CA0.wav", "CA1.wav"}


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    path = keep(tmp_path, "CA1", age_s=8 * DAY_S)
    with open(path, "r+b") as file:
        lock(file.fileno())
        purge(tmp_path, Retention(max_octets=0), 1e9)
        assert path.exists()
    purge(tmp_path, Retention(max_octets=0), 1e9)
    assert not path.exists()


def test_what_a_killed_process_has_left_is_mended(tmp_path: Path) -> None:
    path = keep(tmp_path, "CA1", age_s=100)
    with open(path, "ab") as file:
        file.write(b"\xff" * 321)
    os.utime(path, (1e9 - 100, 1e9 - 100))
    other = keep(tmp_path, "CA2")
    other.write_bytes(b"text")
    mend_all(tmp_path)
    assert path.read_bytes() == head(16_320) + bytes(16_000) + b"\xff" * 320
    assert path.stat().st_mtime == 1e9 - 100


def test_what_is_being_written_is_not_mended(tmp_path: Path) -> None:
    path = keep(tmp_path, "CA1")
    with open(path, "ab") as file:
        lock(file.fileno())
        file.write(bytes(100))
        file.flush()
        mend_all(tmp_path)
    assert path.read_bytes() == head(16_000) + bytes(16_100)


KILLED = """
import sys, time
from pathlib import Path
from voice_ai.call.record import CallRecord
from voice_ai.codec.formats import ULAW_8K
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.recordings import Recordings

made = Recordings(Path(sys.argv[1]))
made.start()
recording = made.record(CallRecord(CallInfo("CA1"), started_at=0.0), ULAW_8K, ULAW_8K)
began, n = time.monotonic(), 0
recording.agent(b"a" * 8 * 600_000, 0.0)
while True:
    recording.caller(bytes([n % 200]) * 640, 0.0)
    n += 1
    print(n, flush=True)
    time.sleep(max(0.0, began + n * 0.08 - time.monotonic()))
"""


def test_a_process_that_is_killed_leaves_all_but_the_last_second(tmp_path: Path) -> None:
    told = 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = int(line)
            if told == 40:  # 3.2 s
                process.send_signal(signal.SIGKILL)
    path = tmp_path / "CA1.wav"
    octets = path.read_bytes()
    samples, rate_hz = parse_wav(octets, path.name, 60.0)
    assert rate_hz == 8000
    assert told * 0.08 - len(samples) / rate_hz < 1.0
    n_octets = audio_octets(octets)
    assert n_octets is not None and n_octets == 2 * len(samples)
    stereo = octets[HEAD_OCTETS : HEAD_OCTETS + n_octets]
    assert stereo[1::2] == b"a" * len(samples)
    assert stereo[::2] == b"".join(bytes([n % 200]) * 640 for n in range(told))[: len(samples)]


async def test_a_disk_that_hangs_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("voice_ai.server.recordings.LEAVE_S", 0.1)
    real = os.pwrite
    hangs, goes_on = threading.Event(), threading.Event()

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        hangs.set()
        goes_on.wait(WITHIN_S)
        return real(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    record = call("CA1")
    async with open_recordings(tmp_path, Retention(), records=True) as made:
        assert made is not None
        with made.record(record, ULAW_8K, ULAW_8K) as recording:
            assert await asyncio.to_thread(hangs.wait, WITHIN_S)
            for _ in range(200):
                recording.caller(b"c" * 640, 0.0)
    assert [note.detail for note in record.notes] == ["the disk is 10080 ms behind"]
    assert caplog.messages == [
        "call CA1: its recording has ended: the disk is 10080 ms behind",
        "the disk has not taken the last recordings in 0.1 s",
    ]
    goes_on.set()
