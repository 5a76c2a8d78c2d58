"""A server that is told to go: new calls hear so, those under way run to their end."""

import asyncio
import json
from contextlib import AsyncExitStack
from xml.etree import ElementTree

import httpx
import pytest
from websockets.asyncio.client import connect as connect_websocket

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from serving import AGENT, World, serving, settings
from voice_ai.phone import place_call
from voice_ai.server import app as module
from voice_ai.server import webhook
from voice_ai.server.app import App

OPEN = {"public_url": None, "twilio_auth_token": None}


@pytest.fixture(autouse=True)
def no_stream_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "STREAM_WITHIN_S", 0.3)


async def until_live(world: World, n_calls: int = 1) -> None:
    async with asyncio.timeout(10):
        while world.app._calls.n_live != n_calls:
            await asyncio.sleep(0.01)


async def connect(http: httpx.AsyncClient, call_sid: str) -> str:
    return (await http.post("/incoming-call", data={"CallSid": call_sid})).text


async def test_a_server_without_calls_is_drained_at_once() -> None:
    async with serving(**OPEN) as world, asyncio.timeout(0.2):
        await world.app.drain()


async def test_a_call_under_way_runs_to_its_end_and_nobody_new_is_let_in() -> None:
    async with serving(**OPEN) as world, asyncio.TaskGroup() as group:
        plan = world.plan("Hello?", public_url="", auth_token="")
        calling = group.create_task(place_call(plan))
        await until_live(world)
        draining = group.create_task(world.app.drain())
        async with httpx.AsyncClient(base_url=world.app.url) as http:
            while (ready := await http.get("/readyz")).status_code != 503:
                pass
            assert ready.text == "draining\n"
            assert "lines are busy" in await connect(http, "CA1")
            assert 'calls_refused_total{why="draining"} 1' in (await http.get("/metrics")).text
            assert (await http.get("/health")).json()["calls_now"] == 1
            assert not draining.done()
        result = await calling
        await draining
        assert result.violations == []
        assert result.transcript is not None
        assert result.transcript["turns"][0]["heard"]
        assert result.transcript["reason"] == "the caller hung up"


async def test_a_call_that_was_connected_a_moment_ago_is_let_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "STREAM_WITHIN_S", 1.0)
    call_sid = "CA" + "1" * 32
    async with serving(**OPEN) as world, asyncio.TaskGroup() as group:
        async with httpx.AsyncClient(base_url=world.app.url) as http:
            answer = await connect(http, call_sid)
            draining = group.create_task(world.app.drain())
            await asyncio.sleep(0)
            # A repeated webhook, which gets a new token for the place that the call has.
            answer = await connect(http, call_sid)
        stream = ElementTree.fromstring(answer)[0][0]
        start = {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {one.attrib["name"]: one.attrib["value"] for one in stream},
        }
        async with connect_websocket(stream.attrib["url"]) as socket:
            message = {"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start}
            await socket.send(json.dumps(message))
            assert json.loads(await socket.recv())["event"] == "media"
            assert not draining.done()


async def test_calls_that_outlast_the_drain_are_told_goodbye() -> None:
    async with serving(drain_s=0.3, **OPEN) as world, asyncio.TaskGroup() as group:
        plan = world.plan("Hello?", "Again?", public_url="", auth_token="")
        calling = group.create_task(place_call(plan))
        await until_live(world)
        async with asyncio.timeout(10):
            await world.app.drain()
        result = await calling
        assert (result.ended_by, result.close_code) == ("server", 1000)
        assert not result.violations
        goodbye = world.app._calls.records()[0]
        assert goodbye.reason == "the server stops"


async def test_calls_that_do_not_end_by_themselves_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GOODBYE_S", 0.2)
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        app = App(settings(deepgram, openai, drain_s=0.2, **OPEN), AGENT)
        world = World(app, deepgram, openai)
        async with asyncio.TaskGroup() as group:
            async with AsyncExitStack() as stack, app.listen():
                await app.load(stack)
                plan = world.plan("Hello?", "Again?", public_url="", auth_token="")
                calling = group.create_task(place_call(plan))
                await until_live(world)
                async with asyncio.timeout(2):
                    await app.drain()
            assert calling.done() or await calling
        assert app._calls.records()[0].reason == "the server stopped"
