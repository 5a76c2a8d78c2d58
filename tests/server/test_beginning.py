"""`python -m server init`: what it writes is complete, private, and runs as it is."""

import importlib.metadata
import stat
from pathlib import Path

import pytest
from processes import faults, started

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import ulaw_encode
from voice_ai.errors import UsageError
from voice_ai.phone import CallPlan, place_call, tones
from voice_ai.phone.recording import read_recording
from voice_ai.server import beginning as module
from voice_ai.server.agents import load_agent
from voice_ai.server.beginning import begin, dotenv, rows
from voice_ai.server.settings import KEYS, Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load(folder: Path) -> Settings:
    return load_settings(folder / ".env")


@pytest.mark.parametrize("name", ["agent.py", ".env"])
def test_what_is_there_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=rf"{name} exist; --force writes over them"):
        begin(tmp_path, toml=False, force=False)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_unless_it_is_forced_and_then_env_is_private_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("mine")
    (tmp_path / ".env").chmod(0o644)
    begin(tmp_path, toml=False, force=True)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert load(tmp_path).agent == "agent:agent"


def test_the_next_two_commands_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path / "my shop", toml=True, force=False)
    said = capsys.readouterr().out
    assert said.count(f"cd '{tmp_path}/my shop' && python -m server --") == 2
    assert stat.S_IMODE((tmp_path / "my shop" / ".env").stat().st_mode) == 0o600
    monkeypatch.chdir(tmp_path)
    begin(Path("."), toml=False, force=False)
    assert "cd " not in capsys.readouterr().out


def test_every_setting_is_in_env_with_what_the_readme_says() -> None:
    text = dotenv("agent:agent")
    names = [line.lstrip("#").partition("=")[0] for line in text.splitlines() if "=" in line]
    for name in Settings.model_fields:
        assert names.count(name.upper()) == 1, name
    readme = (ROOT / "README.md").read_text().replace("`", "")
    assert len(list(rows())) > 30
    for row in rows():
        assert f"| {', '.join(row.names)} | {row.text} |" in readme


def test_what_is_commented_out_are_the_defaults(tmp_path: Path) -> None:
    lines = dotenv("agent.toml").splitlines()
    given = [line for line in lines if not line.startswith("# ")]
    (tmp_path / ".env").write_text("\n".join(line.removeprefix("#") for line in given))
    # A blank key is a lost one, and told.
    blank = [line for line in given if line.lower()[1:-1] in KEYS]
    assert len(blank) == len(KEYS)
    kept = [line.removeprefix("#") for line in given if line not in blank]
    (tmp_path / ".env").write_text("\n".join(kept))
    assert load(tmp_path) == Settings(_env_file=None, agent="agent.toml")


def test_as_it_is_only_the_agent_is_set(tmp_path: Path) -> None:
    begin(tmp_path, toml=False, force=False)
    assert load(tmp_path) == Settings(_env_file=None, agent="agent:agent")


def test_a_setting_that_the_readme_forgets_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    readme = module._readme().replace("| `DRAIN_S` |", "| `DRAIN` |")
    monkeypatch.setattr(module, "_readme", lambda: readme)
    assert "# see the README\n#DRAIN_S=300\n" in dotenv("agent:agent")


def test_an_installed_package_has_the_readme_as_its_description() -> None:
    """Which one is installed here may be older than the source; its table is there."""
    description = importlib.metadata.metadata("voice_ai").json.get("description")
    if not description:
        pytest.skip("installed without a description")
    assert isinstance(description, str)
    assert module.ROW.findall(module.SECTION.findall(description)[0])


def test_the_agent_of_toml_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, toml=True, force=False)
    monkeypatch.chdir(tmp_path)
    agent = load_agent(load(tmp_path).agent)
    assert agent.greeting == "Two Wheels, hello. How can I help you?"
    assert agent.answers[0].ends_call


async def test_the_server_runs_with_it_and_takes_a_call(tmp_path: Path) -> None:
    begin(tmp_path, toml=False, force=False)
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, AGENT=None) as server,
    ):
        await server.until("Ready.")
        assert "Agent: agent:agent, 1 tool" in server.said
        said = [ulaw_encode(tones.encode("Are you open?"))]
        result = await place_call(CallPlan(server_url=server.url, utterances=said, quiet_ms=300.0))
        assert faults(result) == []
        assert result.transcript is not None
        assert result.transcript["turns"][0]["caller"] == "Are you open?"
        assert "Two Wheels" in result.transcript["greeting"]
        assert "opening_hours" in str(openai.requests[-1]["tools"])


@pytest.mark.local
async def test_without_keys_it_answers_too(tmp_path: Path) -> None:
    begin(tmp_path, toml=False, force=False)
    keys = ("DEEPGRAM_API_KEY", "DEEPGRAM_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL")
    nothing = dict.fromkeys((*keys, "OPENAI_MODEL", "AGENT"))
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, **nothing) as server,
    ):
        await server.until("Ready.")
        said = [read_recording(ROOT / "tests" / "data" / "speech" / "goforward.wav")]
        result = await place_call(CallPlan(server_url=server.url, utterances=said))
        assert faults(result) == []
        assert result.transcript is not None
        assert "Two Wheels" in result.transcript["greeting"]
        assert result.transcript["turns"][0]["heard"].startswith("I heard: Go forward")
