"""Whole calls on uvloop and loopback sockets: Twilio's side by the phone, the vendors' by fakes."""

import asyncio
import base64
import json
import logging
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from fakes.handset import ask, stream
from fakes.openai_api import FakeOpenAI, FunctionCall
from rawhttp import until
from serving import AUTH_TOKEN, World, serving
from voice_ai import Agent, tool
from voice_ai.errors import PeerError
from voice_ai.phone import place_call
from voice_ai.wire import twilio


async def started(world: World, socket: ClientConnection, call_sid: str) -> None:
    parameters = await ask(world, call_sid)
    await socket.send(twilio.connected())
    await socket.send(twilio.start("MZ" + call_sid, call_sid, "AC0", parameters))


async def closed(socket: ClientConnection) -> int:
    """Read until the server closes; return its close code."""
    async with asyncio.timeout(5):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as end:
                assert end.rcvd is not None
                return end.rcvd.code


async def test_an_unsigned_webhook_is_refused_and_nobody_is_dialled() -> None:
    async with serving() as world, httpx.AsyncClient() as http:
        dialled = len(world.deepgram.requests)
        answer = await http.post(f"{world.app.url}/incoming-call", data={"CallSid": "CA1"})
        assert answer.status_code == 403
        assert len(world.deepgram.requests) == dialled
        assert world.openai.requests == []


async def test_a_stream_that_was_not_announced_is_closed_and_nobody_is_dialled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as world, stream(world) as socket:
        dialled = len(world.deepgram.requests)
        await socket.send(twilio.connected())
        await socket.send(twilio.start("MZ1", "CA1", "AC0", {"token": "made up"}))
        assert await closed(socket) == 1008
        assert len(world.deepgram.requests) == dialled
    assert "made up" not in caplog.text


