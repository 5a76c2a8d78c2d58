"""A recording's file: playable at any moment, and what becomes of it when the disk fails."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from voice_ai.codec.g711 import ulaw_decode
from voice_ai.phone.riff import parse_wav
from voice_ai.server.recording_file import (
    HEAD_OCTETS,
    LIMIT_MS,
    OCTETS_A_MS,
    RecordingFile,
    audio_octets,
    head,
    lock,
    mend,
)

SECOND = bytes(range(250)) * 64


def plays(path: Path) -> bytes:
    """Read it as any player does; return the octets that it would play."""
    samples, rate_hz = parse_wav(path.read_bytes(), path.name, 3600.0)
    assert rate_hz == 8000 and samples.shape[1] == 2
    wide = np.rint(samples * 32768).astype("<i2").tobytes()
    n = audio_octets(path.read_bytes())
    octets = path.read_bytes()[HEAD_OCTETS : HEAD_OCTETS + (n or 0)]
    assert ulaw_decode(octets) == wide
    return octets


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "CA1.wav"


def test_a_call_of_which_nothing_came(path: Path) -> None:
    file = RecordingFile(path)
    file.end()
    assert not file.write()
    assert path.read_bytes() == head(0)
    assert not file.failure


def test_the_head_says_what_is_there() -> None:
    octets = head(320)
    assert len(octets) == HEAD_OCTETS
    assert int.from_bytes(octets[4:8], "little") == HEAD_OCTETS + 320 - 8
    assert octets[20:26] == bytes([7, 0, 2, 0, 0x40, 0x1F])  # µ-law, two channels, 8 kHz
    assert int.from_bytes(octets[46:50], "little") == 160  # samples a channel
    assert audio_octets(octets) == 320
    assert audio_octets(octets[:-1]) is None
    assert audio_octets(bytes(HEAD_OCTETS)) is None
    assert audio_octets(octets[:-4] + (321).to_bytes(4, "little")) is None


def test_it_plays_behind_every_write(path: Path) -> None:
    file = RecordingFile(path)
    for n in range(1, 4):
        assert file.put(SECOND)
        assert file.write()
        assert plays(path) == SECOND * n
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.put(SECOND)
    file.end()
    assert not file.write()
    assert plays(path) == SECOND * 4


def test_a_caller_who_is_connected_again_is_recorded_behind_what_there_was(path: Path) -> None:
    for n in range(2):
        file = RecordingFile(path)
        file.put(SECOND)
        file.end()
        file.write()
        assert file.begins_ms == 1000 * n
    assert plays(path) == SECOND * 2


def test_a_file_that_somebody_else_writes_is_waited_for(path: Path) -> None:
    first, second = RecordingFile(path), RecordingFile(path)
    first.put(SECOND)
    assert first.write()
    second.put(SECOND)
    second.end()
    assert second.write() and not second.failure
    first.end()
    assert not first.write()
    assert not second.write()
    assert plays(path) == SECOND * 2


@pytest.mark.parametrize("torn", [0, 1, HEAD_OCTETS - 1])
def test_a_file_that_ends_in_its_head_is_begun_anew(path: Path, torn: int) -> None:
    path.write_bytes(head(0)[:torn])
    file = RecordingFile(path)
    file.put(SECOND)
    file.end()
    file.write()
    assert plays(path) == SECOND


@pytest.mark.parametrize(("said", "there"), [(0, 33), (16_000, 320), (322, 321), (320, 320)])
def test_mending_goes_by_what_is_there(path: Path, said: int, there: int) -> None:
    path.write_bytes(head(said) + bytes(there))
    with open(path, "r+b") as file:
        assert mend(file.fileno()) == there & ~1
    assert path.read_bytes() == head(there & ~1) + bytes(there & ~1)


def test_a_file_that_is_none_of_ours_is_left_alone(path: Path) -> None:
    path.write_bytes(b"RIFF" + bytes(100))
    file = RecordingFile(path)
    file.put(SECOND)
    assert not file.write()
    assert file.failure == "it is no recording of ours"
    assert not file.put(SECOND)
    assert path.read_bytes() == b"RIFF" + bytes(100)


def test_a_link_is_not_followed(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    file = RecordingFile(path)
    assert not file.write()
    assert file.failure
    assert not path.with_name("elsewhere").exists()


def test_a_folder_that_is_gone_ends_it(path: Path) -> None:
    file = RecordingFile(path / "no" / "CA1.wav")
    assert file.put(SECOND)
    assert not file.write()
    assert file.failure == os.strerror(errno.ENOENT)


def test_a_disk_that_is_behind_ends_it(path: Path) -> None:
    file = RecordingFile(path)
    for _ in range(LIMIT_MS // 1000):
        assert file.put(SECOND)
    assert not file.put(SECOND)
    assert file.failure == f"the disk is {LIMIT_MS + 1000} ms behind"
    assert not file.put(b"")
    assert not file.write()


def test_a_disk_that_is_behind_and_then_is_not(path: Path) -> None:
    file = RecordingFile(path)
    for _ in range(3):
        for _ in range(LIMIT_MS // 1000):
            assert file.put(SECOND)
        assert file.write()
    assert path.stat().st_size == HEAD_OCTETS + 3 * LIMIT_MS * OCTETS_A_MS


def test_a_disk_that_is_full_leaves_what_there_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RecordingFile(path)
    file.put(SECOND)
    file.write()
    real, room = os.pwrite, 5000

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        nonlocal room
        if at and not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        n = real(descriptor, bytes(data)[:room] if at else data, at)
        room -= n if at else 0
        return n

    monkeypatch.setattr(os, "pwrite", pwrite)
    file.put(SECOND)
    assert not file.write()
    assert file.failure == os.strerror(errno.ENOSPC)
    assert not file.put(SECOND)
    assert plays(path) == SECOND
    assert path.stat().st_size == HEAD_OCTETS + len(SECOND)
    with open(path, "rb") as again:
        lock(again.fileno())  # it is nobody's any more
