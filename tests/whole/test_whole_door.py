"""One stream for a CallSid, messages of a size, no audio ahead of time; strangers dial nobody."""

import asyncio
import base64
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from serving import AUTH_TOKEN, World, serving
from voice_ai.phone import place_call
from voice_ai.phone.webhook import ToStream, ask, client, signature


async def opened(world: World, call_sid: str) -> ToStream:
    async with client() as http:
        stream = await ask(http, world.plan("Hello?"), call_sid)
    assert isinstance(stream, ToStream)
    return stream


def dial(world: World, stream: ToStream) -> Any:
    signed = {"x-twilio-signature": signature(AUTH_TOKEN, stream.url, {})}
    url = world.app.url.replace("http", "ws", 1) + "/ws/twilio"
    return connect(url, additional_headers=signed, compression=None)


async def start(socket: ClientConnection, call_sid: str, parameters: dict[str, str]) -> None:
    body = {
        "streamSid": "MZ1",
        "callSid": call_sid,
        "accountSid": "AC1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    message = {"event": "start", "streamSid": "MZ1", "sequenceNumber": "1", "start": body}
    await socket.send(json.dumps(message))


def frame(n: int, octets: bytes = b"\xff" * 160) -> str:
    media = {"track": "inbound", "chunk": str(n + 1), "timestamp": str(20 * n)}
    media["payload"] = base64.b64encode(octets).decode()
    message = {"event": "media", "sequenceNumber": str(n + 2), "media": media, "streamSid": "MZ1"}
    return json.dumps(message)


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    try:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code, socket.close_reason


async def hears(socket: ClientConnection) -> None:
    async with asyncio.timeout(5):
        while json.loads(await socket.recv())["event"] != "media":
            pass


def n_listening(world: World) -> int:
    """How often Flux was dialled; once at start-up, to see whether it can be."""
    return len([one for one in world.deepgram.requests if "listen" in one.path])


async def test_a_second_stream_of_a_call_is_refused_and_the_first_lives_on() -> None:
    async with serving() as world:
        call_sid, n_before = "CA" + uuid4().hex, n_listening(world)
        stream = await opened(world, call_sid)
        async with dial(world, stream) as first:
            await start(first, call_sid, stream.parameters)
            await hears(first)
            for token in (stream.parameters["token"], world.app._webhook._tokens.issue(call_sid)):
                async with dial(world, stream) as second:
                    await start(second, call_sid, {"token": token})
                    assert (await closed(second))[0] == 1008
            await first.send(frame(0))
            await (await first.ping())
            assert world.app._calls.n_live == 1
            async with asyncio.timeout(5):
                while n_listening(world) == n_before:
                    await asyncio.sleep(0.01)
        assert n_listening(world) == n_before + 1


async def test_messages_have_a_size() -> None:
    async with serving() as world:
        for size, code in ((16 * 1024, 1008), (16 * 1024 + 1, 1009)):
            call_sid = "CA" + uuid4().hex
            async with dial(world, await opened(world, call_sid)) as socket:
                await socket.send('{"event":"connected"}')
                await socket.send('{"event":"connected"}'.ljust(size))
                assert (await closed(socket))[
                    0
                ] == code  # a start within three seconds, or too long
        async with connect(world.app.url.replace("http", "ws", 1) + "/ws/browser") as browser:
            await browser.send(bytes(16 * 1024 + 2))
            assert (await closed(browser))[0] == 1009


async def test_who_speaks_faster_than_time_goes_is_let_go_and_others_do_not_notice() -> None:
    async with serving() as world:
        call_sid = "CA" + uuid4().hex
        stream = await opened(world, call_sid)
        async with asyncio.TaskGroup() as group:
            other = group.create_task(place_call(world.plan("Hello?", "Goodbye.")))
            async with dial(world, stream) as socket:
                await start(socket, call_sid, stream.parameters)
                await hears(socket)
                flood, n_sent = "", 0
                try:
                    for n in range(50 * 600):  # ten minutes, as fast as they go
                        await socket.send(frame(n))
                        n_sent = n
                except ConnectionClosed:
                    flood = "cut"
                code, reason = await closed(socket)
        assert flood == "cut"
        assert (code, reason) == (1008, "more than 10 s of audio ahead of the clock")
        result = other.result()
        assert [turn.first_frame_ms is not None for turn in result.turns] == [True, True]
        heard_ms = max(each.heard_ms for each in world.deepgram.flux.connections)
        print(
            f"cut after {n_sent * 0.02:.0f} s of audio, of which {heard_ms / 1000:.0f} s were heard"
        )
        assert heard_ms < 60_000


@pytest.mark.parametrize("n", [40])
async def test_strangers_have_nobody_dialled(n: int) -> None:
    async with serving() as world:
        before = len(world.deepgram.requests)
        url = world.app.url.replace("http", "ws", 1) + "/ws/twilio"
        about = {"X-Forwarded-For": "203.0.113.9"}
        async with httpx.AsyncClient(base_url=world.app.url, trust_env=False) as http:
            for _ in range(n):
                answer = await http.post("/incoming-call", data={"CallSid": "CA1"}, headers=about)
                assert answer.status_code == 403
                with pytest.raises(InvalidStatus, match="403"):
                    async with connect(url, additional_headers=about):
                        pass
        assert len(world.deepgram.requests) == before
        assert (world.openai.requests, len(world.app._admission)) == ([], 0)  # type: ignore[arg-type]
