"""The services are fakes that both SDKs talk to: well, refusing, hanging, gone."""

import pytest

from doctor_world import KEYS, attempt, free_port, hanging, situation
from fakes.aura import FakeAura
from fakes.deepgram import KEY, FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import Agent
from voice_ai.server.doctor import checks_live_services as checks
from voice_ai.server.doctor import running
from voice_ai.server.doctor.running import find


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A busy machine is slow; what is slow is for the tests to say that are about it."""
    for name in ("SLOW_WORD_MS", "SLOW_SOUND_MS", "SLOW_OPEN_MS"):
        monkeypatch.setattr(checks, name, 10_000.0)


def deepgram(url: str, **changes):
    return situation(**(KEYS | {"deepgram_url": url} | changes))


def openai(url: str, **changes):
    given = {"openai_api_key": "sk-test", "openai_base_url": url, "openai_model": "gpt-5.6-luna"}
    return situation(**(given | changes))


VOICES = [checks.hearing, checks.speaking]


@pytest.mark.parametrize("check", VOICES, ids=lambda check: check.name)
async def test_deepgram_when_all_is_well(check):
    async with FakeDeepgram() as fake:
        outcome = await attempt(check, deepgram(fake.url))
    assert outcome.state == "ok" and " ms" in outcome.found, outcome
    assert fake.violations == []


@pytest.mark.parametrize("check", VOICES, ids=lambda check: check.name)
async def test_deepgram_with_a_wrong_key(check):
    async with FakeDeepgram(key="f" * 40) as fake:
        outcome = await attempt(check, deepgram(fake.url))
    assert outcome.state == "failed"
    assert "the key is unknown" in outcome.found and "The key is wrong" in outcome.do
    assert KEY not in outcome.found


# Flux is asked again for seconds after a refusal that may pass.
@pytest.mark.parametrize(
    ("check", "status", "words"),
    [
        (checks.hearing, 402, "no credit"),
        (checks.hearing, 403, "may not use"),
        (checks.hearing, 503, "status page"),
        (checks.speaking, 402, "no credit"),
        (checks.speaking, 429, "limit"),
        (checks.speaking, 503, "status page"),
    ],
    ids=lambda part: getattr(part, "name", str(part)),
)
async def test_deepgram_that_refuses(check, status, words):
    async with FakeDeepgram() as fake:
        fake.flux.refuse = fake.aura.refuse = (status, "no")
        outcome = await attempt(check, deepgram(fake.url))
    assert outcome.state == "failed" and words in outcome.do, outcome


@pytest.mark.parametrize("check", VOICES, ids=lambda check: check.name)
async def test_deepgram_where_nobody_listens(check):
    outcome = await attempt(check, deepgram(f"ws://127.0.0.1:{free_port()}"))
    assert outcome.state == "failed" and "Nobody listens there" in outcome.do, outcome


async def test_deepgram_that_hangs():
    async with hanging() as port:
        outcome = await attempt(checks.hearing, deepgram(f"ws://127.0.0.1:{port}"))
    assert outcome.state == "failed" and "Nobody answers" in outcome.do, outcome


async def test_a_name_that_is_not_known():
    outcome = await attempt(checks.speaking, deepgram("ws://deepgram.invalid"))
    assert outcome.state == "failed" and "name is not known" in outcome.do, outcome


@pytest.mark.parametrize("check", [checks.hearing, checks.speaking], ids=lambda c: c.name)
async def test_without_a_key_deepgram_is_left_alone(check):
    assert (await attempt(check, situation())).state == "skipped"
    assert (await attempt(check, situation(stt="deepgram", tts="deepgram"))).state == "skipped"


async def test_a_voice_that_is_slow(monkeypatch):
    monkeypatch.setattr(checks, "SLOW_SOUND_MS", 50.0)
    async with FakeDeepgram(aura=FakeAura(first_byte_ms=100)) as fake:
        outcome = await attempt(checks.speaking, deepgram(fake.url))
    assert outcome.state == "warning" and "slow is 50" in outcome.found


async def test_a_voice_of_no_such_name():
    agent = Agent(instructions="x", voice="aura-2-thalia-xx")
    async with FakeDeepgram() as fake:
        outcome = await attempt(checks.speaking, deepgram(fake.url, agent=agent))
    assert outcome.state == "failed" and "No such model" in outcome.found


@pytest.mark.parametrize("history", ["conversation", "local"])
async def test_openai_when_all_is_well(history):
    async with FakeOpenAI() as fake:
        outcome = await attempt(checks.answering, openai(fake.base_url, history=history))
        assert all(kept.deleted for kept in fake.conversations.values())
    assert outcome.state == "ok" and "gpt-5.6-luna: its first word" in outcome.found, outcome
    assert fake.violations == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ({"status": 401, "code": "invalid_api_key"}, "The key is wrong"),
        ({"status": 429, "code": "insufficient_quota"}, "no credit"),
        ({"status": 429, "code": "rate_limit_exceeded"}, "limit is reached"),
        ({"status": 403, "code": None}, "may not use"),
        ({"status": 500, "code": "server_error"}, "status page"),
    ],
)
async def test_openai_that_refuses(failure, words):
    async with FakeOpenAI() as fake:
        fake.fail("status", at="any", lasts=True, **failure)
        outcome = await attempt(checks.answering, openai(fake.base_url))
    assert outcome.state == "failed" and words in outcome.do, outcome


async def test_openai_with_a_wrong_key():
    async with FakeOpenAI(api_key="sk-another") as fake:
        outcome = await attempt(checks.answering, openai(fake.base_url))
    assert outcome.state == "failed" and "The key is wrong" in outcome.do
    assert "sk-test" not in outcome.found


async def test_openai_without_that_model():
    async with FakeOpenAI() as fake:
        outcome = await attempt(checks.answering, openai(fake.base_url, openai_model="gpt-0"))
    assert outcome.state == "failed" and "no such model" in outcome.do


async def test_openai_that_is_slow(monkeypatch):
    monkeypatch.setattr(checks, "SLOW_WORD_MS", 50.0)
    async with FakeOpenAI(first_token_s=0.1) as fake:
        outcome = await attempt(checks.answering, openai(fake.base_url))
    assert outcome.state == "warning" and "slow is 50" in outcome.found


async def test_openai_where_nobody_listens():
    outcome = await attempt(checks.answering, openai(f"http://127.0.0.1:{free_port()}/v1"))
    assert outcome.state == "failed" and "Nobody listens there" in outcome.do, outcome


async def test_openai_that_hangs():
    async with FakeOpenAI() as fake:
        fake.fail("mute", at="responses.create", lasts=True)
        outcome = await attempt(checks.answering, openai(fake.base_url))
    assert outcome.state == "failed" and "Nobody answers" in outcome.do, outcome


async def test_without_a_key_openai_is_left_alone():
    assert (await attempt(checks.answering, situation())).state == "skipped"
    assert (await attempt(checks.answering, situation(llm="openai"))).state == "skipped"
    assert (await attempt(checks.answering_instead, situation())).state == "skipped"


async def test_the_fallback_model_has_a_key_of_its_own():
    async with FakeOpenAI(api_key="sk-other") as fake:
        given = {"openai_fallback_base_url": fake.base_url}
        where = openai("http://127.0.0.1:1/v1", openai_fallback_api_key="sk-other", **given)
        outcome = await attempt(checks.answering_instead, where)
        assert outcome.state == "ok", outcome
        outcome = await attempt(checks.answering_instead, openai("http://127.0.0.1:1/v1", **given))
    assert outcome.state == "failed" and "The key is wrong" in outcome.do


async def test_the_worst_of_the_other_voices_is_told():
    async with FakeDeepgram() as fake:
        where = deepgram(fake.url, tts_fallback="aura-2-helena-en,local")
        outcome = await attempt(checks.speaking_instead, where)
        assert outcome.state == "ok" and "aura-2-helena-en: its first sound" in outcome.found
        where = deepgram(fake.url, tts_fallback="aura-2-helena-en,aura-2-x-xx")
        outcome = await attempt(checks.speaking_instead, where)
        assert outcome.state == "failed" and "No such model" in outcome.found
        assert "aura-2-x-xx" in outcome.found
    assert (await attempt(checks.speaking_instead, situation())).state == "skipped"


async def test_another_voice_of_openais_that_is_not_there():
    async with FakeOpenAI() as fake:
        where = openai(fake.base_url, deepgram_api_key=KEY, tts_fallback="openai:alloy")
        outcome = await attempt(checks.speaking_instead, where)
    assert outcome.state == "failed" and outcome.found == "openai:alloy: OpenAI answered 404"


@pytest.mark.local
async def test_the_local_models_load_and_speak():
    outcome = await attempt(checks.local, situation())
    assert outcome.state in ("ok", "warning") and "loaded in" in outcome.found, outcome
    assert (await attempt(checks.local, situation(**KEYS))).state == "skipped"
    assert (await attempt(checks.local, situation(stt="deepgram"))).state == "skipped"


@pytest.mark.local
async def test_local_models_that_do_not_load(tmp_path):
    outcome = await attempt(checks.local, situation(local_stt_model=str(tmp_path)))
    assert outcome.state == "failed", outcome


async def test_all_are_tried_side_by_side_and_a_hanging_one_stops_no_other(monkeypatch):
    monkeypatch.setattr(running, "ATTEMPT_S", 3.0)
    async with hanging() as port, FakeOpenAI() as fake:
        where = openai(fake.base_url, deepgram_api_key=KEY, deepgram_url=f"ws://127.0.0.1:{port}")
        await checks.warm_up(where)
        findings = await find([checks.hearing, checks.answering, checks.speaking], where)
    outcomes = [finding.outcome for finding in findings]
    assert [outcome.state for outcome in outcomes] == ["failed", "ok", "failed"]
    assert outcomes[2].found == "no result within 3 s"
