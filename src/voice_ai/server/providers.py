"""From settings to services: what serves the calls, its rules, and how many it has room for."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from voice_ai.agent import RECORDING_NOTICES, Agent
from voice_ai.call.built_in import BuiltIn
from voice_ai.call.services import Services, make_sounds
from voice_ai.call.tools import ToolBox
from voice_ai.call.transfer import CallControl
from voice_ai.codec.formats import PCM16_16K, ULAW_8K
from voice_ai.codec.transcode import Transcoder
from voice_ai.providers.faults import Fault, Report, log_fault
from voice_ai.providers.protocols import (
    CallInfo,
)
from voice_ai.server.adapters import NAMES, make_language_model, make_speech
from voice_ai.server.recordings import FOLDER, Retention, open_recordings
from voice_ai.server.settings import Settings
from voice_ai.turn.rules import BACKCHANNELS, Rules
from voice_ai.turn.sentences import SentenceStream

logger = logging.getLogger(__name__)

# Two cores carry so many local calls at once (DESIGN
# section 4); the rest hear that the lines are busy.
LOCAL_CALLS = 8


def describe(settings: Settings, agent: Agent) -> str:
    """Return who hears, answers and speaks, in one line."""
    model = agent.model or settings.openai_model
    roles = {"hearing": "stt", "answering": "llm", "speaking": "tts"}
    names = {role: NAMES[part, getattr(settings, part)] for role, part in roles.items()}
    return ", ".join(f"{role}: {name.format(model=model)}" for role, name in names.items())


def capacity(settings: Settings) -> int:
    """Return how many calls may be under way at once: as many as the narrowest of all allows."""
    return bottleneck(settings)[1]


def bottleneck(settings: Settings) -> tuple[str, int]:
    """Return what lets the fewest calls be under way at once, and how many those are."""
    flux = settings.flux_concurrency - settings.n_spares
    limits = {
        "MAX_CALLS": settings.max_calls,
        "FLUX_CONCURRENCY": flux if settings.stt == "deepgram" else None,
        "LLM_CONCURRENCY": settings.llm_concurrency if settings.llm == "openai" else None,
        "AURA_CONCURRENCY": settings.aura_concurrency if settings.tts == "deepgram" else None,
        "the local models": LOCAL_CALLS if "local" in (settings.stt, settings.tts) else None,
    }
    return min(
        ((what, limit) for what, limit in limits.items() if limit is not None),
        key=lambda one: one[1],
    )


def shutdowns(settings: Settings, agent: Agent, today: date) -> list[str]:
    """Return what is to be said of models and voices that will be switched off, a line each."""
    if settings.llm != "openai" and not any(v.startswith("openai:") for v in settings.tts_fallback):
        return []
    shutdown = importlib.import_module("voice_ai.providers.openai.shutdown")
    models = [agent.model or settings.openai_model] if settings.llm == "openai" else []
    models += [settings.openai_fallback_model] if settings.openai_fallback_model else []
    told = [shutdown.shutdown_warning(model, today) for model in models]
    if any(voice.startswith("openai:") for voice in settings.tts_fallback):
        told.append(shutdown.speech_warning(today))
    return [text for text in told if text]


# After so long a caller wonders whether anybody is there.
FILLER_MS = 1200
# The silence that nobody shall hear more of: a filler's own sound comes off it.
FILLER_AGAIN_MS = 2500


@asynccontextmanager
async def open_services(
    settings: Settings,
    agent: Agent,
    control: CallControl | None = None,
    reports: Sequence[Report] = (),
) -> AsyncIterator[Services]:
    """Load what serves calls and make the agent's phrases; left when the server stops.

    Without a `control` nobody is put through, whatever the agent has. Faults of the services go to
    the log and to `reports`.

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
        report = _reporting(reports)
        stt, tts = await make_speech(settings, agent, stack, report)
        llm = await make_language_model(settings, agent, stack, report)
        phrases, fillers = await make_sounds(agent, tts, _notice(settings, agent))
        # The first stream of a process takes some 0.2 s longer, and a refused key shows now.
        async with stt.open(CallInfo(call_sid="")):
            pass
        kept = Retention(settings.recording_retention_days, settings.recordings_max_mb << 20)
        folder = settings.data_dir / FOLDER
        recordings = await stack.enter_async_context(
            open_recordings(folder, kept, records=settings.record)
        )
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
            recordings.record if recordings else None,
        )


def _notice(settings: Settings, agent: Agent) -> str:
    """Return what callers are told of being recorded, if they are."""
    if not settings.record:
        return ""
    by_language = RECORDING_NOTICES.get(agent.language, RECORDING_NOTICES["en"])
    return agent.recording_notice or settings.recording_notice or by_language


async def renew(
    services: Services,
    settings: Settings,
    agent: Agent,
    stack: AsyncExitStack,
    reports: Sequence[Report],
) -> Services:
    """Return services for another agent; adapters that know nothing of the agent are the same.

    What has to be opened anew stays beside the old, which calls under way use, until `stack` ends.

    Raises:
        UsageError, ProviderError: as `open_services`.
    """
    old, report = services.agent, _reporting(reports)
    stt, llm, tts = services.stt, services.llm, services.tts
    if (agent.voice, agent.keyterms) != (old.voice, old.keyterms):
        stt, tts = await make_speech(settings, agent, stack, report)
    if settings.llm == "local" or agent.model != old.model:
        llm = await make_language_model(settings, agent, stack, report)
    SentenceStream(agent.language).feed("Ready. ")
    phrases, fillers = await make_sounds(agent, tts, _notice(settings, agent))
    return replace(
        services,
        agent=agent,
        tools=ToolBox(agent.tools, _built_in(agent, services.control)),
        stt=stt,
        llm=llm,
        tts=tts,
        phrases=phrases,
        fillers=fillers,
        rules=_rules(settings, agent),
    )


def _reporting(reports: Sequence[Report]) -> Report:
    def report(fault: Fault) -> None:
        for told in (log_fault, *reports):
            told(fault)

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
        # A notice that can be talked over is none.
        greeting_protected=settings.record or not agent.interruptible_greeting,
        protected_ms=agent.protected_ms,
        filler_ms=FILLER_MS if agent.fillers else None,
        filler_again_ms=FILLER_AGAIN_MS if agent.fillers else None,
        stuck_ms=4 * settings.eot_timeout_ms,
        call_ms=agent.max_call_s * 1000 if agent.max_call_s else None,
    )
