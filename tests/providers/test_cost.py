"""What a call has used: by its providers' own words, through the real adapters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fakes.openai_api import FakeOpenAI, FunctionCall
from fakes.openai_call import INSTRUCTIONS, Talk, a_call, request_of
from voice_ai.errors import ProviderError
from voice_ai.providers.cost import Cost, Tokens
from voice_ai.providers.openai.model import History, OpenAILanguageModel
from voice_ai.providers.protocols import CallInfo

MODEL = "gpt-5-nano"
HISTORIES: list[History] = ["conversation", "local"]


@asynccontextmanager
async def talking(fake: FakeOpenAI, history: History) -> AsyncIterator[tuple[Talk, CallInfo]]:
    call = a_call()
    async with (
        OpenAILanguageModel("sk-test", fake.base_url, model=MODEL, history=history) as llm,
        llm.open(call, INSTRUCTIONS, ()) as dialogue,
    ):
        yield Talk(dialogue), call


def told(fake: FakeOpenAI) -> Tokens:
    return Tokens(
        sum(used["input_tokens"] for used in fake.usages),
        sum(used["input_tokens_details"]["cached_tokens"] for used in fake.usages),
        sum(used["output_tokens"] for used in fake.usages),
    )


def test_a_call_that_used_nothing() -> None:
    assert Cost().tokens == Tokens()
    assert set(Cost().as_json().values()) == {0}
    assert Cost().of("a") == Tokens()


def test_models_are_told_apart_and_together() -> None:
    cost = Cost()
    cost.of("a").input_tokens += 3
    cost.of("b").input_tokens += 4
    cost.of("a").output_tokens += 1
    assert cost.models == {"a": Tokens(3, 0, 1), "b": Tokens(4)}
    assert cost.tokens == Tokens(7, 0, 1)
    assert cost.tokens - cost.of("a") == Tokens(4)


@pytest.mark.parametrize("history", HISTORIES)
async def test_tokens_are_those_that_the_service_told(history: History) -> None:
    async with FakeOpenAI() as fake, talking(fake, history) as (talk, call):
        await talk.exchange("What time is it?")
        await talk.exchange("And tomorrow?")
        assert len(fake.usages) == 2
        assert call.cost.models == {MODEL: told(fake)}
        assert call.cost.tokens.cached_tokens > 0 < call.cost.tokens.output_tokens


@pytest.mark.parametrize("history", HISTORIES)
async def test_a_request_for_a_tool_costs_as_an_answer_does(history: History) -> None:
    async with (
        FakeOpenAI([FunctionCall("look"), "Six."]) as fake,
        talking(fake, history) as (
            talk,
            call,
        ),
    ):
        talk.caller("When?")
        async with talk.dialogue.reply(talk.turn, tuple(talk.said)) as events:
            talk.tool(await request_of(events), "six")
        await talk.ask()
        assert len(fake.usages) == 2
        assert call.cost.tokens == told(fake)


@pytest.mark.parametrize("history", HISTORIES)
async def test_an_answer_that_is_cut_off_tells_nothing(history: History) -> None:
    fake = FakeOpenAI(["A word that goes on. " * 50], inter_token_s=0.01)
    async with fake, talking(fake, history) as (talk, call):
        talk.caller("Tell me a story.")
        await talk.cut_after(2)
        assert call.cost.tokens == Tokens()


@pytest.mark.parametrize("history", HISTORIES)
async def test_an_answer_that_was_read_tells_even_if_the_call_ends_in_it(history: History) -> None:
    async with FakeOpenAI(["Six."]) as fake, talking(fake, history) as (talk, call):
        talk.caller("When?")
        with pytest.raises(asyncio.CancelledError):
            async with talk.dialogue.reply(talk.turn, tuple(talk.said)) as events:
                async for _ in events:
                    pass
                raise asyncio.CancelledError
        assert call.cost.tokens == told(fake) != Tokens()


@pytest.mark.parametrize("history", HISTORIES)
async def test_an_answer_that_is_too_long_costs_as_much(history: History) -> None:
    async with (
        FakeOpenAI(["Six o'clock in the evening."]) as fake,
        talking(fake, history) as (
            talk,
            call,
        ),
    ):
        fake.fail("incomplete", reason="max_output_tokens", after_deltas=2)
        talk.caller("When?")
        with pytest.raises(ProviderError, match="max_output_tokens"):
            await talk.ask()
        assert call.cost.tokens == told(fake) != Tokens()
