"""What is not used is not imported: a server is as large as what it serves with."""

import asyncio
import sys
from pathlib import Path

import pytest

from fakes.deepgram import KEY, FakeDeepgram
from fakes.openai_api import FakeOpenAI
from fakes.twilio_rest import ACCOUNT_SID, FakeTwilioRest

SOURCE = Path(__file__).parents[2] / "src"
SERVED = """
import asyncio, gc, os, signal, sys
from voice_ai.server.agents import load_agent
from voice_ai.server.running import run
from voice_ai.server.settings import load_settings

def tell(line):
    if line.startswith("Ready"):
        print(gc.get_freeze_count(), *sys.modules)
        os.kill(os.getpid(), signal.SIGTERM)

settings = load_settings(None, keep_calls=False)
asyncio.run(run(settings, load_agent(settings.agent), tell))
"""
REMOTE = {"deepgram", "openai", "httpx2", "voice_ai.providers.deepgram.flux"}
LOCAL = {"ctranslate2", "faster_whisper", "hibari", "onnxruntime", "silero_vad"}
ACCOUNT = {"voice_ai.server.carrier", "voice_ai.server.twilio_rest"}
# Twilio's own client of its REST interface, which is some 4,000 modules.
NEVER = {"twilio.rest", "numpy.testing", "scipy", "torch", "voice_ai.phone", "opentelemetry.sdk"}


async def loaded(**settings: str) -> tuple[int, set[str]]:
    """Start a server in a process of its own; return what it froze and what it imported."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVED),
        env={"PORT": "0", "PYTHONPATH": str(SOURCE)} | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    n_frozen, *modules = said.decode().split()
    return int(n_frozen), set(modules)


async def test_with_keys_no_local_model_is_loaded() -> None:
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        keys = {
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_URL": deepgram.url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": openai.base_url,
            "OPENAI_MODEL": "gpt-5.6-luna",
        }
        n_frozen, modules = await loaded(**keys)
        assert n_frozen > 100_000  # both SDKs, so it came after them
        assert modules >= {"deepgram", "openai"}
        assert modules & (LOCAL | ACCOUNT | NEVER) == set()
        async with FakeTwilioRest() as rest:
            keys |= {
                "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "TWILIO_AUTH_TOKEN": "0" * 32,
                "TWILIO_API_URL": rest.url,
            }
            _, modules = await loaded(**keys)
        assert modules >= ACCOUNT
        assert modules & NEVER == set()


@pytest.mark.local
async def test_without_keys_no_sdk_is_loaded() -> None:
    n_frozen, modules = await loaded()
    assert n_frozen > 10_000
    assert modules >= {"ctranslate2", "hibari"}
    assert modules & (REMOTE | ACCOUNT | {"twilio.rest", "voice_ai.phone"}) == set()
