"""Calls as OpenTelemetry's traces: a span a call, one a turn, and in it those of its stages.

Names and attributes are those of the GenAI conventions, v1.41 (opentelemetry.io/docs/specs/semconv/
gen-ai), and `voice_ai.*` where those have none. A turn's spans are made when nothing adds to it any
more, with the times of its record; a thread of the SDK's sends them, whatever the collector does.
What was said is in none, unless `LOG_TRANSCRIPTS=1`. Importing this loads OpenTelemetry.
"""

import importlib.metadata
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, Note, TurnRecord
from voice_ai.providers.cost import Cost, Tokens

NS_A_S: Final = 1_000_000_000
NS_A_MS: Final = 1_000_000
# Seconds that a server which stops waits for its last spans to be taken.
FLUSH_S: Final = 5.0
# Notes that are events of a call's span; the others are of every second.
EVENTS: Final = ("barge_in", "held", "filler", "tool", "fault")

Attributes: TypeAlias = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Named:
    """Who hears, answers and speaks, as the conventions name providers; and the agent."""

    agent: str
    stt: str
    llm: str
    model: str
    tts: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a turn, in ms from the call's begin."""

    name: str
    begin_ms: int
    end_ms: int
    attributes: Attributes


def exporter(environment: Mapping[str, str]) -> SpanExporter:
    """Make what sends spans; where to, and how, it reads from OpenTelemetry's own variables."""
    if environment.get("OTEL_TRACES_EXPORTER", "").strip() == "console":
        return ConsoleSpanExporter()
    return OTLPSpanExporter()


