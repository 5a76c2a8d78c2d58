"""Who speaks when the voice fails, by the settings; and a start without the first voice."""

import logging

import pytest

from fakes.deepgram import KEY, FakeDeepgram
from fakes.openai_speech import FakeOpenAISpeech
from serving import AGENT
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.openai import shutdown
from voice_ai.server.providers import open_services
from voice_ai.server.settings import Settings, load_settings

BOTH = {"deepgram_api_key": KEY, "openai_api_key": "sk-test"}


def settings(deepgram: FakeDeepgram, speech: FakeOpenAISpeech, voices: str) -> Settings:
    return load_settings(
        None,
        **BOTH,
        deepgram_url=deepgram.url,
        openai_base_url=speech.base_url,
        llm="local",
        tts_fallback=voices,
    )


@pytest.mark.parametrize(
    ("given", "voices"),
    [
        ("", ()),
        ("local", ("local",)),
        (
            "aura-2-helena-en, openai:alloy,local",
            ("aura-2-helena-en", "openai:alloy", "local"),
        ),
    ],
)
def test_the_voices_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, given: str, voices: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TTS_FALLBACK", given)
    assert load_settings(None, **BOTH).tts_fallback == voices


@pytest.mark.parametrize("given", ["alloy", "openai:", "openai:alloy,,local", "aura-2/x"])
def test_what_is_no_voice_is_named(given: str) -> None:
    with pytest.raises(UsageError, match="TTS_FALLBACK.* must be of aura-NAME, openai:VOICE"):
        load_settings(None, **BOTH, tts_fallback=given)


@pytest.mark.parametrize(
    ("voice", "key"), [("aura-2-helena-en", "deepgram_api_key"), ("openai:alloy", "openai_api_key")]
)
def test_a_voice_needs_its_key(voice: str, key: str) -> None:
    keys = {name: value for name, value in BOTH.items() if name != key}
    with pytest.raises(UsageError, match=f"TTS_FALLBACK={voice} needs {key.upper()}"):
        load_settings(None, **keys, tts_fallback=f"local,{voice}")


@pytest.mark.parametrize("status", [401, 503])
async def test_a_server_whose_voice_is_down_starts_with_the_next_and_says_so(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    async with FakeDeepgram() as deepgram, FakeOpenAISpeech() as speech:
        deepgram.aura.refuse = (status, "{}")
        chosen = settings(deepgram, speech, "openai:alloy")
        with caplog.at_level(logging.WARNING):
            async with open_services(chosen, AGENT) as services:
                assert services.phrases["greeting"].text == AGENT.greeting
        assert AGENT.greeting in speech.texts
        assert [r for r in caplog.messages if "now OpenAI alloy speaks: fell back" in r]


async def test_without_any_voice_the_start_is_tried_again() -> None:
    async with FakeDeepgram() as deepgram, FakeOpenAISpeech(api_key="another") as speech:
        deepgram.aura.refuse = (503, "{}")
        with pytest.raises(BaseException) as failed:
            async with open_services(settings(deepgram, speech, "openai:alloy"), AGENT):
                pass
        assert isinstance(failed.value, ProviderError)
        assert (failed.value.stage, failed.value.retryable) == ("tts", True)


@pytest.mark.parametrize(("days", "warns"), [(-32, False), (-31, True), (0, True), (9, True)])
def test_openais_speech_ends(days: int, warns: bool) -> None:
    day = shutdown.SPEECH_SHUTDOWN.fromordinal(shutdown.SPEECH_SHUTDOWN.toordinal() + days)
    assert bool(shutdown.speech_warning(day)) is warns
