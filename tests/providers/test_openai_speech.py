"""OpenAI's speech by its behaviour, through the real SDK, against a service on loopback."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fakes.aura import speak_words
from fakes.openai_speech import RATE_HZ, FakeOpenAISpeech, Fault
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.openai import speech as adapter
from voice_ai.providers.openai.speech import OpenAITextToSpeech, OpenAIUtterance
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo

CALL = CallInfo("CA1")


def sound(text: str) -> bytes:
    return speak_words(text, "linear16", RATE_HZ)


@pytest.fixture
async def service() -> AsyncIterator[FakeOpenAISpeech]:
    async with FakeOpenAISpeech() as running:
        yield running
        assert running.violations == []
        async with asyncio.timeout(5):
            while running.n_open:
                await asyncio.sleep(0.001)


@pytest.fixture
async def utterance(service: FakeOpenAISpeech) -> AsyncIterator[OpenAIUtterance]:
    async with (
        OpenAITextToSpeech("sk-test", service.base_url, voice="alloy") as tts,
        tts.open(CALL) as voice,
        voice.utter() as begun,
    ):
        yield begun


async def everything(utterance: OpenAIUtterance) -> tuple[bytes, list[int]]:
    data, spoken = b"", []
    async with asyncio.timeout(5):
        async for event in utterance:
            match event:
                case Audio(chunk):
                    assert len(chunk) % 2 == 0
                    data += chunk
                case SpokenTo(n_chars):
                    spoken.append(n_chars)
    return data, spoken


@pytest.mark.parametrize(("key", "voice"), [("", "alloy"), ("sk-test", "")])
def test_an_empty_key_or_voice_is_refused(key: str, voice: str) -> None:
    with pytest.raises(UsageError, match="one of them is empty"):
        OpenAITextToSpeech(key, voice=voice)


async def test_a_call_cannot_be_opened_before_the_voice_is_entered() -> None:
    with pytest.raises(UsageError, match="enter the voice"):
        async with OpenAITextToSpeech("sk-test", voice="alloy").open(CALL):
            pass


async def test_nothing_to_say(utterance: OpenAIUtterance, service: FakeOpenAISpeech) -> None:
    await utterance.finish()
    assert await everything(utterance) == (b"", [])
    assert service.asked == []


async def test_what_has_no_sound_is_not_asked_for_but_counted(
    utterance: OpenAIUtterance, service: FakeOpenAISpeech
) -> None:
    await utterance.send("... ")
    await utterance.finish()
    assert await everything(utterance) == (b"", [4])
    assert service.asked == []


async def test_what_waits_is_asked_for_at_once(
    utterance: OpenAIUtterance, service: FakeOpenAISpeech
) -> None:
    assert not utterance.owes
    await utterance.send("Hello there. ")
    await utterance.send("How are you?")
    assert utterance.owes
    await utterance.finish()
    assert await everything(utterance) == (sound("Hello there. How are you?"), [25])
    assert service.texts == ["Hello there. How are you?"]
    assert not utterance.owes


async def test_text_that_comes_later_is_another_request(
    utterance: OpenAIUtterance, service: FakeOpenAISpeech
) -> None:
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(everything(utterance))
        await utterance.send("Hello there. ")
        while not service.texts:
            await asyncio.sleep(0.001)
        await utterance.send("How are you?")
        await utterance.finish()
    assert hearing.result() == (sound("Hello there. How are you?"), [13, 25])


async def test_a_long_text_is_asked_for_in_parts(
    utterance: OpenAIUtterance, service: FakeOpenAISpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "MAX_CHARS", 21)
    text = "four five seven nine eleven"
    await utterance.send(text)
    await utterance.finish()
    data, spoken = await everything(utterance)
    assert data == sound(text)
    assert (service.texts, spoken) == (["four five seven nine ", "eleven"], [21, 27])


@pytest.mark.parametrize(
    ("fault", "said", "retryable"),
    [
        (Fault(429, code="rate_limit_exceeded"), "answered 429", True),
        (Fault(429, code="insufficient_quota"), "insufficient_quota", False),
        (Fault(500), "answered 500", True),
        (Fault(400, code="invalid_value"), "answered 400", False),
        (Fault("cut", 0), "connection to OpenAI failed", True),
        (Fault("cut", 9000), "connection to OpenAI failed", True),
    ],
)
async def test_a_fault_is_named(
    utterance: OpenAIUtterance, service: FakeOpenAISpeech, fault: Fault, said: str, retryable: bool
) -> None:
    service.faults.append(fault)
    await utterance.send("Hello there. ")
    await utterance.finish()
    with pytest.raises(ProviderError, match=said) as failed:
        await everything(utterance)
    assert (failed.value.stage, failed.value.retryable) == ("tts", retryable)
    assert len(service.asked) == 1, "who calls decides whether it is asked again"


async def test_a_service_that_falls_silent(
    utterance: OpenAIUtterance, service: FakeOpenAISpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "READ_S", 0.1)
    service.faults.append(Fault("stall", 9000))
    await utterance.send("Hello there. ")
    with pytest.raises(ProviderError, match="did not answer in time"):
        await everything(utterance)


async def test_leaving_early_closes_the_request(service: FakeOpenAISpeech) -> None:
    service.faults.append(Fault("stall", 9000))
    async with (
        OpenAITextToSpeech("sk-test", service.base_url, voice="alloy") as tts,
        tts.open(CALL) as voice,
    ):
        async with voice.utter() as begun:
            await begun.send("Hello there. ")
            async for _ in begun:
                break
            assert service.n_open == 1
        async with asyncio.timeout(5):
            while service.n_open:
                await asyncio.sleep(0.001)
        async with voice.utter() as again:
            await again.send("Bye.")
            await again.finish()
            assert (await everything(again))[0] == sound("Bye.")
