"""Running the agent's tools: whatever becomes of one, the model has an answer to speak about."""

import asyncio
import threading
from decimal import Decimal

import pytest

import clock
from voice_ai.agent import Tool, tool
from voice_ai.call import threads
from voice_ai.call.built_in import HANG_UP
from voice_ai.call.tools import (
    AFTER_CALL_S,
    FAILED,
    LATE,
    MAX_OUTPUT_CHARS,
    NO_VALUE,
    STILL_RUNNING,
    STOPPED,
    ToolBox,
    ToolRuns,
)
from voice_ai.errors import UsageError
from voice_ai.providers.protocols import ToolRequested

SECRET = "sk-secret"


def request(name, arguments="{}", call_id="call_1"):
    return ToolRequested(call_id, name, arguments)


def box_of(function, **settings):
    function.__doc__ = function.__doc__ or "Do it."
    return ToolBox([tool(**settings)(function)])


async def answer_of(function, arguments="{}", **settings):
    return await box_of(function, **settings).run(request(function.__name__, arguments))


# None, unknown, wrong.


def test_an_agent_without_tools_can_hang_up():
    assert ToolBox([]).specs == (HANG_UP,)


def test_the_name_of_a_built_in_tool_is_taken():
    def hang_up():
        """Hang up."""

    with pytest.raises(UsageError, match="cannot be called 'hang_up', which is built in"):
        ToolBox([tool(hang_up)])


async def test_a_tool_that_there_is_not():
    assert await ToolBox([]).run(request("fly")) == "There is no tool called 'fly'."
    assert ToolBox([]).on_barge_in("fly") == "cancel"


async def test_arguments_that_do_not_fit_are_told_and_nothing_is_run():
    ran = []

    def opening_hours(day: int):
        ran.append(day)

    told = await answer_of(opening_hours, '{"day":"Monday"}')
    assert told.startswith("The arguments do not fit: 1 wrong: day: Input should be a valid int")
    assert ran == []


# What comes back.


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (None, NO_VALUE),
        ("nine to six", "nine to six"),
        ("", ""),
        (3, "3"),
        ({"a": [1, Decimal("2.50")]}, '{"a":[1,"2.50"]}'),
        ({1: {2}}, '{"1":[2]}'),
        (2**70, "1180591620717411303424"),
        (float("nan"), "NaN"),
        ("half \ud83d a pair", "half ? a pair"),
    ],
)
async def test_results_are_text(output, told):
    def look():
        return output

    assert await answer_of(look) == told


async def test_an_object_is_told_as_it_prints_itself():
    class Table:
        def __str__(self):
            return "a table"

    def look():
        return Table()

    assert await answer_of(look) == '"a table"'


async def test_a_result_without_end_is_cut():
    def look():
        return "x" * (MAX_OUTPUT_CHARS + 1)

    told = await answer_of(look)
    assert told.endswith(f"... ({MAX_OUTPUT_CHARS + 1} characters, cut)")
    assert len(told) < MAX_OUTPUT_CHARS + 50


# Where it runs.


async def test_a_plain_function_runs_in_a_thread_and_a_coroutine_on_the_loop():
    def where() -> str:
        return threading.current_thread().name

    async def here() -> str:
        return threading.current_thread().name

    assert await answer_of(where) == "tool"
    assert await answer_of(here) == threading.current_thread().name


async def test_a_plain_function_that_returns_an_awaitable():
    async def later():
        return "later"

    def look():
        return later()

    assert await answer_of(look) == "later"


# What goes wrong.


def circular():
    value = []
    value.append(value)
    return value


def raises(error):
    def look():
        raise error

    return look


def raises_on_the_loop(error):
    async def look():
        raise error

    return look


@pytest.mark.parametrize("make", [raises, raises_on_the_loop])
@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        TimeoutError(SECRET),
        StopIteration(SECRET),
        SystemExit(SECRET),
        asyncio.CancelledError(SECRET),
        ExceptionGroup("x", [ValueError(SECRET)]),
    ],
)
async def test_what_a_tool_raises_is_not_told(make, error):
    assert await answer_of(make(error)) == FAILED


async def test_a_result_that_cannot_be_told():
    assert await answer_of(circular) == FAILED


async def test_a_coroutine_that_takes_too_long():
    stopped = []

    async def look():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    assert await answer_of(look, timeout_s=0.01) == "The tool took longer than 0.01 seconds."
    assert stopped == [True]


async def test_a_thread_that_takes_too_long_is_left_behind():
    end, ended = threading.Event(), threading.Event()

    def look():
        end.wait(5.0)
        ended.set()

    assert await answer_of(look, timeout_s=0.01) == "The tool took longer than 0.01 seconds."
    end.set()
    assert await asyncio.to_thread(ended.wait, 5.0)


