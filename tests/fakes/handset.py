"""A telephone in a test's hand: it hears what Twilio's caller would, and says what it is told to.

The voice that goes with it (`letters`) says every character as a level of its own, in µ-law, so
that `Handset.text` is what was heard, letter by letter: what is said twice or left out shows.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any
from uuid import uuid4

import httpx
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from serving import AUTH_TOKEN, PUBLIC_URL, World
from voice_ai.call.record import CallRecord
from voice_ai.phone.buffer import FRAME_MS, FRAME_OCTETS, SILENCE, PlayoutBuffer
from voice_ai.phone.webhook import parse_twiml
from voice_ai.wire import twilio

STREAM_URL = "wss://phone.example.com/ws/twilio"
CHAR_MS = 40
# Nothing that these tests wait for takes a tenth of it, on a machine that has nothing else to do.
WITHIN_S = 20.0


def letters(text: str, encoding: str, rate_hz: int) -> bytes:
    """Speak as a voice of FakeAura at `mulaw/8000`."""
    assert (encoding, rate_hz) == ("mulaw", 8000)
    return b"".join(bytes([ord(letter)]) * 8 * CHAR_MS for letter in text)


def sign(url: str, form: dict[str, str] | None = None) -> dict[str, str]:
    """Return the header that Twilio would send."""
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, form or {})
    return {"x-twilio-signature": signature}


async def ask(world: World, call_sid: str, **more: str) -> dict[str, str]:
    """Have the webhook answer a call; return the stream's parameters."""
    form = {"CallSid": call_sid, "From": "+15550100001", "To": "+15550100002", **more}
    headers = sign(f"{PUBLIC_URL}/incoming-call", form)
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{world.app.url}/incoming-call", data=form, headers=headers)
    stream = parse_twiml(answer.content)
    assert stream.url == STREAM_URL
    return stream.parameters


@asynccontextmanager
async def stream(world: World) -> AsyncIterator[ClientConnection]:
    """Open a media stream, signed as Twilio signs it."""
    url = world.app.url.replace("http://", "ws://") + "/ws/twilio"
    async with connect(url, additional_headers=sign(STREAM_URL), compression=None) as socket:
        yield socket


class Handset:
    """One call. `kinds` is what the server sent, in order; `over` is set once it has closed."""

    def __init__(self, world: World, socket: ClientConnection, call_sid: str) -> None:
        self.world = world
        self.kinds: list[str] = []
        self.heard = bytearray()
        self.over = False
        self.call_sid = call_sid
        self._socket = socket
        self._sid = "MZ" + call_sid
        self._buffer = PlayoutBuffer()
        self._saying: Iterator[bytes] = iter(())
        self._n_sent = 1

    @property
    def record(self) -> CallRecord:
        """The server's own record of this call."""
        found = self.world.app._calls.find(self.call_sid)
        assert found is not None
        return found

    @property
    def text(self) -> str:
        """The letters heard so far; of one that was cut, as much as was heard of it, rounded."""
        runs = [(code, len(list(run))) for code, run in groupby(self.heard)]
        whole = [chr(code) * round(n / 8 / CHAR_MS) for code, n in runs if code != SILENCE[0]]
        return "".join(whole)

    @property
    def n_unplayed(self) -> int:
        """Octets that were sent and not heard yet."""
        return self._buffer.n_octets

    @property
    def n_chars(self) -> int:
        """How many letters have been heard."""
        return len(self.heard) // (8 * CHAR_MS)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                await asyncio.sleep(FRAME_MS / 1000)

    async def hears(self, words: str) -> None:
        """Wait until what was sent has been heard, and ends in these words."""
        await self.until(lambda: not self.n_unplayed and self.text.rstrip().endswith(words))

    async def recognised(self, event: str, words: str = "") -> None:
        """Have the recogniser tell of the caller's turn."""
        flux = self.world.deepgram.flux
        match event:
            case "StartOfTurn":
                await flux.say_start()
            case "EndOfTurn":
                await flux.end_turn(words)
            case _:
                await flux.send(flux.last.ear.turn_info(event, words))

    async def asks(self, words: str) -> None:
        """Say something, as the recogniser tells it."""
        await self.recognised("StartOfTurn")
        await self.recognised("EndOfTurn", words)

    def say(self, ulaw: bytes) -> None:
        """Say this from now on, once."""
        self._saying = (
            ulaw[at : at + FRAME_OCTETS].ljust(FRAME_OCTETS, SILENCE)
            for at in range(0, len(ulaw), FRAME_OCTETS)
        )

    async def press(self, key: str) -> None:
        """Press a key."""
        await self._send(lambda n: twilio.dtmf(self._sid, n, key))

    async def hang_up(self) -> None:
        """End the call, if the server has not."""
        await self._send(lambda n: twilio.stop(self._sid, n, "AC0", self.call_sid))
        await self.until(lambda: self.over and self.record.ended)

    async def run_clock(self) -> None:
        """Play and speak a frame every 20 ms, until the stream is over."""
        loop = asyncio.get_running_loop()
        due, n = loop.time(), 0
        while not self.over:
            sound, passed = self._buffer.play()
            self.heard += sound
            await self._echo(passed)
            frame = next(self._saying, SILENCE * FRAME_OCTETS)
            at_ms = n * FRAME_MS
            await self._send(
                lambda k, n=n, at_ms=at_ms, frame=frame: twilio.caller_media(
                    self._sid, k, n + 1, at_ms, frame
                )
            )
            due, n = due + FRAME_MS / 1000, n + 1
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def listen(self) -> None:
        """Take the server's messages until it closes."""
        try:
            while True:
                match twilio.parse_command(await self._socket.recv(), self._sid):
                    case twilio.PlayMedia(payload):
                        self.kinds.append("media")
                        self._buffer.media(payload)
                    case twilio.SendMark(name):
                        self.kinds.append("mark")
                        await self._echo(self._buffer.mark(name))
                    case twilio.ClearBuffer():
                        self.kinds.append("clear")
                        await self._echo(self._buffer.clear())
        except ConnectionClosed:
            self.over = True

    async def _echo(self, names: list[str]) -> None:
        for name in names:
            await self._send(lambda n, name=name: twilio.mark_echo(self._sid, n, name))

    async def _send(self, message: Callable[[int], Any]) -> None:
        self._n_sent += 1
        try:
            await self._socket.send(message(self._n_sent))
        except ConnectionClosed:
            self.over = True


@asynccontextmanager
async def calling(world: World, call_sid: str = "", **form: str) -> AsyncIterator[Handset]:
    """Call the server, and hang up in the end; the call is over then, with no violation.

    For a call that the server has placed, its id and what else its webhook is told.
    """
    call_sid = call_sid or "CA" + uuid4().hex
    flux = world.deepgram.flux
    n_streams = len(flux.connections)
    async with stream(world) as socket:
        parameters = await ask(world, call_sid, **form)
        handset = Handset(world, socket, call_sid)
        await socket.send(twilio.connected())
        await socket.send(twilio.start("MZ" + call_sid, call_sid, "AC0", parameters))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(handset.listen()), group.create_task(handset.run_clock())]
            await flux.until(lambda: len(flux.connections) > n_streams)
            yield handset
            await handset.hang_up()
            for task in tasks:
                task.cancel()
    assert world.violations == []
