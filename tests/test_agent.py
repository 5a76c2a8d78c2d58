"""What a user writes, and what of it is refused before a call."""

import functools

import pytest

from voice_ai.agent import Agent, Tool, tool
from voice_ai.errors import UsageError


def opening_hours(day: str) -> str:
    """Tell when we are open.

    Args:
        day: a weekday.
    """
    return f"nine to six on {day}"


def silent() -> None:
    pass


def greedy(*days: str) -> None:
    """Take many."""


def open_ended(**days: str) -> None:
    """Take any."""


def nameless(day: str, /) -> None:
    """Take one without a name."""


def tür() -> None:
    """Open the door."""


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (silent, "tool 'silent' needs a docstring"),
        (greedy, "has the parameter '\\*days: str', needed named ones"),
        (open_ended, "has the parameter '\\*\\*days: str', needed named ones"),
        (nameless, "has the parameter 'day: str', needed named ones"),
        (tür, "cannot be called 'tür', needed 1 to 64"),
        (lambda: None, "cannot be called '<lambda>'"),
        (functools.partial(silent), "cannot be called ''"),
    ],
)
def test_a_function_that_is_no_tool(function, told):
    with pytest.raises(UsageError, match=told):
        tool(function)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"timeout_s": 0.0}, "has 0.0 s, needed more than 0"),
        ({"timeout_s": float("nan")}, "has nan s, needed more than 0"),
        ({"on_barge_in": "stop"}, "on_barge_in is 'stop', needed finish or cancel"),
    ],
)
def test_settings_that_a_tool_cannot_have(settings, told):
    with pytest.raises(UsageError, match=told):
        tool(**settings)(opening_hours)


def test_a_tool_bare_and_with_settings():
    assert tool(opening_hours) == Tool(opening_hours, timeout_s=10.0, on_barge_in="cancel")
    made = tool(timeout_s=2.5, on_barge_in="finish")(opening_hours)
    assert made == Tool(opening_hours, 2.5, "finish")
    assert made.name == "opening_hours"
    assert made.description == "Tell when we are open.\n\nArgs:\n    day: a weekday."


def test_a_method_is_a_tool():
    class Shop:
        def prices(self, of: str) -> str:
            """Tell a price."""
            return of

    assert tool(Shop().prices).name == "prices"


def test_an_agent_has_each_tool_once():
    with pytest.raises(UsageError, match="2 tools with the same name more than once"):
        Agent(instructions="x", tools=[tool(opening_hours), tool(opening_hours)])


def test_fillers_are_the_languages_unless_there_are_own_ones_or_none_are_wanted() -> None:
    assert all(Agent(instructions="x", language=language).fillers for language in ("en", "de"))
    assert Agent(instructions="x").fillers != Agent(instructions="x", language="es").fillers
    assert Agent(instructions="x", language="fi").fillers == ()
    assert Agent(instructions="x", fillers=["Hm."]).fillers == ("Hm.",)
    assert Agent(instructions="x", fillers=[]).fillers == ()
