import subprocess
import sys

import pytest

from doctor_world import KEYS, look, situation
from voice_ai.errors import UsageError
from voice_ai.providers.local import weights
from voice_ai.server.doctor import checks_local as checks

LOCAL = (checks.local_packages, checks.local_weights, checks.local_whisper, checks.local_imports)


@pytest.mark.parametrize("check", LOCAL, ids=lambda check: check.name)
def test_with_keys_no_local_model_matters(check):
    assert look(check, situation(**KEYS)).state == "skipped"


def test_packages_that_are_missing(monkeypatch):
    monkeypatch.setitem(weights.HEARING_PACKAGES, "no_such_ears", "no-such-ears")
    with pytest.raises(UsageError, match="need no-such-ears"):
        look(checks.local_packages, situation())
    where = situation(tts="local", stt="deepgram")
    monkeypatch.setitem(weights.SPEAKING_PACKAGES, "no_such_mouth", "no-such-mouth")
    with pytest.raises(UsageError, match="need no-such-mouth"):
        look(checks.local_packages, where)


def test_a_model_that_is_not_the_one_that_was_measured(monkeypatch, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"another")
    monkeypatch.setattr(weights, "folder_of", lambda _: tmp_path)
    monkeypatch.setattr(weights, "SILERO_FILES", {"model.bin": "0" * 64})
    outcome = look(checks.local_weights, situation())
    assert outcome.state == "failed" and "SHA-256" in outcome.found


def test_a_model_that_is_not_installed(monkeypatch):
    def missing(_: str) -> None:
        raise UsageError("not installed")

    monkeypatch.setattr(weights, "folder_of", missing)
    assert look(checks.local_weights, situation()).state == "skipped"


def test_another_whisper_model(tmp_path):
    assert look(checks.local_whisper, situation()).state == "skipped"
    where = situation(local_stt_model=str(tmp_path))
    assert look(checks.local_whisper, where).found.endswith("has no model.bin")
    (tmp_path / "model.bin").touch()
    assert look(checks.local_whisper, where).state == "ok"
    where = situation(local_stt_model=str(tmp_path / "gone"))
    assert look(checks.local_whisper, where).state == "failed"
    assert look(checks.local_whisper, situation(local_stt_model="base.en")).state == "ok"


def test_a_library_that_cannot_be_imported(monkeypatch):
    def dies(code: str):
        run = subprocess.run
        monkeypatch.setattr(
            checks.subprocess,
            "run",
            lambda _, **options: run((sys.executable, "-c", code), **options),
        )
        try:
            return look(checks.local_imports, situation())
        finally:
            monkeypatch.undo()

    outcome = dies("raise ImportError('libgomp.so.1: cannot open shared object file')")
    assert outcome.state == "failed" and "libgomp.so.1" in outcome.found
    outcome = dies("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert outcome.state == "failed" and "lacks an instruction" in outcome.found
    monkeypatch.setattr(checks, "IMPORT_S", 0.1)
    outcome = dies("import signal; signal.pause()")
    assert outcome.state == "failed" and "within" in outcome.found


@pytest.mark.local
def test_the_models_that_are_installed():
    for check in (checks.local_packages, checks.local_weights, checks.local_imports):
        assert look(check, situation()).state == "ok", check.name
