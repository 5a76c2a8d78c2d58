"""OpenAI's `/v1/audio/speech` on loopback: the voice of `fakes.aura`, able to fail when told."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from fakes.aura import speak_words

RATE_HZ = 24000
VOICES = frozenset(
    "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()
)
CHUNK_OCTETS = 4093  # odd: no read ends with a sample but by chance


@dataclass(frozen=True)
class Fault:
    """What befalls one request: a status, or after so many octets a cut ("cut") or a stall."""

    how: int | str
    after: int = 0
    code: str = "server_error"


class FakeOpenAISpeech:
    """`async with FakeOpenAISpeech() as fake`, then `fake.base_url`. `faults`, one a request."""

    def __init__(self, api_key: str = "sk-test") -> None:
        self.api_key = api_key
        self.faults: deque[Fault | None] = deque()
        self.asked: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.n_open = 0
        self._port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def texts(self) -> list[str]:
        return [body["input"] for body in self.asked]

    async def __aenter__(self) -> "FakeOpenAISpeech":
        app = web.Application()
        app.add_routes([web.post("/v1/audio/speech", self._speak)])
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _refused(401, "invalid_api_key")
        body = await request.json()
        if problem := _problem(body):
            self.violations.append(problem)
            return _refused(400, "invalid_value")
        self.asked.append(body)
        fault = self.faults.popleft() if self.faults else None
        if fault and isinstance(fault.how, int):
            return _refused(fault.how, fault.code)
        self.n_open += 1
        try:
            return await self._stream(request, body["input"], fault)
        finally:
            self.n_open -= 1

    async def _stream(
        self, request: web.Request, text: str, fault: Fault | None
    ) -> web.StreamResponse:
        audio = speak_words(text, "linear16", RATE_HZ)
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        end = len(audio) if fault is None else min(fault.after, len(audio))
        for start in range(0, end, CHUNK_OCTETS):
            await response.write(audio[start : min(start + CHUNK_OCTETS, end)])
        if fault is not None and fault.how == "stall":
            await asyncio.Event().wait()
        if fault is not None and request.transport is not None:
            request.transport.close()
        return response


def _problem(body: dict[str, Any]) -> str | None:
    if unknown := body.keys() - {"model", "voice", "input", "response_format"}:
        return f"unknown parameters: {sorted(unknown)}"
    if body.get("voice") not in VOICES:
        return f"no such voice: {body.get('voice')}"
    if body.get("model") != "gpt-4o-mini-tts" or body.get("response_format") != "pcm":
        return f"not what we ask for: {body}"
    text = body.get("input")
    if not isinstance(text, str) or not text.strip() or len(text) > 4096:
        return f"no text to speak: {text!r}"
    return None


def _refused(status: int, code: str) -> web.Response:
    error = {"message": "Told to fail.", "type": "error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)
