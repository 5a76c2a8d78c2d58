"""`python -m server load`: what is refused, and a load on the real server over both SDKs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from voice_ai.errors import UsageError
from voice_ai.server import loading
from voice_ai.server.settings import Settings

LIMIT_S = 120


def newcomer():
    """An environment without any setting of ours."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours}


def load(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "server", "load", *arguments],
        cwd=cwd,
        # asyncio's debug mode tells of slow steps, which a busy machine has.
        env=newcomer() | {"PYTHONASYNCIODEBUG": ""},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


OPTIONS = {
    "calls": 1,
    "seconds": 1.0,
    "warmup": 0.0,
    "program": "",
    "server": "",
    "pid": None,
    "stt_audio": "linear16/16000",
    "tts_audio": "linear16/16000",
    "tts_chunk_ms": 20,
    "llm_ms": 0.0,
    "barge_in": False,
    "watch": False,
    "workers": 1,
    "pin": True,
    "sweep": "",
    "json": False,
    "out": None,
    "picture": None,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sweep": "10,many"}, "--sweep is '10,many'; needed e.g. 10,50,100"),
        ({"calls": 3000}, "a load of 3000 calls; from 1 to 2000"),
        ({"sweep": "0"}, "a load of 0 calls"),
        ({"pid": 1}, "--pid needs --server"),
        ({"server": "http://127.0.0.1:1", "workers": 2}, "--server runs already"),
        ({"out": Path("nowhere/load.json")}, "there is no folder nowhere"),
        ({"program": "'"}, "--program is"),
        ({"server": "there"}, "the server's URL is 'there'"),
    ],
)
def test_misuse(changes, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        loading.load(Settings(_env_file=None), **(OPTIONS | changes))


def test_a_picture_needs_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "voice_ai.phone.load.picture", raising=False)
    with pytest.raises(UsageError, match="--picture needs it: pip install 'voice_ai\\[load\\]'"):
        loading.load(Settings(_env_file=None), **(OPTIONS | {"picture": tmp_path / "load.png"}))


def test_the_command_line_says_what_is_wrong(tmp_path):
    ended = load("--sweep", "10,many", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "server: --sweep is '10,many'" in ended.stderr


def test_a_program_that_does_not_come_up(tmp_path):
    command = f"{sys.executable} -c \"print('no port for me'); raise SystemExit(3)\""
    ended = load("--program", command, cwd=tmp_path)
    assert ended.returncode == 1
    assert "ended with 3; it said:\nno port for me" in ended.stderr


def test_no_program(tmp_path):
    ended = load("--program", "/nowhere/server", cwd=tmp_path)
    assert ended.returncode == 1
    assert "/nowhere/server cannot be run: No such file or directory" in ended.stderr


def test_no_server(tmp_path):
    ended = load("--server", "http://127.0.0.1:1", "--calls", "2", "--seconds", "1", cwd=tmp_path)
    assert ended.returncode == 1
    assert "Missed: 0 of 2 calls were up at the end." in ended.stdout
    assert "no answer from http://127.0.0.1:1/incoming-call" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--tts-audio", "mulaw/8000", "--stt-audio", "mulaw/8000", "--tts-chunk-ms", "100"],
        ["--program", f"{sys.executable} -m server"],
    ],
)
def test_a_load_on_the_real_server(tmp_path, arguments):
    options = ["--calls", "5", "--seconds", "3", "--json", "--out", "load.json"]
    ended = load(*options, *arguments, cwd=tmp_path)
    assert ended.stderr == ""
    result = json.loads(ended.stdout)
    assert json.loads((tmp_path / "load.json").read_text()) == result
    assert result["missed"] == []
    # A busy machine makes the callers late, and then the figures do not count.
    assert ended.returncode == (0 if result["valid"] else 1)
    assert result["frames"]["in"]["sent"] >= 5 * 140
    assert result["frames"]["in"]["received"] >= 5 * 130
    assert result["frames"]["out"]["received"] > 0
    assert result["server"]["cpu_us_per_frame_pair"] > 0
    assert result["added_delay_ms"]["caller_to_flux"]["n"] > 100
    assert [call["call"] for call in result["calls"]] == [0, 1, 2, 3, 4]
    assert left_over() == []


def test_turns_are_measured_by_stage(tmp_path):
    options = ["--calls", "5", "--seconds", "9", "--warmup", "0", "--llm-ms", "50", "--json"]
    ended = load(*options, cwd=tmp_path)
    result = json.loads(ended.stdout)
    assert result["missed"] == []
    for name, times in result["turn_ms"].items():
        assert times is not None, name
    # Of two processes: their clocks are one, and the timer's is read in whole milliseconds.
    assert result["turn_ms"]["request_to_first_token"]["p50"] >= 49
    assert result["turn_ms"]["total"]["p50"] >= 49


def left_over():
    """Return the commands of processes of a load that are still there."""
    lines = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        line = process.info["cmdline"] or []
        environment = process.info["environ"] or {}
        if environment.get("PYTEST_CURRENT_TEST") == os.environ["PYTEST_CURRENT_TEST"]:
            lines.append(line)
    return [line for line in lines if "voice_ai.phone.load.services" in line or "server" in line]
