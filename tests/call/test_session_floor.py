"""Whole calls on virtual time: who has the floor, and what the caller hears of it."""

import asyncio

import pytest

from call_world import World, call
from fakes.inproc import MS_PER_CHAR, FakeLlm, last_words
from voice_ai.turn.events import AgentSaid, CallerSaid
from voice_ai.turn.rules import Rules

STORY = "one two three four five six seven eight nine ten eleven twelve."


def story() -> FakeLlm:
    return FakeLlm(lambda said: STORY if "Count" in last_words(said) else "Yes.")


async def speaking(world: World, n_chars: int) -> None:
    """Ask for the story and wait until so many of its characters were played."""
    await world.listening()
    world.stt.hear("Count.")
    await world.until(lambda: world.line.audio_octets() > 8 * MS_PER_CHAR * len(STORY))
    await asyncio.sleep(n_chars * MS_PER_CHAR / 1000)


def said_of(world: World) -> list[str]:
    return [item.text for item in world.llm.settled[-1] if isinstance(item, AgentSaid)]


@pytest.mark.parametrize("n_chars", [0, 1, 4, 10, 30, 55])
def test_a_cough_stops_the_reply_and_it_goes_on_from_the_word_that_was_cut(n_chars: int) -> None:
    async def script(world: World) -> None:
        await speaking(world, n_chars)
        world.stt.start()
        await world.quiet()

    world = call(script, story)
    assert world.line.kinds().count("clear") == 1
    heard = world.line.played().removeprefix("Hello.").rstrip()
    # Up to the cut, and from the last word on that was whole: all of it, and no word twice.
    whole = [n for n in range(len(STORY)) if n == 0 or STORY[n] == " "]
    assert heard in [STORY[:end] + STORY[max(n for n in whole if n <= end) :] for end in range(60)]
    assert said_of(world)[-1] == STORY


def test_a_stop_of_under_a_second_is_not_longer_than_the_false_start() -> None:
    async def script(world: World) -> None:
        await speaking(world, 20)
        world.stt.start()
        await world.quiet()

    world = call(script, story)
    cleared = next(at for kind, _, at in world.line.sent if kind == "clear")
    again = next(at for kind, _, at in world.line.sent if kind == "audio" and at > cleared)
    assert again - cleared == pytest.approx(0.7)


@pytest.mark.parametrize("murmur", ["Mhm.", "Uh-huh.", "Okay."])
def test_a_murmur_does_not_take_the_floor(murmur: str) -> None:
    async def script(world: World) -> None:
        await speaking(world, 20)
        world.stt.start()
        await asyncio.sleep(0.1)
        world.stt.update(murmur)
        await asyncio.sleep(0.1)
        world.stt.end(murmur)
        await world.quiet()

    world = call(script, story)
    assert said_of(world)[-1] == STORY
    assert [turn.caller for turn in world.record.turns] == ["Count."]


def test_okay_at_the_very_end_is_an_answer() -> None:
    async def script(world: World) -> None:
        await speaking(world, len(STORY) - 10)
        world.stt.start()
        await asyncio.sleep(0.1)
        world.stt.end("Okay.")
        await world.quiet()

    world = call(script, story)
    assert [turn.caller for turn in world.record.turns] == ["Count.", "Okay."]


def test_words_after_a_murmur_take_the_floor_though_the_reply_went_on() -> None:
    async def script(world: World) -> None:
        await speaking(world, 20)
        world.stt.start()
        world.stt.update("Okay")
        await asyncio.sleep(1.0)
        world.stt.update("Okay but wait")
        await asyncio.sleep(0.5)
        world.stt.end("Okay, but wait.")
        await world.quiet()

    world = call(script, story)
    assert world.line.kinds().count("clear") == 2
    assert [turn.caller for turn in world.record.turns] == ["Count.", "Okay, but wait."]
    assert world.record.turns[0].heard != STORY


def test_a_reply_that_is_still_being_made_is_held_and_goes_on() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.tts.delay_s = 0.4
        world.stt.hear("Count.")
        await world.until(lambda: bool(world.tts.spoken))
        world.stt.start()
        await world.quiet()

    world = call(script, lambda: FakeLlm(lambda said: "First one. Second two. Third three."))
    assert said_of(world)[-1] == "First one. Second two. Third three."
    assert "Third three." in world.line.played()


