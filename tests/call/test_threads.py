"""Functions in threads of their own: what comes back, and what happens when nobody waits."""

import asyncio
import contextvars
import sys
import threading

import pytest

from voice_ai.call.threads import in_thread

CALL = contextvars.ContextVar("CALL", default="none")


def test_a_thread_that_outlives_its_loop_ends_quietly():
    end = threading.Event()
    began = []

    def look():
        began.append(threading.current_thread())
        end.wait(5.0)

    async def give_up():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await in_thread(look, {})

    asyncio.run(give_up())
    end.set()
    began[0].join(5.0)
    assert not began[0].is_alive()


async def test_a_result_an_error_and_arguments():
    assert await in_thread(lambda a, b: a - b, {"b": 1, "a": 3}) == 2
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda a: 1 // a, {"a": 0})


async def test_what_no_future_can_carry_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="a tool raised StopIteration"):
        await in_thread(lambda: next(iter(())), {})
    with pytest.raises(RuntimeError, match="a tool raised SystemExit"):
        await in_thread(sys.exit, {})


async def test_it_runs_in_its_callers_context():
    CALL.set("CA1")
    assert await in_thread(CALL.get, {}) == "CA1"