class Spans:
    """Makes a Watcher (call/record.py) of each call.

    Args:
        named: who serves.
        processor: takes the spans that are over, and does not wait.
        clean: takes out of what was said what nobody may read.
        with_texts: whether that is told at all.
        give_up: has what cannot be sent tried no more.
    """

    def __init__(
        self,
        named: Named,
        processor: SpanProcessor,
        clean: Callable[[str], str] = str,
        *,
        with_texts: bool = False,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.named = named
        self.clean = clean
        self.with_texts = with_texts
        self._give_up = give_up
        # Over both goes what the environment says: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
        version = importlib.metadata.version("voice_ai")
        ours = Resource({"service.name": "voice_ai", "service.version": version})
        told = dict(Resource.create().attributes)
        if str(told.get("service.name", "")).startswith("unknown_service"):
            del told["service.name"]
        self._provider = TracerProvider(resource=ours.merge(Resource(told)), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self.tracer: Tracer = self._provider.get_tracer("voice_ai", version)

    def watch(self, record: CallRecord) -> "CallSpans":
        """Begin the span of a call."""
        return CallSpans(self, record)

    def close(self) -> None:
        """Send what is left, for `FLUSH_S` at most; nothing of it goes on then. Blocks."""
        closing = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        closing.start()
        closing.join(FLUSH_S)
        if closing.is_alive():
            self._give_up()
            closing.join(FLUSH_S)


class CallSpans:
    """One call's spans."""

    def __init__(self, spans: Spans, record: CallRecord) -> None:
        self._spans = spans
        self._begin_ns = int(record.started_at * NS_A_S)
        self._n_turns = 0
        self._n_failures = 0
        self._over_ms: dict[int, int] = {}  # of the turns that are not settled
        self._cost = Cost()
        agent = spans.named.agent
        self._about: Attributes = {"gen_ai.conversation.id": record.call.call_sid}
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": spans.named.llm,
            "gen_ai.agent.name": agent,
            **self._about,
        }
        self._call = self._start(f"invoke_agent {agent}", 0, attributes, Context())
        self._context = set_span_in_context(self._call, Context())
        self._ended = False

    def call_changed(self, record: CallRecord) -> None:
        """End the call's span with the call."""
        if not record.ended or self._ended:
            return
        self._ended = True
        self._settle(record)
        for name, value in record.call.cost.as_json().items():
            self._call.set_attribute(f"voice_ai.cost.{name}", value)
        self._call.set_attribute("voice_ai.turns", len(record.turns))
        self._end(self._call, record.duration_ms)

    def call_moved(self, record: CallRecord) -> None:
        """See what is not traced."""

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        """Make the spans of the turns to which nothing is added any more."""
        if turn.over:
            self._over_ms.setdefault(turn.n, record.now_ms)
        self._settle(record)

    def noted(self, record: CallRecord, note: Note) -> None:
        """Add what befell the call, without a word of it; of a tool its name."""
        if note.kind in EVENTS and self._call.is_recording():
            attributes: Attributes = {"voice_ai.tool": note.text} if note.kind == "tool" else {}
            if note.ms is not None:
                attributes["voice_ai.stop_ms"] = note.ms
            at_ns = self._begin_ns + note.at_ms * NS_A_MS
            self._call.add_event(f"voice_ai.{note.kind}", attributes, at_ns)

    def _settle(self, record: CallRecord) -> None:
        while self._n_turns < len(record.turns) and record.is_settled(self._n_turns):
            turn = record.turns[self._n_turns]
            self._n_turns += 1
            over_ms = self._over_ms.pop(turn.n, record.now_ms)
            if turn.latency is not None:
                self._tell(record, turn, turn.latency, over_ms)

    def _tell(self, record: CallRecord, turn: TurnRecord, latency: Latency, over_ms: int) -> None:
        """Make one turn's span and those in it."""
        failures = record.failures[self._n_failures :]
        self._n_failures = len(record.failures)
        attributes: Attributes = {
            "voice_ai.turn.n": turn.n,
            "voice_ai.turn.complete": turn.complete,
        }
        for name, ms in latency.moments_ms().items():
            attributes[f"voice_ai.turn.{name}_ms"] = ms
        span = self._start("turn", turn.at_ms, self._about | attributes, self._context)
        if failures:
            span.set_attribute("error.type", failures[-1])
            span.set_status(Status(StatusCode.ERROR))
        context = set_span_in_context(span, Context())
        last_ms = turn.at_ms
        for stage in self._stages(record, turn, latency, over_ms):
            # A draft was asked for before the turn was over: its stages begin with the turn.
            begin_ms = max(stage.begin_ms, turn.at_ms)
            end_ms = max(begin_ms, stage.end_ms)
            inner = self._start(stage.name, begin_ms, stage.attributes, context, SpanKind.CLIENT)
            self._end(inner, end_ms)
            last_ms = max(last_ms, end_ms)
        self._end(span, last_ms)

    def _stages(
        self, record: CallRecord, turn: TurnRecord, latency: Latency, over_ms: int
    ) -> Iterator[Stage]:
        """Yield what the turn came to; a stage whose end is not known was cut off with it."""
        named, at = self._spans.named, record.at_ms

        def until(moment: float | None) -> int:
            return over_ms if moment is None else at(moment)

        heard = self._operation("speech_to_text", named.stt)
        yield Stage("stt", turn.at_ms, at(latency.recognised), heard)
        model, used = self._used(record.call.cost)
        if latency.first_token is not None:
            begin_ms = at(min(latency.recognised, latency.first_token))
            chat = self._chat(turn, model, used)
            waited_s = (at(latency.first_token) - begin_ms) / 1000
            chat["gen_ai.response.time_to_first_chunk"] = waited_s
            yield Stage(f"chat {model}", begin_ms, until(latency.written), chat)
        if latency.first_text is not None:
            spoken = self._operation("text_to_speech", named.tts)
            spoken["gen_ai.output.type"] = "speech"
            yield Stage("tts", at(latency.first_text), until(latency.spoken), spoken)
        if latency.sent is not None:
            yield Stage("playout", at(latency.sent), over_ms, self._about)

    def _used(self, cost: Cost) -> tuple[str, Tokens]:
        """Return which model has answered, and what it used since it was last asked for."""
        found = self._spans.named.model, Tokens()
        for model, now in cost.models.items():
            more = now - self._cost.of(model)
            if more.input_tokens or more.output_tokens:
                found = model, more
        models = {model: replace(used) for model, used in cost.models.items()}
        self._cost = Cost(models=models)
        return found

    def _chat(self, turn: TurnRecord, model: str, used: Tokens) -> Attributes:
        spans = self._spans
        attributes = self._operation("chat", spans.named.llm) | {
            "gen_ai.request.model": model,
            "gen_ai.request.stream": True,
        }
        if used.input_tokens:
            attributes["gen_ai.usage.input_tokens"] = used.input_tokens
            attributes["gen_ai.usage.output_tokens"] = used.output_tokens
            attributes["gen_ai.usage.cache_read.input_tokens"] = used.cached_tokens
        if spans.with_texts:
            caller, reply = spans.clean(turn.caller), spans.clean(turn.reply)
            attributes["gen_ai.input.messages"] = _message("user", caller)
            attributes["gen_ai.output.messages"] = _message("assistant", reply)
        return attributes

    def _operation(self, name: str, provider: str) -> Attributes:
        return {
            **self._about,
            "gen_ai.operation.name": name,
            "gen_ai.provider.name": provider,
        }

    def _start(
        self,
        name: str,
        at_ms: int,
        attributes: Attributes,
        context: Context,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        return self._spans.tracer.start_span(
            name, context, kind, attributes, start_time=self._begin_ns + at_ms * NS_A_MS
        )

    def _end(self, span: Span, at_ms: int) -> None:
        span.end(self._begin_ns + at_ms * NS_A_MS)


def _message(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def open_spans(
    named: Named,
    environment: Mapping[str, str],
    clean: Callable[[str], str],
    *,
    with_texts: bool,
) -> Spans:
    """Begin to send spans, from a thread of the SDK's; `close` ends it."""
    sender = exporter(environment)
    processor = BatchSpanProcessor(sender)
    return Spans(named, processor, clean, with_texts=with_texts, give_up=sender.shutdown)
