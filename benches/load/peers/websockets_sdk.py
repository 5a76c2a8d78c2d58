"""What a good engineer puts together: websockets, orjson, our codec, the SDKs as shipped.

No front, transport or parser of ours. websockets drops a POST that has a body, so the webhook is on
aiohttp, on the port, and the stream on a port of its own.
"""

import asyncio
import signal
from base64 import b64decode, b64encode
from typing import Any

import orjson
import sdk
import uvloop
from aiohttp import web
from openai import AsyncOpenAI
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voice_ai.codec.formats import ULAW_8K, AudioFormat
from voice_ai.codec.transcode import Transcoder

# Deepgram's advice for Flux: four of Twilio's frames at a time.
FRAMES_A_MESSAGE = 4
STT, TTS = AudioFormat.parse(sdk.STT_AUDIO), AudioFormat.parse(sdk.TTS_AUDIO)


class Server:
    """The clients that all calls share."""

    def __init__(self) -> None:
        self.deepgram = sdk.deepgram_client()
        self.openai = AsyncOpenAI()
        self.model = sdk.settings().model

    async def serve_call(self, socket: ServerConnection) -> None:
        """Hold a call until Twilio stops."""
        try:
            stream_sid = await _stream_sid(socket)
            conversation = (await self.openai.conversations.create()).id
            async with sdk.flux(self.deepgram) as flux, sdk.aura(self.deepgram) as aura:
                await Call(self, socket, stream_sid, conversation, flux, aura).run()
        except ConnectionClosed:
            return


async def _stream_sid(socket: ServerConnection) -> str:
    while True:
        message = orjson.loads(await socket.recv())
        if message["event"] == "start":
            return str(message["streamSid"])


class Call:
    """One call: its sockets, and the reply that is being given."""

    def __init__(
        self,
        server: Server,
        socket: ServerConnection,
        stream_sid: str,
        conversation: str,
        flux: Any,
        aura: Any,
    ) -> None:
        self.server = server
        self.socket = socket
        self.stream_sid = stream_sid
        self.conversation = conversation
        self.flux = flux
        self.aura = aura
        self.clearing = False

    async def run(self) -> None:
        """Go through the call."""
        async with asyncio.TaskGroup() as self.group:
            self.reply: asyncio.Task[None] | None = None
            tasks = [self.group.create_task(work) for work in (self.turns(), self.voice())]
            try:
                await self.caller()
            finally:
                for task in [*tasks, self.reply]:
                    if task is not None:
                        task.cancel()

    async def caller(self) -> None:
        """Take the caller's frames to Flux."""
        to_flux = Transcoder(ULAW_8K, STT)
        frames: list[bytes] = []
        async for text in self.socket:
            message = orjson.loads(text)
            if message["event"] == "media":
                frames.append(to_flux.convert(b64decode(message["media"]["payload"])))
                if len(frames) == FRAMES_A_MESSAGE:
                    await self.flux.send_media(b"".join(frames))
                    frames.clear()
            elif message["event"] == "stop":
                return

    async def turns(self) -> None:
        """Answer when a turn is over; be silent when one begins."""
        async for message in self.flux:
            match getattr(message, "event", None):
                case "StartOfTurn":
                    await self.send("clear")
                    if self.reply is not None:
                        self.reply.cancel()
                        self.reply = None
                        self.clearing = True
                        await self.aura.send_clear()
                case "EndOfTurn" if message.transcript:
                    self.reply = self.group.create_task(self.answer(message.transcript))

    async def answer(self, transcript: str) -> None:
        """Say what the model answers."""
        server = self.server
        await sdk.answer(server.openai, server.model, self.conversation, transcript, self.aura)

    async def voice(self) -> None:
        """Take the voice to the phone; what comes between Clear and Cleared is of a dead reply."""
        to_twilio = Transcoder(TTS, ULAW_8K)
        async for message in self.aura:
            if isinstance(message, bytes):
                if not self.clearing and (ulaw := to_twilio.convert(message)):
                    await self.send("media", media={"payload": b64encode(ulaw).decode()})
            elif message.type == "Cleared":
                self.clearing = False
                to_twilio.clear()
            elif message.type == "Flushed" and not self.clearing:
                await self.send("mark", mark={"name": f"flushed-{message.sequence_id}"})

    async def send(self, event: str, **fields: Any) -> None:
        """Send a message to Twilio."""
        message = {"event": event, "streamSid": self.stream_sid, **fields}
        await self.socket.send(orjson.dumps(message), text=True)


async def run() -> None:
    """Serve until terminated."""
    settings, stop = sdk.settings(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server()
    async with serve(server.serve_call, settings.host, 0, compression=None) as streams:
        url = f"ws://{settings.host}:{streams.sockets[0].getsockname()[1]}/"
        runner = web.AppRunner(_webhook(url))
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        await stop.wait()
        await runner.cleanup()


def _webhook(url: str) -> web.Application:
    twiml = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'

    async def ready(request: web.Request) -> web.Response:
        return web.Response(text="ready")

    async def incoming_call(request: web.Request) -> web.Response:
        return web.Response(text=twiml, content_type="text/xml")

    app = web.Application()
    app.add_routes([web.get("/readyz", ready), web.post("/incoming-call", incoming_call)])
    return app


if __name__ == "__main__":
    uvloop.run(run())
