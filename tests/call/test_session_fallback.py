"""What the caller hears while language models fail: whole calls, on virtual time."""

import asyncio
from collections.abc import Callable

import pytest

from call_world import World, call
from fakes.inproc import FakeLlm
from voice_ai.errors import ProviderError
from voice_ai.providers.fallback.model import FIRST_TOKEN_S, ResilientLanguageModel
from voice_ai.providers.faults import Fault
from voice_ai.turn.rules import Rules

# The most that nothing may be heard, in seconds.
MOST_SILENCE_S = 2.5
RULES = Rules(silence_ms=None, filler_ms=1_200, filler_again_ms=2_500)


class Both(ResilientLanguageModel):
    """Two models as one, of which a call's world can ask how many replies are under way."""

    def __init__(self, first: FakeLlm, second: FakeLlm) -> None:
        self.first, self.second = first, second
        self.faults: list[Fault] = []
        super().__init__([("first", first), ("second", second)], report=self.faults.append)

    @property
    def live(self) -> int:
        return self.first.live + self.second.live


def mute() -> FakeLlm:
    made = FakeLlm(lambda said: "Too late.")
    made.delay_s = 60.0
    return made


def prepared(first: FakeLlm, second: FakeLlm) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.llm = Both(first, second)  # type: ignore[assignment]
        world.rules = RULES
        world.fillers["filler"] = [world.spoken("Hmm."), world.spoken("Well.")]

    return prepare


def longest_silence_s(world: World, since: float, until: float) -> float:
    silences, at_end = [0.0], since
    for kind, data, at in world.line.sent:
        if kind == "audio" and since <= at <= until:
            assert isinstance(data, bytes)
            silences.append(at - at_end)
            at_end = max(at, at_end) + len(data) / 8000
    return max(silences)


def test_nobody_answers_and_the_silence_is_bounded() -> None:
    asked = 0.0

    async def script(world: World) -> None:
        nonlocal asked
        await world.listening()
        asked = world.line.loop.time()
        world.stt.hear("Hello?")
        await world.until(lambda: world.agent.apology in world.line.played())
        await world.quiet()

    world = call(script, prepare=prepared(mute(), mute()))
    assert longest_silence_s(world, asked, world.line.loop.time()) <= MOST_SILENCE_S
    assert world.record.failures == ["llm"]
    apology_ends_s = asked + 3 * FIRST_TOKEN_S + len(world.agent.apology) * 0.05
    assert world.line.played_until == pytest.approx(apology_ends_s, abs=0.5)


def test_the_second_answers_and_the_silence_is_bounded() -> None:
    asked = 0.0

    async def script(world: World) -> None:
        nonlocal asked
        await world.listening()
        asked = world.line.loop.time()
        world.stt.hear("Hello?")
        await world.until(lambda: "Here I am." in world.line.played())
        await world.quiet()

    world = call(script, prepare=prepared(mute(), FakeLlm(lambda said: "Here I am.")))
    assert longest_silence_s(world, asked, world.line.loop.time()) <= MOST_SILENCE_S
    assert world.record.failures == []
    assert world.record.turns[0].heard == "Here I am."


@pytest.mark.parametrize("after_s", [0.5, 3.9, 4.5, 8.5, 11.0])
def test_a_caller_who_speaks_meanwhile_is_answered(after_s: float) -> None:
    first, second = mute(), mute()

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Hello?")
        await asyncio.sleep(after_s)
        world.stt.start()
        world.stt.update("Are you")
        await asyncio.sleep(0.1)
        assert first.live + second.live == 0
        first.delay_s = 0.0
        first.answer = lambda said: "Yes, I am."
        world.stt.end("Are you there?")
        await world.until(lambda: "Yes, I am." in world.line.played())
        await world.quiet()

    world = call(script, prepare=prepared(first, second))
    assert world.record.turns[-1].heard == "Yes, I am."


def test_a_failure_that_a_retry_mends_is_not_heard() -> None:
    answers: list[str | ProviderError] = [ProviderError("llm", "503"), "Here I am."]

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Hello?")
        await world.until(lambda: "Here" in world.line.played())
        await world.quiet()

    world = call(script, prepare=prepared(FakeLlm(lambda said: answers.pop(0)), mute()))
    assert world.line.played() == "Hello.Here I am. "
    assert isinstance(world.llm, Both)
    assert [fault.action for fault in world.llm.faults] == ["retried"]
    assert world.record.failures == []
