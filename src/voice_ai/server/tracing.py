"""Whether calls are told as traces: OpenTelemetry is loaded when its own variables ask for it."""

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from voice_ai.agent import Agent
from voice_ai.call.record import CallRecord, Watcher
from voice_ai.server.logs import redaction
from voice_ai.server.settings import Settings

# opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables. One of them is enough.
ASKS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)
EXPORTERS: Final = ("otlp", "console")

logger = logging.getLogger(__name__)


def wanted(environment: Mapping[str, str]) -> str | None:
    """Return the variable by which spans are asked for, or None."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if named and named not in EXPORTERS:
        if named != "none":
            known = " and ".join(EXPORTERS)
            logger.warning("no spans are sent: OTEL_TRACES_EXPORTER knows %s here", known)
        return None
    return next((name for name in ASKS if environment.get(name, "").strip()), None)


@asynccontextmanager
async def open_tracing(
    settings: Settings, agent: Agent, environment: Mapping[str, str] = os.environ
) -> AsyncIterator[Callable[[CallRecord], Watcher] | None]:
    """Yield what makes the watcher of each call, None if nobody asks for one; flush on leaving."""
    variable = wanted(environment)
    if variable is None:
        yield None
        return
    try:
        module: Any = await asyncio.to_thread(importlib.import_module, "voice_ai.server.spans")
    except ImportError as error:
        why = "pip install 'voice_ai[otel]'"
        logger.warning(
            "no spans are sent: %s is set, and %s is missing: %s", variable, error.name, why
        )
        yield None
        return
    spans = module.open_spans(
        module.Named(
            agent=settings.agent or "front desk",
            stt=settings.stt,
            llm=settings.llm,
            model=(agent.model or settings.openai_model) if settings.llm == "openai" else "script",
            tts=settings.tts,
        ),
        environment,
        redaction(settings),
        with_texts=settings.log_transcripts,
    )
    try:
        yield spans.watch
    finally:
        await asyncio.to_thread(spans.close)
