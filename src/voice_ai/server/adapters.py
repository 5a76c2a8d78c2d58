"""From settings to adapters: the only place that names one, each imported when it is chosen."""

import asyncio
import importlib
import logging
from contextlib import AsyncExitStack
from datetime import date
from typing import Any

from pydantic import SecretStr

from voice_ai.agent import Agent
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.faults import Fault, Report
from voice_ai.providers.protocols import (
    LanguageModel,
    SpeechToText,
    TextToSpeech,
)
from voice_ai.server.settings import Settings

logger = logging.getLogger(__name__)

NAMES = {
    ("stt", "deepgram"): "Deepgram Flux",
    ("stt", "local"): "local Whisper",
    ("llm", "openai"): "OpenAI {model}",
    ("llm", "local"): "scripted answers",
    ("tts", "deepgram"): "Deepgram Aura",
    ("tts", "local"): "local Hibari",
}
# What the second language model is called in logs and metrics, before its own name.
FALLBACK = "fallback"


async def make_speech(
    settings: Settings, agent: Agent, stack: AsyncExitStack, report: Report
) -> tuple[SpeechToText, TextToSpeech]:
    """Return who hears and who speaks; local models are loaded, and closed with the stack."""
    local: dict[str, Any] = {}
    if settings.stt == "local":
        hearing = await _load("voice_ai.providers.local.hearing")
        local["hearing"] = hearing.LocalSpeechToText(settings.local_stt_model)
    if settings.tts == "local" or "local" in settings.tts_fallback:
        speaking = await _load("voice_ai.providers.local.speaking")
        voice = agent.voice if settings.tts == "local" else None
        local["speaking"] = speaking.LocalTextToSpeech(voice)
    if local:
        models = (await _load("voice_ai.providers.local.models")).LocalModels(**local)
        stack.push_async_callback(asyncio.to_thread, models.close)
        await asyncio.to_thread(models.load)
    stt = local.get("hearing") or await make_flux(settings, agent, report)
    return stt, await _voices(settings, agent, local.get("speaking"), stack, report)


async def _voices(
    settings: Settings,
    agent: Agent,
    local: TextToSpeech | None,
    stack: AsyncExitStack,
    report: Report,
) -> TextToSpeech:
    """Put the voice of the settings before those that speak when it fails."""
    first = agent.voice or "" if settings.tts == "deepgram" else "local"
    names = dict.fromkeys((first, *settings.tts_fallback))
    made = []
    for name in names:
        called, _, of_openai = name.partition(":")
        if called == "local":
            made.append((NAMES["tts", "local"], local))
        elif of_openai:
            made.append(
                (f"OpenAI {of_openai}", await make_openai_voice(settings, of_openai, stack))
            )
        else:
            aura = await make_aura(settings, name)
            made.append((f"{NAMES['tts', 'deepgram']} {name}".rstrip(), aura))
    fallback = await _load("voice_ai.providers.fallback.speech")
    tts: TextToSpeech = fallback.ResilientTextToSpeech(made, report)
    return tts


async def make_openai_voice(settings: Settings, voice: str, stack: AsyncExitStack) -> TextToSpeech:
    """Return one of OpenAI's voices, for as long as the stack; nothing is dialled yet."""
    warning = (await _load("voice_ai.providers.openai.shutdown")).speech_warning(date.today())
    if warning:
        logger.warning("%s", warning)
    speech = await _load("voice_ai.providers.openai.speech")
    assert settings.openai_api_key is not None, "the settings are checked for it"
    key = settings.openai_api_key.get_secret_value()
    made = speech.OpenAITextToSpeech(key, settings.openai_base_url, voice=voice)
    entered: TextToSpeech = await stack.enter_async_context(made)
    return entered


