"""What is made into sound at start-up: the phrases, and only the fillers that may be needed."""

import pytest

from call_world import opening_hours
from fakes.inproc import FakeTts, voiced
from voice_ai import Agent
from voice_ai.call.services import make_sounds
from voice_ai.errors import ProviderError


async def test_every_phrase_and_no_excuse_for_tools_that_are_not_there():
    tts, agent = FakeTts(), Agent(instructions="x", fillers=["Hmm.", "Well."])
    phrases, fillers = await make_sounds(agent, tts)
    texts = [agent.greeting, agent.apology, agent.refusal, agent.goodbye, agent.still_there]
    assert [spoken.text for spoken in phrases.values()] == texts
    assert [spoken.text for spoken in fillers["filler"]] == ["Hmm.", "Well."]
    assert fillers["moment"] == []
    assert tts.spoken == [*texts, "Hmm.", "Well."]
    assert phrases["greeting"].audio == voiced(agent.greeting)


async def test_an_agent_with_tools_has_its_moments():
    agent = Agent(instructions="x", tools=[opening_hours])
    _, fillers = await make_sounds(agent, FakeTts())
    assert [spoken.text for spoken in fillers["moment"]] == list(agent.moments)


async def test_a_phrase_without_a_sound_is_a_failure():
    tts = FakeTts()
    tts.silent = True
    with pytest.raises(ProviderError, match="came back without a sound"):
        await make_sounds(Agent(instructions="x"), tts)


async def test_a_notice_is_said_before_the_greeting_as_a_part_of_it():
    agent = Agent(instructions="x", greeting="Hello.")
    phrases, _ = await make_sounds(agent, FakeTts(), "This call is recorded.")
    assert phrases["greeting"].text == "This call is recorded. Hello."
    assert phrases["greeting"].audio == voiced("This call is recorded. Hello.")
