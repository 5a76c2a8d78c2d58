import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.agent import Agent, Answer
from voice_ai.providers.local.answering import (
    NOT_HEARD,
    ScriptedLanguageModel,
    answer_to,
    filled,
)
from voice_ai.providers.protocols import CallInfo, TextDelta, ToolRequested
from voice_ai.turn.events import AgentSaid, CallerSaid, ToolAnswered, ToolCalled

AGENT = Agent(
    instructions="Answer.",
    answers=(
        Answer(("goodbye", "that's all"), "Bye now.", ends_call=True),
        Answer(("", "open", "what time"), "From nine to six."),
        Answer(("clubs",), "You have {heard}, right?"),
        Answer(("open",), "Never said."),
    ),
    fallback="I heard: {heard} What else?",
)


async def replied(*said) -> list:
    model = ScriptedLanguageModel(AGENT)
    async with model.open(CallInfo("CA1"), "", ()) as dialogue:
        async with dialogue.reply(3, said) as events:
            found = [event async for event in events]
        await dialogue.settle(3, said)
    return found


def spoken(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_nothing_was_said():
    assert await replied() == []
    assert await replied(AgentSaid(1, "Hello.", True)) == []


@pytest.mark.parametrize("nothing", ["", "  ", "...", "?!"])
async def test_no_words_were_heard(nothing):
    assert spoken(await replied(CallerSaid(2, nothing))) == NOT_HEARD


async def test_a_tool_that_has_answered_leaves_nothing_to_say():
    said = (
        CallerSaid(2, "Goodbye."),
        ToolCalled(3, "c", "hang_up", "{}"),
        ToolAnswered(3, "c", "ok"),
    )
    assert await replied(*said) == []


async def test_an_answer_comes_word_by_word():
    events = await replied(CallerSaid(2, "When do you OPEN?"))
    assert events == [
        TextDelta("From"),
        TextDelta(" nine"),
        TextDelta(" to"),
        TextDelta(" six."),
    ]


async def test_the_last_words_are_answered():
    said = (CallerSaid(2, "Goodbye."), AgentSaid(3, "Bye", False), CallerSaid(4, "what time"))
    assert spoken(await replied(*said)) == "From nine to six."


async def test_an_answer_that_ends_the_call_hangs_up_after_its_text():
    events = await replied(CallerSaid(2, "No, thats all."))
    assert spoken(events) == "Bye now."
    assert events[-1] == ToolRequested("scripted-3", "hang_up", "{}")


@pytest.mark.parametrize("words", ["opening", "reopen", "time what", "goodbyes"])
def test_only_whole_words_and_phrases_match(words):
    assert answer_to(AGENT, words)[0].startswith("I heard:")


def test_the_first_answer_that_fits_is_taken():
    assert answer_to(AGENT, "are you open, goodbye") == ("Bye now.", True)


@pytest.mark.parametrize(
    ("template", "heard", "said"),
    [
        ("I heard: {heard} What else?", "Go forward.", "I heard: Go forward. What else?"),
        ("I heard: {heard} What else?", " go  forward ", "I heard: Go forward. What else?"),
        ("You have {heard}, right?", "ten of clubs.", "You have Ten of clubs, right?"),
        ("{heard}", "why?", "Why?"),
        ("{heard}. Yes.", "why?", "Why. Yes."),
        ("No braces {here} {}", "why", "No braces {here} {}"),
        ("{heard}", r"a \1 {heard} \g<0>", r"A \1 {heard} \g<0>."),
    ],
)
def test_the_callers_words_are_put_in_tidily(template, heard, said):
    assert filled(template, heard) == said


@given(st.text())
def test_anything_is_answered(heard):
    text, _ = answer_to(AGENT, heard)
    assert text.strip()
