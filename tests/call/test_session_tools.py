"""Calls with tools, on virtual time: slow ones, failing ones, and what becomes of them when the
caller speaks or hangs up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from call_world import World, call
from fakes.inproc import Answer, FakeLlm, last_words
from voice_ai import Agent, tool
from voice_ai.agent import OnBargeIn, Tool
from voice_ai.call.tools import FAILED, LATE, STILL_RUNNING, STOPPED
from voice_ai.providers.protocols import ToolRequested
from voice_ai.turn.events import Said, ToolAnswered

MOMENT = "One moment."


def told(said: Sequence[Said]) -> list[str]:
    return [item.output for item in said if isinstance(item, ToolAnswered)]


def asking(*names: str) -> Callable[[], FakeLlm]:
    """A model that first asks for these tools at once, then says what they have answered."""
    requests = [ToolRequested(f"c{n}", name, "{}") for n, name in enumerate(names)]

    def answer(said: Sequence[Said]) -> Answer:
        if last_words(said) != "Go.":
            return "Yes."
        return f"So: {' '.join(told(said))}" if told(said) else requests

    return lambda: FakeLlm(answer)


def with_tools(*tools: Tool) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        agent = world.agent
        world.agent = Agent(instructions=agent.instructions, greeting=agent.greeting, tools=tools)
        world.rules = replace(world.rules, silence_ms=None)
        world.fillers["moment"] = [world.spoken(MOMENT)]

    return prepare


def taking(name: str, seconds: float, **settings: Any) -> Tool:
    async def work() -> str:
        """Do it."""
        await asyncio.sleep(seconds)
        return f"{name} is done."

    work.__name__ = name
    return tool(**settings)(work)


async def heard_out(world: World) -> None:
    await world.listening()
    world.stt.hear("Go.")
    await world.until(lambda: "So:" in world.line.played())
    await world.quiet()


def test_several_tools_of_one_response_run_side_by_side() -> None:
    world = call(heard_out, asking("a", "b"), with_tools(taking("a", 0.7), taking("b", 0.5)))
    # 1.2 s one after the other would have been excused for.
    assert world.line.played().rstrip() == "Hello.So: a is done. b is done."
    assert len(world.llm.requests) == 2


@pytest.mark.parametrize("seconds,excused", [(0.7, ""), (0.9, MOMENT), (5.0, MOMENT)])
def test_a_slow_tool_is_excused_for_once_and_a_quick_one_is_not(
    seconds: float, excused: str
) -> None:
    world = call(heard_out, asking("a"), with_tools(taking("a", seconds)))
    assert world.line.played().rstrip() == f"Hello.{excused}So: a is done."
    assert world.record.turns[0].heard == "So: a is done."


def test_a_tool_that_fails_is_spoken_about() -> None:
    @tool
    async def a() -> str:
        """Do it."""
        raise RuntimeError("no such thing")

    world = call(heard_out, asking("a"), with_tools(a))
    assert world.record.turns[0].heard == f"So: {FAILED}"


def test_a_tool_that_takes_too_long_is_spoken_about() -> None:
    world = call(heard_out, asking("a"), with_tools(taking("a", 60, timeout_s=2.0)))
    assert world.record.turns[0].heard == "So: The tool took longer than 2 seconds."


@pytest.mark.parametrize("on_barge_in", ["finish", "cancel"])
def test_a_tool_that_the_caller_interrupts_finishes_or_is_stopped(on_barge_in: OnBargeIn) -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Go.")
        await world.until(lambda: MOMENT in world.line.played())
        world.stt.hear("Are you there?")
        await world.until(lambda: "Yes." in world.line.played())
        await asyncio.sleep(4.0)
        world.stt.hear("And now?")
        await world.listening()

    world = call(script, asking("a"), with_tools(taking("a", 4.0, on_barge_in=on_barge_in)))
    now = {"finish": [STILL_RUNNING], "cancel": [STOPPED]}[on_barge_in]
    later = {"finish": ["a is done."], "cancel": []}[on_barge_in]
    assert told(world.llm.requests[1]) == now
    assert told(world.llm.requests[2]) == now + later
    ids = [item.call_id for item in world.llm.requests[2] if isinstance(item, ToolAnswered)]
    assert ids == ["c0", "c0" + LATE][: len(now + later)]


def hanging_up_over(made: Tool, at_work: Callable[[World], Awaitable[None]]) -> World:
    """A call whose caller hangs up while this tool is at work; it ends there and then."""
    over: list[float] = []

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Go.")
        await at_work(world)
        world.line.caller_hangs_up()
        left = world.line.loop.time()
        await world.until(lambda: world.record.ended)
        over.append(world.line.loop.time() - left)

    world = call(script, asking("a"), with_tools(made))
    assert over[0] < 0.02
    assert world.record.reason == "the caller hung up"
    return world


async def excused(world: World) -> None:
    await world.until(lambda: MOMENT in world.line.played())


async def interrupted(world: World) -> None:
    await excused(world)
    world.stt.hear("Are you there?")
    await world.until(lambda: "Yes." in world.line.played())


@pytest.mark.parametrize("at_work", [excused, interrupted])
def test_a_tool_that_is_to_finish_does_so_after_a_hang_up_which_waits_for_nothing(
    at_work: Callable[[World], Awaitable[None]],
) -> None:
    world = hanging_up_over(taking("a", 9.0, on_barge_in="finish"), at_work)
    assert world.record.as_json()["late_tools"] == [{"tool": "a", "output": "a is done."}]


def test_a_tool_that_is_to_finish_does_not_do_so_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = taking("a", 60.0, on_barge_in="finish", timeout_s=120.0)
    assert hanging_up_over(made, excused).record.late_tools == []
    assert "tool a was stopped 10 s after its call" in caplog.text


def test_any_other_tool_is_stopped_by_a_hang_up() -> None:
    stopped: list[str] = []

    @tool
    async def a() -> str:
        """Do it."""
        try:
            await asyncio.sleep(9.0)
        except asyncio.CancelledError:
            stopped.append("a")
            raise
        return "done"

    assert hanging_up_over(a, excused).record.late_tools == []
    assert stopped == ["a"]
