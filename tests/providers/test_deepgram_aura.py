"""AuraTextToSpeech by its behaviour, through the real SDK, against an Aura on loopback."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from fakes import aura as aura_service
from fakes.aura import speak_words
from fakes.deepgram import KEY, FakeDeepgram
from voice_ai.codec.formats import PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram import aura as adapter
from voice_ai.providers.deepgram import aura_socket, transport
from voice_ai.providers.deepgram.aura import AuraTextToSpeech, AuraUtterance, AuraVoice
from voice_ai.providers.deepgram.aura_socket import MAX_SPEAK_CHARS, pieces
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo, TextToSpeech, VoiceEvent

CALL = CallInfo("CA1")
TEXT = ("Hello there. ", "How are you today? ", "Goodbye.")


@pytest.fixture
async def deepgram() -> AsyncIterator[FakeDeepgram]:
    async with FakeDeepgram() as running:
        yield running
        assert running.violations == []


def speaking(deepgram: FakeDeepgram, **options: Any) -> AuraTextToSpeech:
    return AuraTextToSpeech(KEY, deepgram.url, **{"audio": PCM16_16K} | options)


def sound(text: str, audio: AudioFormat = PCM16_16K) -> bytes:
    return speak_words(text, audio.encoding, audio.rate_hz)


async def say(utterance: AuraUtterance, *sentences: str) -> None:
    for sentence in sentences:
        await utterance.send(sentence)
    await utterance.finish()


async def everything(utterance: AuraUtterance) -> tuple[bytes, list[int]]:
    """Return all audio, and the characters that were confirmed as spoken."""
    data, spoken = b"", []
    async with asyncio.timeout(5):
        async for event in utterance:
            match event:
                case Audio(chunk):
                    data += chunk
                case SpokenTo(n_chars):
                    spoken.append(n_chars)
    return data, spoken


async def uttered(voice: AuraVoice, *sentences: str) -> bytes:
    async with voice.utter() as utterance:
        await say(utterance, *sentences)
        return (await everything(utterance))[0]


async def first_audio(utterance: AuraUtterance) -> bytes:
    async with asyncio.timeout(5):
        async for event in utterance:
            if isinstance(event, Audio):
                return event.data
    raise AssertionError("the utterance ended without audio")


async def failure(utterance: AuraUtterance) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await everything(utterance)
    assert caught.value.stage == "tts"
    return caught.value


# Nothing to say.


async def test_an_utterance_without_text_ends_at_once(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await utterance.finish()
        assert await everything(utterance) == (b"", [])
    assert deepgram.aura.texts == []


async def test_an_utterance_that_is_never_used_costs_nothing(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        async with voice.utter():
            pass
        assert await uttered(voice, "Hello.") == sound("Hello.")
    assert "Clear" not in kinds(deepgram)


@pytest.mark.parametrize("text", ["", " ", "\n", "... ", "-"])
async def test_what_has_no_sound_is_not_sent_but_counted(deepgram: FakeDeepgram, text: str) -> None:
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, text)
        assert await everything(utterance) == (b"", [len(text)] if text else [])
    await asyncio.wait_for(deepgram.aura.last.gone.wait(), 5)
    assert kinds(deepgram) == ["Close"]


async def test_finishing_while_the_reader_waits_ends_it(deepgram: FakeDeepgram) -> None:
    """All has been spoken and confirmed before finish: no further message will come."""
    async with (
        speaking(deepgram).open(CALL) as voice,
        voice.utter() as utterance,
        asyncio.timeout(5),
        asyncio.TaskGroup() as group,
    ):
        spoken = asyncio.Event()

        async def read() -> None:
            async for event in utterance:
                if isinstance(event, SpokenTo):
                    spoken.set()

        group.create_task(read())
        await utterance.send("Hello.")
        await spoken.wait()
        await utterance.finish()
    assert kinds(deepgram).count("Flush") == 1


# The handshake.


def kinds(deepgram: FakeDeepgram) -> list[str]:
    """What the newest connection was sent."""
    return [message["type"] for message in deepgram.aura.last.messages]


@pytest.mark.parametrize("audio", [PCM16_16K, PCM16_24K, ULAW_8K], ids=str)
async def test_format_and_voice_reach_the_service(
    deepgram: FakeDeepgram, audio: AudioFormat
) -> None:
    speaker: TextToSpeech = speaking(deepgram, audio=audio, model="aura-2-zeus-en")
    assert speaker.output_format == audio
    async with speaker.open(CALL):
        pass
    assert parse_qs(urlsplit(deepgram.requests[-1].path).query) == {
        "model": ["aura-2-zeus-en"],
        "encoding": [audio.encoding],
        "sample_rate": [str(audio.rate_hz)],
    }


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (401, False), (429, True)])
async def test_a_refusal_is_told(deepgram: FakeDeepgram, status: int, retryable: bool) -> None:
    deepgram.aura.refuse = (status, "no")
    with pytest.raises(ProviderError, match=f"status {status}: no, dg-error") as caught:
        async with speaking(deepgram).open(CALL):
            pass
    assert (caught.value.stage, caught.value.retryable) == ("tts", retryable)


# Speaking.


@pytest.mark.parametrize("audio", [PCM16_16K, ULAW_8K], ids=str)
async def test_all_text_becomes_audio_of_whole_samples(
    deepgram: FakeDeepgram, audio: AudioFormat
) -> None:
    n_sample_octets = 2 if audio.encoding == "linear16" else 1
    async with speaking(deepgram, audio=audio).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, *TEXT)
        events = [event async for event in utterance]
    chunks = [event.data for event in events if isinstance(event, Audio)]
    assert b"".join(chunks) == sound("".join(TEXT), audio)
    assert all(chunk and len(chunk) % n_sample_octets == 0 for chunk in chunks)


async def test_spoken_to_comes_after_exactly_its_audio(deepgram: FakeDeepgram) -> None:
    text, data, seen = "".join(TEXT), b"", []
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, *TEXT)
        async for event in utterance:
            match event:
                case Audio(chunk):
                    data += chunk
                case SpokenTo(n_chars):
                    assert data == sound(text[:n_chars])
                    seen.append(n_chars)
    assert seen == [13, 32, 40]


async def test_trailing_space_is_counted_as_spoken(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, "Hello.", "  ")
        assert (await everything(utterance))[1] == [6, 8]


async def test_the_first_sentence_is_flushed_before_the_rest_is_known(
    deepgram: FakeDeepgram,
) -> None:
    deepgram.aura.segments = False
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await utterance.send("Well, ")
        assert sound("Well, ").startswith(await first_audio(utterance))


async def test_utterances_share_one_socket(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        for text in TEXT:
            assert await uttered(voice, text) == sound(text)
    assert len(deepgram.aura.connections) == 1


async def test_text_and_audio_are_handled_by_two_tasks(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(utterance))
            await say(utterance, *TEXT)
        assert reading.result()[0] == sound("".join(TEXT))


async def test_long_texts_are_split(deepgram: FakeDeepgram) -> None:
    deepgram.aura.voice = lambda text, encoding, rate_hz: bytes(2 * len(text))
    text = "word " * 900
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, text)
        data, spoken = await everything(utterance)
    assert (len(data), spoken[-1]) == (9000, 4500)
    sent = [m["text"] for m in deepgram.aura.last.messages if m["type"] == "Speak"]
    assert "".join(sent) == text and max(map(len, sent)) <= 2000


@given(st.text(st.sampled_from("ab \n"), max_size=3 * MAX_SPEAK_CHARS))
def test_pieces_lose_nothing_and_fit(text: str) -> None:
    cut = list(pieces(text))
    assert "".join(cut) == text
    assert all(0 < len(piece) <= MAX_SPEAK_CHARS for piece in cut)


# Flushes.


async def test_flushes_stay_within_the_services_budget(deepgram: FakeDeepgram) -> None:
    """The fake notes a violation at the 21st Flush in 60 s."""
    async with speaking(deepgram).open(CALL) as voice:
        for _ in range(4):
            text = ["One more. "] * 12
            assert await uttered(voice, *text) == sound("".join(text))
    assert max(connection.n_flushes for connection in deepgram.aura.connections) <= 18
    assert len(deepgram.aura.connections) == 1


async def test_a_socket_without_flushes_left_is_replaced(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        for _ in range(30):
            assert await uttered(voice, "Yes.") == sound("Yes.")
    assert len(deepgram.aura.connections) == 2


async def test_flushes_are_forgotten_after_the_services_window(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aura_socket, "FLUSH_WINDOW_S", 0.0)
    monkeypatch.setattr(aura_service, "FLUSH_WINDOW_S", 0.0)
    async with speaking(deepgram).open(CALL) as voice:
        for _ in range(30):
            assert await uttered(voice, "Yes.") == sound("Yes.")
    assert len(deepgram.aura.connections) == 1


async def test_an_ignored_flush_ends_the_utterance_in_bounded_time(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "WARNED_TIMEOUT_S", 0.05)
    deepgram.aura.max_flushes = 1
    async with speaking(deepgram).open(CALL) as voice:
        async with voice.utter() as utterance:
            await say(utterance, "Hello. ", "How are you. ")
            data, spoken = await everything(utterance)
            assert (data, spoken[-1]) == (sound("Hello. How are you. "), 20)
        assert await uttered(voice, "Next.") == sound("Next.")
    assert len(deepgram.aura.connections) == 2


async def test_an_ignored_flush_without_any_audio_is_a_failure(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "WARNED_TIMEOUT_S", 0.05)
    deepgram.aura.max_flushes, deepgram.aura.segments = 0, False
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, "Hello.")
        assert "open but silent" in str(await failure(utterance))


async def test_an_ignored_flush_without_audio_after_a_spoken_one_is_a_failure(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "WARNED_TIMEOUT_S", 0.05)
    deepgram.aura.max_flushes, deepgram.aura.segments = 1, False
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await say(utterance, "Hello. ", "How are you. ")
        assert "1 flushes unanswered" in str(await failure(utterance))


# Leaving early.


async def begin_and_leave(deepgram: FakeDeepgram, voice: AuraVoice, text: str) -> None:
    """Leave an utterance in the middle of its audio."""
    deepgram.aura.stall_after = len(deepgram.aura.last.sent) + 5000
    async with voice.utter() as utterance:
        await say(utterance, text)
        await first_audio(utterance)
    deepgram.aura.stall_after = None


@pytest.mark.parametrize("late_octets", [0, 1, 999])
@pytest.mark.parametrize("flush_is_answered", [False, True])
async def test_no_audio_of_a_left_utterance_reaches_the_next(
    deepgram: FakeDeepgram, late_octets: int, flush_is_answered: bool
) -> None:
    deepgram.aura.late_octets = late_octets
    deepgram.aura.answers_flush_after_clear = flush_is_answered
    async with speaking(deepgram).open(CALL) as voice:
        await begin_and_leave(deepgram, voice, "A rather long story that nobody wants. ")
        for text in ("Hello. ", "Bye. "):
            async with voice.utter() as utterance:
                await say(utterance, text)
                assert await everything(utterance) == (sound(text), [len(text)])
    assert kinds(deepgram).count("Clear") == 1
    assert len(deepgram.aura.connections) == 1


async def test_a_clear_that_is_never_answered_replaces_the_socket(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aura_socket, "CLEAR_TIMEOUT_S", 0.05)
    deepgram.aura.answers_clear = False
    async with speaking(deepgram).open(CALL) as voice:
        await begin_and_leave(deepgram, voice, "A rather long story that nobody wants. ")
        assert await uttered(voice, "Hello.") == sound("Hello.")
    assert len(deepgram.aura.connections) == 2


async def test_leaving_is_quick_and_says_clear(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        async with voice.utter() as utterance:
            await utterance.send("Hello. ")
            began = time.monotonic()
        assert time.monotonic() - began < 0.2
        await deepgram.aura.until(lambda: kinds(deepgram) == ["Speak", "Flush", "Clear"])


async def test_cancelling_an_utterance_leaves_no_task_and_no_socket() -> None:
    begun = asyncio.Event()

    async def reply(voice: AuraVoice) -> None:
        async with voice.utter() as utterance, asyncio.TaskGroup() as group:
            group.create_task(say(utterance, *TEXT))
            async for _ in utterance:
                begun.set()

    before = asyncio.all_tasks()
    async with FakeDeepgram() as deepgram:
        deepgram.aura.stall_after = 5000
        async with speaking(deepgram).open(CALL) as voice:
            await deepgram.aura.until(lambda: bool(deepgram.aura.connections))
            during = asyncio.all_tasks()
            task = asyncio.create_task(reply(voice))
            await asyncio.wait_for(begun.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() <= during
            await deepgram.aura.unstall()
            assert await uttered(voice, "Hello.") == sound("Hello.")
        await asyncio.wait_for(deepgram.aura.last.gone.wait(), 5)
        assert deepgram.n_open == 0 and len(deepgram.aura.connections) == 1
    if ending := asyncio.all_tasks() - before:
        assert not (await asyncio.wait(ending, timeout=1))[1]
    gc.collect()  # an open socket would warn here, and warnings are errors


async def test_calls_at_once_hear_only_their_own_words(deepgram: FakeDeepgram) -> None:
    """Every second utterance is left early, at another place each time."""

    async def call(speaker: AuraTextToSpeech, name: str) -> None:
        async with speaker.open(CALL) as voice:
            for turn in range(6):
                text = f"{name} takes turn {turn} now. And on it goes. "
                async with voice.utter() as utterance:
                    await say(utterance, text)
                    heard = b""
                    async for event in utterance:
                        heard += event.data if isinstance(event, Audio) else b""
                        if turn % 2 == 0 and len(heard) > 3000 * (turn + 1):
                            break
                assert sound(text).startswith(heard)
                assert turn % 2 == 0 or len(heard) == len(sound(text))

    speaker = speaking(deepgram)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for name in ("Ada", "Bob", "Cleo", "Dan", "Eve"):
            group.create_task(call(speaker, name))
    assert len(deepgram.aura.connections) == 5


async def test_leaving_a_peer_that_does_not_answer_takes_less_than_a_second(
    deepgram: FakeDeepgram,
) -> None:
    async with speaking(deepgram).open(CALL):
        await deepgram.aura.until(lambda: bool(deepgram.aura.connections))
        deepgram.aura.last.socket.transport.pause_reading()
        began = time.monotonic()
    assert 0.5 < time.monotonic() - began < 1.0
    deepgram.aura.last.socket.transport.abort()


async def test_leaving_says_close(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL):
        pass
    await asyncio.wait_for(deepgram.aura.last.gone.wait(), 5)
    assert kinds(deepgram) == ["Close"]


# Failing.


@pytest.mark.parametrize("code", [1000, 1008, 1011])
async def test_a_socket_closed_between_utterances_is_reopened(
    deepgram: FakeDeepgram, code: int
) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        assert await uttered(voice, "Hello.") == sound("Hello.")
        await deepgram.aura.close_idle(code)
        assert await uttered(voice, "Bye.") == sound("Bye.")
    assert len(deepgram.aura.connections) == 2


async def test_a_socket_that_dies_before_the_first_send_is_replaced_once(
    deepgram: FakeDeepgram,
) -> None:
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        await deepgram.aura.until(lambda: bool(deepgram.aura.connections))
        await deepgram.aura.close_idle()
        await say(utterance, "Hello.")
        assert (await everything(utterance))[0] == sound("Hello.")
    assert len(deepgram.aura.connections) == 2


async def test_a_reopening_that_is_refused_is_a_failure_and_tried_again(
    deepgram: FakeDeepgram,
) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        await deepgram.aura.until(lambda: bool(deepgram.aura.connections))
        await deepgram.aura.close_idle()
        deepgram.aura.refuse = (503, "busy")
        with pytest.raises(ProviderError, match="503: busy"):
            await uttered(voice, "Hello.")
        deepgram.aura.refuse = None
        assert await uttered(voice, "Hello.") == sound("Hello.")


async def test_a_close_in_an_utterance_is_a_failure_and_the_next_works(
    deepgram: FakeDeepgram,
) -> None:
    deepgram.aura.close_after = (3000, 1011, "NET-0000")
    async with speaking(deepgram).open(CALL) as voice:
        async with voice.utter() as utterance:
            await say(utterance, *TEXT)
            error = await failure(utterance)
            assert str(error).endswith("closed while speaking: 1011 NET-0000")
            assert error.retryable
            with pytest.raises(ProviderError, match="closed while sending text"):
                await utterance.send("More.")
        deepgram.aura.close_after = None
        assert await uttered(voice, "Hello.") == sound("Hello.")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"type": "Error", "code": "NET-0001", "description": "sorry"}, "NET-0001: sorry"),
        ("{not json", "not JSON"),
        ("[]", "needed an object"),
    ],
)
async def test_errors_and_broken_messages_are_failures_and_the_next_works(
    deepgram: FakeDeepgram, message: Any, told: str
) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        deepgram.aura.stall_after = 0
        async with voice.utter() as utterance:
            await say(utterance, "Hello.")
            await deepgram.aura.last.send(message)
            assert told in str(await failure(utterance))
        await deepgram.aura.unstall()
        assert await uttered(voice, "Bye.") == sound("Bye.")


async def test_messages_of_unknown_types_are_passed_over(deepgram: FakeDeepgram) -> None:
    async with speaking(deepgram).open(CALL) as voice:
        await deepgram.aura.until(lambda: bool(deepgram.aura.connections))
        await deepgram.aura.last.send({"type": "Sung", "key": "C"})
        await deepgram.aura.last.send(b"")
        assert await uttered(voice, "Hello.") == sound("Hello.")


async def test_open_but_silent_is_a_failure(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "STALL_TIMEOUT_S", 0.05)
    deepgram.aura.stall_after = 0
    async with speaking(deepgram).open(CALL) as voice:
        async with voice.utter() as utterance:
            await say(utterance, "Hello.")
            assert "open but silent" in str(await failure(utterance))
        await deepgram.aura.unstall()
        assert await uttered(voice, "Bye.") == sound("Bye.")
    assert len(deepgram.aura.connections) == 2


async def test_waiting_for_more_text_is_no_silence(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The language model may think for long between two sentences."""
    monkeypatch.setattr(adapter, "STALL_TIMEOUT_S", 0.02)
    async with speaking(deepgram).open(CALL) as voice, voice.utter() as utterance:
        events: list[VoiceEvent] = []

        async def read() -> None:
            async for event in utterance:
                events.append(event)

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            await utterance.send("Hello. ")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(reading), 0.1)
            await say(utterance, "Bye.")
        assert events[-1] == SpokenTo(11)