@pytest.mark.parametrize("call_sid", ["", "CA1\nERROR all is well", "C" * 65])
async def test_a_call_sid_that_is_none_is_not_written_into_the_log(
    call_sid: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as world, stream(world) as socket:
        await socket.send(twilio.start("MZ1", call_sid, "AC0", {"token": "made up"}))
        assert await closed(socket) == 1002
    assert "all is well" not in caplog.text
    assert "C" * 65 not in caplog.text


async def test_a_token_serves_once() -> None:
    async with serving() as world, stream(world) as first, stream(world) as second:
        parameters = await ask(world, "CA1")
        await first.send(twilio.start("MZ1", "CA1", "AC0", parameters))
        await first.recv()
        await second.send(twilio.start("MZ2", "CA1", "AC0", parameters))
        assert await closed(second) == 1008
        await first.close()


async def test_a_stream_that_does_not_start_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_ai.server.stream.START_TIMEOUT_S", 0.1)
    async with serving() as world, stream(world) as socket:
        await socket.send(twilio.connected())
        assert await closed(socket) == 1008


MEDIA = json.loads(twilio.caller_media("MZCA7", 2, 1, 0, b"\xff" * 160))
BAD = {
    "bad JSON": ('{"event":', 1007),
    "bad base64": (json.dumps(MEDIA | {"media": MEDIA["media"] | {"payload": "?"}}), 1007),
    "another stream": (json.dumps(MEDIA | {"streamSid": "MZother"}), 1002),
    "a second start": (twilio.start("MZCA7", "CA7", "AC0"), 1002),
    "binary": (base64.b64decode("AAAA"), 1003),
    "unknown": ('{"event":"dance"}', 1002),
}


@pytest.mark.parametrize("message,code", BAD.values(), ids=BAD)
async def test_a_bad_message_ends_its_call_with_a_line_and_no_other_call(
    message: str | bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as world, stream(world) as good, stream(world) as bad:
        await started(world, good, "CA6")
        await started(world, bad, "CA7")
        await bad.send(message)
        assert await closed(bad) == code
        # That the machine is busy is another's line.
        told = [r for r in caplog.records if r.name != "voice_ai.server.lag"]
        lines = [r.getMessage() for r in told if r.levelno >= logging.WARNING]
        assert len(lines) == 1, lines
        assert "CA7" in lines[0]
        await good.send(twilio.mark_echo("MZCA6", 2, "none"))
        await (await good.ping())
        await good.close()


async def test_media_before_start() -> None:
    async with serving() as world, stream(world) as socket:
        await socket.send(twilio.connected())
        await socket.send(json.dumps(MEDIA))
        assert await closed(socket) == 1002


async def test_a_caller_who_hangs_up_during_the_greeting() -> None:
    async with serving() as world, stream(world) as socket:
        await started(world, socket, "CA1")
        await socket.recv()
        await socket.send(twilio.stop("MZCA1", 3, "AC0", "CA1"))
        assert await closed(socket) == 1000


async def test_a_peer_that_does_not_read_costs_a_bound_time_then_its_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SEND_TIMEOUT_S", "CLOSE_TIMEOUT_S"):
        monkeypatch.setattr(f"voice_ai.server.websocket.{name}", 0.3)
    story = "A word that goes on. " * 500
    async with serving(openai=FakeOpenAI([story])) as world, stream(world) as socket:
        dialled = len(world.deepgram.flux.connections)
        await started(world, socket, "CA1")
        await socket.recv()
        socket.transport.pause_reading()
        await world.deepgram.flux.until(lambda: len(world.deepgram.flux.connections) > dialled)
        await world.deepgram.flux.say_start()
        await world.deepgram.flux.end_turn("Tell me everything.")
        async with asyncio.timeout(20):
            await until(lambda: world.app._calls.records()[0].ended)
        call = world.app._calls.records()[0]
        assert call.reason == "the far end took no message for 0.3 s"
        socket.transport.abort()


async def test_a_call_that_the_server_ends_by_stopping_says_so() -> None:
    async with AsyncExitStack() as caller:
        async with serving() as world:
            socket = await caller.enter_async_context(stream(world))
            await started(world, socket, "CA1")
            await socket.recv()
        assert await closed(socket) == 1001
    assert [call.reason for call in world.app._calls.records()] == ["the server stopped"]


async def test_two_turns_over_both_sdks_with_signatures_and_a_token() -> None:
    async with serving() as world:
        result = await place_call(world.plan("What time is it?", "And tomorrow?"))
        assert result.violations == []
        assert world.violations == []
        assert result.transcript is not None
        turns = result.transcript["turns"]
        assert [turn["caller"] for turn in turns] == ["What time is it?", "And tomorrow?"]
        assert turns[0]["heard"] == "I heard: What time is it. Anything else?"
        for turn in turns:
            assert turn["heard"] == turn["reply"]
            latency = dict(turn["latency_ms"])
            assert latency.pop("total") == sum(latency.values())
        [kept] = world.openai.conversations.values()
        assert kept.deleted


@pytest.mark.parametrize("history", ["conversation", "local"])
@pytest.mark.parametrize("audio", ["linear16/16000", "mulaw/8000"])
async def test_a_barge_in_is_kept_as_it_was_heard(history: str, audio: str) -> None:
    story = "Once upon a time there was a telephone that nobody answered. " * 3
    async with serving(
        openai=FakeOpenAI([story]), history=history, stt_audio=audio, tts_audio=audio
    ) as world:
        plan = world.plan("Tell me a story.", "Stop it.")
        result = await place_call(replace(plan, barge_in_ms=1500.0))
        assert result.violations == []
        assert world.violations == []
        assert result.transcript is not None
        first, second = result.transcript["turns"]
        assert 0 < len(first["heard"]) < len(first["reply"])
        assert story.startswith(first["heard"])
        assert second["heard"] == "I heard: Stop it. Anything else?"


async def test_a_cough_into_a_reply_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    story = "Once upon a time there was a telephone that nobody answered."
    clears: list[str] = []
    clear = twilio.clear
    monkeypatch.setattr(twilio, "clear", lambda sid: clears.append(sid) or clear(sid))
    async with serving(openai=FakeOpenAI([story])) as world:

        async def cough() -> None:
            await until(lambda: len(world.openai.requests) == 1)
            await asyncio.sleep(1.0)
            await world.deepgram.flux.say_start()
            await asyncio.sleep(0.3)
            await world.deepgram.flux.end_turn("")

        async with asyncio.TaskGroup() as group:
            group.create_task(cough())
            calling = group.create_task(
                place_call(replace(world.plan("Tell me a story."), quiet_ms=1000.0))
            )
        result = calling.result()
        assert result.violations == []
        assert world.violations == []
        assert result.transcript is not None
        [turn] = result.transcript["turns"]
        assert turn["heard"] == turn["reply"] == story
        assert clears


async def test_an_eager_end_of_turn_drafts_the_reply_that_is_then_spoken() -> None:
    async with serving(history="local", eager_eot_threshold=0.4) as world:
        result = await place_call(world.plan("What time is it?", "And tomorrow?"))
        assert result.violations == []
        assert world.violations == []
        assert result.transcript is not None
        turns = result.transcript["turns"]
        assert [turn["caller"] for turn in turns] == ["What time is it?", "And tomorrow?"]
        for turn in turns:
            assert (
                turn["heard"]
                == turn["reply"]
                == f"I heard: {turn['caller'].rstrip('?')}. Anything else?"
            )
            # It was asked and answered while the caller might have gone on.
            assert turn["latency_ms"]["llm"] == turn["latency_ms"]["tts"] == 0
        assert len(world.openai.requests) == 2


async def test_a_tool_is_run_and_the_agent_hangs_up() -> None:
    @tool
    async def opening_hours(day: str) -> str:
        """Say when we are open on a day of the week."""
        return f"{day}: nine to six"

    answers = [
        FunctionCall("opening_hours", '{"day":"Monday"}'),
        "We are open from nine to six.",
        FunctionCall("hang_up", "{}"),
        "Goodbye then.",
    ]
    agent = Agent(instructions="x", greeting="Hello.", fillers=[], tools=[opening_hours])
    async with serving(openai=FakeOpenAI(answers), agent=agent) as world:
        result = await place_call(world.plan("When are you open?", "Thank you, bye."))
        assert world.violations == []
        assert result.transcript is not None
        heard = [turn["heard"] for turn in result.transcript["turns"]]
        assert heard == ["We are open from nine to six.", "Goodbye then."]
        assert (result.ended_by, result.close_code) == ("server", 1000)


async def test_twelve_calls_at_once_break_no_protocol() -> None:
    async with serving() as world:
        words = [(f"This is caller number {n}.", "Goodbye.") for n in range(12)]
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(place_call(world.plan(*said))) for said in words]
        for said, made in zip(words, calls, strict=True):
            result = made.result()
            assert result.violations == []
            assert result.transcript is not None, (
                result,
                [r.call for r in world.app._calls._records],
            )
            assert [turn["caller"] for turn in result.transcript["turns"]] == list(said)
            assert result.transcript["turns"][0]["heard"] == f"I heard: {said[0]} Anything else?"
        assert world.violations == []


async def test_a_full_server_says_so() -> None:
    async with serving() as world:
        world.app._admission.limit = 0
        result = await place_call(world.plan("Hello?"))
        assert "lines are busy" in result.refused


async def test_no_key_and_no_token_is_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "voice_ai")
    async with serving() as world:
        world.deepgram.flux.refuse = (401, "no")
        await place_call(world.plan("Hello?", reply_wait_ms=2000.0))
        with pytest.raises(PeerError):
            await place_call(world.plan("Hello?", auth_token="wrong" * 6))
    for secret in (AUTH_TOKEN, "sk-test", "0123456789abcdef"):
        assert secret not in caplog.text
