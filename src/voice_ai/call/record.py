"""What is kept of a call: who said what, what was heard of it, how long each turn took.

Who wants to follow a call watches its record: it is told of each change in the step that makes it,
and reads what it wants to know. So there is one model of a call, for pages, databases and metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from voice_ai.call.arrivals import Arrivals
from voice_ai.call.latency import Latency
from voice_ai.errors import Stage
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import Event

# What befell a call. `clear` and `mark` are for pictures of its sound; no other kind is frequent.
NoteKind: TypeAlias = Literal[
    "barge_in", "held", "filler", "tool", "fault", "key", "typed", "clear", "mark"
]
# Notes that are kept of a call; later ones are watched and forgotten. Marks come 2.5 times a second
# of our speech, and only where the call is recorded: an hour of them.
MAX_NOTES = 1000
MAX_MARKS = 9000


@dataclass(frozen=True, slots=True)
class Note:
    """What befell a call, so many ms after it began.

    `text` says it to people; of a tool it is the tool's name. `detail` is what may quote a caller,
    a model or a provider: a tool's arguments and its answer, a fault's text. `ms` is how long it
    took to stop our sound, where that was done.
    """

    at_ms: int
    kind: NoteKind
    text: str
    detail: str = ""
    ms: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as pages read it."""
        told = {"at_ms": self.at_ms, "kind": self.kind, "text": self.text, "detail": self.detail}
        return told if self.ms is None else told | {"ms": self.ms}


