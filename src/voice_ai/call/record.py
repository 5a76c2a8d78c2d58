"""What is kept of a call: who said what, what was heard of it, how long each turn took."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voice_ai.call.latency import Latency
from voice_ai.errors import Stage
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import Event


@dataclass(slots=True)
class TurnRecord:
    """The caller's turn and our answer to it; `turn` is the answer's number, 0 before it starts."""

    caller: str
    latency: Latency | None
    turn: int = 0
    reply: str = ""
    heard: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the turn as `/api/calls` and `call --json` show it."""
        latency_ms = self.latency.stages_ms() if self.latency else {}
        return {
            "caller": self.caller,
            "reply": self.reply,
            "heard": self.heard,
            "latency_ms": latency_ms,
        }


@dataclass(slots=True)
class CallRecord:
    """One call from its start message on, at `started_at` seconds since the epoch.

    `answered_by` is what Twilio took for a machine; empty for people and for calls that came in.
    `voicemail` is what such a machine was told of the agent's message.
    `late_tools` are results that came after the call, which nobody heard of any more.
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

    def turn(self, number: int) -> TurnRecord | None:
        """Return the record which the reply of this number belongs to."""
        return next((record for record in reversed(self.turns) if record.turn == number), None)

    def as_json(self) -> dict[str, Any]:
        """Return the call as `/api/calls` shows it."""
        return {
            "call_sid": self.call.call_sid,
            "stream_sid": self.call.stream_sid,
            "caller": self.call.caller,
            "called": self.call.called,
            "started_at": self.started_at,
            "greeting": self.greeting,
            "greeting_ms": self.greeting_ms,
            "turns": [turn.as_json() for turn in self.turns],
            "failures": self.failures,
            "ended": self.ended,
            "reason": self.reason,
            "answered_by": self.answered_by,
            "voicemail": self.voicemail,
            "late_tools": self.late_tools,
        }
