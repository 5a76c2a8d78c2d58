"""The ten conversations that matter most (and three), in real time over both vendors' own SDKs.

    point                                  test
    -------------------------------------  ----------------------------------------------------
    a barge-in stops us at once            test_01_a_barge_in_stops_us_and_what_was_heard_is_kept
    a cough does not                       test_02_after_a_cough_the_reply_goes_on_where_it_was
    nor does "mhm"                         test_03_a_murmur_takes_no_floor
    an eager end of turn is used           test_04_an_eager_end_of_turn_has_the_reply_ready
    or leaves no trace                     test_05_a_draft_is_dropped_when_the_caller_goes_on
    a clause is heard before its sentence  test_06_a_clause_is_heard_while_its_sentence_is_written
    a slow model is bridged                test_07_a_filler_bridges_a_slow_model
    tools, several, slow, one that fails   test_08_tools_side_by_side_with_a_moment_and_an_error
    the agent hangs up, being heard out    test_09_the_agent_hangs_up_when_its_last_word_was_heard
    silence is asked about, twice          test_10_a_silent_caller_is_asked_for_twice_then_left
    a recogniser falls mute                test_11_a_mute_recogniser_is_replaced_and_no_word_lost
    keys are a turn                        test_12_keys_are_a_turn_and_end_what_we_say
    a hang-up in the middle of anything    test_13_a_hang_up_leaves_nothing_behind

Nothing here waits for a time to pass, only for what is to happen.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from fakes.aura import FakeAura
from fakes.deepgram import FakeDeepgram
from fakes.faults import Fault
from fakes.flux import FakeFlux
from fakes.handset import Handset, calling, letters
from fakes.openai_api import FakeOpenAI, FunctionCall
from fakes.openai_events import short
from fakes.spoken import WORDS, spoken
from serving import World, serving
from voice_ai import Agent, pcm_16k_to_mulaw, tool

GREETING = "Hello."
STORY = "one two three four five six seven eight nine ten eleven twelve thirteen."


@asynccontextmanager
async def call(
    *answers: Any,
    agent: Agent | None = None,
    rules: dict[str, Any] | None = None,
    flux: FakeFlux | None = None,
    fault: Fault | None = None,
    openai: FakeOpenAI | None = None,
    **settings: Any,
) -> AsyncIterator[Handset]:
    """A caller who has heard the greeting; who then says what the test has the recogniser tell."""
    deepgram = FakeDeepgram(flux or FakeFlux(silence_ms=60_000), FakeAura(letters))
    async with serving(
        agent=agent or Agent(instructions="x", greeting=GREETING, fillers=[]),
        deepgram=deepgram,
        openai=openai or FakeOpenAI(list(answers)),
        tts_audio="mulaw/8000",
        **settings,
    ) as world:
        await change_rules(world, **(rules or {}))
        if fault:
            deepgram.flux.faults.append(fault)
        async with calling(world) as phone:
            await phone.hears(GREETING)
            yield phone


async def change_rules(world: World, **rules: Any) -> None:
    services = await world.app._readiness.get(within_s=0.0)
    assert services is not None
    world.app._readiness.set(replace(services, rules=replace(services.rules, **rules)))


async def told_a_story(phone: Handset, n_chars: int = 14) -> None:
    """Ask for the story and hear so much of it."""
    await phone.asks("Tell me a story.")
    await phone.until(lambda: phone.n_chars >= len(GREETING) + n_chars)


def went_on(text: str) -> bool:
    """Whether this is the story, cut once and resumed there or up to two words before."""
    starts = [0, *(n for n, letter in enumerate(STORY) if letter == " ")]
    resumed = [
        STORY[:cut] + STORY[start:]
        for cut in range(len(STORY))
        for start in [start for start in starts if start <= cut][-2:]
    ]
    return text.rstrip() in resumed


def known_to_the_model(world: World) -> list[str]:
    """What the last request told of the call, the service's own record of it included."""
    body = world.openai.requests[-1]
    if "conversation" in body:
        return world.openai.conversation.spoken
    return [short(item) for item in body["input"]]


@pytest.mark.parametrize("history", ["conversation", "local"])
async def test_01_a_barge_in_stops_us_and_what_was_heard_is_kept(history: str) -> None:
    async with call(STORY, "Yes.", history=history) as phone:
        await told_a_story(phone)
        await phone.recognised("StartOfTurn")
        await phone.until(lambda: "clear" in phone.kinds)
        await phone.recognised("Update", "Stop")
        await phone.recognised("EndOfTurn", "Stop it.")
        await phone.hears("Yes.")
        await phone.until(lambda: phone.record.turns[1].heard)
        first, second = phone.record.turns
        # What follows the clear is the next reply: not a letter more of this one.
        played = phone.text.removeprefix(GREETING).rstrip().removesuffix("Yes.")
        assert STORY.startswith(played[:-1])
        assert len(played) < len(STORY)
        assert STORY.startswith(first.heard)
        assert abs(len(first.heard.split()) - len(played.split())) <= 2
        assert (second.caller, second.heard) == ("Stop it.", "Yes.")
        assert f"assistant: {first.heard}" in known_to_the_model(phone.world)


