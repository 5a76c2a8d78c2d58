import pytest

from doctor_world import KEYS, PUBLIC, look, situation
from voice_ai import Agent, Answer
from voice_ai.server.doctor import checks_settings as checks

SCRIPTED = Agent(instructions="x", answers=[Answer(("hours",), "Nine to five.")])
TRANSFERS = Agent(instructions="x", transfers={"desk": "+15550100009"})


def test_every_problem_of_the_settings_is_told():
    outcome = look(checks.settings, situation(problems=("PORT=x is no number", "HOST is odd")))
    assert (outcome.state, outcome.found) == ("failed", "PORT=x is no number\nHOST is odd")


def test_settings_without_a_problem_are_counted():
    outcome = look(checks.settings, situation(port=situation().port, host="127.0.0.1"))
    assert outcome.state == "ok" and outcome.found.startswith("1 of ")


@pytest.mark.parametrize(
    ("written", "environ", "words"),
    [
        ({"OPENAI_APIKEY": "x"}, {}, "OPENAI_APIKEY is no setting; OPENAI_API_KEY is"),
        ({"PUBLIC_URL": "https://a.b"}, {"PUBLIC_URL": "https://c.d"}, "PUBLIC_URL is overruled"),
        ({"PORT": "1"}, {"port": "2"}, "PORT is overruled"),
    ],
)
def test_a_line_without_effect_is_named(written, environ, words):
    outcome = look(checks.env_file, situation(written=written, environ=environ))
    assert outcome.state == "warning" and words in outcome.found


def test_lines_of_others_and_lines_that_agree_are_no_matter():
    where = situation(written={"POSTGRES_USER": "me", "PORT": "1"}, environ={"PORT": "1"})
    assert look(checks.env_file, where).state == "ok"
    assert look(checks.env_file, situation()).state == "skipped"


@pytest.mark.parametrize(("mode", "state"), [(0o644, "warning"), (0o640, "warning"), (0o600, "ok")])
def test_a_file_of_keys_that_others_can_read(tmp_path, mode, state):
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(mode)
    where = situation(folder=tmp_path, written={"OPENAI_API_KEY": "sk-secret"})
    assert look(checks.env_file_mode, where).state == state


def test_a_file_without_keys_may_be_read(tmp_path):
    assert look(checks.env_file_mode, situation(folder=tmp_path)).state == "skipped"
    (tmp_path / ".env").touch(0o644)
    where = situation(folder=tmp_path, written={"PORT": "1"})
    assert look(checks.env_file_mode, where).state == "ok"


def test_an_agent_that_does_not_load_is_told_in_its_words():
    outcome = look(checks.agent, situation(agent=None))
    assert (outcome.state, outcome.found) == ("failed", "there is no module 'shop'")
    assert look(checks.agent, situation()).state == "ok"


def test_without_a_model_an_agent_needs_answers():
    assert look(checks.agent_answers, situation()).state == "warning"
    assert look(checks.agent_answers, situation(agent=SCRIPTED)).state == "ok"
    assert look(checks.agent_answers, situation(**KEYS)).state == "skipped"


def test_transfers_need_twilios_credentials():
    outcome = look(checks.transfers, situation(agent=TRANSFERS, **PUBLIC))
    assert outcome.state == "failed" and "TWILIO_ACCOUNT_SID is not set" in outcome.found
    where = situation(agent=TRANSFERS, twilio_account_sid="AC" + "5" * 32, **PUBLIC)
    assert look(checks.transfers, where).state == "ok"
    assert look(checks.transfers, situation()).state == "skipped"


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"eot_timeout_ms": 700}, "warning"),
        ({"eot_timeout_ms": 9000}, "warning"),
        ({"eot_threshold": 0.95}, "warning"),
        ({}, "ok"),
    ],
)
def test_when_a_turn_is_over(settings, state):
    assert look(checks.end_of_turn, situation(**KEYS, **settings)).state == state


def test_the_local_recogniser_ends_turns_by_itself():
    assert look(checks.end_of_turn, situation(eot_timeout_ms=700)).state == "skipped"


@pytest.mark.parametrize(
    ("threshold", "history", "state"),
    [
        (None, "local", "skipped"),
        (0.5, "conversation", "failed"),
        (0.3, "local", "warning"),
        (0.55, "local", "warning"),
        (0.45, "local", "ok"),
    ],
)
def test_the_threshold_of_drafts(threshold, history, state):
    where = situation(eager_eot_threshold=threshold, history=history)
    assert look(checks.eager, where).state == state
