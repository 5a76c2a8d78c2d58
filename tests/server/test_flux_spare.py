"""`FLUX_SPARE`: one idle stream to Flux for as long as the server serves."""

import asyncio

import pytest

from fakes.deepgram import KEY, FakeDeepgram
from voice_ai.server.agents import load_agent
from voice_ai.server.providers import open_services
from voice_ai.server.settings import load_settings


@pytest.mark.parametrize(("spare", "n_open"), [(False, 0), (True, 1)])
async def test_a_server_keeps_a_spare_if_it_is_asked_for(spare: bool, n_open: int) -> None:
    async with FakeDeepgram() as deepgram:
        settings = load_settings(
            None, deepgram_api_key=KEY, deepgram_url=deepgram.url, llm="local", flux_spare=spare
        )
        async with open_services(settings, load_agent(None)):
            # One that the server tries at its start, and the spare.
            await deepgram.flux.until(lambda: len(deepgram.flux.connections) == 1 + n_open)
            await asyncio.wait_for(deepgram.flux.connections[0].gone.wait(), 5)
            assert deepgram.n_open == n_open
        await asyncio.wait_for(deepgram.flux.last.gone.wait(), 5)
        assert deepgram.n_open == 0 and deepgram.flux.last.n_octets == 0
