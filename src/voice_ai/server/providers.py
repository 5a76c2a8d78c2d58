"""From settings to services: the only place that names an adapter, imported when chosen."""

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from typing import Any

from voice_ai.agent import Agent
from voice_ai.call.built_in import BuiltIn
from voice_ai.call.services import Services, make_sounds
from voice_ai.call.tools import ToolBox
from voice_ai.call.transfer import CallControl
from voice_ai.codec.formats import PCM16_16K, ULAW_8K
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import UsageError
from voice_ai.providers.protocols import (
    CallInfo,
    LanguageModel,
    SpeechToText,
    TextToSpeech,
)
from voice_ai.server.settings import Settings
from voice_ai.turn.rules import BACKCHANNELS, Rules

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
        settings.flux_concurrency if settings.stt == "deepgram" else None,
        settings.llm_concurrency if settings.llm == "openai" else None,
        settings.aura_concurrency if settings.tts == "deepgram" else None,
        LOCAL_CALLS if "local" in (settings.stt, settings.tts) else None,
    )
    return min(limit for limit in limits if limit is not None)


# After so long a caller wonders whether anybody is there.
FILLER_MS = 1200


@asynccontextmanager
async def open_services(
    settings: Settings, agent: Agent, control: CallControl | None = None
) -> AsyncIterator[Services]:
    """Load what serves calls and make the agent's phrases; left when the server stops.

    Without a `control` nobody is put through, whatever the agent has.

    Raises:
        UsageError: a model, a voice or a package that was asked for is not there.
        ProviderError: a service cannot be had; not retryable if it refused the key.
    """
    async with AsyncExitStack() as stack:
        # A library that is missing shows now, and is not looked for in a call.
        Transcoder(PCM16_16K, ULAW_8K, settings.resampler)
        tools = ToolBox(agent.tools, _built_in(agent, control))
        stt, tts = await _speech(settings, agent, stack)
        llm = await _language_model(settings, agent, stack)
        phrases, fillers = await make_sounds(agent, tts)
        # The first stream of a process takes some 0.2 s longer, and a refused key shows now.
        async with stt.open(CallInfo(call_sid="")):
            pass
        # A full collection with both SDKs loaded stops the
        # loop for 56 ms, after the freeze 0.007 (DESIGN 1).
        gc.collect()
        gc.freeze()
        late = await stack.enter_async_context(asyncio.TaskGroup())
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
        stuck_ms=4 * settings.eot_timeout_ms,
        call_ms=agent.max_call_s * 1000 if agent.max_call_s else None,
    )


async def _speech(
    settings: Settings, agent: Agent, stack: AsyncExitStack
) -> tuple[SpeechToText, TextToSpeech]:
    local: dict[str, Any] = {}
    if settings.stt == "local":
        hearing = await _load("voice_ai.providers.local.hearing")
        local["hearing"] = hearing.LocalSpeechToText(settings.local_stt_model)
    if settings.tts == "local":
        speaking = await _load("voice_ai.providers.local.speaking")
        local["speaking"] = speaking.LocalTextToSpeech(agent.voice)
    if local:
        models = (await _load("voice_ai.providers.local.models")).LocalModels(**local)
        stack.push_async_callback(asyncio.to_thread, models.close)
        await asyncio.to_thread(models.load)
    stt = local.get("hearing") or await _flux(settings, agent)
    tts = local.get("speaking") or await _aura(settings, agent)
    return stt, tts


async def _flux(settings: Settings, agent: Agent) -> SpeechToText:
    flux = await _load("voice_ai.providers.deepgram.flux")
    made: SpeechToText = flux.FluxSpeechToText(
        *_deepgram(settings),
        audio=settings.stt_audio,
        eot_threshold=settings.eot_threshold,
        eager_eot_threshold=settings.eager_eot_threshold,
        eot_timeout_ms=settings.eot_timeout_ms,
        keyterms=agent.keyterms,
    )
    return made


async def _aura(settings: Settings, agent: Agent) -> TextToSpeech:
    aura = await _load("voice_ai.providers.deepgram.aura")
    voice = {"model": agent.voice} if agent.voice else {}
    made: TextToSpeech = aura.AuraTextToSpeech(
        *_deepgram(settings), audio=settings.tts_audio, **voice
    )
    return made


def _deepgram(settings: Settings) -> tuple[str, ...]:
    assert settings.deepgram_api_key is not None, "the settings are checked for it"
    key = settings.deepgram_api_key.get_secret_value()
    return (key, settings.deepgram_url) if settings.deepgram_url else (key,)


async def _language_model(settings: Settings, agent: Agent, stack: AsyncExitStack) -> LanguageModel:
    if settings.llm == "local":
        answering = await _load("voice_ai.providers.local.answering")
        scripted: LanguageModel = answering.ScriptedLanguageModel(agent)
        return scripted
    model = agent.model or settings.openai_model
    shutdown = await _load("voice_ai.providers.openai.shutdown")
    warning = shutdown.shutdown_warning(model, date.today())
    if warning:
        logger.warning("%s", warning)
    effort = await _load("voice_ai.providers.openai.effort")
    openai = await _load("voice_ai.providers.openai.model")
    assert settings.openai_api_key is not None, "the settings are checked for it"
    made = openai.OpenAILanguageModel(
        settings.openai_api_key.get_secret_value(),
        settings.openai_base_url,
        model=model,
        reasoning_effort=settings.openai_reasoning_effort or effort.quickest_effort(model),
        history=settings.history,
    )
    await stack.enter_async_context(made)
    await made.warm()
    await made.verify()
    entered: LanguageModel = made
    return entered


async def _load(module: str) -> Any:
    """Import an adapter, in a thread: SDKs take up to seconds, and the server listens meanwhile."""
    try:
        return await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        raise UsageError(f"{module} cannot be used: {error}") from error
