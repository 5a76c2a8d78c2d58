"""The vendors by their SDKs as shipped, for the peers that use them: settings, and one answer."""

import os
import re
from types import SimpleNamespace
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types.speak_v1text import SpeakV1Text
from openai import AsyncOpenAI

INSTRUCTIONS = "You answer the phone. Be brief."
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

STT_AUDIO = os.environ.get("STT_AUDIO", "linear16/16000")
TTS_AUDIO = os.environ.get("TTS_AUDIO", "linear16/16000")


def settings() -> SimpleNamespace:
    """Read the environment that the rig starts a program with."""
    env = os.environ
    return SimpleNamespace(
        host=env.get("HOST", "127.0.0.1"),
        port=int(env.get("PORT", "8000")),
        model=env.get("OPENAI_MODEL", "gpt-5.6-luna"),
    )


def deepgram_client() -> AsyncDeepgramClient:
    """Return the SDK's client with its own transport, for Deepgram's service or a stand-in."""
    url = os.environ.get("DEEPGRAM_URL", "wss://api.deepgram.com")
    http = url.replace("ws", "http", 1)
    environment = DeepgramClientEnvironment(base=http, production=url, agent=url, agent_rest=http)
    return AsyncDeepgramClient(api_key=os.environ["DEEPGRAM_API_KEY"], environment=environment)


def flux(client: AsyncDeepgramClient) -> Any:
    """Connect a caller's stream to Flux."""
    encoding, rate = STT_AUDIO.split("/")
    return client.listen.v2.connect(
        model="flux-general-en", encoding=encoding, sample_rate=rate, eot_threshold=0.6
    )


def aura(client: AsyncDeepgramClient) -> Any:
    """Connect a call's voice."""
    encoding, rate = TTS_AUDIO.split("/")
    return client.speak.v1.connect(model="aura-2-thalia-en", encoding=encoding, sample_rate=rate)


async def answer(
    openai: AsyncOpenAI, model: str, conversation: str, heard: str, voice: Any
) -> None:
    """Have the model answer, and the voice speak it sentence by sentence while it is written."""
    text = ""
    stream = await openai.responses.create(
        model=model,
        instructions=INSTRUCTIONS,
        conversation=conversation,
        input=heard,
        stream=True,
    )
    async with stream:
        async for event in stream:
            if event.type != "response.output_text.delta":
                continue
            text += event.delta
            *sentences, text = SENTENCE_END.split(text)
            for sentence in sentences:
                await _speak(voice, sentence + " ")
    if text.strip():
        await _speak(voice, text)


async def _speak(voice: Any, sentence: str) -> None:
    await voice.send_text(SpeakV1Text(text=sentence))
    await voice.send_flush()
