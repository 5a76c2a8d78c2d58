"""Each service as a call has it, through the same adapters: its connection, its first word."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any, Final

from voice_ai.agent import Agent
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.faults import Fault
from voice_ai.providers.protocols import Audio, CallInfo, LanguageModel, TextDelta, TextToSpeech
from voice_ai.server.adapters import (
    make_aura,
    make_flux,
    make_openai,
    make_openai_voice,
    make_speech,
)
from voice_ai.server.doctor.outcome import Check, Outcome, failed, live, ok, skipped, warning
from voice_ai.server.doctor.reasons import out_of_reach
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.settings import Settings
from voice_ai.turn.events import CallerSaid

# More than a caller takes for a pause (FIELD: half of all systems answer within 1.5 s in all).
SLOW_WORD_MS: Final = 1000.0
# Aura begins within 200 ms; what is far above is the network.
SLOW_SOUND_MS: Final = 600.0
SLOW_OPEN_MS: Final = 1000.0
CALL: Final = CallInfo("doctor")
SENTENCE: Final = "This is a test. "
QUESTION: Final = "Say the word ready, and nothing else."
AGENT: Final = Agent(instructions="You answer the phone.")
Trial = Callable[[AsyncExitStack], Awaitable[Outcome]]


async def _tried(trial: Trial) -> Outcome:
    """Run a trial with a stack of its own; say in words why it failed."""
    try:
        async with AsyncExitStack() as stack:
            return await trial(stack)
    except ProviderError as error:
        return out_of_reach(str(error))
    except UsageError as error:
        return failed(str(error))


async def warm_up(situation: Situation) -> None:
    """Import what the trials need: none of them shall pay for it, or hold up another one's clock.

    What cannot be imported is found again by the trial that it is for.
    """
    settings, agent = situation.settings, situation.agent or AGENT
    with suppress(UsageError, ProviderError):
        async with AsyncExitStack() as stack:
            if settings.deepgram_api_key is not None:
                await make_flux(settings, agent, _report)
                await make_aura(settings, "")
            if settings.llm == "openai" and settings.openai_api_key is not None:
                await make_openai(
                    stack, settings.openai_api_key, None, situation.model, None, "local"
                )


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000


def _timed(what: str, took_ms: float, slow_ms: float) -> Outcome:
    """Judge a time; on the phone it is a part of every turn."""
    told = f"{what} after {took_ms:.0f} ms"
    return warning(f"{told}, slow is {slow_ms:.0f}") if took_ms > slow_ms else ok(told)


def _report(fault: Fault) -> None:
    """Faults on the way: what comes of them is the outcome."""


@live(
    "live-hearing",
    "The call is answered, and the agent does not react to what is said.",
    "See what the service says; the key, the account and the network are what can be wrong.",
)
async def hearing(situation: Situation) -> Outcome:
    """Open a stream of Flux and say goodbye."""
    settings = situation.settings
    if settings.stt != "deepgram":
        return skipped("the recogniser is on this machine: see live-local")
    if settings.deepgram_api_key is None:
        return skipped("there is no DEEPGRAM_API_KEY")

    async def trial(stack: AsyncExitStack) -> Outcome:
        stt = await make_flux(settings, situation.agent or AGENT, _report)
        begun_ms = _now_ms()
        async with stt.open(CALL):
            return _timed("Flux: a stream is open", _now_ms() - begun_ms, SLOW_OPEN_MS)

    return await _tried(trial)


async def _first_word(name: str, model: Any) -> Outcome:
    """Ask a model something short, and measure the time to its first word."""
    await model.verify()
    asked: LanguageModel = model
    begun_ms = _now_ms()
    async with asked.open(CALL, AGENT.instructions, []) as dialogue:
        async with dialogue.reply(2, [CallerSaid(1, QUESTION)]) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    return _timed(f"{name}: its first word", _now_ms() - begun_ms, SLOW_WORD_MS)
    return failed(f"{name} gave an answer without a word")


@live(
    "live-answering",
    "The agent greets, and after each question only apologises, or answers late.",
    "See what the service says: key, credit, model, network. Slow: another model, less effort, or "
    "a server nearer to it.",
)
async def answering(situation: Situation) -> Outcome:
    """Have the language model say a word."""
    settings = situation.settings
    if settings.llm != "openai":
        return skipped("no language model is used")
    if settings.openai_api_key is None:
        return skipped("there is no OPENAI_API_KEY")
    key, base_url, name = settings.openai_api_key, settings.openai_base_url, situation.model
    effort, history = settings.openai_reasoning_effort, settings.history

    async def trial(stack: AsyncExitStack) -> Outcome:
        made = await make_openai(stack, key, base_url, name, effort, history)
        return await _first_word(name, made)

    return await _tried(trial)


@live(
    "live-fallback-model",
    "The model's service is down, and the fallback does not answer either.",
    "See what the service says; the fallback has OPENAI_FALLBACK_API_KEY, or the first one's key.",
)
async def answering_instead(situation: Situation) -> Outcome:
    """Have the fallback model say a word."""
    settings = situation.settings
    key = settings.openai_fallback_api_key or settings.openai_api_key
    if settings.llm != "openai" or not settings.has_fallback_model or key is None:
        return skipped("no other language model stands in for the first")
    name = settings.openai_fallback_model or situation.model
    base_url = settings.openai_fallback_base_url or settings.openai_base_url

    async def trial(stack: AsyncExitStack) -> Outcome:
        effort = None if settings.openai_fallback_model else settings.openai_reasoning_effort
        made = await make_openai(stack, key, base_url, name, effort, "local")
        return await _first_word(name, made)

    return await _tried(trial)


async def _first_sound(name: str, tts: TextToSpeech) -> Outcome:
    """Have a voice speak a sentence, and measure the time to its first sound."""
    async with tts.open(CALL) as voice, voice.utter() as utterance:
        begun_ms = _now_ms()
        await utterance.send(SENTENCE)
        await utterance.finish()
        async for event in utterance:
            if isinstance(event, Audio):
                return _timed(f"{name}: its first sound", _now_ms() - begun_ms, SLOW_SOUND_MS)
    return failed(f"{name} spoke a sentence without a sound")


@live(
    "live-speaking",
    "The call is answered, and nobody speaks.",
    "See what the service says; the key, the agent's `voice`, the account and the network are what "
    "can be wrong.",
)
async def speaking(situation: Situation) -> Outcome:
    """Have Aura speak a sentence."""
    settings = situation.settings
    if settings.tts != "deepgram":
        return skipped("the voice is on this machine: see live-local")
    if settings.deepgram_api_key is None:
        return skipped("there is no DEEPGRAM_API_KEY")
    name = (situation.agent.voice if situation.agent else None) or ""

    async def trial(stack: AsyncExitStack) -> Outcome:
        return await _first_sound(f"Aura {name}".rstrip(), await make_aura(settings, name))

    return await _tried(trial)


@live(
    "live-fallback-voices",
    "The voice fails, the next of TTS_FALLBACK does not speak either, and the call ends.",
    "See what the service says; correct or take the name out of TTS_FALLBACK.",
)
async def speaking_instead(situation: Situation) -> Outcome:
    """Have each voice of TTS_FALLBACK speak a sentence; the worst of them is told."""
    settings = situation.settings
    names = [name for name in settings.tts_fallback if name != "local"]
    if not names:
        return skipped("TTS_FALLBACK names no voice of a service")
    async with asyncio.TaskGroup() as group:
        trials = [group.create_task(_fallback_voice(settings, name)) for name in names]
    outcomes = [trial.result() for trial in trials]
    for state in ("failed", "warning", "skipped"):
        for outcome in outcomes:
            if outcome.state == state:
                return outcome
    return ok("; ".join(outcome.found for outcome in outcomes))


async def _fallback_voice(settings: Settings, name: str) -> Outcome:
    called, _, of_openai = name.partition(":")
    if (settings.openai_api_key if of_openai else settings.deepgram_api_key) is None:
        return skipped(f"there is no key for {name}")

    async def trial(stack: AsyncExitStack) -> Outcome:
        tts = (
            await make_openai_voice(settings, of_openai, stack)
            if of_openai
            else await make_aura(settings, called)
        )
        return await _first_sound(name, tts)

    outcome = await _tried(trial)
    return outcome if name in outcome.found else replace(outcome, found=f"{name}: {outcome.found}")


@live(
    "live-local",
    "The server takes long to get ready, or the local models do not load.",
    "See what they say; `local-packages`, `local-weights` and `local-imports` look closer.",
)
async def local(situation: Situation) -> Outcome:
    """Load the local models, and have the local voice speak a sentence."""
    settings = situation.settings
    if "local" not in (settings.stt, settings.tts, *settings.tts_fallback):
        return skipped("no local model is used")
    keyless = settings.deepgram_api_key is None and "deepgram" in (settings.stt, settings.tts)
    if keyless or (settings.openai_api_key is None and "openai:" in str(settings.tts_fallback)):
        return skipped("the settings are not complete")

    async def trial(stack: AsyncExitStack) -> Outcome:
        begun_ms = _now_ms()
        stt, tts = await make_speech(settings, situation.agent or AGENT, stack, _report)
        loaded = f"local models, loaded in {(_now_ms() - begun_ms) / 1000:.1f} s"
        if settings.tts == "local":
            return await _first_sound(loaded, tts)
        return ok(loaded)

    return await _tried(trial)


CHECKS: Final[tuple[Check, ...]] = (
    hearing,
    answering,
    answering_instead,
    speaking,
    speaking_instead,
    local,
)
