"""What can be told of keys, models and voices by looking at the settings alone."""

from datetime import UTC, datetime

import pytest

from doctor_world import AUTH_TOKEN, KEY, KEYS, OPENAI_KEY, look, situation
from voice_ai import Agent
from voice_ai.server.doctor import checks_keys as keys
from voice_ai.server.doctor import checks_model as models

SID = "AC" + "5" * 32
OPENAI = {"openai_api_key": OPENAI_KEY, "openai_model": "gpt-5.6-luna"}


@pytest.mark.parametrize(
    ("check", "settings", "state", "words"),
    [
        (keys.deepgram_key, {"deepgram_api_key": OPENAI_KEY}, "failed", "an OpenAI key, not a D"),
        (keys.deepgram_key, {"deepgram_api_key": "short"}, "warning", "5 characters"),
        (keys.deepgram_key, {"stt": "deepgram"}, "failed", "DEEPGRAM_API_KEY cannot be used"),
        (keys.deepgram_key, {}, "skipped", "local models"),
        (keys.deepgram_key, {"deepgram_api_key": KEY}, "ok", "40 characters"),
        (keys.openai_key, {"openai_api_key": KEY}, "failed", "a Deepgram key, not an OpenAI key"),
        (keys.openai_key, {"openai_api_key": "token"}, "warning", "do not look like"),
        (keys.openai_key, {"llm": "openai"}, "failed", "OPENAI_API_KEY cannot be used"),
        (keys.openai_key, {}, "skipped", "own answers"),
        (
            keys.openai_key,
            {"openai_api_key": "x", "openai_base_url": "http://127.0.0.1:1/v1"},
            "skipped",
            "knows its own",
        ),
        (keys.openai_key, OPENAI, "ok", "looks like one"),
        (keys.twilio_credentials, {"twilio_auth_token": "x" * 32}, "warning", "32 characters"),
        (keys.twilio_credentials, {"twilio_auth_token": KEY}, "failed", "a Deepgram key"),
        (keys.twilio_credentials, {"twilio_account_sid": SID}, "failed", "without"),
        (
            keys.twilio_credentials,
            {"twilio_auth_token": AUTH_TOKEN, "twilio_account_sid": "ACme"},
            "warning",
            "32 hexadecimal",
        ),
        (keys.twilio_credentials, {}, "skipped", "no TWILIO_AUTH_TOKEN"),
        (
            keys.twilio_credentials,
            {"twilio_auth_token": AUTH_TOKEN, "twilio_account_sid": SID},
            "ok",
            "looks like one",
        ),
        (
            keys.clear_text,
            {"openai_base_url": "http://10.0.0.5/v1", "deepgram_url": "ws://flux.example.com"},
            "warning",
            "DEEPGRAM_URL is ws://flux.example.com; OPENAI_BASE_URL is http://10.0.0.5",
        ),
        (keys.clear_text, {"openai_base_url": "http://127.0.0.1:9/v1"}, "ok", "this machine"),
    ],
)
def test_a_key_or_a_url(check, settings, state, words):
    outcome = look(check, situation(**settings))
    assert outcome.state == state and words in outcome.found, outcome
    for secret in (KEY, OPENAI_KEY, AUTH_TOKEN):
        assert secret not in outcome.found + outcome.do


def test_the_sid_of_an_api_key_is_not_the_accounts():
    outcome = look(
        keys.twilio_credentials, situation(environ={"TWILIO_ACCOUNT_SID": "SK" + "1" * 32})
    )
    assert outcome.state == "failed" and "(SK...)" in outcome.found


@pytest.mark.parametrize(
    ("environ", "settings", "state"),
    [
        ({"HTTPS_PROXY": "http://me:pass@proxy:3128"}, OPENAI, "warning"),
        ({"all_proxy": "proxy:3128"}, OPENAI, "warning"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".openai.com"}, OPENAI, "ok"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "openai.co"}, OPENAI, "warning"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, OPENAI, "ok"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, {}, "skipped"),
        ({"HTTP_PROXY": "http://proxy:3128"}, OPENAI, "ok"),
        ({}, OPENAI, "ok"),
    ],
)
def test_a_proxy_of_the_environment(environ, settings, state):
    outcome = look(keys.proxy_variables, situation(environ=environ, **settings))
    assert outcome.state == state and "pass" not in outcome.found
    assert state != "warning" or "proxy:3128" in outcome.found


