"""Flux connections that fail or are left, by the clock on the wall, with no other to be had."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator

import pytest

from fakes.deepgram import KEY, FakeDeepgram
from flux_hearing import (
    AUDIO,
    CALL,
    CHUNK,
    alone,
    everything,
    failure,
    hearing,
    say,
    silence,
    until,
)
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram import flux_socket, flux_tries, transport
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.turn.events import (
    EndOfTurn,
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


# Failing, with no other connection to be had.


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
