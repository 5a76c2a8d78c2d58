"""What Prometheus is told about the calls. Labels are few and bounded: no ids of calls."""

import os
from collections.abc import Callable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from voice_ai.errors import Stage
from voice_ai.providers.cost import Tokens
from voice_ai.providers.faults import Fault

# `first_token` is a part of `llm`; `first_heard` comes after `total`.
LatencyStage = Literal[
    "endpointing", "stt", "first_token", "llm", "tts", "first_frame", "total", "first_heard"
]
STAGES: Final[tuple[LatencyStage, ...]] = get_args(LatencyStage)
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
# Seconds. Twilio takes a `clear` within a few ms of ours; from 0.1 on a caller talks against us.
STOP_BUCKETS_S: Final = tuple(
    ms / 1000 for ms in (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 20, 50, 100, 200, 500)
)
# Reasons for the end of a call that get a series of their own; later ones count as `other`.
MAX_REASONS: Final = 32
# Providers and models likewise: a server has one or two for each stage, by the settings.
MAX_PROVIDERS: Final = 16

Places = Callable[[], tuple[int, int]]


class Metrics:
    """Counters of one server, in a registry of their own."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reasons: set[str] = set()
        self._providers: set[str] = set()
        self._models: set[str] = set()
        self._places: Places | None = None
        self._count_calls()
        self._count_media()
        self._count_turns()
        self._count_providers()

    def _count_calls(self) -> None:
        self._started = self._counter("calls_started", "Media streams that began")
        self._ended = self._counter("calls_ended", "Media streams that ended", "reason")
        self._refused = self._counter("calls_refused", "Calls not answered by the agent", "why")
        self._calls = self._gauge("calls", "Calls now", "livesum")
        # All processes of a port count the same places: whoever was asked last knows.
        self._limit = self._gauge("places_limit", "Calls at once, at most", "livemostrecent")
        self._taken = self._gauge("places_taken", "Of these, taken or held", "livemostrecent")

    def _count_media(self) -> None:
        self._frames_in = self._counter("frames_in", "Media frames received")
        self._frames_out = self._counter("frames_out", "Media frames sent")
        self._frames_lost = self._counter(
            "frames_lost", "Media frames missing by the timestamps of those received"
        )
        self._frames_late = self._counter(
            "frames_late", "Media frames that came 0.1 s behind the line's own clock, or more"
        )
        self._violations = self._counter(
            "protocol_violations", "Messages that a protocol does not allow"
        )
        lag = self._histogram("loop_lag", "How late the event loop is, every 50 ms", LAG_BUCKETS_S)
        self.loop_lag = lag.observe

    def _count_turns(self) -> None:
        latency = self._histogram(
            "turn_latency",
            "How long a turn took, by stage",
            LATENCY_BUCKETS_S,
            "stage",
        )
        self._latency = {stage: latency.labels(stage).observe for stage in STAGES}
        self._voice_to_voice = self._histogram(
            "voice_to_voice",
            "From the end of the caller's speech to the first sound heard, by marks",
            LATENCY_BUCKETS_S,
        )
        self._barge_ins = self._counter("barge_ins", "Turns of ours that the caller cut off")
        self._stop = self._histogram(
            "barge_in_stop",
            "From the recogniser's word that the caller speaks to the clear that stops our sound",
            STOP_BUCKETS_S,
        )

    def _count_providers(self) -> None:
        self._failures = self._counter("provider_failures", "Failures of a service", "stage")
        self._faults = self._counter(
            "provider_faults",
            "Faults of a service, and what was done about them",
            *("stage", "provider", "action"),
        )
        self._stt_s = self._counter("stt_audio_seconds", "Audio that recognisers were sent")
        self._tts_chars = self._counter("tts_characters", "Characters that voices were given")
        self._voice_s = self._counter("voice_sent_seconds", "Voice that callers were sent")
        self._input, self._cached, self._output = (
            self._counter(f"llm_{kind}_tokens", f"Tokens {what} by language models", "model")
            for kind, what in (
                ("input", "read"),
                ("cached", "read from a cache, part of those read,"),
                ("output", "written"),
            )
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"voice_ai_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, mode: Literal["livesum", "livemostrecent"]) -> Gauge:
        return Gauge(f"voice_ai_{name}", what, registry=self.registry, multiprocess_mode=mode)

    def _histogram(
        self, name: str, what: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        name = f"voice_ai_{name}_seconds"
        return Histogram(name, what, labels, buckets=buckets, registry=self.registry)

    def watch_places(self, places: Places) -> None:
        """Ask for the limit and for the places that are taken whenever metrics are read."""
        self._places = places

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

    def frames(self, n_in: int = 0, n_out: int = 0, n_lost: int = 0, n_late: int = 0) -> None:
        """Count media frames. Add them up a while before: each count takes a lock."""
        self._frames_in.inc(n_in)
        self._frames_out.inc(n_out)
        self._frames_lost.inc(n_lost)
        self._frames_late.inc(n_late)

    def turn_latency(self, stage: LatencyStage, ms: float) -> None:
        """Count one turn's latency in one stage."""
        self._latency[stage](ms / 1000)

    def voice_to_voice(self, ms: float) -> None:
        """Count how long a caller waited for our first sound."""
        self._voice_to_voice.observe(ms / 1000)

    def barged_in(self) -> None:
        """Count a turn of ours that was cut off."""
        self._barge_ins.inc()

    def stopped(self, ms: float) -> None:
        """Count how long it took until our sound was stopped."""
        self._stop.observe(ms / 1000)

    def provider_failed(self, stage: Stage) -> None:
        """Count a failure of a speech or language service."""
        self._failures.labels(stage).inc()

    def provider_fault(self, fault: Fault) -> None:
        """Count a fault, most of which no caller notices."""
        provider = _bounded(fault.provider, self._providers, MAX_PROVIDERS)
        self._faults.labels(fault.stage, provider, fault.action).inc()

    def used(self, stt_s: float, tts_chars: int, voice_s: float) -> None:
        """Count audio heard, text spoken, and the sound of it."""
        self._stt_s.inc(stt_s)
        self._tts_chars.inc(tts_chars)
        self._voice_s.inc(voice_s)

    def used_model(self, model: str, used: Tokens) -> None:
        """Count what a language model has read and written."""
        model = _bounded(model, self._models, MAX_PROVIDERS)
        self._input.labels(model).inc(used.input_tokens)
        self._cached.labels(model).inc(used.cached_tokens)
        self._output.labels(model).inc(used.output_tokens)

    def protocol_violated(self) -> None:
        """Count a message that its protocol does not allow."""
        self._violations.inc()

    def render(self) -> bytes:
        """Return all of it as Prometheus reads it; its type is `content_type`.

        With workers each has it written into a folder, which says so, and this is their sum.
        """
        if self._places is not None:
            limit, n_taken = self._places()
            self._limit.set(limit)
            self._taken.set(n_taken)
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