async def make_flux(settings: Settings, agent: Agent, report: Report) -> SpeechToText:
    """Return Deepgram's recogniser; nothing is dialled yet."""
    flux = await _load("voice_ai.providers.deepgram.flux")
    made: SpeechToText = flux.FluxSpeechToText(
        *_deepgram(settings),
        audio=settings.stt_audio,
        eot_threshold=settings.eot_threshold,
        eager_eot_threshold=settings.eager_eot_threshold,
        eot_timeout_ms=settings.eot_timeout_ms,
        keyterms=agent.keyterms,
        report=report,
    )
    return made


async def make_aura(settings: Settings, name: str) -> TextToSpeech:
    """Return one of Aura's voices, the default one without a name; nothing is dialled yet."""
    aura = await _load("voice_ai.providers.deepgram.aura")
    voice = {"model": name} if name else {}
    made: TextToSpeech = aura.AuraTextToSpeech(
        *_deepgram(settings), audio=settings.tts_audio, **voice
    )
    return made


def _deepgram(settings: Settings) -> tuple[str, ...]:
    assert settings.deepgram_api_key is not None, "the settings are checked for it"
    key = settings.deepgram_api_key.get_secret_value()
    return (key, settings.deepgram_url) if settings.deepgram_url else (key,)


async def make_language_model(
    settings: Settings, agent: Agent, stack: AsyncExitStack, report: Report
) -> LanguageModel:
    """Return what answers, with what stands in for it, for as long as the stack."""
    if settings.llm == "local":
        answering = await _load("voice_ai.providers.local.answering")
        scripted: LanguageModel = answering.ScriptedLanguageModel(agent)
        return scripted
    model = agent.model or settings.openai_model
    assert settings.openai_api_key is not None, "the settings are checked for it"
    key, base_url = settings.openai_api_key, settings.openai_base_url
    effort, history = settings.openai_reasoning_effort, settings.history
    first = await make_openai(stack, key, base_url, model, effort, history)
    await first.verify()
    models: list[tuple[str, LanguageModel]] = [(f"OpenAI {model}", first)]
    if settings.has_fallback_model:
        key = settings.openai_fallback_api_key or key
        base_url = settings.openai_fallback_base_url or base_url
        effort = None if settings.openai_fallback_model else effort
        model = settings.openai_fallback_model or model
        # A history that is sent along needs nothing of its server before the first question.
        second = await make_openai(stack, key, base_url, model, effort, "local")
        name = f"{FALLBACK} {model}"
        await _verify_fallback(second, name, report)
        models.append((name, second))
    module = await _load("voice_ai.providers.fallback.model")
    made: LanguageModel = module.ResilientLanguageModel(
        models,
        report=report,
        clock=asyncio.get_running_loop().time,
        first_token_s=settings.llm_first_token_s,
    )
    return made


async def make_openai(
    stack: AsyncExitStack,
    key: SecretStr,
    base_url: str | None,
    model: str,
    effort: str | None,
    history: str,
) -> Any:
    """Return OpenAI's adapter for a model, warm, for as long as the stack; nothing is dialled."""
    shutdown = await _load("voice_ai.providers.openai.shutdown")
    warning = shutdown.shutdown_warning(model, date.today())
    if warning:
        logger.warning("%s", warning)
    quickest = (await _load("voice_ai.providers.openai.effort")).quickest_effort(model)
    openai = await _load("voice_ai.providers.openai.model")
    made = openai.OpenAILanguageModel(
        key.get_secret_value(),
        base_url,
        model=model,
        reasoning_effort=effort or quickest,
        history=history,
    )
    await stack.enter_async_context(made)
    await made.warm()
    return made


async def _verify_fallback(model: Any, name: str, report: Report) -> None:
    """Refuse one that would never answer; one that is down now may be up when it is needed."""
    try:
        await model.verify()
    except ProviderError as error:
        if not error.retryable:
            raise
        report(Fault("at start-up", "llm", name, str(error), "gave up"))


async def _load(module: str) -> Any:
    """Import an adapter, in a thread: SDKs take up to seconds, and the server listens meanwhile."""
    try:
        return await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        raise UsageError(f"{module} cannot be used: {error}") from error
