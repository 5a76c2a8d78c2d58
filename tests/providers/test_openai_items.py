"""The pure parts: items and tools, the mirror of a conversation, and the models' last days."""

from datetime import date

import pytest

from voice_ai.providers.openai.effort import quickest_effort
from voice_ai.providers.openai.items import (
    NO_RESULT,
    agent_key,
    allows_strict,
    called_key,
    flat_tools,
    wanted,
)
from voice_ai.providers.openai.record import Record
from voice_ai.providers.openai.shutdown import SHUTDOWNS, shutdown_warning
from voice_ai.providers.protocols import ToolSpec
from voice_ai.turn.events import AgentSaid, CallerSaid, ToolAnswered, ToolCalled
from voice_ai.wire.responses import Item

USER = CallerSaid(1, "Tell me a story.")
HEARD = AgentSaid(2, "Once", False)


def test_of_nothing_said_nothing_is_wanted():
    assert wanted([]) == []
    assert wanted([AgentSaid(1, " ", True)]) == []


def test_an_output_without_its_call_is_left_out_and_a_call_gets_one():
    said = [ToolAnswered(2, "a", "lost"), ToolCalled(2, "b", "f", "{}")]
    call, output = (one.item for one in wanted(said))
    assert call == {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"}
    assert output == {"type": "function_call_output", "call_id": "b", "output": NO_RESULT}


CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({}, False),
        ({**CLOSED, "properties": {"a": {}}, "required": ["a"]}, False),
        ({**CLOSED, "properties": {"a": {"$ref": "#/$defs/d"}}, "required": ["a"]}, True),
        ({"type": "object"}, False),
        (CLOSED, True),
        ({**CLOSED, "properties": {"a": {"type": "string"}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "string"}}, "required": ["a"]}, True),
        ({**CLOSED, "properties": {"a": {"default": 1}}, "required": ["a"]}, False),
        ({**CLOSED, "properties": {"a": {"type": "object"}}, "required": ["a"]}, False),
        ({**CLOSED, "properties": {"a": True}, "required": ["a"]}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "array", "items": CLOSED}, True),
        ({"anyOf": [{"type": "null"}, {"type": "object"}]}, False),
        ({**CLOSED, "$defs": {"d": {"type": "object"}}}, False),
        ({**CLOSED, "oneOf": []}, False),
    ],
)
def test_strict_where_the_schema_allows_it(schema, strict):
    assert allows_strict(schema) is strict
    [tool] = flat_tools([ToolSpec("f", "Do it.", schema)])
    assert (tool["strict"], tool["name"], tool["type"]) == (strict, "f", "function")


# The mirror.


def responded(record=None):
    record = record or Record()
    record.begin(2)
    items = [Item("rs_1", "reasoning"), Item("msg_1", "message", role="assistant", text="Once up")]
    record.keep_response(2, wanted([USER]), items)
    return record


def test_an_empty_record_wants_everything_and_knows_no_anchor():
    record = Record()
    assert record.anchor is None
    assert record.missing(wanted([USER, HEARD])) == wanted([USER, HEARD])
    assert record.missing(wanted([USER, HEARD]), up_to=1) == wanted([USER])
    assert not record.contradicts(2, wanted([]))


def test_a_completed_response_leaves_nothing_missing():
    record = responded()
    assert record.anchor == "msg_1"
    assert record.missing(wanted([USER, AgentSaid(2, "Once up", True)])) == []
    assert record.unheard(2, [USER, AgentSaid(2, "Once up", True)]) == []


@pytest.mark.parametrize("said", [[USER], [USER, HEARD], [USER, AgentSaid(4, "Once up", True)]])
def test_what_was_not_heard_to_its_end_goes_with_its_reasoning(said):
    assert responded().unheard(2, said) == ["msg_1", "rs_1"]


def test_the_reasoning_behind_a_call_stays_with_the_call():
    record = Record()
    record.begin(2)
    call = Item("fc_1", "function_call", call_id="call_1")
    items = [Item("msg_1", "message"), Item("rs_1", "reasoning"), call]
    record.keep_response(2, wanted([USER]), items)
    assert record.unheard(2, [USER]) == ["msg_1"]
    assert [one.key for one in record.missing(wanted([USER]))] == [("answered", 0, "call_1")]


def test_words_that_were_taken_back_contradict():
    record = responded()
    assert record.contradicts(2, wanted([CallerSaid(1, "Tell me a joke.")]))
    assert record.contradicts(4, wanted([USER]))
    assert not record.contradicts(2, wanted([USER]))