@pytest.mark.parametrize("ends", [False, True], ids=["no-word-comes", "it-ends-without-a-word"])
async def test_02_after_a_cough_the_reply_goes_on_where_it_was(ends: bool) -> None:
    async with call(STORY) as phone:
        await told_a_story(phone)
        await phone.recognised("StartOfTurn")
        await phone.until(lambda: "clear" in phone.kinds)
        if ends:
            await phone.recognised("EndOfTurn")
        await phone.hears("thirteen.")
        assert went_on(phone.text.removeprefix(GREETING)), phone.text
        await phone.until(lambda: phone.record.turns[0].heard == STORY)
        assert len(phone.world.openai.requests) == 1


async def test_03_a_murmur_takes_no_floor() -> None:
    async with call(STORY) as phone:
        await told_a_story(phone)
        await phone.recognised("StartOfTurn")
        await phone.until(lambda: "clear" in phone.kinds)
        await phone.recognised("Update", "Mhm")
        await phone.recognised("EndOfTurn", "Mhm.")
        await phone.hears("thirteen.")
        assert went_on(phone.text.removeprefix(GREETING)), phone.text
        await phone.until(lambda: phone.record.turns[0].heard == STORY)
        assert [turn.caller for turn in phone.record.turns] == ["Tell me a story."]


async def test_04_an_eager_end_of_turn_has_the_reply_ready() -> None:
    async with call("It is noon.", history="local", eager_eot_threshold=0.4) as phone:
        aura = phone.world.deepgram.aura
        n_texts = len(aura.texts)
        await phone.recognised("StartOfTurn")
        await phone.recognised("EagerEndOfTurn", "What time is it?")
        await phone.until(lambda: len(aura.texts) > n_texts)
        assert phone.text == GREETING
        await phone.recognised("EndOfTurn", "What time is it?")
        await phone.hears("It is noon.")
        assert phone.text.rstrip() == f"{GREETING}It is noon."
        [turn] = phone.record.turns
        assert (turn.caller, turn.reply) == ("What time is it?", "It is noon.")
        assert len(phone.world.openai.requests) == 1


async def test_05_a_draft_is_dropped_when_the_caller_goes_on() -> None:
    answers = ["It is noon.", "Noon there, too."]
    async with call(*answers, history="local", eager_eot_threshold=0.4) as phone:
        aura = phone.world.deepgram.aura
        n_texts = len(aura.texts)
        await phone.recognised("StartOfTurn")
        await phone.recognised("EagerEndOfTurn", "What time is it")
        await phone.until(lambda: len(aura.texts) > n_texts)
        await phone.recognised("TurnResumed", "What time is it")
        await aura.until(lambda: {"type": "Clear"} in aura.last.messages)
        await phone.recognised("EndOfTurn", "What time is it in Rome?")
        await phone.hears("Noon there, too.")
        assert phone.text.rstrip() == f"{GREETING}Noon there, too."
        assert [turn.reply for turn in phone.record.turns] == ["Noon there, too."]
        known = [f"assistant: {GREETING}", "user: What time is it in Rome?"]
        assert known_to_the_model(phone.world) == known


async def test_06_a_clause_is_heard_while_its_sentence_is_written() -> None:
    answer = "Well, as far as I can see it from here there is a table for two by the window."
    async with call(openai=FakeOpenAI([answer], inter_token_s=0.1)) as phone:
        await phone.asks("Is there a table?")
        await phone.until(lambda: phone.n_chars > len(GREETING))
        assert phone.world.openai.conversation.busy
        await phone.hears("window.")
        assert phone.text.rstrip() == GREETING + answer


async def test_07_a_filler_bridges_a_slow_model() -> None:
    agent = Agent(instructions="x", greeting=GREETING, fillers=["Hm, well."])
    openai = FakeOpenAI(["It is noon."], first_token_s=1.5)
    async with call(openai=openai, agent=agent, rules={"filler_ms": 200}) as phone:
        await phone.asks("What time is it?")
        await phone.hears("Hm, well.")
        await phone.hears("It is noon.")
        assert phone.text.rstrip() == f"{GREETING}Hm, well.It is noon."
        await phone.until(lambda: phone.record.turns[0].heard == "It is noon.")


async def test_08_tools_side_by_side_with_a_moment_and_an_error() -> None:
    excused = asyncio.Event()

    @tool
    async def opening_hours(day: str) -> str:
        """Say when we are open on a day of the week."""
        await excused.wait()
        return f"nine to six on {day}"

    @tool
    def parking() -> str:
        """Say where to park."""
        raise RuntimeError("no map")

    def answer(context: list[dict[str, Any]]) -> Any:
        told = [item["output"] for item in context if item["type"] == "function_call_output"]
        if not told:
            return FunctionCall("opening_hours", '{"day":"Monday"}'), FunctionCall("parking")
        return f"From {told[0]}. Parking: {told[1]}"

    agent = Agent(
        instructions="x",
        greeting=GREETING,
        fillers=[],
        tools=[opening_hours, parking],
        moments=["One moment."],
    )
    openai = FakeOpenAI(answer)
    async with call(openai=openai, agent=agent, rules={"tool_ms": 100}) as phone:
        await phone.asks("When are you open, and where do I park?")
        await phone.hears("One moment.")
        excused.set()
        said = "From nine to six on Monday. Parking: The tool failed."
        await phone.hears(said)
        assert phone.text.rstrip() == f"{GREETING}One moment.{said}"
        await phone.until(lambda: phone.record.turns[0].heard == said)


