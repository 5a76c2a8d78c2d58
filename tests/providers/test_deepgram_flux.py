"""FluxSpeechToText by its behaviour, through the real SDK, against a Flux on loopback."""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import fakes.deepgram
from fakes.deepgram import KEY, FakeDeepgram
from voice_ai.codec.formats import PCM16_16K, ULAW_8K, AudioFormat
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.deepgram import flux_socket, flux_stream, transport
from voice_ai.providers.deepgram.flux import FluxSpeechToText, FluxStream
from voice_ai.providers.protocols import CallInfo, SpeechToText
from voice_ai.turn.events import (
    EagerEndOfTurn,
    EndOfTurn,
    SpeechEvent,
    StartOfTurn,
    TurnResumed,
    Update,
)

CALL = CallInfo("CA1")
CHUNK = 2560  # 80 ms of PCM16 at 16 kHz


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """How they are spread over time: test_deepgram_flux_redial.py."""
    monkeypatch.setattr(flux_stream, "WAITS_S", (0.0, 0.0))


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


def hearing(deepgram: FakeDeepgram, **options: Any) -> FluxSpeechToText:
    return FluxSpeechToText(KEY, deepgram.url, **{"audio": PCM16_16K} | options)


def silence(n_ms: int) -> bytes:
    return bytes(n_ms * 32)


def speech(n_ms: int) -> bytes:
    return (8000 * np.sin(np.arange(n_ms * 16) * 0.3)).astype("<i2").tobytes()


async def say(stream: FluxStream, audio: bytes, step: int = CHUNK) -> None:
    for start in range(0, len(audio), step):
        stream.send(audio[start : start + step])


async def until(stream: FluxStream, kind: type[SpeechEvent]) -> list[SpeechEvent]:
    """Take events up to the first of this kind."""
    events: list[SpeechEvent] = []
    async with asyncio.timeout(5):
        async for event in stream:
            events.append(event)
            if isinstance(event, kind):
                return events
    raise AssertionError(f"the stream ended without {kind.__name__}: {events}")


async def everything(stream: FluxStream) -> list[SpeechEvent]:
    return [event async for event in stream]


async def failure(stream: FluxStream) -> ProviderError:
    """Listen until it fails."""
    with pytest.raises(ProviderError) as caught:
        async with asyncio.timeout(5):
            async for _ in stream:
                pass
    assert caught.value.stage == "stt"
    return caught.value


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
    ("status", "retryable"),
    [(400, False), (401, False), (403, False), (404, False), (429, True), (500, True), (503, True)],
)
async def test_a_refusal_is_told_with_the_services_own_words(
    deepgram: FakeDeepgram, status: int, retryable: bool
) -> None:
    deepgram.flux.refuse = (status, f'{{"err_msg": "your key {KEY} is odd"}}')
    with pytest.raises(ProviderError) as caught:
        async with hearing(deepgram).open(CALL):
            pass
    text = str(caught.value)
    assert f"status {status}" in text and "your key *** is odd" in text
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


# Failing, with no other connection to be had.


async def alone(deepgram: FakeDeepgram) -> None:
    """Let the connection that there is be the last."""
    await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
    deepgram.flux.refuse = (401, "no")


@pytest.mark.parametrize("code", [1000, 1008, 1011])
async def test_a_close_that_we_did_not_ask_for_is_a_failure(
    deepgram: FakeDeepgram, code: int
) -> None:
    deepgram.flux.close_after = (CHUNK, code, "NET-0001")
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        await say(stream, silence(80))
        error = await failure(stream)
        assert f"Deepgram's socket is closed while listening: {code} NET-0001; " in str(error)
        assert "status 401" in str(error) and not error.retryable


async def test_a_lost_connection_is_a_failure(deepgram: FakeDeepgram) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        deepgram.flux.last.socket.transport.abort()
        assert "no close frame came" in str(await failure(stream))


async def test_an_error_message_is_a_failure(deepgram: FakeDeepgram) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        await deepgram.flux.send({"type": "Error", "code": "INTERNAL", "description": "sorry"})
        assert str(await failure(stream)).startswith("Flux reports INTERNAL: sorry; ")


@pytest.mark.parametrize("text", ["{not json", "[]", '{"type":"TurnInfo","event":"Update"}'])
async def test_a_broken_message_is_a_failure(deepgram: FakeDeepgram, text: str) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        await deepgram.flux.send(text)
        assert "Flux sent" in str(await failure(stream))