def test_an_abort_that_left_nothing_wants_everything_appended():
    record = Record()
    record.begin(2)
    plan = record.align(None, [], wanted([USER, HEARD]))
    assert (plan.delete, plan.append) == ([], wanted([USER, HEARD]))


def test_an_abort_that_left_everything_loses_what_was_not_heard():
    record = Record()
    listed = [
        Item("msg_1", "message", role="user", text="Tell  me a story. "),
        Item("rs_1", "reasoning"),
        Item("msg_2", "message", role="assistant", text="Once upon a time"),
        Item("rs_2", "reasoning"),
    ]
    plan = record.align(None, listed, wanted([USER, HEARD]))
    assert plan.delete == ["msg_2", "rs_1", "rs_2"]
    assert plan.append == wanted([HEARD])
    assert record.anchor == "msg_1"


def test_what_is_before_the_anchor_is_neither_looked_at_nor_wanted_again():
    record = responded()
    call = Item("fc_1", "function_call", call_id="call_1")
    said = [USER, AgentSaid(2, "Once up", True), CallerSaid(3, "And?"), HEARD]
    plan = record.align("msg_1", [call], wanted(said[:3]))
    assert plan.delete == ["fc_1"]
    assert plan.append == wanted([CallerSaid(3, "And?")])
    assert record.missing(wanted(said[:3])) == wanted([CallerSaid(3, "And?")])


def test_calls_and_outputs_are_known_by_their_id():
    said = [ToolCalled(2, "call_1", "f", "{}"), ToolAnswered(2, "call_1", "42")]
    record = Record()
    listed = [
        Item("fc_1", "function_call", call_id="call_1"),
        Item("fco_1", "function_call_output", call_id="call_1"),
        Item("fco_2", "function_call_output", call_id="call_2"),
    ]
    plan = record.align(None, listed, wanted(said))
    assert (plan.delete, plan.append) == (["fco_2"], [])
    assert record.entries[0].key == called_key("call_1")
    assert record.missing(wanted(said)) == []


def test_a_turn_is_uncertain_until_it_is_refused_kept_or_settled():
    record = Record()
    record.begin(2)
    assert (record.uncertain, record.unsettled) == ({2}, {2})
    record.refused(2)
    assert (record.uncertain, record.unsettled) == (set(), {2})
    record.begin(4)
    record.accepted(4)
    assert (record.uncertain, record.unsettled) == ({4}, {4})
    record.settled(4)
    assert (record.uncertain, record.unsettled) == (set(), set())


def test_a_dropped_item_is_missing_again():
    record = responded()
    record.drop(["msg_1"])
    assert [one.key for one in record.missing(wanted([USER, HEARD]))] == [agent_key(2)]


# The models' last days.


@pytest.mark.parametrize(
    ("today", "words"),
    [
        (date(2026, 11, 9), None),
        (date(2026, 11, 10), "shuts down on 2026-12-11"),
        (date(2026, 12, 10), "shuts down on 2026-12-11"),
        (date(2026, 12, 11), "was shut down on 2026-12-11"),
        (date(2027, 6, 1), "was shut down on 2026-12-11"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-5-nano", "gpt-5-nano-2025-08-07"])
def test_a_month_before_its_end_a_model_is_warned_of(model, today, words):
    warning = shutdown_warning(model, today)
    if words is None:
        assert warning is None
    else:
        assert warning is not None and f"model {model} {words}; set OPENAI_MODEL" in warning


@pytest.mark.parametrize("model", SHUTDOWNS)
def test_a_successor_stays_and_knows_no_effort_minimal(model):
    last_day, successor = SHUTDOWNS[model]
    warning = shutdown_warning(model, last_day)
    assert warning is not None and f"e.g. {successor}, which knows no effort 'minimal'" in warning
    assert successor not in SHUTDOWNS
    assert quickest_effort(successor) in ("none", "low")


def test_the_successor_of_the_default():
    warning = shutdown_warning("gpt-5-nano", date(2026, 12, 1))
    assert warning is not None and "e.g. gpt-6-luna" in warning
    assert quickest_effort("gpt-6-luna") == "none"


def test_a_model_whose_end_is_not_known_is_not_warned_of():
    assert shutdown_warning("gpt-5.6-luna", date(2030, 1, 1)) is None
