"""The language model as the settings have it: one, or two of which the second stands in."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes.openai_api import FakeOpenAI
from fakes.openai_call import INSTRUCTIONS, Talk, a_call
from voice_ai.agent import Agent
from voice_ai.errors import ProviderError
from voice_ai.server.adapters import make_language_model
from voice_ai.server.metrics import Metrics
from voice_ai.server.providers import _reporting, _rules
from voice_ai.server.settings import load_settings

AGENT = Agent(instructions=INSTRUCTIONS)


@asynccontextmanager
async def talking(first: FakeOpenAI, metrics: Metrics, **given: Any) -> AsyncIterator[Talk]:
    settings = load_settings(
        None, openai_api_key="sk-test", openai_base_url=first.base_url, **given
    )
    async with AsyncExitStack() as stack:
        llm = await make_language_model(
            settings, AGENT, stack, _reporting((metrics.provider_fault,))
        )
        dialogue = await stack.enter_async_context(llm.open(a_call(), INSTRUCTIONS, []))
        yield Talk(dialogue)


def faults(metrics: Metrics) -> set[tuple[str, str]]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.labels["provider"], sample.labels["action"])
        for family in families
        for sample in family.samples
        if sample.name == "voice_ai_provider_faults_total"
    }


async def test_without_a_fallback_the_model_is_asked_again_and_that_is_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    async with FakeOpenAI() as first, talking(first, metrics) as talk:
        first.fail("status", status=503)
        assert await talk.exchange("Hello.") == "I heard: Hello. Anything else?"
        for _ in range(2):
            first.fail("status", status=503)
        talk.caller("Again.")
        with pytest.raises(ProviderError, match="503"):
            await talk.ask()
        assert faults(metrics) == {
            ("OpenAI gpt-5-nano", "retried"),
            ("OpenAI gpt-5-nano", "gave up"),
        }
    told = [record.message for record in caplog.records if "503" in record.message]
    line = "call CA1: llm: OpenAI gpt-5-nano: OpenAI answered 503, code server_error: gave up"
    assert told[-1] == line
    assert len(told) == 3


async def test_another_model_of_the_same_server() -> None:
    metrics = Metrics()
    async with (
        FakeOpenAI() as first,
        talking(first, metrics, openai_fallback_model="gpt-4.1-nano") as talk,
    ):
        for _ in range(2):
            first.fail("status", status=503)
        await talk.exchange("Hello.")
        assert [body["model"] for body in first.requests] == ["gpt-4.1-nano"]
        assert "reasoning" not in first.requests[0]
        assert ("OpenAI gpt-5-nano", "fell back") in faults(metrics)


async def test_the_same_model_of_another_server_with_a_key_of_its_own() -> None:
    async with FakeOpenAI() as first, FakeOpenAI(api_key="sk-other") as second:
        given = {
            "openai_fallback_base_url": second.base_url,
            "openai_fallback_api_key": "sk-other",
            "openai_reasoning_effort": "low",
        }
        async with talking(first, Metrics(), **given) as talk:
            for _ in range(2):
                first.fail("status", status=503)
            await talk.exchange("Hello.")
            [body] = second.requests
            assert (body["model"], body["reasoning"]) == ("gpt-5-nano", {"effort": "low"})
            assert body["store"] is False


async def test_a_fallback_that_is_down_at_start_up_is_told_and_no_obstacle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FakeOpenAI() as second:
        pass
    metrics = Metrics()
    given = {"openai_fallback_base_url": second.base_url}
    async with FakeOpenAI() as first, talking(first, metrics, **given) as talk:
        assert await talk.exchange("Hello.") == "I heard: Hello. Anything else?"
    assert faults(metrics) == {("fallback gpt-5-nano", "gave up")}
    assert any(record.levelno == logging.WARNING for record in caplog.records)


async def test_a_fallback_that_would_never_answer_is_refused_at_start_up() -> None:
    async with FakeOpenAI() as first, FakeOpenAI(api_key="sk-other") as second:
        with pytest.raises(ProviderError, match="invalid_api_key"):
            async with talking(first, Metrics(), openai_fallback_base_url=second.base_url):
                pass


def test_fillers_are_repeated_where_there_are_some() -> None:
    settings = load_settings(None)
    assert _rules(settings, Agent(instructions="x", fillers=[])).filler_again_ms is None
    assert _rules(settings, Agent(instructions="x")).filler_again_ms == 2_500
    assert _rules(settings, Agent(instructions="x", fillers=["Hm."])).filler_again_ms == 2_500