async def test_open_but_silent_is_a_failure(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flux_socket, "STALL_MS", 640.0)
    monkeypatch.setattr(flux_socket, "STALL_S", 0.0)
    deepgram.flux.says_connected = False
    deepgram.flux.stalled = True
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(failure(stream))
            await asyncio.sleep(0)
            await say(stream, silence(640))
    assert "open but silent: 640 ms of audio" in str(failing.result())


async def test_a_burst_of_audio_gives_the_service_time(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    deepgram.flux.stalled = True
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(failure(stream))
            await asyncio.sleep(0)
            await say(stream, silence(2400))
            assert not await flux_is_given_up(failing)
            monkeypatch.setattr(flux_socket, "STALL_S", 0.0)
            await say(stream, silence(80))
    assert "open but silent: 2480 ms of audio" in str(failing.result())


async def flux_is_given_up(failing: asyncio.Task[ProviderError]) -> bool:
    return bool((await asyncio.wait([failing], timeout=0.05))[0])


async def test_silence_is_nothing_while_little_audio_is_sent(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flux_socket, "STALL_MS", 500.0)
    monkeypatch.setattr(flux_socket, "STALL_S", 0.0)
    async with hearing(deepgram).open(CALL) as stream:
        await say(stream, silence(480))
        await deepgram.flux.until(lambda: deepgram.flux.last.n_octets == 6 * CHUNK)
        await deepgram.flux.end_turn("hm")
        assert await until(stream, EndOfTurn) == [EndOfTurn(1, "hm", 480.0, 480.0)]
        await say(stream, silence(80))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await until(stream, EndOfTurn)


async def test_a_service_that_takes_nothing_is_a_failure(
    deepgram: FakeDeepgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flux_socket, "SEND_TIMEOUT_S", 0.1)
    async with hearing(deepgram).open(CALL) as stream:
        await alone(deepgram)
        deepgram.flux.last.socket.transport.pause_reading()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            failing = group.create_task(failure(stream))
            while not failing.done():
                stream.send(silence(10_000))
                await asyncio.wait([failing], timeout=0.01)
        error = failing.result()
        assert str(error).startswith("Deepgram took no audio for 0.1 s; ")
        assert "status 401" in str(error) and not error.retryable
        began = time.monotonic()
    assert time.monotonic() - began < 1.1


# Leaving.


async def test_leaving_says_goodbye_and_is_quick(deepgram: FakeDeepgram) -> None:
    async with hearing(deepgram).open(CALL) as stream:
        await say(stream, silence(80))
        began = time.monotonic()
    assert time.monotonic() - began < 0.5
    await asyncio.wait_for(deepgram.flux.last.gone.wait(), 5)
    assert deepgram.flux.last.messages == [{"type": "CloseStream"}]


async def test_leaving_a_peer_that_does_not_answer_takes_less_than_a_second(
    deepgram: FakeDeepgram,
) -> None:
    async with hearing(deepgram).open(CALL):
        await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
        deepgram.flux.last.socket.transport.pause_reading()
        began = time.monotonic()
    assert 0.5 < time.monotonic() - began < 1.0
    deepgram.flux.last.socket.transport.abort()


async def test_iterating_ends_when_the_stream_is_left(deepgram: FakeDeepgram) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        async with hearing(deepgram).open(CALL) as stream:
            task = group.create_task(everything(stream))
            await say(stream, silence(480))
            await deepgram.flux.until(lambda: deepgram.flux.last.n_octets == 6 * CHUNK)
    assert task.result() == []


async def test_cancelling_a_stream_leaves_no_task_and_no_socket() -> None:
    async def listen(deepgram: FakeDeepgram) -> None:
        async with hearing(deepgram).open(CALL) as stream:
            await say(stream, silence(480))
            await until(stream, EndOfTurn)

    before = asyncio.all_tasks()
    async with FakeDeepgram() as deepgram:
        task = asyncio.create_task(listen(deepgram))
        await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
        await deepgram.flux.until(lambda: deepgram.flux.last.n_octets == 6 * CHUNK)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(deepgram.flux.last.gone.wait(), 5)
        assert deepgram.n_open == 0 and deepgram.flux.last.messages == [{"type": "CloseStream"}]
    if ending := asyncio.all_tasks() - before:
        assert not (await asyncio.wait(ending, timeout=1))[1]
    gc.collect()  # an open socket would warn here, and warnings are errors


async def test_cancelling_while_dialling_leaves_nothing() -> None:
    connected, left = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while await reader.read(4096):
            pass
        writer.close()
        left.set()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        recogniser = FluxSpeechToText(KEY, f"ws://127.0.0.1:{port}", audio=PCM16_16K)

        async def dial() -> None:
            async with recogniser.open(CALL):
                raise AssertionError("not reached")

        task = asyncio.create_task(dial())
        await asyncio.wait_for(connected.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 5)


async def test_another_user_of_the_sdk_in_this_process_is_served_too(
    deepgram: FakeDeepgram,
) -> None:
    hearing(deepgram)  # installs the transport
    client = transport.deepgram_client(KEY, deepgram.url)
    async with client.listen.v2.connect(
        model="flux-general-en", encoding="linear16", sample_rate=16000
    ) as socket:
        assert (await asyncio.wait_for(socket.recv(), 5)).type == "Connected"


async def test_another_user_may_iterate_and_leave_unopened(deepgram: FakeDeepgram) -> None:
    client = transport.deepgram_client(KEY, deepgram.url)
    async with client.listen.v2.connect(model="flux-general-en"):
        pass
    assert deepgram.requests == []
    async with client.listen.v2.connect(
        model="flux-general-en", encoding="linear16", sample_rate=16000
    ) as socket:
        await socket.send_media(silence(400))
        await socket.send_close_stream()
        kinds = [getattr(message, "type", None) async for message in socket]
    assert kinds == ["Connected", "TurnInfo", "TurnInfo"]


async def test_waking_a_reader_twice_is_one_silence(deepgram: FakeDeepgram) -> None:
    deepgram.flux.says_connected = False
    url = f"{deepgram.url}/v2/listen?model=flux-general-en&{AUDIO}"
    socket = transport.Transport(url, {"Authorization": f"Token {KEY}"})
    await socket.open()
    reading = asyncio.create_task(socket.recv())
    await asyncio.sleep(0)
    socket.wake()
    await asyncio.sleep(0)  # the time is up, and the reader has not been told yet
    socket.wake()
    with pytest.raises(TimeoutError):
        await reading
    await socket.close()


# The service itself refuses what the real one refuses.


AUDIO = "encoding=linear16&sample_rate=16000"


@pytest.mark.parametrize(
    ("messages", "violation"),
    [
        ([b""], "empty audio"),
        (["nonsense"], "unknown message: nonsense"),
        (['{"type":"KeepAlive"}'], "unknown message"),
        ([bytes(640)] * 10, "chunks of 20 ms, advised are 80"),
    ],
)
async def test_the_fake_notes_violations(messages: list[str | bytes], violation: str) -> None:
    async with FakeDeepgram(key=None) as strict:
        url = f"{strict.url}/v2/listen?model=flux-general-en&{AUDIO}"
        async with connect(url) as socket:
            for message in messages:
                await socket.send(message)
        await asyncio.wait_for(strict.flux.last.gone.wait(), 5)
    assert violation in strict.violations[0]


@pytest.mark.parametrize(
    "query",
    [
        AUDIO,
        f"{AUDIO}&model=nova-3",
        f"{AUDIO}&model=flux-general-en&interim_results=true",
        f"{AUDIO}&model=flux-general-en&eot_threshold=0.4",
        f"{AUDIO}&model=flux-general-en&eot_timeout_ms=soon",
        f"{AUDIO}&model=flux-general-en&model=flux-general-en",
        "model=flux-general-en&encoding=linear16&sample_rate=11025",
        "model=flux-general-en&encoding=mp3&sample_rate=16000",
    ],
)
async def test_the_fake_refuses_bad_parameters(query: str) -> None:
    async with FakeDeepgram(key=None) as strict:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{strict.url}/v2/listen?{query}")
    assert caught.value.response.status_code == 400
    assert b"INVALID_QUERY_PARAMETER" in (caught.value.response.body or b"")


async def test_the_fake_runs_by_itself() -> None:
    script = Path(fakes.deepgram.__file__)
    command = (sys.executable, script, "--port", "0", "--transcript", "hello")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            name, _, url = (await process.stdout.readline()).decode().strip().partition("=")
            assert name == "DEEPGRAM_URL"
            async with FluxSpeechToText("any", url, audio=PCM16_16K).open(CALL) as stream:
                await say(stream, speech(480) + silence(480))
                assert (await until(stream, EndOfTurn))[-1] == EndOfTurn(1, "hello", 480.0, 880.0)
            process.terminate()
            assert await process.stdout.readline() == b'{"violations": []}\n'
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
