"""What tests of FluxSpeechToText say and wait for, by the clock on the wall."""

import asyncio
from typing import Any

import numpy as np
import pytest

from fakes.deepgram import KEY, FakeDeepgram
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.flux import FluxSpeechToText, FluxStream
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import SpeechEvent

CALL = CallInfo("CA1")
CHUNK = 2560  # 80 ms of PCM16 at 16 kHz
AUDIO = "encoding=linear16&sample_rate=16000"


def hearing(deepgram: FakeDeepgram, **options: Any) -> FluxSpeechToText:
    return FluxSpeechToText(KEY, deepgram.url, **{"audio": PCM16_16K} | options)


def silence(n_ms: int) -> bytes:
    return bytes(n_ms * 32)


def speech(n_ms: int) -> bytes:
    return (8000 * np.sin(np.arange(n_ms * 16) * 0.3)).astype("<i2").tobytes()


async def say(stream: FluxStream, audio: bytes, step: int = CHUNK) -> None:
    for start in range(0, len(audio), step):
        stream.send(audio[start : start + step])


async def until(stream: FluxStream, kind: type[SpeechEvent]) -> list[SpeechEvent]:
    """Take events up to the first of this kind."""
    events: list[SpeechEvent] = []
    async with asyncio.timeout(5):
        async for event in stream:
            events.append(event)
            if isinstance(event, kind):
                return events
    raise AssertionError(f"the stream ended without {kind.__name__}: {events}")


async def everything(stream: FluxStream) -> list[SpeechEvent]:
    return [event async for event in stream]


async def failure(stream: FluxStream) -> ProviderError:
    """Listen until it fails."""
    with pytest.raises(ProviderError) as caught:
        async with asyncio.timeout(5):
            async for _ in stream:
                pass
    assert caught.value.stage == "stt"
    return caught.value


async def alone(deepgram: FakeDeepgram) -> None:
    """Let the connection that there is be the last."""
    await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
    deepgram.flux.refuse = (401, "no")
