"""What following a call costs: a turn of both sides, told to the metrics and to the traces.

A turn is told of seven times, and with it six notes; every fourth one is a barge-in. Beside them a
record that nobody watches.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from benches.measuring import Unit, Work
from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, Watcher
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.metrics import Metrics
from voice_ai.server.metrics_watch import MetricsWatch

TURN_S = 8.0
N_TURNS = 50  # of a call


class Line:
    """50 frames a second each way."""

    n_frames_in = n_frames_out = 0


class Calls:
    """One call after another, a turn at a time."""

    def __init__(self, watchers: Callable[[CallRecord, Line], list[Watcher]]) -> None:
        self.watchers = watchers
        self.now_s = 0.0
        self.turns = count()

    def begin(self) -> None:
        self.line = Line()
        self.record = CallRecord(CallInfo("CA1"), started_at=0.0)
        self.record.begin(lambda: self.now_s)
        self.record.watchers.extend(self.watchers(self.record, self.line))

    def step(self, n_turns: int) -> None:
        n = next(self.turns) % n_turns
        if n == 0:
            self.begin()
        record, line, s = self.record, self.line, self.now_s
        self.use(line)
        latency = Latency(s, s + 0.3, s + 0.3)
        turn = record.add_turn("What time is it?", latency)
        turn.turn = n + 1
        latency.first_token, latency.first_text = s + 0.6, s + 0.7
        latency.first_audio, latency.sent = s + 0.8, s + 0.8
        record.turn_changed(turn)
        record.turn_changed(turn)
        latency.heard = s + 0.9
        record.turn_changed(turn)
        turn.reply, latency.written, latency.spoken = "Six o'clock.", s + 1, s + 2
        record.turn_changed(turn)
        for _ in range(4):
            record.note("mark", "1:400")
        if n % 4 == 0:
            record.note("held", "turn 1", ms=0.5)
            record.note("barge_in", "turn 1")
        self.now_s += TURN_S
        turn.over = turn.complete = True
        record.turn_changed(turn)
        if n == n_turns - 1:
            record.end()

    def use(self, line: Line) -> None:
        line.n_frames_in += 400
        line.n_frames_out += 200
        cost = self.record.call.cost
        cost.stt_s, cost.tts_chars, cost.voice_s = cost.stt_s + 8, cost.tts_chars + 60, cost.voice_s
        used = cost.of("gpt-5-nano")
        used.input_tokens, used.output_tokens = used.input_tokens + 100, used.output_tokens + 20


def nobody(record: CallRecord, line: Line) -> list[Watcher]:
    return []


def with_metrics() -> Callable[[CallRecord, Line], list[Watcher]]:
    metrics = Metrics()
    return lambda record, line: [MetricsWatch(metrics, line)]


def with_traces() -> Callable[[CallRecord, Line], list[Watcher]]:
    spans = pytest.importorskip("voice_ai.server.spans", exc_type=ImportError)
    export = pytest.importorskip("opentelemetry.sdk.trace.export")

    class Nowhere(export.SpanExporter):  # type: ignore[misc, name-defined]
        def export(self, spans: Any) -> Any:
            return export.SpanExportResult.SUCCESS

    named = spans.Named("desk", "deepgram", "openai", "gpt-5-nano", "deepgram")
    made = spans.Spans(named, export.BatchSpanProcessor(Nowhere()))
    return lambda record, line: [made.watch(record)]


CONTENDERS: dict[str, Callable[[], Callable[[CallRecord, Line], list[Watcher]]]] = {
    "metrics": with_metrics,
    "traces": with_traces,
    "nobody": lambda: nobody,
}


@pytest.mark.parametrize("contender", CONTENDERS)
def bench_watchers(measure: Any, contender: str) -> None:
    watchers = CONTENDERS[contender]()

    def prepare() -> Work:
        return Work(Calls(watchers).step, (N_TURNS,), whole=N_TURNS)

    measure(Unit("watching a call, a turn", f"of {N_TURNS}"), contender, prepare)
