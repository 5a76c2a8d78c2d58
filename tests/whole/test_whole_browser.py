"""A browser's side of a call, by a websocket client, on the whole server."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from serving import World, serving
from voice_ai import ResampleStream
from voice_ai.phone import tones

FRAME = 640


def url(world: World) -> str:
    return world.app.url.replace("http://", "ws://") + "/ws/browser"


class Browser:
    """Speaks in real time, plays what comes, sends marks back when it has played up to them."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard = 0
        self.n_clears = 0
        self.told: list[dict[str, Any]] = []
        self.played_until = 0.0
        self.words: asyncio.Queue[bytes] = asyncio.Queue()

    async def speak(self) -> None:
        """Send 20 ms every 20 ms: words, else silence."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        speech = b""
        while True:
            if not speech and not self.words.empty():
                speech = self.words.get_nowait()
            await self.socket.send(speech[:FRAME].ljust(FRAME, b"\0"))
            speech = speech[FRAME:]
            due += 0.02
            await asyncio.sleep(due - loop.time())

    async def listen(self) -> None:
        """Take sound, marks and clears until the server closes."""
        loop = asyncio.get_running_loop()
        async for message in self.socket:
            if isinstance(message, bytes):
                self.heard += len(message)
                self.played_until = max(self.played_until, loop.time()) + len(message) / 32_000
                continue
            event = json.loads(message)
            if event["event"] == "mark":
                loop.call_at(self.played_until, self.marks.put_nowait, event["name"])
            elif event["event"] == "clear":
                self.n_clears += 1
                self.played_until = loop.time()
            else:
                self.told.append(event)

    async def send_marks(self) -> None:
        while True:
            name = await self.marks.get()
            await self.socket.send(json.dumps({"event": "mark", "name": name}))

    def say(self, text: str) -> None:
        self.words.put_nowait(ResampleStream(8000, 16000).resample_chunk(tones.encode(text)))

    async def __aenter__(self) -> "Browser":
        self.marks: asyncio.Queue[str] = asyncio.Queue()
        self.tasks = await asyncio.TaskGroup().__aenter__()
        works = (self.speak(), self.listen(), self.send_marks())
        self.running = [self.tasks.create_task(work) for work in works]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self.running:
            task.cancel()
        await self.tasks.__aexit__(None, None, None)


async def turn(world: World, n: int) -> dict[str, Any]:
    """Wait for the call's turn of this number to have been heard; return it."""
    async with asyncio.timeout(20):
        while True:
            turns = world.app._calls.records()[0].as_json()["turns"]
            if len(turns) >= n and turns[n - 1]["heard"]:
                return dict(turns[n - 1])
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.9"},
    ],
    ids=lambda headers: repr(headers),
)
async def test_a_browser_of_somebody_else_is_refused(headers: dict[str, str]) -> None:
    async with serving() as world:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url(world), additional_headers=headers, compression=None):
                pass
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("message", "code"),
    [
        *[("{", 1007), ("[]", 1002), ('{"event":"mark"}', 1002), (b"", 1002), (b"odd", 1002)],
        *[('{"event":"text"}', 1002), (json.dumps({"event": "text", "text": "a" * 2001}), 1002)],
    ],
)
async def test_a_bad_message_ends_the_call(message: str | bytes, code: int) -> None:
    async with serving() as world, connect(url(world), compression=None) as socket:
        await socket.recv()
        await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(5):
                while True:
                    await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


async def test_when_all_lines_are_busy() -> None:
    async with serving() as world:
        world.app._admission.limit = 0
        async with connect(url(world), compression=None) as socket:
            await socket.recv()
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013


async def test_a_browser_talks_interrupts_and_hangs_up() -> None:
    async with serving() as world, connect(url(world), compression=None) as socket:
        start = json.loads(await socket.recv())
        assert (start["event"], start["rate_hz"]) == ("start", 16000)
        async with Browser(socket) as browser:
            browser.say("What time is it?")
            first = await turn(world, 1)
            assert first["caller"] == "What time is it?"
            # The greeting was interrupted; again, if the words took longer than a cough would.
            assert browser.n_clears in (1, 2)
            browser.say("Thank you.")
            second = await turn(world, 2)
            assert second["heard"] == "I heard: Thank you. Anything else?"
            assert browser.heard > 32_000
        await socket.send('{"event":"stop"}')
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(5):
                while True:
                    await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
        assert world.app._calls.find(start["call_sid"]) is not None
        assert world.violations == []


async def test_a_page_is_told_of_its_call_and_may_type() -> None:
    async with serving() as world, connect(url(world), compression=None) as socket:
        sid = json.loads(await socket.recv())["call_sid"]
        async with Browser(socket) as browser:
            await socket.send(json.dumps({"event": "text", "text": "What time is it?"}))
            heard = await turn(world, 1)
            await asyncio.sleep(0.2)
            turns = [one["turn"] for one in browser.told if one["event"] == "turn"]
            assert turns[-1] == heard and heard["complete"]
            assert list(heard["moments_ms"])[-1] == "first_heard"
            assert "typed" in [one["note"]["kind"] for one in browser.told if "note" in one]
            calls = [one["call"] for one in browser.told if one["event"] == "call"]
            assert {one["call_sid"] for one in calls} == {sid}
            await socket.send('{"event":"stop"}')
            with pytest.raises(ConnectionClosed):
                async with asyncio.timeout(5):
                    await socket.wait_closed()
                    await socket.send("")
        last = [one["call"] for one in browser.told if one["event"] == "call"][-1]
        assert last["ended"] and last["reason"] == "the caller hung up"
        assert world.violations == []


async def test_calls_that_are_over_are_forgotten_each_in_its_time() -> None:
    async with serving(transcript_retention_s=1.0) as world:
        calls, sids = world.app._calls, []
        async with connect(url(world), compression=None) as going_on:
            staying = json.loads(await going_on.recv())["call_sid"]
            for _ in range(2):
                async with connect(url(world), compression=None) as socket:
                    sids.append(json.loads(await socket.recv())["call_sid"])
                    await socket.send('{"event":"stop"}')
                    async for _ in socket:
                        pass
                await asyncio.sleep(0.4)
            first, second = (calls.find(sid) for sid in sids)
            assert first and second and first.ended and first.tell is None
            async with asyncio.timeout(5):
                while calls.find(sids[0]):
                    await asyncio.sleep(0.01)
                assert calls.find(sids[1]), "its time is not over"
                while calls.find(sids[1]):
                    await asyncio.sleep(0.01)
            assert [record.call.call_sid for record in calls.records()] == [staying]
