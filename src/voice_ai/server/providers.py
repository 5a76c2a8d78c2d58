"""From settings to services: the only place that names an adapter, imported when chosen."""

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from typing import Any

from pydantic import SecretStr

from voice_ai.agent import Agent
from voice_ai.call.built_in import BuiltIn
from voice_ai.call.services import Services, make_sounds
from voice_ai.call.tools import ToolBox
from voice_ai.call.transfer import CallControl
from voice_ai.codec.formats import PCM16_16K, ULAW_8K
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.faults import Fault, Report, log_fault
from voice_ai.providers.protocols import (
    CallInfo,
    LanguageModel,
    SpeechToText,
    TextToSpeech,
)
from voice_ai.server.metrics import Metrics
from voice_ai.server.settings import Settings
from voice_ai.turn.rules import BACKCHANNELS, Rules
from voice_ai.turn.sentences import SentenceStream

logger = logging.getLogger(__name__)

# Two cores carry so many local calls at once (DESIGN
# section 4); the rest hear that the lines are busy.
LOCAL_CALLS = 8

NAMES = {
    ("stt", "deepgram"): "Deepgram Flux",
    ("stt", "local"): "local Whisper",
    ("llm", "openai"): "OpenAI {model}",
    ("llm", "local"): "scripted answers",
    ("tts", "deepgram"): "Deepgram Aura",
    ("tts", "local"): "local Hibari",
}


def describe(settings: Settings, agent: Agent) -> str:
    """Return who hears, answers and speaks, in one line."""
    model = agent.model or settings.openai_model
    roles = {"hearing": "stt", "answering": "llm", "speaking": "tts"}
    names = {role: NAMES[part, getattr(settings, part)] for role, part in roles.items()}
    return ", ".join(f"{role}: {name.format(model=model)}" for role, name in names.items())


def capacity(settings: Settings) -> int:
    """Return how many calls may be under way at once: as many as the narrowest of all allows."""
    limits = (
        settings.max_calls,
        settings.flux_concurrency - settings.n_spares if settings.stt == "deepgram" else None,
        settings.llm_concurrency if settings.llm == "openai" else None,
        settings.aura_concurrency if settings.tts == "deepgram" else None,
        LOCAL_CALLS if "local" in (settings.stt, settings.tts) else None,
    )
    return min(limit for limit in limits if limit is not None)


# What the second language model is called in logs and metrics, before its own name.
FALLBACK = "fallback"

# After so long a caller wonders whether anybody is there.
FILLER_MS = 1200
# The silence that nobody shall hear more of: a filler's own sound comes off it.
FILLER_AGAIN_MS = 2500


