"""A voice that breaks off in a reply, through the real SDK, against an Aura on loopback."""

import asyncio

import pytest

from fakes.aura import Cut
from fallback_world import (
    AT_CLAUSES,
    AT_RANDOM,
    CLAUSES,
    OCTETS_PER_CHAR,
    TEXT,
    World,
    a_call,
    check_spoken,
    play,
    say,
)
from voice_ai.providers.fallback.utterance import STALL_S
from voice_ai.providers.protocols import Audio

# Nothing goes wrong.


def test_a_voice_that_is_well_is_passed_through() -> None:
    async def script(world: World) -> None:
        async with world.voice().open(a_call()) as voice:
            data, spoken = await say(voice)
            assert data == bytes(world.first.aura.last.sent)
            assert len(data) == OCTETS_PER_CHAR * len(TEXT)
            assert spoken[-1] == len(TEXT)
            assert (await say(voice, ("Bye.",)))[1] == [4]

    world = play(script)
    assert world.faults == []
    assert len(world.first.aura.connections) == 1


def test_nothing_to_say() -> None:
    async def script(world: World) -> None:
        async with world.voice().open(a_call()) as voice:
            assert await say(voice, ()) == (b"", [])
            assert await say(voice, (" ",)) == (b"", [1])
            async with voice.utter():
                pass

    assert play(script).faults == []


# A cut in the middle.


@pytest.mark.parametrize("how", [1011, 1000, "abort", "error", "stall"])
@pytest.mark.parametrize("after", AT_CLAUSES + AT_RANDOM)
def test_a_reply_that_is_cut_goes_on(after: int, how: int | str) -> None:
    pause_s = 0.4 if after % 3 else 0.0

    async def script(world: World) -> None:
        world.first.aura.cuts.append(Cut(after, how))
        async with world.voice().open(a_call()) as voice:
            data, spoken = await say(voice, pause_s=pause_s)
        sent = [bytes(connection.sent) for connection in world.first.aura.connections]
        assert data == b"".join(audio[: len(audio) // 2 * 2] for audio in sent)
        assert spoken == sorted(spoken)
        assert spoken[-1] == len(TEXT)

    world = play(script)
    assert len(world.first.aura.connections) == 2
    assert world.actions == ["Aura replaced"]
    check_spoken(world.words, 1)


def test_where_the_next_voice_begins_is_told() -> None:
    async def script(world: World) -> None:
        said = "Thank you for waiting, we have a tab"
        world.first.aura.cuts.append(Cut(OCTETS_PER_CHAR * len(said)))
        async with world.voice().open(a_call()) as voice:
            _, spoken = await say(voice)
        assert spoken[:2] == [len(CLAUSES[0]), TEXT.index("near")]
        assert world.first.aura.last.ledger[0].text == "near the window. "

    play(script)


def test_a_reply_that_is_cut_again_and_again() -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts += [Cut(OCTETS_PER_CHAR * 29) for _ in range(5)]
        async with world.voice().open(a_call()) as voice:
            assert (await say(voice))[1][-1] == len(TEXT)

    world = play(script)
    assert world.actions == ["Aura replaced"] * 5
    check_spoken(world.words, 5)


def test_a_stall_is_noticed_while_the_caller_has_sound_left_or_soon_after() -> None:
    """At one and a half times real time: at 10 s of sound the caller has 3.3 s to hear yet."""
    after = OCTETS_PER_CHAR * 50
    gaps = []

    async def script(world: World) -> None:
        loop = asyncio.get_running_loop()
        for rate in (1.5, 6.0):
            world.first.aura.rate = rate
            world.first.aura.cuts += [Cut(after, "stall"), None]
            async with world.voice().open(a_call()) as voice, voice.utter() as utterance:
                for clause in CLAUSES:
                    await utterance.send(clause)
                await utterance.finish()
                gap = n_octets = 0.0
                until = loop.time()
                async for event in utterance:
                    if isinstance(event, Audio):
                        n_octets += len(event.data)
                        gap = max(gap, loop.time() - until if n_octets > 10**4 else 0)
                        until = max(until, loop.time()) + len(event.data) / 32000
            gaps.append(gap)

    world = play(script)
    assert world.actions == ["Aura replaced"] * 2
    assert 0.4 < gaps[0] < STALL_S
    assert gaps[1] < 0.1


def test_a_pause_that_the_caller_does_not_hear_is_no_stall() -> None:
    """Six seconds of sound have come: a voice that then pauses for four is in time."""

    async def script(world: World) -> None:
        world.first.aura.stall_after = 100 * OCTETS_PER_CHAR
        async with world.voice().open(a_call()) as voice, asyncio.TaskGroup() as group:
            saying = group.create_task(say(voice))
            await asyncio.sleep(4.0)
            await world.first.aura.unstall()
        assert len(saying.result()[0]) == OCTETS_PER_CHAR * len(TEXT)

    assert play(script).faults == []


def test_a_voice_that_never_begins_to_speak() -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts.append(Cut(0, "stall"))
        async with world.voice().open(a_call()) as voice:
            began = asyncio.get_running_loop().time()
            data, _ = await say(voice)
            assert len(data) == OCTETS_PER_CHAR * len(TEXT)
            assert asyncio.get_running_loop().time() - began < 2.5

    assert play(script).actions == ["Aura replaced"]


def test_a_model_that_thinks_in_the_middle_is_no_stall() -> None:
    async def script(world: World) -> None:
        async with world.voice().open(a_call()) as voice:
            assert (await say(voice, pause_s=9.0))[1][-1] == len(TEXT)

    world = play(script)
    assert world.faults == []
    check_spoken(world.words, 0)


def test_a_model_that_thinks_while_flushes_are_short_is_no_stall() -> None:
    """Beyond the budget of flushes text waits, unspoken, for more of it: nothing is owed."""
    words = tuple(f"word{n} " for n in range(30))

    async def script(world: World) -> None:
        world.first.aura.segments = False
        async with world.voice().open(a_call()) as voice:
            assert (await say(voice, words, pause_s=1.9))[1][-1] == len("".join(words))

    world = play(script)
    assert world.faults == []
    check_spoken(world.words, 0, "".join(words))


def test_a_listener_who_holds_the_reply_is_no_stall() -> None:
    async def script(world: World) -> None:
        world.first.aura.rate = 4.0
        async with world.voice().open(a_call()) as voice, voice.utter() as utterance:
            for clause in CLAUSES:
                await utterance.send(clause)
            await utterance.finish()
            n_octets = 0
            async for event in utterance:
                if isinstance(event, Audio):
                    n_octets += len(event.data)
                    await asyncio.sleep(8.0 if n_octets == len(event.data) else 0.0)
            assert n_octets == OCTETS_PER_CHAR * len(TEXT)

    assert play(script).faults == []