async def test_a_service_that_takes_nothing_fails_the_send(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SEND_TIMEOUT_S", 0.1)
    async with speaking(deepgram).open(CALL) as voice:
        await deepgram.aura.until(lambda: bool(deepgram.aura.connections))
        deepgram.aura.last.socket.transport.pause_reading()
        with pytest.raises(ProviderError, match="in time while sending text"):
            async with voice.utter() as utterance:
                for _ in range(5000):
                    await utterance.send("word " * 399)
        deepgram.aura.last.socket.transport.abort()


# The service itself refuses what the real one refuses.


@pytest.mark.parametrize(
    ("messages", "violation"),
    [
        (['{"type":"Speak","text":""}'], "Speak without text"),
        (['{"type":"Speak","text":"%s"}' % ("a" * 2001)], "more than 2000 characters"),
        (['{"type":"Speak","text":"a"}'] + ['{"type":"Flush"}'] * 21, "more than 20 Flush"),
        (['{"type":"KeepAlive"}'], "unknown message: KeepAlive"),
        (["nonsense"], "unreadable message"),
        ([b"audio"], "unreadable message"),
    ],
)
async def test_the_fake_notes_violations(messages: list[str | bytes], violation: str) -> None:
    async with FakeDeepgram(key=None) as strict:
        async with connect(f"{strict.url}/v1/speak?model=aura-2-thalia-en") as socket:
            for message in messages:
                await socket.send(message)
            await strict.aura.until(lambda: bool(strict.violations))
    assert violation in strict.violations[0]


@pytest.mark.parametrize(
    "query", ["container=wav", "model=gpt", "encoding=mp3", "encoding=mulaw&sample_rate=24000"]
)
async def test_the_fake_refuses_bad_parameters(query: str) -> None:
    async with FakeDeepgram(key=None) as strict:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{strict.url}/v1/speak?{query}")
    assert caught.value.response.status_code == 400
    assert b"INVALID_QUERY_PARAMETER" in (caught.value.response.body or b"")
