"""A voice that cannot go on is followed by the next, or by none; over the real SDK."""

import asyncio

import pytest

from fakes.aura import Cut
from fakes.openai_speech import FakeOpenAISpeech
from fallback_world import (
    AT_CLAUSES,
    AT_RANDOM,
    CLAUSES,
    OCTETS_PER_CHAR,
    TEXT,
    World,
    a_call,
    check_spoken,
    hear,
    play,
    say,
    until,
)
from voice_ai.codec.formats import PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.breaker import MAX_RETRIES, OPEN_S
from voice_ai.providers.openai.speech import OpenAITextToSpeech

# Another voice.


def test_a_voice_that_cannot_be_dialled_again_is_followed_by_the_next() -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts.append(Cut(AT_CLAUSES[2] + 999))
        async with world.voice(world.other()).open(a_call()) as voice:
            world.first.aura.refuse = (503, "{}")
            assert (await say(voice))[1][-1] == len(TEXT)
            world.first.aura.refuse = None
            await say(voice, ("And on.",))

    world = play(script)
    assert world.actions == ["Aura replaced", "Aura fell back"]
    assert "now other speaks" in world.faults[1].what
    assert world.second.aura.texts[-1] == "And on.", "the call stays with it"
    check_spoken(world.words[:-2], 1)


@pytest.mark.parametrize("status", [401, 503])
def test_a_voice_that_is_down_when_the_call_begins(status: int) -> None:
    async def script(world: World) -> None:
        world.first.aura.refuse = (status, "{}")
        async with world.voice(world.other()).open(a_call()) as voice:
            await say(voice)

    world = play(script)
    refused = ["Aura fell back"] if status == 401 else ["Aura retried", "Aura fell back"]
    assert world.actions == refused
    check_spoken(world.second.aura.words, 0)


def test_a_voice_that_is_back_after_the_call_began() -> None:
    async def script(world: World) -> None:
        world.first.aura.refuse = (503, "{}")
        async with world.voice().open(a_call()) as voice:
            assert world.actions == ["Aura retried", "Aura gave up"]
            world.first.aura.refuse = None
            await say(voice)

    check_spoken(play(script).words, 0)


@pytest.mark.parametrize("audio", [PCM16_24K, ULAW_8K])
@pytest.mark.parametrize("after", AT_CLAUSES[1:] + AT_RANDOM[:5])
def test_a_voice_of_another_format_goes_on_in_the_first_ones(
    audio: AudioFormat, after: int
) -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts.append(Cut(after))
        async with world.voice(world.other(audio=audio)).open(a_call()) as voice:
            world.first.aura.refuse = (503, "{}")
            data, spoken = await say(voice)
        n_ms = len(world.second.aura.last.sent) / audio.n_octets_per_ms
        assert abs(len(data) - after - 32 * n_ms) <= 64
        assert spoken[-1] == len(TEXT)

    check_spoken(play(script).words, 1)


def test_openai_speaks_on() -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts.append(Cut(AT_CLAUSES[2]))
        async with (
            FakeOpenAISpeech() as service,
            OpenAITextToSpeech("sk-test", service.base_url, voice="alloy") as alloy,
            world.voice(("alloy", alloy)).open(a_call()) as voice,
        ):
            world.first.aura.refuse = (503, "{}")
            data, _ = await say(voice)
            assert abs(len(data) - OCTETS_PER_CHAR * len(TEXT)) <= 64
            assert "".join(service.texts) == "".join(CLAUSES[2:])

    play(script)


# Nobody is left.


def test_all_voices_are_dead() -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts += [Cut(AT_CLAUSES[1] + 5000), Cut(0), Cut(0)]
        world.second.aura.cuts += [Cut(9000), Cut(0)]
        async with world.voice(world.other()).open(a_call()) as voice:
            with pytest.raises(ExceptionGroup) as failed:
                await say(voice)
            assert failed.group_contains(ProviderError, match="1011")

    world = play(script)
    # A voice that spoke meanwhile is asked once more.
    assert world.actions == ["Aura replaced", "Aura fell back", "other replaced", "other gave up"]
    check_spoken(world.words, len(TEXT.split()))


def test_a_voice_that_all_calls_have_lost_is_skipped() -> None:
    async def script(world: World) -> None:
        world.first.aura.refuse = (503, "{}")
        tts = world.voice(world.other())
        for _ in range(3):
            async with tts.open(a_call()):
                pass
        del world.faults[:]
        n_dialled = len(world.first.requests)
        async with tts.open(a_call()) as voice:
            await say(voice, ("Hello.",))
        assert world.actions == ["Aura skipped"]
        assert len(world.first.requests) == n_dialled
        await asyncio.sleep(OPEN_S)
        world.first.aura.refuse = None
        async with tts.open(a_call()) as voice:
            await say(voice, ("Hello.",))
        assert world.first.aura.texts == ["Hello."]

    play(script)


def test_a_call_has_only_so_many_retries() -> None:
    async def script(world: World) -> None:
        world.first.aura.cuts += [Cut(OCTETS_PER_CHAR * 3) for _ in range(99)]
        async with world.voice().open(a_call()) as voice:
            with pytest.raises(ExceptionGroup):
                await say(voice)

    world = play(script)
    assert world.actions == ["Aura replaced"] * MAX_RETRIES + ["Aura gave up"]


# Barge-in.


@pytest.mark.parametrize("waits", ["for the handshake", "for the sound"])
def test_a_barge_in_while_a_voice_is_replaced(waits: str) -> None:
    async def script(world: World) -> None:
        aura = world.first.aura
        aura.cuts.append(Cut(AT_CLAUSES[1] + 5000))
        async with world.voice().open(a_call()) as voice:
            async with voice.utter() as utterance:
                for clause in CLAUSES:
                    await utterance.send(clause)
                hearing = asyncio.create_task(hear(utterance))
                await until(lambda: len(world.first.requests) == 2)
                if waits == "for the sound":
                    aura.first_byte_ms = 500
                    await until(lambda: len(aura.connections) == 2 and bool(aura.last.messages))
                hearing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await hearing
            aura.first_byte_ms = 0
            data, spoken = await say(voice, ("Yes?",))
            assert (len(data), spoken) == (4 * OCTETS_PER_CHAR, [4])

    world = play(script)
    assert world.first.aura.texts[-1] == "Yes?"
