"""How often tools may run; and that nothing a model sends raises."""

import json
from collections.abc import Sequence
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator

import clock
from call_world import World, call
from fakes.inproc import Answer, FakeLlm
from voice_ai.agent import TOOL_MAX_PER_CALL, Agent, Tool, tool
from voice_ai.call.built_in import BuiltIn, Wishes
from voice_ai.call.quota import HOUR_S, Quota, Uses
from voice_ai.call.tools import ToolBox
from voice_ai.errors import UsageError
from voice_ai.providers.protocols import ToolRequested
from voice_ai.turn.events import Said, ToolAnswered


def made(**limits: int | None) -> Tool:
    def send() -> str:
        """Send it."""
        return "sent"

    return tool(**limits)(send)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [{"max_per_call": 0}, {"max_per_hour": -1}])
def test_a_limit_that_lets_nothing_through_is_none(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="has a limit of"):
        made(**limits)


def test_without_limits_nothing_is_counted() -> None:
    quota, uses, unlimited = Quota(), Uses(), made(max_per_call=None)
    assert not any(quota.take(unlimited, uses, 0.0) for _ in range(1000))
    assert made().max_per_call == TOOL_MAX_PER_CALL


def test_each_call_has_its_own() -> None:
    quota, one, other, twice = Quota(), Uses(), Uses(), made(max_per_call=2)
    told = [quota.take(twice, one, 0.0) for _ in range(3)]
    assert told == ["", "", "This tool may be used 2 times in a call, and has been."]
    assert quota.take(twice, other, 0.0) == ""


def test_an_hour_is_any_hour() -> None:
    quota, twice = Quota(), made(max_per_hour=2)
    assert [quota.take(twice, Uses(), at) for at in (0.0, 1800.0)] == ["", ""]
    assert "2 times in an hour" in quota.take(twice, Uses(), HOUR_S - 1)
    assert quota.take(twice, Uses(), HOUR_S) == ""
    assert "2 times in an hour" in quota.take(twice, Uses(), HOUR_S + 1)


@given(st.lists(st.floats(0, 2 * HOUR_S), max_size=40), st.integers(1, 4))
def test_no_hour_has_more(times: list[float], limit: int) -> None:
    quota, bounded = Quota(), made(max_per_hour=limit)
    ran = [at for at in sorted(times) if not quota.take(bounded, Uses(), at)]
    assert all(len([at for at in ran if at <= end and end - at < HOUR_S]) <= limit for end in ran)


def test_the_model_is_told_whichever_turn_it_is_and_the_call_goes_on() -> None:
    ran = []

    @tool(max_per_call=1)
    def send() -> str:
        """Send a text."""
        ran.append(1)
        return "sent"

    def answer(said: Sequence[Said]) -> Answer:
        if isinstance(said[-1], ToolAnswered):
            return "Done."
        return ToolRequested(f"c{len(said)}", "send", "{}")

    async def script(world: World) -> None:
        for _ in range(2):
            await world.listening()
            world.stt.hear("Send it.")
            await world.quiet()

    def prepare(world: World) -> None:
        world.agent = Agent(instructions="x", greeting="Hello.", tools=(send,))

    world = call(script, lambda: FakeLlm(answer), prepare)
    outputs = [item.output for item in world.llm.requests[-1] if isinstance(item, ToolAnswered)]
    assert outputs == ["sent", "This tool may be used 1 times in a call, and has been."]
    assert ran == [1] and [turn.heard for turn in world.record.turns] == ["Done.", "Done."]


# What a model may send.


@tool
def book(day: int, names: list[str], note: str = "") -> str:
    """Book a table."""
    assert isinstance(day, int) and isinstance(note, str)
    assert all(isinstance(name, str) for name in names)
    return "booked"


BOX = ToolBox([book], BuiltIn({"desk": "+15550100009"}, briefs=True, sends_digits=True))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
FIELDS = st.sampled_from(["day", "names", "note", "to", "briefing", "digits", "self", "p0"])
ARGUMENTS = st.one_of(
    st.text(st.characters(exclude_categories=())),
    JSON.map(json.dumps),
    st.dictionaries(FIELDS, JSON).map(json.dumps),
    st.sampled_from(["[" * 100_000, '{"day":' + "9" * 10_000 + "}", '{"day":1,"day":2}', "\x00"]),
)
NAMES = st.sampled_from([*(spec.name for spec in BOX.specs), "x" * 10_000, "", "\ud83d"])


@settings(max_examples=400, deadline=None)
@given(NAMES, ARGUMENTS)
def test_whatever_a_model_sends_comes_back_as_text(name: str, arguments: str) -> None:
    request, wishes = ToolRequested("c", name, arguments), Wishes()
    if BOX.built_in.has(request):
        told = BOX.built_in.take(request, wishes)
        assert wishes.transfer is None or wishes.transfer.number == "+15550100009"
        assert set(wishes.digits) <= set("0123456789*#ABCDw,")
    else:
        told = clock.run(BOX.run(request))
    assert isinstance(told, str) and len(told) < 2000


def _odd(value: str) -> str:
    raise LookupError(value)


async def test_a_type_whose_own_check_fails_is_a_tool_that_failed() -> None:
    @tool
    def look(what: Annotated[str, AfterValidator(_odd)]) -> str:
        """Look."""
        return "never"

    told = await ToolBox([look]).run(ToolRequested("c", "look", '{"what":"x"}'))
    assert told == "The tool failed."
