"""FluxSpeechToText by its behaviour, through the real SDK, against a Flux on loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from fakes.deepgram import KEY, FakeDeepgram
from flux_hearing import CALL, CHUNK, hearing, say, silence, speech, until
from voice_ai.codec.formats import PCM16_16K, ULAW_8K, AudioFormat
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.deepgram import flux_tries, transport
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.protocols import SpeechToText
from voice_ai.turn.events import (
    EagerEndOfTurn,
    EndOfTurn,
    StartOfTurn,
    TurnResumed,
    Update,
)


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """How they are spread over time: test_deepgram_flux_tries.py."""
    monkeypatch.setattr(flux_tries, "WAITS_S", (0.0, 0.0))


@pytest.fixture
async def deepgram() -> AsyncIterator[FakeDeepgram]:
    async with FakeDeepgram() as running:
        yield running
        assert running.violations == []


@pytest.fixture
async def strict() -> AsyncIterator[FakeDeepgram]:
    """One whose violations the test looks at itself."""
    async with FakeDeepgram() as running:
        yield running


# What cannot work.


@pytest.mark.parametrize("url", ["", "deepgram.com", "ftp://host", "wss://", "ws://host?x=1"])
def test_a_base_that_is_no_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="needed e.g. wss://"):
        FluxSpeechToText(KEY, url, audio=PCM16_16K)


def test_an_empty_key_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="empty Deepgram API key"):
        FluxSpeechToText("", audio=PCM16_16K)


@pytest.mark.parametrize(
    ("name", "value"),
    [("eot_threshold", 0.4), ("eager_eot_threshold", 0.95), ("eot_timeout_ms", 499)],
)
def test_a_parameter_out_of_range_is_a_usage_error(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} is {value}, needed"):
        FluxSpeechToText(KEY, audio=PCM16_16K, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "retryable", "meaning"),
    [
        (400, False, "the request is wrong"),
        (401, False, "the key is unknown"),
        (402, False, "the account has no credit"),
        (403, False, "the key may not use this model"),
        (404, False, "there is no such address"),
        (429, True, "the account's limit of concurrent streams is reached"),
        (500, True, ""),
        (503, True, ""),
    ],
)
async def test_a_refusal_is_told_with_the_services_own_words(
    deepgram: FakeDeepgram, status: int, retryable: bool, meaning: str
) -> None:
    deepgram.flux.refuse = (status, f'{{"err_msg": "your key {KEY} is odd"}}')
    with pytest.raises(ProviderError) as caught:
        async with hearing(deepgram).open(CALL):
            pass
    text = str(caught.value)
    assert f"status {status}" in text and "your key *** is odd" in text and meaning in text
    assert f"dg-error status {status}" in text and "dg-request-id" in text
    assert KEY not in text and len(text) < 400
    assert (caught.value.stage, caught.value.retryable) == ("stt", retryable)


async def test_a_wrong_key_is_not_retryable(strict: FakeDeepgram) -> None:
    with pytest.raises(ProviderError, match="401: .*INVALID_AUTH") as caught:
        async with FluxSpeechToText("wrong", strict.url, audio=PCM16_16K).open(CALL):
            pass
    assert not caught.value.retryable
    assert strict.violations == ["wrong key"]


async def test_nobody_at_the_port_is_retryable() -> None:
    async with FakeDeepgram() as gone:
        pass
    with pytest.raises(ProviderError, match="cannot be reached while connecting") as caught:
        async with hearing(gone).open(CALL):
            pass
    assert caught.value.retryable


async def test_a_handshake_that_is_not_answered_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "OPEN_TIMEOUT_S", 0.05)
    left = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        left.set()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        recogniser = FluxSpeechToText(KEY, f"ws://127.0.0.1:{port}", audio=PCM16_16K)
        with pytest.raises(ProviderError, match="did not answer in time while connecting"):
            async with recogniser.open(CALL):
                pass
        await asyncio.wait_for(left.wait(), 5)


# The handshake.


def query_of(deepgram: FakeDeepgram) -> dict[str, list[str]]:
    return parse_qs(urlsplit(deepgram.requests[-1].path).query)


async def test_the_defaults_of_the_handshake(deepgram: FakeDeepgram) -> None:
    async with hearing(deepgram).open(CALL):
        pass
    assert query_of(deepgram) == {
        "model": ["flux-general-en"],
        "encoding": ["linear16"],
        "sample_rate": ["16000"],
        "eot_threshold": ["0.6"],
        "eot_timeout_ms": ["3000"],
    }
    headers = deepgram.requests[-1].headers
    assert headers["User-Agent"].startswith("deepgram-sdk/")
    assert headers.get_all("User-Agent") == [headers["User-Agent"]]
    assert "Sec-WebSocket-Extensions" not in headers  # no compression


async def test_every_parameter_reaches_the_service(deepgram: FakeDeepgram) -> None:
    recogniser = hearing(
        deepgram,
        audio=ULAW_8K,
        model="flux-general-multi",
        eot_threshold=0.8,
        eager_eot_threshold=0.4,
        eot_timeout_ms=2000,
        keyterms=("Ada", "Mme Curie"),
    )
    async with recogniser.open(CALL):
        pass
    assert query_of(deepgram) == {
        "model": ["flux-general-multi"],
        "encoding": ["mulaw"],
        "sample_rate": ["8000"],
        "eot_threshold": ["0.8"],
        "eager_eot_threshold": ["0.4"],
        "eot_timeout_ms": ["2000"],
        "keyterm": ["Ada", "Mme Curie"],
    }


def test_it_is_a_speech_to_text() -> None:
    recogniser: SpeechToText = FluxSpeechToText(KEY, audio=ULAW_8K)
    assert recogniser.input_format == ULAW_8K


async def test_no_key_and_no_payload_in_any_log(
    deepgram: FakeDeepgram, caplog: pytest.LogCaptureFixture
) -> None:
    client_logs = ("voice_ai", "deepgram", "asyncio")
    with caplog.at_level(logging.DEBUG):
        async with hearing(deepgram).open(CALL) as stream:
            await say(stream, silence(400))
            await deepgram.flux.until(lambda: deepgram.flux.last.n_octets >= 12800)
            await deepgram.flux.send({"type": "Warning", "code": "HOT", "description": "d"})
            await deepgram.flux.say_start()
            await until(stream, StartOfTurn)
    records = [record for record in caplog.records if record.name.startswith(client_logs)]
    assert [record.getMessage() for record in records if record.levelno >= logging.WARNING] == [
        "Flux warns: HOT: d"
    ]
    assert not any(KEY in record.getMessage() for record in caplog.records)
    assert not any("TurnInfo" in record.getMessage() for record in records)


# Hearing.


async def test_a_turn_from_its_start_to_its_end(deepgram: FakeDeepgram) -> None:
    deepgram.flux.transcripts = ["hello there my friend"]
    async with hearing(deepgram).open(CALL) as stream:
        await say(stream, silence(480) + speech(960) + silence(480))
        events = await until(stream, EndOfTurn)
    assert events[0] == StartOfTurn(1)  # Updates of silence are no events
    assert events.index(Update(1, "hello there my")) > 0
    assert events[-1] == EndOfTurn(1, "hello there my friend", 1440.0, 1840.0)


async def test_turns_are_counted_from_one(deepgram: FakeDeepgram) -> None:
    deepgram.flux.transcripts = ["one", "two"]
    async with hearing(deepgram).open(CALL) as stream:
        await say(stream, speech(480) + silence(480) + speech(480) + silence(480))
        first = (await until(stream, EndOfTurn))[-1]
        second = (await until(stream, EndOfTurn))[-1]
    assert (first.stream_turn, second.stream_turn) == (1, 2)


async def test_mulaw_is_passed_as_it_is(deepgram: FakeDeepgram) -> None:
    deepgram.flux.transcripts = ["hello"]
    loud, quiet = bytes([0x10, 0x90] * 2560), b"\xff" * 5120
    async with hearing(deepgram, audio=ULAW_8K).open(CALL) as stream:
        await say(stream, loud + quiet, 640)
        assert (await until(stream, EndOfTurn))[-1] == EndOfTurn(1, "hello", 640.0, 1040.0)


async def test_the_fake_hears_words_that_were_typed_as_tones(deepgram: FakeDeepgram) -> None:
    tones = pytest.importorskip("voice_ai.phone.tones")
    quiet = bytes(8000)  # 500 ms
    typed = quiet + tones.encode("Hi!") + quiet + tones.encode("Bye.") + quiet
    async with hearing(deepgram, audio=AudioFormat("linear16", 8000)).open(CALL) as stream:
        await say(stream, typed, 1280)
        heard = [(await until(stream, EndOfTurn))[-1] for _ in range(2)]
    assert [event.transcript for event in heard if isinstance(event, EndOfTurn)] == ["Hi!", "Bye."]


async def test_a_turn_without_words_ends_where_it_was_decided(deepgram: FakeDeepgram) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        await say(stream, speech(480) + silence(480))
        assert (await until(stream, EndOfTurn))[-1] == EndOfTurn(1, "", 880.0, 880.0)


async def test_eager_end_resume_and_end(deepgram: FakeDeepgram) -> None:
    deepgram.flux.transcripts = ["well that is all"]
    async with hearing(deepgram, eager_eot_threshold=0.5).open(CALL) as stream:
        await say(stream, speech(480) + silence(240) + speech(480) + silence(480))
        events = [event for event in await until(stream, EndOfTurn) if type(event) is not Update]
    text = "well that is all"
    assert events == [
        StartOfTurn(1),
        EagerEndOfTurn(1, text),
        TurnResumed(1),
        EagerEndOfTurn(1, text),
        EndOfTurn(1, text, 1200.0, 1600.0),
    ]


@pytest.mark.parametrize("step", [640, 1000, 2560, 5120])
async def test_audio_goes_out_in_chunks_of_80_ms_and_more(
    deepgram: FakeDeepgram, step: int
) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        stream.send(b"")
        await say(stream, silence(1600), step)
        await deepgram.flux.until(lambda: deepgram.flux.last.n_octets > 51200 - 2 * CHUNK)
    assert min(deepgram.flux.last.chunks) >= CHUNK


async def test_messages_and_events_of_unknown_types_are_passed_over(deepgram: FakeDeepgram) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
        await deepgram.flux.send({"type": "Weather", "rain": True})
        await deepgram.flux.send({"type": "ConfigureSuccess"})
        await deepgram.flux.send(deepgram.flux.last.ear.turn_info("TurnPondered", "hm"))
        await deepgram.flux.say_start()
        assert await until(stream, StartOfTurn) == [StartOfTurn(1)]


async def test_a_service_that_never_says_connected_is_heard_all_the_same(
    deepgram: FakeDeepgram,
) -> None:
    deepgram.flux.says_connected = False
    async with hearing(deepgram).open(CALL) as stream:
        await say(stream, speech(480))
        assert await until(stream, StartOfTurn) == [StartOfTurn(1)]
