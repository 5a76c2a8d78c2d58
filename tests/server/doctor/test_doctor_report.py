"""What is printed, that nothing stops the rest, and that nothing secret is told."""

import asyncio
import json
import os
import re
import sys
import threading
from pathlib import Path

import pytest

from doctor_world import AUTH_TOKEN, KEY, KEYS, OPENAI_KEY, situation
from voice_ai.errors import PeerError
from voice_ai.server.doctor import running
from voice_ai.server.doctor.catalogue import CHECKS
from voice_ai.server.doctor.outcome import Check, check, failed, live, ok, skipped, warning
from voice_ai.server.doctor.report import as_json, as_markdown, as_text, problems, summary
from voice_ai.server.doctor.running import Finding, find
from voice_ai.server.doctor.situation import look_around

ROOT = Path(__file__).parents[3]
TROUBLESHOOTING = ROOT / "docs" / "TROUBLESHOOTING.md"


def made(name: str, outcome) -> Finding:
    return Finding(Check(name, f"symptom of {name}", f"remedy of {name}"), outcome)


FINDINGS = [
    made("fine", ok("it is fine")),
    made("meagre", warning("it is slow", "buy a faster one")),
    made("absent", skipped("it is not used")),
    made("broken", failed("it is broken\nin two places")),
]


def test_nothing_to_tell():
    assert as_text([]).strip() == "Nothing was looked at."
    assert json.loads(as_json([], "1"))["ok"] is True


def test_the_worst_comes_first_with_what_to_do():
    text = as_text(FINDINGS)
    assert [finding.check.name for finding in problems(FINDINGS)] == ["broken", "meagre"]
    assert re.search(r"1\. failed: broken\n.*symptom of broken", text)
    assert "remedy of broken" in text and "in two places" in text
    assert "buy a faster one" in text and "remedy of meagre" not in text
    assert text.index("1. failed: broken") < text.index("2. warning: meagre")
    last = text.splitlines()[-1]
    assert last == "1 failed, 1 warning, 1 skipped, 1 ok. Begin with broken."
    assert "\x1b" not in text


def test_colours_are_for_terminals_and_change_no_word():
    coloured = as_text(FINDINGS, colours=True)
    assert "\x1b[31;1m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == as_text(FINDINGS)


@pytest.mark.parametrize("width", [20, 60, 80, 110])
def test_lines_fit_the_terminal(width):
    findings = [made("long", failed("word " * 100)), *FINDINGS]
    text = as_text(findings, width=width)
    assert max(map(len, text.splitlines())) <= max(width, 60)


def test_all_well():
    assert summary([FINDINGS[0]]) == "1 ok. Nothing to do."


def test_programs_are_told_the_same():
    document = json.loads(as_json(FINDINGS, "1.2"))
    assert (document["ok"], document["version"]) == (False, "1.2")
    assert document["counts"] == {"failed": 1, "warning": 1, "skipped": 1, "ok": 1}
    assert document["checks"][1] == {
        "name": "meagre",
        "state": "warning",
        "found": "it is slow",
        "symptom": "symptom of meagre",
        "do": "buy a faster one",
        "live": False,
    }
    assert document["checks"][0]["do"] == ""


@check("raises", "x", "y")
def raises(_):
    raise KeyError("a bug")


@check("leaves", "x", "y")
def leaves(_):
    raise SystemExit(3)


@check("peer", "x", "y")
def peer(_):
    raise PeerError(f"it said {KEY}")


@check("hangs", "x", "y")
def hangs(_):
    threading.Event().wait(30)


@live("waits", "x", "y")
async def waits(_):
    await asyncio.Event().wait()


@check("works", "x", "y")
def works(_):
    return ok("well")


async def test_whatever_one_check_does_the_others_go_on(monkeypatch):
    monkeypatch.setattr(running, "LOOK_S", 0.3)
    monkeypatch.setattr(running, "ATTEMPT_S", 0.3)
    checks = [raises, leaves, peer, hangs, waits, works]
    findings = await find(checks, situation(**KEYS))
    assert [finding.check.name for finding in findings] == [check.name for check in checks]
    states = [finding.outcome.state for finding in findings]
    assert states == ["failed"] * 5 + ["ok"]
    assert "KeyError" in findings[0].outcome.found
    assert findings[2].outcome.found == "it said ***"
    assert findings[3].outcome.found == findings[4].outcome.found == "no result within 0.3 s"


