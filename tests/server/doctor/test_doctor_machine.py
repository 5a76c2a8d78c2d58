import os
import shutil
import sys
from collections import namedtuple
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError

import pytest

from doctor_world import KEYS, look, situation
from voice_ai import codec
from voice_ai.server.doctor import checks_capacity as capacity
from voice_ai.server.doctor import checks_machine as machine
from voice_ai.server.doctor import checks_program as program
from voice_ai.server.doctor.machine import this_machine

MB = 1024**2
Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({"max_calls": 100, **KEYS}, "warning", "MAX_CALLS=100, but AURA_CONCURRENCY is 40"),
        (
            {"flux_concurrency": 1, "flux_spare": True, **KEYS},
            "failed",
            "FLUX_CONCURRENCY leaves 0",
        ),
        ({"max_calls": 5, **KEYS}, "ok", "5 calls at once, by MAX_CALLS"),
        ({}, "ok", "8 calls at once, by what local models carry"),
    ],
)
def test_which_limit_is_the_narrowest(settings, state, words):
    outcome = look(capacity.concurrency, situation(**settings))
    assert outcome.state == state and words in outcome.found


@pytest.mark.parametrize(
    ("limits", "settings", "state"),
    [
        ({"max_descriptors": 256}, KEYS, "failed"),
        ({"max_descriptors": sys.maxsize}, {**KEYS, "aura_concurrency": 4000}, "ok"),
        ({"max_descriptors": 1024}, {}, "ok"),
    ],
)
def test_descriptors_for_all_calls(limits, settings, state):
    assert look(capacity.descriptors, situation(machine=limits, **settings)).state == state


def test_a_containers_limit_is_named_so():
    where = situation(machine={"max_descriptors": 64, "in_container": True})
    assert "in this container" in look(capacity.descriptors, where).found


@pytest.mark.parametrize(
    ("n_cpus", "settings", "state"),
    [
        (2, {"workers": 4}, "warning"),
        (0.5, KEYS, "warning"),
        (1, {}, "warning"),
        (1, KEYS, "ok"),
        (4, {"workers": 4, **KEYS}, "ok"),
    ],
)
def test_cpus_for_all_processes(n_cpus, settings, state):
    where = situation(machine={"n_cpus": n_cpus}, **settings)
    assert look(capacity.cpus, where).state == state


@pytest.mark.parametrize(
    ("octets", "settings", "state"),
    [
        (300 * MB, {}, "failed"),
        (1000 * MB, {"workers": 4}, "failed"),
        (1000 * MB, {"workers": 4, **KEYS}, "ok"),
        (None, {}, "skipped"),
    ],
)
def test_memory_for_processes_models_and_calls(octets, settings, state):
    where = situation(machine={"memory_octets": octets}, **settings)
    assert look(capacity.memory, where).state == state


@pytest.mark.parametrize(
    ("year", "kept", "state"),
    [(1970, True, "failed"), (2026, False, "warning"), (2026, None, "ok"), (2026, True, "ok")],
)
def test_the_clock(year, kept, state):
    where = situation(now=datetime(year, 11, 1, tzinfo=UTC), machine={"is_clock_kept": kept})
    assert look(machine.clock, where).state == state


def test_a_folder_for_calls(tmp_path, monkeypatch):
    assert look(machine.data_folder, situation(folder=tmp_path)).found.endswith("can be made")
    (tmp_path / "data").mkdir()
    assert look(machine.data_folder, situation(folder=tmp_path)).found.endswith("can be written")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert look(machine.data_folder, situation(folder=tmp_path)).state == "failed"


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "data").touch()
    outcome = look(machine.data_folder, situation(folder=tmp_path))
    assert outcome.state == "failed" and "is no folder" in outcome.found


@pytest.mark.parametrize(
    ("free", "state"), [(MB, "failed"), (500 * MB, "warning"), (5000 * MB, "ok")]
)
def test_room_on_the_disk(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    assert look(machine.disk, situation(folder=tmp_path)).state == state


@pytest.mark.parametrize(
    ("migrates", "settings", "state"),
    [
        (False, {"workers": 2}, "warning"),
        (False, {"reuse_port": True}, "warning"),
        (True, {"workers": 2}, "ok"),
        (None, {"workers": 2}, "skipped"),
        (False, {}, "skipped"),
    ],
)
def test_the_hand_over_of_connections(migrates, settings, state):
    where = situation(machine={"migrates_requests": migrates}, **settings)
    assert look(machine.hand_over, where).state == state


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 9), "failed"), ((3, 15, 0), "failed"), ((3, 14, 1), "ok")]
)
def test_the_version_of_python(version, state):
    assert look(program.python, situation(machine={"python": version})).state == state


