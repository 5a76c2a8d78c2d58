"""One call's part in the metrics: a turn counts as soon as nothing adds to it any more."""

from dataclasses import replace
from typing import Protocol

from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, Note, TurnRecord
from voice_ai.providers.cost import Cost
from voice_ai.server.metrics import Metrics


class Frames(Protocol):
    """What a line has counted; both kinds of lines have it."""

    @property
    def n_frames_in(self) -> int:
        """Frames that came."""

    @property
    def n_frames_out(self) -> int:
        """Frames that were sent."""


class MetricsWatch:
    """A Watcher (call/record.py) of one call.

    Frames and costs are counted whenever a turn is over, and at the call's end: what was counted
    before is taken off.
    """

    def __init__(self, metrics: Metrics, line: Frames) -> None:
        self._metrics = metrics
        self._line = line
        self._n_turns = 0
        self._n_failures = 0
        self._frames = [0, 0, 0, 0]
        self._cost = Cost()

    def call_changed(self, record: CallRecord) -> None:
        """Count what is left at the call's end."""
        if record.ended:
            self._count_turns(record)
            self._count_use(record)

    def call_moved(self, record: CallRecord) -> None:
        """See what is not counted."""

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        """Count every turn that is settled."""
        if self._count_turns(record):
            self._count_use(record)

    def noted(self, record: CallRecord, note: Note) -> None:
        """Count a barge-in, and how long it took to stop our sound."""
        if note.kind == "barge_in":
            self._metrics.barged_in()
        if note.ms is not None:
            self._metrics.stopped(note.ms)

    def _count_turns(self, record: CallRecord) -> bool:
        before = self._n_turns
        while self._n_turns < len(record.turns) and record.is_settled(self._n_turns):
            latency = record.turns[self._n_turns].latency
            self._n_turns += 1
            if latency is not None:
                self._observe(latency)
        return self._n_turns > before

    def _observe(self, latency: Latency) -> None:
        """Count the stages that the turn has been through, and no other as 0."""
        ms, count = latency.stages_ms(), self._metrics.turn_latency
        count("endpointing", ms["endpointing"])
        count("stt", ms["stt"])
        if latency.first_token is not None:
            count("first_token", _ms(latency.recognised, latency.first_token))
        if latency.first_text is not None:
            count("llm", ms["llm"])
        if latency.first_audio is not None:
            count("tts", ms["tts"])
        if latency.sent is None:
            return
        count("first_frame", ms["first_frame"])
        count("total", ms["total"])
        if latency.heard is not None:
            count("first_heard", _ms(latency.sent, latency.heard))
            self._metrics.voice_to_voice(_ms(latency.speech_end, latency.heard))

    def _count_use(self, record: CallRecord) -> None:
        metrics, cost, before = self._metrics, record.call.cost, self._cost
        arrivals = record.arrivals
        lost_late = (arrivals.n_lost, arrivals.n_late) if arrivals else (0, 0)
        now = (self._line.n_frames_in, self._line.n_frames_out, *lost_late)
        # A frame that was overtaken is lost until it comes.
        frames = [max(pair) for pair in zip(now, self._frames, strict=True)]
        metrics.frames(*(now - then for now, then in zip(frames, self._frames, strict=True)))
        self._frames = frames
        metrics.used(
            cost.stt_s - before.stt_s,
            cost.tts_chars - before.tts_chars,
            cost.voice_s - before.voice_s,
        )
        for model, used in cost.models.items():
            metrics.used_model(model, used - before.of(model))
        models = {model: replace(used) for model, used in cost.models.items()}
        self._cost = replace(cost, models=models)
        for stage in record.failures[self._n_failures :]:
            metrics.provider_failed(stage)
        self._n_failures = len(record.failures)


def _ms(begin: float, end: float) -> float:
    return max(0.0, (end - begin) * 1000)