@dataclass(slots=True)
class TurnRecord:
    """The caller's turn and our answer to it; `turn` is the answer's number, 0 before it starts.

    `n` counts a call's turns from 1. `at_ms` is when the caller had spoken, from the call's begin.
    `over` once what was heard of the answer is known; `complete` if that was all of it.
    """

    caller: str
    latency: Latency | None
    turn: int = 0
    reply: str = ""
    heard: str = ""
    n: int = 0
    at_ms: int = 0
    over: bool = False
    complete: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the turn as `/api/calls` and `call --json` show it."""
        return {
            "n": self.n,
            "at_ms": self.at_ms,
            "caller": self.caller,
            "reply": self.reply,
            "heard": self.heard,
            "over": self.over,
            "complete": self.complete,
            "latency_ms": self.latency.stages_ms() if self.latency else {},
            "moments_ms": self.latency.moments_ms() if self.latency else {},
        }


class Watcher(Protocol):
    """Follows a call. It is called in the middle of it: it neither waits nor raises."""

    def call_changed(self, record: "CallRecord") -> None:
        """See that something of the call itself has changed, for good."""

    def call_moved(self, record: "CallRecord") -> None:
        """See that the call stands elsewhere, or more is recognised: many times a turn."""

    def turn_changed(self, record: "CallRecord", turn: TurnRecord) -> None:
        """See that a turn has come or changed."""

    def noted(self, record: "CallRecord", note: Note) -> None:
        """See what has befallen the call."""


@dataclass(slots=True)
class CallRecord:
    """One call from its start message on, at `started_at` seconds since the epoch.

    `phase` is where the call stands, `partial` what is recognised of the caller's turn so far.
    `answered_by` is what Twilio took for a machine; empty for people and for calls that came in.
    `voicemail` is what such a machine was told of the agent's message.
    `late_tools` are results that came after the call, which nobody heard of any more.
    `arrivals` is how the caller's audio came in.
    `last_ms` and `worst_ms` are the total latencies of the last turn answered and of the slowest.
    While the call is under way, `tell` takes what its carrier learns of it.
    """

    call: CallInfo
    started_at: float
    greeting: str = ""
    greeting_ms: int | None = None
    turns: list[TurnRecord] = field(default_factory=list)
    failures: list[Stage] = field(default_factory=list)
    ended: bool = False
    reason: str = ""
    answered_by: str = ""
    voicemail: str = ""
    late_tools: list[dict[str, str]] = field(default_factory=list)
    tell: Callable[[Event], None] | None = field(default=None, repr=False)
    phase: str = ""
    partial: str = ""
    duration_ms: int = 0
    is_recorded: bool = False
    arrivals: Arrivals | None = field(default=None, repr=False)
    notes: list[Note] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list, repr=False)
    last_ms: int | None = None
    worst_ms: int | None = None
    _now_s: Callable[[], float] | None = field(default=None, repr=False)
    _began_s: float = 0.0
    _n_marks: int = 0
    _n_answered: int = 0

    def begin(self, now_s: Callable[[], float]) -> None:
        """Count the call's time from now on; `now_s` is the clock of its latencies."""
        self._now_s, self._began_s = now_s, now_s()

    def end(self) -> None:
        """Take that the call is over."""
        self.duration_ms = self.now_ms
        self.ended = True
        self.changed()

    @property
    def ended_s(self) -> float:
        """When the call ended, by its clock."""
        return self._began_s + self.duration_ms / 1000

    @property
    def now_ms(self) -> int:
        """How long the call has lasted."""
        return 0 if self._now_s is None else self.at_ms(self._now_s())

    def at_ms(self, moment_s: float) -> int:
        """Return when a moment of the clock was, in ms from the call's begin."""
        return max(0, round((moment_s - self._began_s) * 1000))

    def turn(self, number: int) -> TurnRecord | None:
        """Return the record which the reply of this number belongs to."""
        return next((record for record in reversed(self.turns) if record.turn == number), None)

    def is_settled(self, index: int) -> bool:
        """Whether nothing adds to one of the `turns` any more.

        One that is over and of which nothing was sent may yet be answered, with an apology.
        """
        turn = self.turns[index]
        was_sent = turn.latency is not None and turn.latency.sent is not None
        return self.ended or index + 1 < len(self.turns) or (turn.over and was_sent)

    def add_turn(self, caller: str, latency: Latency | None) -> TurnRecord:
        """Append what the caller has said."""
        at_ms = self.at_ms(latency.speech_end) if latency else self.now_ms
        turn = TurnRecord(caller, latency, n=len(self.turns) + 1, at_ms=at_ms)
        self.turns.append(turn)
        self.partial = ""
        self.turn_changed(turn)
        return turn

    def note(
        self,
        kind: NoteKind,
        text: str,
        detail: str = "",
        *,
        ms: float | None = None,
        at_ms: int | None = None,
    ) -> None:
        """Keep what has befallen the call, just now or `at_ms`."""
        note = Note(self.now_ms if at_ms is None else at_ms, kind, text, detail, ms)
        is_mark = kind in ("mark", "clear")
        if self._n_marks < MAX_MARKS if is_mark else len(self.notes) - self._n_marks < MAX_NOTES:
            self._n_marks += is_mark
            self.notes.append(note)
        for watcher in self.watchers:
            watcher.noted(self, note)

    def stands(self, phase: str) -> None:
        """Take where the call stands."""
        if phase != self.phase:
            self.phase = phase
            self._moved()

    def hears(self, words: str) -> None:
        """Take what is recognised of the caller's turn so far."""
        if words != self.partial:
            self.partial = words
            self._moved()

    def changed(self) -> None:
        """Tell who watches that something of the call itself has changed, for good."""
        for watcher in self.watchers:
            watcher.call_changed(self)

    def _moved(self) -> None:
        for watcher in self.watchers:
            watcher.call_moved(self)

    def turn_changed(self, turn: TurnRecord) -> None:
        """Tell who watches that a turn has changed."""
        total_ms = turn.latency.total_ms if turn.latency else None
        if total_ms is not None:
            self.worst_ms = max(total_ms, self.worst_ms or 0)
            if turn.n >= self._n_answered:
                self._n_answered, self.last_ms = turn.n, total_ms
        for watcher in self.watchers:
            watcher.turn_changed(self, turn)

    def summary(self) -> dict[str, Any]:
        """Return what is to be said of the call itself, its turns and notes left out."""
        return {
            "call_sid": self.call.call_sid,
            "stream_sid": self.call.stream_sid,
            "caller": self.call.caller,
            "called": self.call.called,
            "started_at": self.started_at,
            "duration_ms": self.duration_ms if self.ended else self.now_ms,
            "phase": self.phase,
            "partial": self.partial,
            "greeting": self.greeting,
            "greeting_ms": self.greeting_ms,
            "failures": self.failures,
            "ended": self.ended,
            "reason": self.reason,
            "answered_by": self.answered_by,
            "voicemail": self.voicemail,
            "late_tools": self.late_tools,
            "recorded": self.is_recorded,
            "cost": self.call.cost.as_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the call as `/api/calls` shows it."""
        return {
            **self.summary(),
            "turns": [turn.as_json() for turn in self.turns],
            "notes": [note.as_json() for note in self.notes],
        }