def test_a_codec_that_is_older_than_its_source(monkeypatch):
    assert look(program.compiled_codec, situation()).state == "ok"
    from voice_ai.codec import _g711  # noqa: PLC0415 (named nowhere else)

    monkeypatch.delattr(_g711, "ulaw_encode")
    outcome = look(program.compiled_codec, situation())
    assert outcome.state == "failed" and "_g711.ulaw_encode" in outcome.found


def test_another_version_than_the_installed_one(monkeypatch):
    installed = {"voice_ai": "0.0.9"}
    monkeypatch.setattr(program.importlib.metadata, "version", installed.__getitem__)
    assert look(program.version, situation()).state == "warning"
    installed["voice_ai"] = program.__version__
    assert look(program.version, situation()).state == "ok"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(program.importlib.metadata, "version", missing)
    assert look(program.version, situation()).state == "warning"


@pytest.mark.parametrize(
    ("kernel", "arch", "state"),
    [("portable", "x86_64", "warning"), ("portable", "riscv64", "ok"), ("avx2", "x86_64", "ok")],
)
def test_the_kernels(monkeypatch, kernel, arch, state):
    named = {"g711": kernel, "fir": "avx2", "base64": "avx2", "soxr": "libsoxr-0.1.3"}
    monkeypatch.setattr(codec, "info", lambda: named)
    assert look(program.kernels, situation(machine={"arch": arch})).state == state


@pytest.mark.parametrize(
    ("name", "resampler", "state"),
    [
        ("none: soxr is not here", "soxr", "failed"),
        ("none: soxr is not here", "fir", "warning"),
        ("libsoxr-0.1.3, through python-soxr", "soxr", "warning"),
        ("libsoxr-0.1.3, from the soxr wheel", "soxr", "ok"),
        ("libsoxr-0.1.3, from the soxr wheel", "fir", "ok"),
    ],
)
def test_which_libsoxr(monkeypatch, name, resampler, state):
    monkeypatch.setattr(codec, "info", lambda: {"soxr": name})
    assert look(program.soxr, situation(resampler=resampler)).state == state


def test_packages_that_are_missing(monkeypatch):
    assert look(program.event_loop, situation()).state == "ok"
    assert look(program.packages, situation(**KEYS)).state == "ok"
    found = program.importlib.util.find_spec
    gone = {"uvloop", "websockets.legacy", "openai"}
    monkeypatch.setattr(
        program.importlib.util, "find_spec", lambda name: None if name in gone else found(name)
    )
    assert look(program.event_loop, situation()).state == "failed"
    outcome = look(program.packages, situation(**KEYS))
    assert (outcome.state, outcome.found) == ("failed", "not installed: websockets<18, openai")
    assert look(program.packages, situation()).state == "ok"


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"log_transcripts": True}, "warning"),
        ({"debug": True, "host": "0.0.0.0"}, "warning"),
        ({"debug": True}, "ok"),
    ],
)
def test_what_the_log_tells(settings, state):
    assert look(program.clean_log, situation(**settings)).state == state


def test_a_machine_is_read_from_its_files(tmp_path):
    for name, text in {
        "proc/meminfo": "MemTotal:        2048 kB\nMemFree: 1 kB\n",
        "proc/sys/net/ipv4/tcp_migrate_req": "1\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
        "sys/fs/cgroup/memory.max": f"{MB}\n",
        ".dockerenv": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = this_machine(tmp_path)
    assert (found.n_cpus, found.memory_octets) == (0.5, MB)
    assert found.migrates_requests is True and found.in_container
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    found = this_machine(tmp_path)
    assert found.memory_octets == 2 * MB and found.n_cpus >= 1


def test_a_machine_that_tells_nothing(tmp_path):
    found = this_machine(tmp_path)
    assert (found.memory_octets, found.migrates_requests, found.in_container) == (None, None, False)
    assert found.max_descriptors > 0