@asynccontextmanager
async def open_services(
    settings: Settings,
    agent: Agent,
    control: CallControl | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[Services]:
    """Load what serves calls and make the agent's phrases; left when the server stops.

    Without a `control` nobody is put through, whatever the agent has. Faults of the services go to
    the log, and are counted by `metrics`.

    Raises:
        UsageError: a model, a voice or a package that was asked for is not there.
        ProviderError: a service cannot be had; not retryable if it refused the key.
    """
    async with AsyncExitStack() as stack:
        # A library that is missing shows now, and is not looked for in a call.
        Transcoder(PCM16_16K, ULAW_8K, settings.resampler)
        # The first stop of a process reads sentencex's rules in: 1.4 MB, 2 ms or more.
        SentenceStream(agent.language).feed("Ready. ")
        tools = ToolBox(agent.tools, _built_in(agent, control))
        report = _reporting(metrics)
        stt, tts = await _speech(settings, agent, stack, report)
        llm = await _language_model(settings, agent, stack, report)
        phrases, fillers = await make_sounds(agent, tts)
        # The first stream of a process takes some 0.2 s longer, and a refused key shows now.
        async with stt.open(CallInfo(call_sid="")):
            pass
        # A full collection with both SDKs loaded stops the
        # loop for 56 ms, after the freeze 0.007 (DESIGN 1).
        gc.collect()
        gc.freeze()
        late = await stack.enter_async_context(asyncio.TaskGroup())
        if settings.stt == "deepgram" and settings.flux_spare:
            keep_spare: Any = stt
            await stack.enter_async_context(keep_spare.keeping_spare())
        yield Services(
            agent,
            tools,
            stt,
            llm,
            tts,
            phrases,
            fillers,
            _rules(settings, agent),
            settings.resampler,
            control,
            late,
        )


def _reporting(metrics: Metrics | None) -> Report:
    def report(fault: Fault) -> None:
        log_fault(fault)
        if metrics:
            metrics.provider_fault(fault)

    return report


def _built_in(agent: Agent, control: CallControl | None) -> BuiltIn:
    if agent.transfers and control is None:
        missing = "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        logger.warning("nobody can be put through: the agent's transfers need %s", missing)
    return BuiltIn(
        agent.transfers if control else None,
        briefs=control is not None and control.briefs,
        sends_digits=agent.sends_digits,
    )


def _rules(settings: Settings, agent: Agent) -> Rules:
    return Rules(
        backchannels=BACKCHANNELS.get(agent.language, BACKCHANNELS["en"]),
        greeting_protected=not agent.interruptible_greeting,
        protected_ms=agent.protected_ms,
        filler_ms=FILLER_MS if agent.fillers else None,
        filler_again_ms=FILLER_AGAIN_MS if agent.fillers else None,
        stuck_ms=4 * settings.eot_timeout_ms,
        call_ms=agent.max_call_s * 1000 if agent.max_call_s else None,
    )


async def _speech(
    settings: Settings, agent: Agent, stack: AsyncExitStack, report: Report
) -> tuple[SpeechToText, TextToSpeech]:
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
    stt = local.get("hearing") or await _flux(settings, agent, report)
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
            made.append((f"OpenAI {of_openai}", await _openai_voice(settings, of_openai, stack)))
        else:
            aura = await _aura(settings, name)
            made.append((f"{NAMES['tts', 'deepgram']} {name}".rstrip(), aura))
    fallback = await _load("voice_ai.providers.fallback.speech")
    tts: TextToSpeech = fallback.ResilientTextToSpeech(made, report)
    return tts


async def _openai_voice(settings: Settings, voice: str, stack: AsyncExitStack) -> TextToSpeech:
    warning = (await _load("voice_ai.providers.openai.shutdown")).speech_warning(date.today())
    if warning:
        logger.warning("%s", warning)
    speech = await _load("voice_ai.providers.openai.speech")
    assert settings.openai_api_key is not None, "the settings are checked for it"
    key = settings.openai_api_key.get_secret_value()
    made = speech.OpenAITextToSpeech(key, settings.openai_base_url, voice=voice)
    entered: TextToSpeech = await stack.enter_async_context(made)
    return entered


async def _flux(settings: Settings, agent: Agent, report: Report) -> SpeechToText:
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


async def _aura(settings: Settings, name: str) -> TextToSpeech:
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


async def _language_model(
    settings: Settings, agent: Agent, stack: AsyncExitStack, report: Report
) -> LanguageModel:
    if settings.llm == "local":
        answering = await _load("voice_ai.providers.local.answering")
        scripted: LanguageModel = answering.ScriptedLanguageModel(agent)
        return scripted
    model = agent.model or settings.openai_model
    assert settings.openai_api_key is not None, "the settings are checked for it"
    key, base_url = settings.openai_api_key, settings.openai_base_url
    effort, history = settings.openai_reasoning_effort, settings.history
    first = await _openai(stack, key, base_url, model, effort, history)
    await first.verify()
    models: list[tuple[str, LanguageModel]] = [(f"OpenAI {model}", first)]
    if settings.has_fallback_model:
        key = settings.openai_fallback_api_key or key
        base_url = settings.openai_fallback_base_url or base_url
        effort = None if settings.openai_fallback_model else effort
        model = settings.openai_fallback_model or model
        # A history that is sent along needs nothing of its server before the first question.
        second = await _openai(stack, key, base_url, model, effort, "local")
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


async def _openai(
    stack: AsyncExitStack,
    key: SecretStr,
    base_url: str | None,
    model: str,
    effort: str | None,
    history: str,
) -> Any:
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