def test_every_check_has_a_name_of_its_own_a_symptom_and_a_remedy():
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names)) >= 40
    for one in CHECKS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one.name), one.name
        assert (one.look is None) != (one.attempt is None), one.name
        for text in (one.symptom, one.remedy):
            assert text[-1] in ".;?”" and "|" not in text, one.name


@pytest.mark.skipif(not TROUBLESHOOTING.is_file(), reason="only beside the source")
def test_the_document_has_the_table_of_the_checks():
    assert as_markdown(CHECKS) in TROUBLESHOOTING.read_text(), (
        "put there what this prints: python -c 'from voice_ai.server.doctor import catalogue, "
        "report; print(report.as_markdown(catalogue.CHECKS))'"
    )


# The whole command, in a process of its own.


async def doctor(folder: Path, *options: str, **settings: str) -> tuple[int, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "doctor", *options),
        env=kept | {"PYTHONPATH": str(ROOT / "src"), "PORT": "0"} | settings,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_broken_settings_are_the_first_finding_and_the_rest_is_looked_at(tmp_path):
    broken = {"PORT": "many", "PUBLIC_URL": "http://me.example.com/x", "DEEPGRAM_API_KEY": " "}
    (tmp_path / ".env").write_text(
        f'OPENAI_API_KEY="{OPENAI_KEY} x"\nTWILIO_AUTH_TOKEN={AUTH_TOKEN}\n'
    )
    code, said = await doctor(tmp_path, "--json", **broken)
    document = json.loads(said)
    assert code == 1 and document["ok"] is False
    by_name = {one["name"]: one for one in document["checks"]}
    first = document["checks"][0]
    assert first["name"] == "settings" and first["state"] == "failed"
    assert "PORT=many" in first["found"] and "DEEPGRAM_API_KEY" in first["found"]
    assert by_name["public-url"]["state"] == by_name["openai-key"]["state"] == "failed"
    assert by_name["codec"]["state"] == by_name["python"]["state"] == "ok"
    assert not any(one["live"] for one in document["checks"])
    assert "this check itself failed" not in said
    for secret in (OPENAI_KEY, AUTH_TOKEN):
        assert secret not in said


async def test_an_agent_that_raises_is_a_finding_and_keeps_no_secret(tmp_path):
    (tmp_path / "shop.py").write_text(
        "import os\nraise RuntimeError(os.environ['OPENAI_API_KEY'])\n"
    )
    code, said = await doctor(tmp_path, AGENT="shop:agent", OPENAI_API_KEY=OPENAI_KEY)
    assert code == 1
    assert "shop:agent raised RuntimeError" in said and "line 2" in said
    assert OPENAI_KEY not in said and "Traceback" not in said
    assert "1. failed: agent" in said


async def test_a_machine_where_all_is_well(tmp_path):
    (tmp_path / "desk.toml").write_text('instructions = "Be brief."\ngreeting = "Hello."\n')
    keys = {name.upper(): value for name, value in KEYS.items()}
    public = {"PUBLIC_URL": "https://me.example.com", "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
    code, said = await doctor(tmp_path, AGENT="desk.toml", **keys, **public)
    assert code == 0, said
    assert said.splitlines()[0].split()[:2] == ["settings", "ok"]
    assert " failed" not in said and "this check itself failed" not in said


async def test_a_file_of_settings_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    monkeypatch.chdir(tmp_path)
    found = await look_around()
    assert ".env cannot be read" in found.problems[0] and found.written == {}


async def test_an_agent_that_never_ends_its_import(tmp_path, monkeypatch):
    (tmp_path / "endless_shop.py").write_text("import threading\nthreading.Event().wait(60)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT", "endless_shop:agent")
    monkeypatch.setattr("voice_ai.server.doctor.situation.AGENT_S", 0.3)
    found = await look_around()
    assert found.agent is None and "still being imported" in found.agent_problem
