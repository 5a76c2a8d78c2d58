"""What callers are told of being recorded, in whose words, and whether they can talk over it."""

from pathlib import Path

import pytest

from voice_ai import Agent
from voice_ai.errors import UsageError
from voice_ai.server.agents import load_agent
from voice_ai.server.providers import _notice, _rules
from voice_ai.server.settings import load_settings


def notice(agent: Agent, **given: object) -> str:
    return _notice(load_settings(None, **given), agent)


def test_nothing_where_nothing_is_recorded() -> None:
    agent = Agent(instructions="x", recording_notice="We listen.")
    assert notice(agent, recording_notice="They listen.") == ""
    assert not _rules(load_settings(None), agent).greeting_protected


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "This call is recorded."),
        ("de", "Dieses Gespräch wird aufgezeichnet."),
        ("es", "Esta llamada se está grabando."),
        ("fr", "This call is recorded."),
    ],
)
def test_by_the_language(language: str, words: str) -> None:
    assert notice(Agent(instructions="x", language=language), record=True) == words


def test_by_the_settings_and_before_them_by_the_agent() -> None:
    agent = Agent(instructions="x", language="de")
    assert notice(agent, record=True, recording_notice="Wir hören zu.") == "Wir hören zu."
    own = Agent(instructions="x", recording_notice="We listen.")
    assert notice(own, record=True, recording_notice="They listen.") == "We listen."


def test_in_an_agent_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text('instructions = "x"\nrecording_notice = "We listen."\n')
    assert load_agent(str(path)).recording_notice == "We listen."


def test_an_empty_one_is_refused() -> None:
    with pytest.raises(UsageError, match="recording_notice cannot be empty"):
        Agent(instructions="x", recording_notice=" ")


def test_it_cannot_be_talked_over() -> None:
    agent = Agent(instructions="x")
    assert _rules(load_settings(None, record=True), agent).greeting_protected


@pytest.mark.parametrize(
    ("name", "value"),
    [("recording_retention_days", 0), ("recordings_max_mb", 0), ("record", "maybe")],
)
def test_settings_that_cannot_be(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name.upper()):
        load_settings(None, **{name: value})
