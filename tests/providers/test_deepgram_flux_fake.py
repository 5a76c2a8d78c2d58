"""The stand-in for Flux refuses what the real one refuses."""

import asyncio
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import fakes.deepgram
from fakes.deepgram import FakeDeepgram
from flux_hearing import AUDIO, CALL, say, silence, speech, until
from voice_ai.codec.formats import PCM16_16K
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.turn.events import (
    EndOfTurn,
)

# The service itself refuses what the real one refuses.


@pytest.mark.parametrize(
    ("messages", "violation"),
    [
        ([b""], "empty audio"),
        (["nonsense"], "unknown message: nonsense"),
        (['{"type":"KeepAlive"}'], "unknown message"),
        ([bytes(640)] * 10, "chunks of 20 ms, advised are 80"),
    ],
)
async def test_the_fake_notes_violations(messages: list[str | bytes], violation: str) -> None:
    async with FakeDeepgram(key=None) as strict:
        url = f"{strict.url}/v2/listen?model=flux-general-en&{AUDIO}"
        async with connect(url) as socket:
            for message in messages:
                await socket.send(message)
        await asyncio.wait_for(strict.flux.last.gone.wait(), 5)
    assert violation in strict.violations[0]


@pytest.mark.parametrize(
    "query",
    [
        AUDIO,
        f"{AUDIO}&model=nova-3",
        f"{AUDIO}&model=flux-general-en&interim_results=true",
        f"{AUDIO}&model=flux-general-en&eot_threshold=0.4",
        f"{AUDIO}&model=flux-general-en&eot_timeout_ms=soon",
        f"{AUDIO}&model=flux-general-en&model=flux-general-en",
        "model=flux-general-en&encoding=linear16&sample_rate=11025",
        "model=flux-general-en&encoding=mp3&sample_rate=16000",
    ],
)
async def test_the_fake_refuses_bad_parameters(query: str) -> None:
    async with FakeDeepgram(key=None) as strict:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{strict.url}/v2/listen?{query}")
    assert caught.value.response.status_code == 400
    assert b"INVALID_QUERY_PARAMETER" in (caught.value.response.body or b"")


async def test_the_fake_runs_by_itself() -> None:
    script = Path(fakes.deepgram.__file__)
    command = (sys.executable, script, "--port", "0", "--transcript", "hello")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            name, _, url = (await process.stdout.readline()).decode().strip().partition("=")
            assert name == "DEEPGRAM_URL"
            async with FluxSpeechToText("any", url, audio=PCM16_16K).open(CALL) as stream:
                await say(stream, speech(480) + silence(480))
                assert (await until(stream, EndOfTurn))[-1] == EndOfTurn(1, "hello", 480.0, 880.0)
            process.terminate()
            assert await process.stdout.readline() == b'{"violations": []}\n'
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
