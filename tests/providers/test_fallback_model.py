"""A language model made of two, up to the end of one answer, on virtual time."""

from typing import Any

import pytest

from fakes.openai_api import FunctionCall, Refused
from fakes.openai_call import a_call
from fakes.openai_two import on_virtual_time, world
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.fallback.model import FIRST_TOKEN_S, STALL_S, ResilientLanguageModel
from voice_ai.providers.protocols import TextDelta, ToolRequested
from voice_ai.turn.events import ToolAnswered


@pytest.fixture(params=["conversation", "local"])
def history(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_no_models_are_refused() -> None:
    with pytest.raises(UsageError, match="needed one or more"):
        ResilientLanguageModel([])


@on_virtual_time
async def test_a_call_that_asks_nothing_opens_the_first_only(history: str) -> None:
    async with world(history=history) as it:
        await it.first.until(lambda: it.first.operations)
    assert it.second.operations == [] and it.faults == []


@on_virtual_time
async def test_a_model_that_is_well_answers(history: str) -> None:
    async with world("Good morning.", "Yes?", history=history) as it:
        assert await it.talk.exchange("Hello.") == "Good morning."
        assert await it.talk.exchange("You?") == "Yes?"
    assert it.second.operations == [] and it.faults == []


# Before the first word.


@pytest.mark.parametrize("kind", ["mute", "stall"])
@on_virtual_time
async def test_the_first_word_has_a_deadline(kind: Any, history: str) -> None:
    async with world(history=history) as it:
        for _ in range(2):
            it.first.fail(kind)
        assert await it.ask() == "The second."
        assert it.took(2 * FIRST_TOKEN_S)
        assert it.told() == [("first", "retried"), ("first", "fell back")]
        assert it.faults[0].what == "the answer did not begin within 4 s"
        assert it.faults[0].call_sid == a_call().call_sid
        await it.first.until(lambda: it.first.n_under_way == 0)


@on_virtual_time
async def test_a_model_that_is_slow_is_waited_for(history: str) -> None:
    async with world("At last.", history=history) as it:
        it.first.first_token_s = FIRST_TOKEN_S - 0.1
        it.first.inter_token_s = STALL_S - 0.1
        assert await it.ask() == "At last."
    assert it.faults == []


@pytest.mark.parametrize(
    "failure",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after": "0"},
        {"kind": "cut"},
        {"kind": "end"},
        {"kind": "malformed"},
        {"kind": "error"},
        {"kind": "failed"},
    ],
)
@on_virtual_time
async def test_asked_again_it_answers_and_nobody_notices(
    failure: dict[str, Any], history: str
) -> None:
    async with world("Lost.", "Good morning.", "Yes?", history=history) as it:
        if failure["kind"] == "status":
            it.first._answers.popleft()
        it.first.fail(**failure)
        assert await it.ask() == "Good morning."
        assert it.took(0.0)
        await it.talk.heard("Good morning.", complete=True)
        assert await it.talk.exchange("You?") == "Yes?"
        assert it.told() == [("first", "retried")]
        if history == "conversation":
            said = ["user: Hello.", "assistant: Good morning.", "user: You?", "assistant: Yes?"]
            assert it.first.conversation.spoken == said


@on_virtual_time
async def test_a_short_time_is_waited_if_we_are_told_to(history: str) -> None:
    async with world("Good morning.", history=history) as it:
        it.first.fail("status", status=429, retry_after="0.4")
        assert await it.ask() == "Good morning."
        assert it.took(0.4)


@on_virtual_time
async def test_a_long_one_is_not(history: str) -> None:
    async with world(history=history) as it:
        it.first.fail("status", status=429, code="rate_limit_exceeded", retry_after="60")
        assert await it.ask() == "The second."
        assert it.took(0.0)
        assert it.told() == [("first", "fell back")]
        assert it.first.operations.count("responses.create") == 1


@on_virtual_time
async def test_nothing_of_the_sdk_waits_out_a_retry_after(history: str) -> None:
    async with world(history=history) as it:
        operations = ("conversations.create", "models.retrieve", "items.create", "items.list")
        for operation in operations:
            it.first.fail("status", at=operation, status=429, retry_after="60")
        await it.talk.exchange("Hello.")
        await it.talk.exchange("Again.")
        assert it.loop.time() < 1.0


@on_virtual_time
async def test_what_fails_twice_falls_back(history: str) -> None:
    async with world(history=history) as it:
        for _ in range(2):
            it.first.fail("status", status=500)
        assert await it.ask() == "The second."
        assert it.told() == [("first", "retried"), ("first", "fell back")]


@on_virtual_time
async def test_a_refused_key_is_final_for_this_model(history: str) -> None:
    async with world(history=history, key="sk-secret") as it:
        assert await it.ask() == "The second."
        assert it.told() == [("first", "fell back")]
        assert it.first.requests == []
        assert "sk-secret" not in str(it.faults)


@on_virtual_time
async def test_a_refused_key_and_no_other_model(history: str) -> None:
    async with world(history=history, key="sk-wrong", only=True) as it:
        error = await it.fails()
        assert not error.retryable
        assert it.told() == [("first", "gave up")]


