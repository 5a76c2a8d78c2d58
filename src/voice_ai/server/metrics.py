"""What Prometheus is told about the calls. Labels are few and bounded: no ids of calls."""

import os
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from voice_ai.errors import Stage
from voice_ai.providers.faults import Fault

LatencyStage = Literal["endpointing", "stt", "llm", "tts", "first_frame", "total"]
Refusal = Literal["full", "signature", "token", "draining", "replay"]

# Read by prometheus_client when it is imported, too.
FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
# Seconds. A turn feels immediate below 0.5, slow above 1.5; 10 is a caller who has hung up.
LATENCY_BUCKETS_S: Final = (
    0.005,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
)
# Seconds. The aim is p99.9 below 0.005; from 0.02 on frames of a call come in pairs.
LAG_BUCKETS_S: Final = tuple(
    ms / 1000 for ms in (0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 50, 100, 200, 500)
)
# Reasons for the end of a call that get a series of their own; later ones count as `other`.
MAX_REASONS: Final = 32
# Providers likewise: a server has one or two for each stage, named after models of the settings.
MAX_PROVIDERS: Final = 16


class Metrics:
    """Counters of one server, in a registry of their own."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._reasons: set[str] = set()
        self._providers: set[str] = set()
        self._started = Counter(
            "voice_ai_calls_started", "Media streams that began", registry=registry
        )
        self._ended = Counter(
            "voice_ai_calls_ended", "Media streams that ended", ["reason"], registry=registry
        )
        self._calls = Gauge(
            "voice_ai_calls", "Calls now", registry=registry, multiprocess_mode="livesum"
        )
        self._refused = Counter(
            "voice_ai_calls_refused", "Calls not answered by the agent", ["why"], registry=registry
        )
        self._frames_in = Counter("voice_ai_frames_in", "Media frames received", registry=registry)
        self._frames_out = Counter("voice_ai_frames_out", "Media frames sent", registry=registry)
        self._latency = Histogram(
            "voice_ai_turn_latency_seconds",
            "From the caller's end of turn, by stage",
            ["stage"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._failures = Counter(
            "voice_ai_provider_failures", "Failures of a service", ["stage"], registry=registry
        )
        self._faults = Counter(
            "voice_ai_provider_faults",
            "Faults of a service, and what was done about them",
            ["stage", "provider", "action"],
            registry=registry,
        )
        self._violations = Counter(
            "voice_ai_protocol_violations",
            "Messages that a protocol does not allow",
            registry=registry,
        )
        lag = Histogram(
            "voice_ai_loop_lag_seconds",
            "How late the event loop is, every 10 ms",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        self.loop_lag = lag.observe

    def call_started(self) -> None:
        """Count a call and have one more now."""
        self._started.inc()
        self._calls.inc()

    def call_ended(self, reason: str) -> None:
        """Count the end of a call that `call_started` counted."""
        self._calls.dec()
        self._ended.labels(_bounded(reason, self._reasons, MAX_REASONS)).inc()

    def call_refused(self, why: Refusal) -> None:
        """Count a caller whom the agent does not speak to."""
        self._refused.labels(why).inc()

    def frames(self, n_in: int = 0, n_out: int = 0) -> None:
        """Count media frames. Add them up a while before: each count takes a lock."""
        self._frames_in.inc(n_in)
        self._frames_out.inc(n_out)

    def turn_latency(self, stage: LatencyStage, ms: float) -> None:
        """Count one turn's latency in one stage."""
        self._latency.labels(stage).observe(ms / 1000)

    def provider_failed(self, stage: Stage) -> None:
        """Count a failure of a speech or language service."""
        self._failures.labels(stage).inc()

    def provider_fault(self, fault: Fault) -> None:
        """Count a fault, most of which no caller notices."""
        provider = _bounded(fault.provider, self._providers, MAX_PROVIDERS)
        self._faults.labels(fault.stage, provider, fault.action).inc()

    def protocol_violated(self) -> None:
        """Count a message that its protocol does not allow."""
        self._violations.inc()

    def render(self) -> bytes:
        """Return all of it as Prometheus reads it; its type is `content_type`.

        With workers each has it written into a folder, which says so, and this is their sum.
        """
        folder = os.environ.get(FOLDER_VARIABLE)
        if not folder:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # it has none
        return generate_latest(registry)


def _bounded(label: str, known: set[str], most: int) -> str:
    """Return the label, or `other` where there are so many of them already."""
    if label not in known and len(known) >= most:
        label = "other"
    known.add(label)
    return label
