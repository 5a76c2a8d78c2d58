"""Long turns, long calls and ends of calls, on virtual time; and what may not be interrupted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from call_world import World, call
from fakes.inproc import MS_PER_CHAR, FakeLlm, last_words
from voice_ai import Agent
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import ToolRequested
from voice_ai.turn.events import AgentSaid, CallerSaid, MachineAnswered
from voice_ai.turn.rules import Rules

STORY = "one two three four five six seven eight nine ten eleven twelve."


def ruled(**rules: float | bool | None) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.rules = replace(Rules(silence_ms=None), **rules)  # type: ignore[arg-type]

    return prepare


def echo() -> FakeLlm:
    return FakeLlm(lambda said: f"{last_words(said)}!")


def story() -> FakeLlm:
    return FakeLlm(lambda said: STORY if "Count" in last_words(said) else "Yes.")


async def heard(world: World, words: str, n_chars: int) -> None:
    """Wait until these words are on the wire, and so many of their characters were played."""
    await world.until(lambda: words[:n_chars] in world.line.played())
    begun = world.line.loop.time()
    await world.until(lambda: world.line.loop.time() > begun + n_chars * MS_PER_CHAR / 1000)


# The caller's turns that do not end.


def test_a_turn_in_which_no_new_word_comes_is_answered_with_the_words_so_far() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.start()
        world.stt.update("I wanted to")
        asked = world.line.loop.time()
        await world.until(lambda: bool(world.llm.requests))
        assert world.line.loop.time() - asked == pytest.approx(12.0, abs=0.02)
        await world.quiet()

    world = call(script, echo, ruled())
    assert [turn.heard for turn in world.record.turns] == ["I wanted to!"]


async def monologue(world: World) -> None:
    """Speak for a minute and ten seconds, a word a second."""
    await world.listening()
    world.stt.start()
    words: list[str] = []
    for n in range(70):
        words.append(f"w{n}")
        world.stt.update(" ".join(words))
        await asyncio.sleep(1.0)
    world.stt.end(" ".join(words))


def test_a_monologue_is_answered_after_a_minute_and_what_follows_is_answered_too() -> None:
    async def script(world: World) -> None:
        await monologue(world)
        await world.until(lambda: len(world.record.turns) == 2)
        await world.quiet()

    world = call(script, lambda: FakeLlm(lambda said: "I see. " * 20), ruled())
    first, second = [turn.caller.split() for turn in world.record.turns]
    assert len(first) == pytest.approx(60, abs=1)
    assert first + second == [f"w{n}" for n in range(70)]
    # Who goes on speaking does not interrupt the answer to it.
    assert world.record.turns[0].heard == ("I see. " * 20).strip()


def test_what_is_said_into_an_answer_that_fails_is_answered_and_not_apologised_for() -> None:
    async def script(world: World) -> None:
        world.llm.delay_s = 15.0
        await monologue(world)
        world.llm.delay_s = 0.0
        await world.until(lambda: "Yes." in world.line.played())
        await world.quiet()

    def llm() -> FakeLlm:
        failure = ProviderError("llm", "503")
        return FakeLlm(lambda said: "Yes." if "w69" in last_words(said) else failure)

    world = call(script, llm, ruled(reply_timeout_ms=60_000))
    assert world.line.played().rstrip() == "Hello.Yes."
    assert world.record.failures == ["llm"]
    assert [type(item) for item in world.llm.requests[-1]] == [AgentSaid, CallerSaid, CallerSaid]
    assert world.record.turns[-1].heard == "Yes."


# What may not be interrupted.


def test_nothing_interrupts_the_first_moments_of_a_protected_reply() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Count.")
        await heard(world, STORY, 1)
        world.stt.start()
        world.stt.update("Stop")
        await asyncio.sleep(0.5)
        assert "clear" not in world.line.kinds()
        await asyncio.sleep(1.0)
        world.stt.update("Stop it")
        await world.until(lambda: "clear" in world.line.kinds())
        world.stt.end("Stop it.")
        await world.quiet()

    world = call(script, story, ruled(protected_ms=1_000))
    assert [turn.caller for turn in world.record.turns] == ["Count.", "Stop it."]
    assert 0 < len(world.record.turns[0].heard) < len(STORY)


# Keys.


def test_keys_end_when_no_other_one_comes() -> None:
    async def script(world: World) -> None:
        await world.listening()
        for key in "12":
            await asyncio.sleep(2.0)
            world.line.press(key)
        pressed = world.line.loop.time()
        await world.until(lambda: bool(world.llm.requests))
        assert world.line.loop.time() - pressed == pytest.approx(3.0, abs=0.02)
        await world.quiet()

    world = call(script, echo, ruled())
    assert [turn.caller for turn in world.record.turns] == ["(pressed 1 2)"]


# Drafts.


def test_at_most_three_drafts_a_turn() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.start()
        for n in range(5):
            world.stt.eager(f"Well {n}")
            await asyncio.sleep(0.5)
            world.stt.resume()
        world.stt.end("Well, that is all.")
        await world.until(lambda: len(world.llm.requests) == 4)
        await world.quiet()

    world = call(script, echo, ruled())
    drafted = [last_words(request) for request in world.llm.requests]
    assert drafted == ["Well 0", "Well 1", "Well 2", "Well, that is all."]
    assert world.line.played().rstrip() == "Hello.Well, that is all.!"


# The first sound.


def test_the_first_clause_is_on_the_wire_before_its_sentence_is_written() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 2.0
        asked = world.line.loop.time()
        world.stt.hear("Is there a table?")
        await world.until(lambda: world.line.audio_octets(asked) > 0)
        assert world.line.loop.time() - asked == pytest.approx(2.0, abs=0.05)
        await world.until(lambda: len(world.tts.spoken) == 2)

    def llm() -> FakeLlm:
        return FakeLlm(lambda said: ["As far as I can see, there", "is one by the window."])

    world = call(script, llm, ruled())
    assert world.tts.spoken == ["As far as I can see, ", "there is one by the window. "]


def test_fillers_are_never_the_same_twice_in_a_row() -> None:
    async def script(world: World) -> None:
        world.fillers["filler"] = [world.spoken("Hm."), world.spoken("Well.")]
        world.llm.delay_s = 2.0
        await world.listening()
        for n in range(3):
            world.stt.hear("So?")
            await world.until(lambda n=n: world.line.played().count("Yes.") == n + 1)
            await world.quiet()

    world = call(script, lambda: FakeLlm(lambda said: "Yes."), ruled(filler_ms=1_200))
    said = world.line.played().removeprefix("Hello.").replace("Yes. ", "").removesuffix("Yes.")
    assert said in ("Hm.Well.Hm.", "Well.Hm.Well.")


def test_a_long_silence_is_filled_again_and_again_until_we_give_up() -> None:
    async def script(world: World) -> None:
        world.fillers["filler"] = [world.spoken("Hm."), world.spoken("Well.")]
        world.llm.delay_s = 60.0
        await world.listening()
        world.stt.hear("So?")
        await world.until(lambda: "wrong" in world.line.played())

    world = call(script, echo, ruled(filler_ms=1_200, filler_again_ms=2_500))
    until, silences = 0.0, []
    for kind, data, at in world.line.sent:
        if kind == "audio":
            assert isinstance(data, bytes)
            silences.append(at - until)
            until = max(at, until) + len(data) / 8000
    assert world.line.played().count("Hm.") == world.line.played().count("Well.") == 3
    assert max(silences[1:]) < 2.5


# Ends.


def test_a_call_at_its_limit_ends_with_a_goodbye_that_nobody_interrupts() -> None:
    async def script(world: World) -> None:
        await speaking(world)
        await heard(world, world.agent.goodbye, 4)
        world.stt.hear("Wait!")
        await world.until(lambda: world.line.hung_up)

    world = call(script, lambda: FakeLlm(lambda said: STORY * 5), ruled(call_ms=5_000))
    assert world.line.played().endswith(world.agent.goodbye)
    assert world.record.reason == "the call has reached its limit"


async def greeting(world: World) -> None:
    await world.until(lambda: bool(world.line.sent))


async def thinking(world: World) -> None:
    await world.listening()
    world.llm.delay_s = 60.0
    world.stt.hear("Count.")
    await world.until(lambda: world.llm.live == 1)


async def speaking(world: World) -> None:
    await world.listening()
    world.stt.hear("Count.")
    await heard(world, STORY, 9)


async def making(world: World) -> None:
    await world.listening()
    world.tts.delay_s = 60.0
    world.stt.hear("Count.")
    await world.until(lambda: world.tts.live == 1)


async def held(world: World) -> None:
    await speaking(world)
    world.stt.start()
    await world.until(lambda: "clear" in world.line.kinds())


async def caller_speaks(world: World) -> None:
    await world.listening()
    world.stt.start()
    world.stt.update("I wanted")


async def drafting(world: World) -> None:
    await caller_speaks(world)
    world.stt.eager("I wanted to count.")
    await world.until(lambda: bool(world.llm.requests))


async def keying(world: World) -> None:
    await world.listening()
    world.line.press("1")


async def last_words_playing(world: World) -> None:
    world.llm.answer = lambda said: ["Goodbye then.", ToolRequested("c1", "hang_up", "{}")]
    await world.listening()
    world.stt.hear("Bye.")
    await heard(world, "Goodbye then.", 4)


async def recogniser_lost(world: World) -> None:
    await world.listening()
    world.stt.events.put_nowait(ProviderError("stt", "gone"))
    await heard(world, world.agent.goodbye, 4)


@pytest.mark.parametrize(
    "middle",
    [
        greeting,
        thinking,
        making,
        speaking,
        held,
        caller_speaks,
        drafting,
        keying,
        last_words_playing,
        recogniser_lost,
    ],
)
def test_a_hang_up_in_the_middle_of_anything(middle: Callable[[World], Awaitable[None]]) -> None:
    world = call(middle, story, ruled())
    assert world.record.reason == "the caller hung up"
    assert not world.line.hung_up


def test_words_of_a_turn_that_a_hang_up_cut_off_are_kept() -> None:
    async def script(world: World) -> None:
        await caller_speaks(world)
        await asyncio.sleep(0.1)

    assert [turn.caller for turn in call(script, story).record.turns] == ["I wanted"]


# A machine has answered.

MESSAGE = "Please call us back."


def machine_answers(world: World) -> None:
    assert world.record.tell is not None
    world.record.tell(MachineAnswered())


def with_a_message(world: World) -> None:
    world.agent = Agent(instructions="x", greeting="Hello.", voicemail=MESSAGE)


@pytest.mark.parametrize("middle", [greeting, thinking, speaking, held, caller_speaks, keying])
def test_a_machine_hears_the_message_whatever_it_says_and_then_the_call_ends(
    middle: Callable[[World], Awaitable[None]],
) -> None:
    async def script(world: World) -> None:
        await middle(world)
        machine_answers(world)
        await heard(world, MESSAGE, 6)
        world.stt.hear("Your mailbox is nearly full.")
        world.line.press("1")
        await world.until(lambda: world.line.hung_up)
        assert world.line.loop.time() >= world.line.played_until

    world = call(script, story, with_a_message)
    assert world.line.played().endswith(MESSAGE)
    assert world.line.kinds()[-1] == "hang up"
    assert world.record.voicemail == MESSAGE
    assert world.record.reason == "a machine answered"


def test_a_machine_that_hangs_up_into_the_message() -> None:
    async def script(world: World) -> None:
        await world.listening()
        machine_answers(world)
        await heard(world, MESSAGE, 12)

    world = call(script, story, with_a_message)
    assert MESSAGE.startswith(world.record.voicemail)
    assert 0 < len(world.record.voicemail) < len(MESSAGE)
    assert world.record.greeting == "Hello."


def test_a_machine_is_told_once() -> None:
    async def script(world: World) -> None:
        await world.listening()
        machine_answers(world)
        machine_answers(world)
        await world.until(lambda: world.line.hung_up)

    world = call(script, story, with_a_message)
    assert world.line.played() == f"Hello.{MESSAGE}"
    assert world.line.audio_octets() == 8 * MS_PER_CHAR * len(f"Hello.{MESSAGE}")