@on_virtual_time
async def test_nobody_there_falls_back(history: str) -> None:
    async with world(history=history) as it:
        await it.first._runner.cleanup()
        assert await it.ask() == "The second."
        assert it.told() == [("first", "retried"), ("first", "fell back")]


@on_virtual_time
async def test_all_fail_and_the_caller_waits_no_longer_than_the_machine(history: str) -> None:
    async with world(history=history) as it:
        for fake in (it.first, it.first, it.second):
            fake.fail("mute")
        assert (await it.fails()).retryable
        assert it.took(3 * FIRST_TOKEN_S)
        assert it.told() == [("first", "retried"), ("first", "fell back"), ("second", "gave up")]
        assert await it.ask("Again.") != ""


@on_virtual_time
async def test_an_empty_answer_is_asked_for_again(history: str) -> None:
    async with world("", "Good morning.", history=history) as it:
        assert await it.ask() == "Good morning."
        assert [fault.what for fault in it.faults] == ["the answer is empty"]


@on_virtual_time
async def test_after_a_tool_there_may_be_nothing_to_say(history: str) -> None:
    async with world(FunctionCall("opening_hours"), "", history=history) as it:
        it.talk.caller("When are you open?")
        _, [request] = await it.talk.ask()
        it.talk.tool(request, "Never.")
        assert isinstance(it.talk.said[-1], ToolAnswered)
        assert await it.talk.ask() == ("", [])
    assert it.faults == []


@on_virtual_time
async def test_a_refusal_is_an_answer(history: str) -> None:
    async with world(Refused(), history=history) as it:
        assert (await it.fails()).kind == "refused"
        assert it.told() == [("first", "gave up")]
        assert it.second.operations == []


# After it.


@pytest.mark.parametrize("kind", ["cut", "end", "malformed", "error", "failed", "incomplete"])
@on_virtual_time
async def test_what_was_said_is_not_begun_anew(kind: Any, history: str) -> None:
    async with world("Good morning to you.", "Fine.", history=history) as it:
        it.first.fail(kind, after_deltas=2)
        it.first.inter_token_s = 0.01
        text = ""
        it.talk.caller("Hello.")
        with pytest.raises(ProviderError):
            async with it.talk.dialogue.reply(it.talk.turn, it.talk.said) as events:
                async for event in events:
                    assert isinstance(event, TextDelta)
                    text += event.text
        assert text == "Good mor"
        assert it.told() == [("first", "gave up")]
        await it.talk.heard("Good")
        assert await it.talk.exchange("Pardon?") == "Fine."
        if history == "conversation":
            said = ["user: Hello.", "assistant: Good", "user: Pardon?", "assistant: Fine."]
            assert it.first.conversation.spoken == said
    assert it.second.operations == []


@on_virtual_time
async def test_a_stall_has_a_deadline(history: str) -> None:
    async with world("Good morning.", history=history) as it:
        it.first.fail("stall", after_deltas=2)
        await it.fails()
        assert it.took(STALL_S)
        assert it.told() == [("first", "gave up")]
        await it.first.until(lambda: it.first.n_under_way == 0)


@on_virtual_time
async def test_a_tool_that_was_asked_for_is_not_asked_for_again(history: str) -> None:
    async with world(FunctionCall("opening_hours"), history=history) as it:
        it.first.fail("cut", after_deltas=99)
        it.talk.caller("When are you open?")
        got: list[object] = []
        with pytest.raises(ProviderError):
            async with it.talk.dialogue.reply(it.talk.turn, it.talk.said) as events:
                async for event in events:
                    got.append(event)
        assert [type(event) for event in got] == [ToolRequested]
        assert it.told() == [("first", "gave up")]


@on_virtual_time
async def test_a_tool_is_thought_of_for_longer_than_a_word(history: str) -> None:
    pause_s = (STALL_S + FIRST_TOKEN_S) / 2
    async with world(FunctionCall("opening_hours", text="Good."), history=history) as it:
        it.first.inter_item_s = pause_s
        it.talk.caller("When are you open?")
        text, [asked] = await it.talk.ask()
        assert (text, asked.name) == ("Good.", "opening_hours")
    assert it.faults == []


@on_virtual_time
async def test_a_tool_with_long_arguments_is_no_stall(history: str) -> None:
    request = FunctionCall("opening_hours", {"day": "the day after tomorrow, at noon"})
    async with world(request, history=history) as it:
        it.first.inter_token_s = 2.0
        it.talk.caller("When are you open?")
        began = it.loop.time()
        _, [asked] = await it.talk.ask()
        assert it.loop.time() - began > 2 * STALL_S
        assert asked.name == "opening_hours"
    assert it.faults == []


@on_virtual_time
async def test_arguments_that_break_off_are_asked_for_again(history: str) -> None:
    twice = [FunctionCall("opening_hours", {"day": "Monday"})] * 2
    async with world(*twice, history=history) as it:
        it.first.fail("cut", after_deltas=2)
        it.talk.caller("When are you open?")
        _, [asked] = await it.talk.ask()
        assert asked.arguments == '{"day": "Monday"}'
        assert it.told() == [("first", "retried")]