@pytest.mark.parametrize(
    ("model", "today", "state"),
    [
        ("gpt-5-nano", datetime(2026, 12, 11, tzinfo=UTC), "failed"),
        ("gpt-5-nano", datetime(2026, 11, 20, tzinfo=UTC), "warning"),
        ("gpt-5-nano", datetime(2026, 9, 1, tzinfo=UTC), "ok"),
        ("gpt-4o-mini", datetime(2027, 1, 13, tzinfo=UTC), "warning"),
        ("gpt-6-luna", datetime(2027, 6, 1, tzinfo=UTC), "ok"),
    ],
)
def test_a_model_that_ends(model, today, state):
    where = situation(openai_api_key=OPENAI_KEY, openai_model=model, now=today)
    assert look(models.model, where).state == state


def test_the_models_of_the_agent_and_of_the_fallback_are_looked_at_too():
    late = datetime(2027, 1, 1, tzinfo=UTC)
    agent = Agent(instructions="x", model="gpt-5-nano")
    assert look(models.model, situation(agent=agent, now=late, **OPENAI)).state == "failed"
    where = situation(openai_fallback_model="gpt-5-nano", now=late, **OPENAI)
    assert look(models.model, where).state == "failed"
    assert look(models.model, situation(now=late)).state == "skipped"


@pytest.mark.parametrize(
    ("model", "effort", "state"),
    [
        ("gpt-5.6-luna", "minimal", "failed"),
        ("gpt-5-nano", "none", "failed"),
        ("gpt-5.6-luna", "none", "ok"),
        ("gpt-5.6-luna", None, "ok"),
        ("gpt-6-luna", "none", "ok"),
        ("gpt-6-astra", "none", "failed"),
        ("gpt-6-astra", "low", "ok"),
        ("llama-4", "minimal", "ok"),
    ],
)
def test_an_effort_that_the_model_does_not_know(model, effort, state):
    given = {"openai_model": model, "openai_reasoning_effort": effort}
    assert look(models.effort, situation(openai_api_key=OPENAI_KEY, **given)).state == state
    assert look(models.effort, situation(**given)).state == "skipped"


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({"openai_reasoning_effort": "medium"}, "warning", "asked again before its first word"),
        ({"openai_reasoning_effort": "high", "llm_first_token_s": 12}, "warning", "wait seconds"),
        ({"openai_model": "llama-4"}, "warning", "is not known"),
        ({"llm_first_token_s": 0.5}, "warning", "even a quick model"),
        ({}, "ok", "LLM_FIRST_TOKEN_S=4"),
        ({"llm": "local"}, "skipped", "no language model"),
    ],
)
def test_how_long_the_first_word_may_take(settings, state, words):
    outcome = look(models.first_word, situation(**(OPENAI | settings)))
    assert outcome.state == state and words in outcome.found


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"openai_fallback_model": "gpt-5.6-luna"}, "warning"),
        ({"openai_fallback_model": "gpt-5-mini"}, "ok"),
        ({"openai_fallback_base_url": "http://127.0.0.1:1/v1"}, "ok"),
        ({}, "skipped"),
    ],
)
def test_a_fallback_that_is_the_first_once_more(settings, state):
    assert look(models.fallback_model, situation(**OPENAI, **settings)).state == state


@pytest.mark.parametrize(
    ("fallback", "today", "state"),
    [
        ("openai:alloy", datetime(2027, 1, 1, tzinfo=UTC), "warning"),
        ("openai:alloy", datetime(2026, 11, 1, tzinfo=UTC), "ok"),
        ("aura-2-helena-en,local", datetime(2027, 1, 1, tzinfo=UTC), "ok"),
        ("", datetime(2027, 1, 1, tzinfo=UTC), "skipped"),
    ],
)
def test_voices_that_end(fallback, today, state):
    where = situation(tts_fallback=fallback, now=today, **KEYS)
    assert look(models.fallback_voice, where).state == state
    assert look(models.fallback_voice, situation(now=today)).state == "skipped"
