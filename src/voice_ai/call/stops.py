"""How fast our sound stops once a caller begins, and whether they meant it: notes of the record."""

import time
from collections.abc import Callable
from typing import Literal

from voice_ai.call.record import CallRecord
from voice_ai.turn import commands as do
from voice_ai.turn import events as on

# What a caller does who cuts in.
_CALLERS_OWN = (
    on.StartOfTurn | on.Update | on.EagerEndOfTurn | on.EndOfTurn | on.DigitPressed | on.CallerTyped
)


class Stops:
    """Watches what a call's machine commands and why; changes nothing of it.

    The time is from the recogniser's event, or a key, to the `clear` that it led to. It is not the
    loop's clock, which in uvloop goes by whole milliseconds and stands still within a step.
    """

    def __init__(self, record: CallRecord, audible: Callable[[int], bool]) -> None:
        """Note it in this record; `audible` tells whether any of a turn of ours was sent."""
        self._record = record
        self._audible = audible
        self._told_s = 0.0
        self._stopped_ms: float | None = None
        self._at_ms: int | None = None

    def told(self) -> None:
        """Take that the caller has been heard of just now."""
        self._told_s = time.perf_counter()

    def done(self, event: on.Event, command: do.Command) -> None:
        """Take a command that has been carried out for an event."""
        match command:
            case do.HoldReply(turn) | do.ClearPlayout(turn):
                if self._audible(turn):
                    self._stopped_ms = (time.perf_counter() - self._told_s) * 1000
                    self._at_ms = self._record.now_ms
            case do.ResumeReply() if self._stopped_ms is not None:
                self._note("held", "our turn was stopped, and went on: no words came")
            case do.KeepHeard(complete=False) if isinstance(event, _CALLERS_OWN):
                self._note("barge_in", "the caller cut in")
            case do.StartReply() | do.SayPhrase():
                self._stopped_ms = None

    def _note(self, kind: Literal["held", "barge_in"], text: str) -> None:
        ms = None if self._stopped_ms is None else round(self._stopped_ms, 2)
        self._record.note(kind, text, ms=ms, at_ms=None if ms is None else self._at_ms)
        self._stopped_ms = None