async def test_09_the_agent_hangs_up_when_its_last_word_was_heard() -> None:
    farewell = FunctionCall("hang_up", text="Thank you for calling, and goodbye.")
    async with call(farewell) as phone:
        await phone.asks("That is all.")
        await phone.until(lambda: phone.over)
        assert phone.text.rstrip() == f"{GREETING}{farewell.text}"
        assert phone.n_unplayed == 0
        await phone.until(lambda: phone.record.ended)
        assert phone.record.reason == "asked for by the agent"
        assert phone.record.turns[0].heard == farewell.text


async def test_10_a_silent_caller_is_asked_for_twice_then_left() -> None:
    agent = Agent(
        instructions="x", greeting=GREETING, fillers=[], still_there="There?", goodbye="Bye."
    )
    async with call(agent=agent, rules={"silence_ms": 300}) as phone:
        await phone.until(lambda: phone.over)
        assert phone.text == f"{GREETING}There?There?Bye."
        await phone.until(lambda: phone.record.ended)
        assert phone.record.reason == "the caller said nothing"


async def test_11_a_mute_recogniser_is_replaced_and_no_word_lost() -> None:
    words = WORDS[:12]
    flux = FakeFlux(hears_spoken=True)
    async with call("Certainly.", flux=flux, fault=Fault(after_ms=2000)) as phone:
        n_streams = len(flux.connections)
        phone.say(pcm_16k_to_mulaw(spoken(words)))
        await phone.hears("Certainly.")
        assert len(flux.connections) > n_streams
        [turn] = phone.record.turns
        # The telephone's filters delay by 1.7 ms: this ear tells the odd ends of words in brackets.
        assert [word for word in turn.caller.split() if word[0] != "("] == words
        assert phone.record.failures == []


async def test_12_keys_are_a_turn_and_end_what_we_say() -> None:
    async with call(STORY, "One two it is.") as phone:
        await told_a_story(phone)
        for key in "12#":
            await phone.press(key)
        await phone.hears("One two it is.")
        assert "clear" in phone.kinds
        first, second = phone.record.turns
        assert first.heard != STORY
        assert (second.caller, second.heard) == ("(pressed 1 2)", "One two it is.")


async def thinking(phone: Handset) -> None:
    await phone.asks("Well?")
    await phone.until(lambda: phone.world.openai.requests)


async def held(phone: Handset) -> None:
    await told_a_story(phone)
    await phone.recognised("StartOfTurn")
    await phone.until(lambda: "clear" in phone.kinds)


async def drafting(phone: Handset) -> None:
    await phone.recognised("StartOfTurn")
    await phone.recognised("EagerEndOfTurn", "Tell me a story.")
    await phone.until(lambda: phone.world.openai.requests)


async def in_a_word(phone: Handset) -> None:
    await phone.recognised("StartOfTurn")
    await phone.recognised("Update", "Tell me")
    await phone.until(lambda: not phone.over)


async def keying(phone: Handset) -> None:
    await phone.press("1")


IN_THE_MIDDLE = {
    "we speak": told_a_story,
    "we are held": held,
    "we draft": drafting,
    "the caller speaks": in_a_word,
    "keys are pressed": keying,
}


@pytest.mark.parametrize("middle", IN_THE_MIDDLE.values(), ids=IN_THE_MIDDLE)
async def test_13_a_hang_up_leaves_nothing_behind(middle: Any) -> None:
    async with call(STORY, history="local", eager_eot_threshold=0.4) as phone:
        await middle(phone)
        await phone.hang_up()
        assert phone.record.reason == "the caller hung up"
        await phone.until(lambda: phone.world.app._calls.n_live == 0)


async def test_13_a_hang_up_while_we_think_leaves_nothing_behind() -> None:
    async with call(openai=FakeOpenAI(first_token_s=60.0)) as phone:
        await thinking(phone)
        await phone.hang_up()
        assert phone.record.reason == "the caller hung up"
        await phone.until(lambda: phone.world.openai.n_aborted == 1)


async def test_13_a_hang_up_while_a_tool_runs_stops_it() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    @tool
    async def look() -> str:
        """Look for ever."""
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return "never"

    agent = Agent(instructions="x", greeting=GREETING, fillers=[], tools=[look])
    async with call(FunctionCall("look"), agent=agent) as phone:
        await phone.asks("Look.")
        await phone.until(begun.is_set)
        await phone.hang_up()
        assert stopped.is_set()
