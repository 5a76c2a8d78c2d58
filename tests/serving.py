"""The whole server in the test's process, on fakes of the vendors that the real SDKs talk to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fakes.deepgram import KEY, FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import Agent, ulaw_encode
from voice_ai.phone import CallPlan, tones
from voice_ai.server.app import App
from voice_ai.server.settings import Settings

PUBLIC_URL = "https://phone.example.com"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
# On the real clock a busy machine would have fillers said.
AGENT = Agent(instructions="You answer the phone.", greeting="Hello. Who is there?", fillers=[])


class World:
    """A server that takes calls as Twilio makes them, and the services behind it."""

    def __init__(self, app: App, deepgram: FakeDeepgram, openai: FakeOpenAI) -> None:
        self.app = app
        self.deepgram = deepgram
        self.openai = openai

    def plan(self, *words: str, **changes: Any) -> CallPlan:
        """A caller who says these words, one turn each."""
        fields = {
            "server_url": self.app.url,
            "utterances": [ulaw_encode(tones.encode(text)) for text in words],
            "public_url": PUBLIC_URL,
            "auth_token": AUTH_TOKEN,
            "quiet_ms": 300.0,
        }
        return CallPlan(**(fields | changes))

    @property
    def violations(self) -> list[str]:
        """What the services would have refused."""
        return self.deepgram.violations + self.openai.violations


def settings(deepgram: FakeDeepgram, openai: FakeOpenAI, **changes: Any) -> Settings:
    """Settings as an operator with all keys has them, on a free port, none of them from outside."""
    fields = {
        "deepgram_api_key": KEY,
        "openai_api_key": "sk-test",
        "stt": "deepgram",
        "llm": "openai",
        "tts": "deepgram",
        "deepgram_url": deepgram.url,
        "openai_base_url": openai.base_url,
        "openai_model": "gpt-5.6-luna",
        "port": 0,
        "public_url": PUBLIC_URL,
        "twilio_auth_token": AUTH_TOKEN,
        "keep_calls": False,
        # Its thread is the test's, with all that pytest does in it.
        "max_cpu_percent": 100,
    }
    return Settings(_env_file=None, **(fields | changes))


@asynccontextmanager
async def serving(
    *,
    agent: Agent = AGENT,
    deepgram: FakeDeepgram | None = None,
    openai: FakeOpenAI | None = None,
    **changes: Any,
) -> AsyncIterator[World]:
    """Serve until the block ends; then nothing of it may be left."""
    async with deepgram or FakeDeepgram() as dg, openai or FakeOpenAI() as oa:
        app = App(settings(dg, oa, **changes), agent)
        async with AsyncExitStack() as stack, app.listen():
            await app.load(stack)
            yield World(app, dg, oa)
        async with asyncio.timeout(5):
            while dg.n_open:
                await asyncio.sleep(0.01)