async def test_more_threads_than_there_may_be(monkeypatch):
    monkeypatch.setattr(threads, "_free", threading.BoundedSemaphore(1))
    end = threading.Event()

    def look():
        end.wait(5.0)
        return "done"

    box = box_of(look)
    first = asyncio.create_task(box.run(request("look")))
    await asyncio.sleep(0)
    assert await box.run(request("look")) == FAILED
    end.set()
    assert await first == "done"
    assert await box.run(request("look")) == "done"


async def test_a_cancelled_run_stays_cancelled():
    async def look():
        await asyncio.Event().wait()

    run = asyncio.create_task(box_of(look).run(request("look")))
    await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


# The tools of one response, and the caller who speaks meanwhile.


class Kept(list):
    def __call__(self, request, output):
        self.append((request.call_id, request.name, output))


async def test_no_requests_run_nothing():
    kept = Kept()
    async with asyncio.TaskGroup() as group:
        await ToolRuns(ToolBox([]), group, group, kept).run([])
    assert kept == []


async def test_several_tools_run_side_by_side_and_are_kept_in_order():
    met = asyncio.Event()

    async def first():
        """Wait for the second."""
        await met.wait()
        return 1

    async def second():
        """Let the first end."""
        met.set()
        return 2

    kept = Kept()
    async with asyncio.TaskGroup() as group:
        runs = ToolRuns(ToolBox([tool(first), tool(second)]), group, group, kept)
        await runs.run([request("first", call_id="a"), request("second", call_id="b")])
        await runs.run([request("none", call_id="c")])
    assert kept == [
        ("a", "first", "1"),
        ("b", "second", "2"),
        ("c", "none", "There is no tool called 'none'."),
    ]


@pytest.mark.parametrize("on_barge_in", ["finish", "cancel"])
async def test_the_caller_speaks_while_tools_run(on_barge_in):
    begun, end, stopped = asyncio.Event(), asyncio.Event(), []

    @tool(on_barge_in=on_barge_in)
    async def book():
        """Book a table."""
        try:
            begun.set()
            await end.wait()
            return "booked"
        except asyncio.CancelledError:
            stopped.append("book")
            raise

    @tool
    async def quick():
        """Be done at once."""
        return "quick"

    kept = Kept()
    async with asyncio.TaskGroup() as group:
        runs = ToolRuns(ToolBox([book, quick]), group, group, kept)
        reply = group.create_task(
            runs.run([request("book", call_id="a"), request("quick", call_id="b")])
        )
        await begun.wait()
        await asyncio.sleep(0)
        reply.cancel()
        await asyncio.wait([reply])
        assert reply.cancelled()
        now = STILL_RUNNING if on_barge_in == "finish" else STOPPED
        assert kept == [("a", "book", now), ("b", "quick", "quick")]
        end.set()
    late = [("a" + LATE, "book", "booked")] if on_barge_in == "finish" else []
    assert kept[2:] == late
    assert stopped == ([] if on_barge_in == "finish" else ["book"])


class Ended(Exception):
    """The call is over, whatever still runs."""


async def after_the_call(book: Tool, kept: Kept) -> None:
    """Leave a call in which this tool was interrupted; return once nothing of it runs."""
    async with asyncio.TaskGroup() as late:
        try:
            async with asyncio.TaskGroup() as group:
                runs = ToolRuns(ToolBox([book]), group, late, kept)
                reply = group.create_task(runs.run([request("book")]))
                for _ in range(4):
                    await asyncio.sleep(0)
                reply.cancel()
                await asyncio.wait([reply])
                raise Ended
        except* Ended:
            assert kept == [("call_1", "book", STILL_RUNNING)]


def test_a_tool_that_is_to_finish_does_so_after_its_call() -> None:
    kept = Kept()

    @tool(on_barge_in="finish")
    async def book() -> str:
        """Book a table."""
        await asyncio.sleep(9.0)
        return "booked"

    clock.run(after_the_call(book, kept))
    assert kept[1:] == [("call_1" + LATE, "book", "booked")]


def test_a_tool_that_is_to_finish_has_ten_seconds_after_its_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Kept()

    @tool(on_barge_in="finish", timeout_s=60)
    async def book() -> str:
        """Book a table."""
        await asyncio.sleep(30.0)
        return "booked"

    async def timed() -> float:
        await after_the_call(book, kept)
        return asyncio.get_running_loop().time()

    assert clock.run(timed()) == AFTER_CALL_S
    assert kept[1:] == []
    assert "tool book was stopped 10 s after its call" in caplog.text