def test_a_draft_is_spoken_at_the_end_of_turn_and_not_a_moment_before() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.tts.delay_s = 0.3
        world.stt.start()
        world.stt.eager("What time is it?")
        await asyncio.sleep(1.0)
        assert world.llm.requests[-1][-1] == CallerSaid(3, "What time is it?")
        before = world.line.audio_octets()
        world.stt.end("What time is it?")
        await asyncio.sleep(0.001)
        assert world.line.audio_octets() > before
        await world.quiet()

    world = call(script, story)
    assert len(world.llm.requests) == 1
    assert said_of(world)[-1] == "Yes."
    [turn] = world.record.turns
    assert (turn.caller, turn.reply, turn.heard) == ("What time is it?", "Yes.", "Yes.")


def test_a_draft_is_dropped_without_a_trace_when_the_caller_goes_on() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.start()
        world.stt.eager("Count.")
        await asyncio.sleep(1.0)
        world.stt.resume()
        world.stt.update("Count. No, stop")
        await asyncio.sleep(0.5)
        world.stt.end("Count? No, stop.")
        await world.listening()

    world = call(script, lambda: FakeLlm(lambda said: last_words(said)))
    assert world.line.played() == "Hello.Count? No, stop. "
    assert [turn.caller for turn in world.record.turns] == ["Count? No, stop."]


def test_a_filler_bridges_the_silence_and_is_no_part_of_what_was_said() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 3.0
        world.stt.hear("Well?")
        await world.until(lambda: "Yes" in world.line.played())
        await world.quiet()

    def filled(world: World) -> None:
        world.rules = Rules(filler_ms=1200, silence_ms=None)
        world.fillers["filler"] = [world.spoken("Hmm."), world.spoken("Well.")]

    world = call(script, lambda: FakeLlm(lambda said: "Yes."), filled)
    assert world.line.played() in ("Hello.Hmm.Yes. ", "Hello.Well.Yes. ")
    assert said_of(world)[-1] == "Yes."


def unheard(world: World) -> None:
    world.rules = Rules(filler_ms=1200, silence_ms=None)
    world.fillers["filler"] = [world.spoken("Hmm, well.")]


async def wait_unheard(world: World) -> None:
    """The recogniser is late, and the caller has spoken and waits."""
    await world.listening()
    world.stt.start()
    world.stt.is_late = True
    await world.until(lambda: len(world.line.played()) > len("Hello."))
    world.stt.is_late = False


def test_a_caller_whom_a_late_recogniser_has_not_heard_is_told_a_filler() -> None:
    async def script(world: World) -> None:
        await wait_unheard(world)
        await asyncio.sleep(1.0)
        world.stt.end("Count.")
        await world.quiet()

    world = call(script, story, unheard)
    assert world.line.played() == f"Hello.Hmm, well.{STORY} "
    assert said_of(world) == ["Hello.", STORY]


def test_what_was_heard_of_an_answer_does_not_begin_before_the_filler_ends() -> None:
    async def script(world: World) -> None:
        await wait_unheard(world)
        world.stt.end("Count.")
        await world.until(lambda: "one two three" in world.line.played())
        await asyncio.sleep(len("Hmm, well.one two three") * MS_PER_CHAR / 1000)
        world.stt.hear("Stop.")
        await world.quiet()

    world = call(script, story, unheard)
    assert world.line.played().startswith("Hello.Hmm, well.one two three")
    assert world.record.turns[0].heard == "one two three"


def test_a_silent_caller_is_asked_for_twice_and_then_left() -> None:
    async def script(world: World) -> None:
        await world.until(lambda: world.line.hung_up, 120)

    world = call(script)
    there = world.agent.still_there
    assert world.line.played() == f"Hello.{there}{there}{world.agent.goodbye}"


def test_what_is_said_into_a_protected_greeting_is_answered_after_it() -> None:
    async def script(world: World) -> None:
        await asyncio.sleep(0.1)
        world.stt.hear("Are you open?")
        await world.quiet()

    def protected(world: World) -> None:
        world.rules = Rules(greeting_protected=True)

    world = call(script, story, protected)
    assert world.line.played() == "Hello.Yes. "


def test_keys_are_a_turn() -> None:
    async def script(world: World) -> None:
        await speaking(world, 20)
        for key in "12#":
            world.line.press(key)
        await world.quiet()

    world = call(script, story)
    assert [turn.caller for turn in world.record.turns] == ["Count.", "(pressed 1 2)"]
