"""What was heard, and tools in pairs."""

from voice_ai.turn.events import AgentSaid, CallerSaid, ToolAnswered, ToolCalled
from voice_ai.turn.history import History


def test_nothing_was_said() -> None:
    history = History()
    assert history.said == ()
    assert history.transcript() == []


def test_what_was_not_heard_leaves_nothing() -> None:
    history = History()
    history.agent(1, "", complete=False)
    history.agent(1, "  \n", complete=True)
    history.caller(2, " ")
    assert history.said == ()


def test_a_tool_without_an_answer_is_not_said_until_it_has_one() -> None:
    history = History()
    history.tool_called(3, "a", "opening_hours", "{}")
    assert history.said == ()
    history.tool_answered(3, "a", "9 to 5")
    called = ToolCalled(3, "a", "opening_hours", "{}")
    assert history.said == (called, ToolAnswered(3, "a", "9 to 5"))


def test_an_answer_to_no_call_and_a_second_answer_are_dropped() -> None:
    history = History()
    history.tool_answered(3, "a", "early")
    history.tool_called(3, "a", "opening_hours", "{}")
    history.tool_answered(3, "a", "first")
    history.tool_answered(3, "a", "second")
    assert [item for item in history.said if isinstance(item, ToolAnswered)] == [
        ToolAnswered(3, "a", "first")
    ]


def test_a_call_id_counts_once() -> None:
    history = History()
    history.tool_called(3, "a", "opening_hours", "{}")
    history.tool_called(5, "a", "other", "{}")
    history.tool_answered(3, "a", "9 to 5")
    assert len(history.said) == 2


def test_the_tools_of_an_unheard_turn_stay_in_pairs() -> None:
    history = History()
    history.caller(2, "When are you open?")
    history.tool_called(3, "a", "opening_hours", "{}")
    history.tool_called(3, "b", "address", "{}")
    history.tool_answered(3, "a", "9 to 5")
    history.agent(3, "", complete=False)
    kinds = [type(item) for item in history.said]
    assert kinds == [CallerSaid, ToolCalled, ToolAnswered]


def test_a_conversation() -> None:
    history = History()
    history.agent(1, "Hello. ", complete=True)
    history.caller(2, "When are you open? ")
    history.agent(3, "From nine", complete=False)
    history.tool_called(5, "a", "opening_hours", "{}")
    history.tool_answered(5, "a", "9 to 5")
    assert history.said[:3] == (
        AgentSaid(1, "Hello.", True),
        CallerSaid(2, "When are you open?"),
        AgentSaid(3, "From nine", False),
    )
    assert history.transcript() == [
        ("agent", "Hello."),
        ("caller", "When are you open?"),
        ("agent", "From nine"),
    ]


def test_said_does_not_change_under_a_reader() -> None:
    history = History()
    history.caller(2, "Hello?")
    said = history.said
    history.caller(4, "Are you there?")
    assert said == (CallerSaid(2, "Hello?"),)
