"""A server that starts: its services refuse it, cannot be reached, or are there."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from fakes.deepgram import KEY, FakeDeepgram
from fakes.openai_api import FakeOpenAI
from serving import AGENT, serving, settings
from voice_ai.errors import ProviderError
from voice_ai.phone import place_call
from voice_ai.server import app as module
from voice_ai.server.app import App


@pytest.mark.parametrize(("key", "stage"), [("deepgram_api_key", "tts"), ("openai_api_key", "llm")])
async def test_a_refused_key_ends_the_start_and_is_not_shown(key: str, stage: str) -> None:
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        app = App(settings(deepgram, openai, **{key: "wrong-key-of-somebody"}), AGENT)
        async with AsyncExitStack() as stack, app.listen():
            with pytest.raises(ProviderError) as caught:
                await app.load(stack)
    assert caught.value.stage == stage
    assert not caught.value.retryable
    assert "401" in str(caught.value)
    assert "wrong-key" not in str(caught.value)


async def test_a_model_that_the_service_does_not_know_ends_the_start() -> None:
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        app = App(settings(deepgram, openai, openai_model="gpt-0"), AGENT)
        async with AsyncExitStack() as stack, app.listen():
            with pytest.raises(ProviderError, match="model_not_found"):
                await app.load(stack)


async def test_a_service_out_of_reach_is_awaited_and_callers_hear_that_lines_are_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_S", (0.05,))
    monkeypatch.setattr(module, "WEBHOOK_PATIENCE_S", 0.05)
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        deepgram.aura.refuse = (503, "soon")
        app = App(settings(deepgram, openai, public_url=None, twilio_auth_token=None), AGENT)
        async with AsyncExitStack() as stack, app.listen(), asyncio.TaskGroup() as group:
            loading = group.create_task(app.load(stack))
            async with httpx.AsyncClient(base_url=app.url) as http:
                while "503" not in (waiting := await http.get("/readyz")).text:
                    assert waiting.status_code == 503
                answer = await http.post("/incoming-call", data={"CallSid": "CA1"})
                assert "lines are busy" in answer.text
                deepgram.aura.refuse = None
                await loading
                assert (await http.get("/readyz")).status_code == 200
                answer = await http.post("/incoming-call", data={"CallSid": "CA1"})
                assert "<Connect>" in answer.text


async def test_without_a_public_address_the_stream_is_at_the_port_that_listens() -> None:
    async with serving(public_url=None, twilio_auth_token=None) as world:
        result = await place_call(world.plan("Hello?", public_url="", auth_token=""))
        assert result.violations == []
        assert result.transcript is not None
        assert result.transcript["turns"][0]["caller"] == "Hello?"
        assert KEY not in str(result)
