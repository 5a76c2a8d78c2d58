"""The design that voice_ai replaces: FastAPI, json, base64, numpy, scipy, the SDKs as shipped.

One coroutine a call, a callback for each of Deepgram's messages, and 20 ms to Flux at a time, as
such servers are written. `--window` passes `resample_poly` a filter that was designed once;
`--batch-ms 80` collects what goes to Flux, which is Deepgram's advice.
"""

import argparse
import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import sdk
import uvicorn
from deepgram.core.events import EventType
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from openai import AsyncOpenAI
from scipy.signal import firwin, resample_poly

BIAS, CLIP = 0x84, 32635
# What resample_poly designs itself when it is not given one: scipy's documentation of `window`.
WINDOW = firwin(2 * 10 * 2 + 1, 1 / 2, window=("kaiser", 5.0)).astype(np.float32)


def _decode_table() -> np.ndarray[Any, np.dtype[np.int16]]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = ((mantissa << 3) + BIAS << exponent) - BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encode_table() -> np.ndarray[Any, np.dtype[np.uint8]]:
    value = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    biased = np.minimum(np.abs(value), CLIP) + BIAS
    exponent = np.log2(biased).astype(np.int32) - 7
    code = (exponent << 4) | (biased >> exponent + 3 & 15)
    return (~(code | np.where(value < 0, 0x80, 0)) & 0xFF).astype(np.uint8)


DECODE, ENCODE = _decode_table(), _encode_table()
OPTIONS = argparse.Namespace(window=False, batch_ms=20)


def resample(pcm: np.ndarray[Any, Any], up: int, down: int) -> np.ndarray[Any, Any]:
    """Return int16 at another rate, each call on its own."""
    samples = pcm.astype(np.float32)
    if OPTIONS.window:
        samples = resample_poly(samples, up, down, window=WINDOW)
    else:
        samples = resample_poly(samples, up, down)
    return np.clip(samples, -32768, 32767).astype(np.int16)


def to_flux(ulaw: bytes) -> bytes:
    """Return a frame of the caller's as Flux is sent it."""
    if sdk.STT_AUDIO.startswith("mulaw"):
        return ulaw
    return resample(DECODE[np.frombuffer(ulaw, np.uint8)], 2, 1).tobytes()


def to_twilio(audio: bytes) -> bytes:
    """Return a chunk of the voice as the phone plays it."""
    if sdk.TTS_AUDIO.startswith("mulaw"):
        return audio
    return ENCODE[resample(np.frombuffer(audio, "<i2"), 1, 2).view(np.uint16)].tobytes()


class Call:
    """One call between Twilio, Flux, the model and Aura."""

    def __init__(self, state: Any, websocket: WebSocket) -> None:
        self.state = state
        self.websocket = websocket
        self.stream_sid = ""
        self.conversation = ""
        self.flux: Any = None
        self.aura: Any = None
        self.reply: asyncio.Task[None] | None = None
        self.clearing = False
        self.batch = bytearray()
        self.odd = b""

    async def run(self) -> None:
        """Hold the call until Twilio stops."""
        await self._wait_for_start()
        self.conversation = (await self.state.openai.conversations.create()).id
        async with (
            sdk.flux(self.state.deepgram) as self.flux,
            sdk.aura(self.state.deepgram) as self.aura,
        ):
            self.flux.on(EventType.MESSAGE, self.on_flux)
            self.aura.on(EventType.MESSAGE, self.on_aura)
            async with asyncio.TaskGroup() as self.group:
                listeners = [
                    self.group.create_task(self.flux.start_listening()),
                    self.group.create_task(self.aura.start_listening()),
                ]
                try:
                    await self._listen()
                finally:
                    for task in [*listeners, self.reply]:
                        if task is not None:
                            task.cancel()

    async def _wait_for_start(self) -> None:
        while not self.stream_sid:
            message = json.loads(await self.websocket.receive_text())
            if message["event"] == "start":
                self.stream_sid = message["start"]["streamSid"]

    async def _listen(self) -> None:
        n_octets = OPTIONS.batch_ms * len(to_flux(b"\xff" * 160)) // 20
        async for text in self.websocket.iter_text():
            message = json.loads(text)
            if message["event"] == "media":
                self.batch += to_flux(base64.b64decode(message["media"]["payload"]))
                if len(self.batch) >= n_octets:
                    audio, self.batch = bytes(self.batch), bytearray()
                    await self.flux.send_media(audio)
            elif message["event"] == "stop":
                return

    async def on_flux(self, message: Any) -> None:
        """Answer a turn that is over; be silent when one begins."""
        match getattr(message, "event", None):
            case "StartOfTurn":
                await self.send({"event": "clear", "streamSid": self.stream_sid})
                if self.reply is not None:
                    self.reply.cancel()
                    self.reply = None
                    self.clearing = True
                    await self.aura.send_clear()
            case "EndOfTurn" if message.transcript:
                self.reply = self.group.create_task(self.answer(message.transcript))

    async def answer(self, transcript: str) -> None:
        """Say what the model answers."""
        state = self.state
        await sdk.answer(state.openai, state.model, self.conversation, transcript, self.aura)

    async def on_aura(self, message: Any) -> None:
        """Send the voice to the phone; what comes between Clear and Cleared is of a dead reply."""
        if isinstance(message, bytes):
            if not self.clearing:
                await self.play(message)
        elif message.type == "Cleared":
            self.clearing = False
            self.odd = b""
        elif message.type == "Flushed" and not self.clearing:
            mark = {"name": f"flushed-{message.sequence_id}"}
            await self.send({"event": "mark", "streamSid": self.stream_sid, "mark": mark})

    async def play(self, audio: bytes) -> None:
        """Send one chunk of the voice as one message."""
        if sdk.TTS_AUDIO.startswith("linear16"):
            audio = self.odd + audio
            n_whole = len(audio) // 4 * 4
            audio, self.odd = audio[:n_whole], audio[n_whole:]
        payload = base64.b64encode(to_twilio(audio)).decode()
        media = {"payload": payload}
        await self.send({"event": "media", "streamSid": self.stream_sid, "media": media})

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message to Twilio."""
        await self.websocket.send_text(json.dumps(message))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.deepgram = sdk.deepgram_client()
    app.state.model = sdk.settings().model
    async with AsyncOpenAI() as app.state.openai:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, bool]:
    return {"ready": True}


@app.post("/incoming-call")
async def incoming_call(request: Request) -> Response:
    url = f"ws://{request.headers['host']}/ws/twilio"
    twiml = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
    return Response(twiml, media_type="text/xml")


@app.websocket("/ws/twilio")
async def twilio(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        await Call(websocket.app.state, websocket).run()
    except* WebSocketDisconnect:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", action="store_true", help="design the filter once")
    parser.add_argument("--batch-ms", type=int, default=20, help="audio to Flux at a time")
    parser.parse_args(namespace=OPTIONS)
    settings = sdk.settings()
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning")


if __name__ == "__main__":
    main()
