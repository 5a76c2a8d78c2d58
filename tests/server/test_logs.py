"""Lines of the log as JSON: an object each, with its call, and no dirtier than the text."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.handset import calling
from fakes.openai_api import FakeOpenAI
from serving import serving
from voice_ai.errors import ProtocolError
from voice_ai.providers.faults import Fault, log_fault
from voice_ai.server.logs import CALL, CleanFormatter, JsonFormatter
from voice_ai.server.redaction import Redaction

SECRET = "s3cret/+ word"


def record(message: object, *args: Any, error: bool = False, **extra: Any) -> logging.LogRecord:
    info = sys.exc_info() if error else None
    made = logging.LogRecord("voice_ai.x", logging.WARNING, "x.py", 1, message, args, info)
    vars(made).update(extra)
    return made


def told(made: logging.LogRecord, with_texts: bool = False) -> dict[str, str]:
    line = JsonFormatter(Redaction([SECRET]), with_texts=with_texts).format(made)
    assert line.isascii() and "\n" not in line
    parsed = json.loads(line)
    assert isinstance(parsed, dict)
    return parsed


@pytest.fixture
def lines() -> Iterator[Any]:
    """What is logged meanwhile, parsed."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonFormatter(Redaction()))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


def test_an_empty_line_is_an_object_too() -> None:
    got = told(record(""))
    assert got.keys() == {"ts", "level", "logger", "event", "message"}
    assert (got["message"], got["level"], got["logger"]) == ("", "WARNING", "voice_ai.x")
    assert got["ts"].endswith("+00:00") and len(got["ts"]) == len("2026-11-23T01:02:03.456+00:00")


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_is_logged_is_one_line(text: str, more: str) -> None:
    assert told(record("%s: %s", text, more))["event"] == "%s: %s"


def test_half_a_surrogate_pair_and_what_is_no_text_are_logged() -> None:
    assert told(record("\ud800"))["message"] == "\ud800"
    assert told(record(ValueError("x")))["message"] == "x"
    assert told(record("%(a)s", {"a": 1}))["event"] == "%(a)s"


def test_an_event_is_the_same_for_every_call() -> None:
    one = told(record("call %s: over, %d turns", "CA1", 3))
    other = told(record("call %s: over, %d turns", "CA2", 5))
    assert one["event"] == other["event"] == "over, %d turns"
    assert (one["call_sid"], other["call_sid"]) == ("CA1", "CA2")
    assert one["message"] == "call CA1: over, 3 turns"


@pytest.mark.parametrize(
    ("made", "call_sid"),
    [
        (record("no call"), None),
        (record("call %s: x", "unknown"), None),
        (record("call %s: x", ""), None),
        (record("call %s: x", "CA1\nERROR all is well"), None),
        (record("call %s: x", 5), None),
        (record("call of %s: x", "CA1"), None),
        (record("a line", call_sid="CA7"), "CA7"),
        (record("call %(call_sid)s: x", {"call_sid": "CA7"}, call_sid="CA7"), "CA7"),
    ],
)
def test_which_call_a_line_names(made: logging.LogRecord, call_sid: str | None) -> None:
    assert told(made).get("call_sid") == call_sid


def test_a_line_that_names_a_call_is_about_that_one() -> None:
    token = CALL.set("CA1")
    try:
        assert told(record("something of an SDK's"))["call_sid"] == "CA1"
        assert told(record("call %s: x", "CA2"))["call_sid"] == "CA2"
        assert told(record("call %s: x", "unknown"))["call_sid"] == "CA1"
    finally:
        CALL.reset(token)


def test_the_json_is_as_clean_as_the_text() -> None:
    try:
        try:
            raise KeyError("the caller's words")
        except KeyError as error:
            raise ProtocolError(f"unknown event 'words' of {SECRET}") from error
    except ProtocolError:
        made = record(f'{SECRET} %s "%s"', SECRET, "+15550100001", error=True)
    line = json.dumps(got := told(made))
    assert got["message"] == '*** *** "+15*******01"' and got["event"] == '*** %s "%s"'
    for private in ("words", "s3cret", "5550100001"):
        assert private not in line
    assert "voice_ai.errors.ProtocolError: unknown event '...' of ***" in got["exception"]
    assert "the caller's words" in told(made, with_texts=True)["exception"]
    text = CleanFormatter(Redaction([SECRET])).format(made)
    assert text.split(": ", 1)[1] == f"{got['message']}\n{got['exception']}"


async def test_lines_of_a_calls_tasks_carry_it_whoever_logs_them(lines: Any) -> None:
    """A tool's own lines, the SDK's, a provider's: what is logged within the call."""
    async with serving(openai=FakeOpenAI(["Yes."])) as world:
        async with calling(world) as one, calling(world) as other:
            world.openai.fail("status", status=503)
            llm = logging.getLogger("some.sdk")
            respond = type(await _service(world)).respond

            async def logged(self: Any, stack: Any, body: Any) -> Any:
                await asyncio.sleep(0)
                llm.warning("a request is made")
                return await respond(self, stack, body)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(await _service(world)), "respond", logged)
                await other.asks("Are you there?")
                await other.until(lambda: any(turn.over for turn in other.record.turns))
    got = lines()
    requests = [line for line in got if line["logger"] == "some.sdk"]
    assert len(requests) >= 2  # it was asked again
    assert {line["call_sid"] for line in requests} == {other.call_sid}
    begun = [line["call_sid"] for line in got if line["event"] == "begun"]
    assert sorted(begun) == sorted([one.call_sid, other.call_sid])
    faults = [line for line in got if line["logger"] == "voice_ai.providers.faults"]
    assert {line["call_sid"] for line in faults} == {other.call_sid}
    for line in got:
        if "call " in line["message"] and line["logger"].startswith("voice_ai"):
            assert line["call_sid"] in line["message"]


async def _service(world: Any) -> Any:
    services = await world.app._readiness.get(within_s=0.0)
    return services.llm._models[0]._service


def test_a_fault_at_start_up_is_no_calls(lines: Any) -> None:
    log_fault(Fault("at start-up", "llm", "fallback x", "503", "gave up"))
    [line] = lines()
    assert "call_sid" not in line and "503" in line["message"]
