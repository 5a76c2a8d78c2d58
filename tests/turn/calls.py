"""Calls as far as a test needs them: events that lead somewhere, machines that were told them."""

from collections.abc import Iterable

from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    ClearPlayout,
    Command,
    KeepCaller,
    KeepHeard,
    StartTimer,
)
from voice_ai.turn.events import (
    CallStarted,
    DigitPressed,
    EagerEndOfTurn,
    EndOfTurn,
    Event,
    HangUpAsked,
    PlayoutFinished,
    ProviderFailed,
    ReplySent,
    ReplyStarted,
    StartOfTurn,
    Timer,
    TimerFired,
    Update,
)
from voice_ai.turn.floor import CALLERS, OURS
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.rules import Rules

# They leave stream turn 9 unused.
GREETED: list[Event] = [CallStarted(), ReplyStarted(1), ReplySent(1, 900, 800), PlayoutFinished(1)]
ASKED: list[Event] = [*GREETED, StartOfTurn(1), EndOfTurn(1, "When are you open?", 900, 1400)]
SPEAKING: list[Event] = [*ASKED, ReplyStarted(3)]
SENT = ReplySent(3, 4000, 3500)
BROKEN = ProviderFailed(3, "tts", "gone")
REFUSED = ProviderFailed(3, "llm", "no", "refused")
CUT = ProviderFailed(3, "llm", "gone", "cut")
DEAF = ProviderFailed(0, "stt", "gone")
WISH = HangUpAsked(3)
# The voice failed in turn 3, and the caller asked again.
AGAIN: list[Event] = [
    *ASKED,
    *(BROKEN, PlayoutFinished(4), StartOfTurn(2), EndOfTurn(2, "Hello?", 1900, 2400)),
]
BROKEN_AGAIN = ProviderFailed(6, "tts", "gone")
# With stream turn 9.
HELD: list[Event] = [*SPEAKING, SENT, StartOfTurn(9)]
SPOKE: list[Event] = [*GREETED, StartOfTurn(9)]
WELL = Update(9, "Well")
SAID = EagerEndOfTurn(9, "And on Sunday?")
ASKED_FOR_TWICE: list[Event] = [
    *GREETED,
    *(TimerFired(1, "silence"), PlayoutFinished(2)),
    *(TimerFired(2, "silence"), PlayoutFinished(3)),
]

NO_VOICE = "the voice failed"
NOT_HEARD, ASKED_FOR = "speech recognition failed", "asked for by the agent"
TOO_LONG, SILENT = "the call has reached its limit", "the caller said nothing"

INTERRUPTED = [CancelReply(3), ClearPlayout(3), KeepHeard(3, complete=False)]


def end(stream_turn: int, transcript: str) -> EndOfTurn:
    return EndOfTurn(stream_turn, transcript, 0, 0)


def after(*events: Event, rules: Rules | None = None) -> TurnMachine:
    """A machine that was told these events."""
    return told(events, rules)[0]


def told(
    events: Iterable[Event], rules: Rules | None = None
) -> tuple[TurnMachine, dict[Timer, int]]:
    """The same, and the timers that it has running then."""
    machine, timers = TurnMachine(rules or Rules()), dict[Timer, int]()
    for event in events:
        if isinstance(event, TimerFired):
            assert timers.pop(event.timer) == event.turn
        for command in machine.handle(event):
            match command:
                case StartTimer(turn, timer):
                    assert timer not in timers
                    timers[timer] = turn
                case CancelTimer(turn, timer):
                    assert timers.pop(timer) == turn
    in_order = (*OURS, *CALLERS, "silence", "call")
    return machine, {timer: timers[timer] for timer in in_order if timer in timers}


def without_timers(commands: Iterable[Command]) -> list[Command]:
    return [it for it in commands if not isinstance(it, StartTimer | CancelTimer)]


def keys(digits: str) -> list[Event]:
    return [DigitPressed(digit) for digit in digits]


def kept(machine: TurnMachine, *events: Event) -> list[str]:
    """What these events wrote of the caller into the history."""
    commands = [command for event in events for command in machine.handle(event)]
    return [it.transcript for it in commands if isinstance(it, KeepCaller)]
