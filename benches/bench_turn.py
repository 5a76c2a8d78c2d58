"""An event of the turn machine's, in a call of ten turns; beside it a machine that decides nothing.

Each turn has what Flux tells four times a second, speech or not, an eager end and its draft; of our
replies some are interrupted, some coughed at, one needs a tool.
"""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest

from benches.measuring import Unit, Work
from voice_ai.turn.commands import Command
from voice_ai.turn.events import (
    CallerGone,
    CallStarted,
    EagerEndOfTurn,
    EndOfTurn,
    Event,
    PlayoutFinished,
    ReplyHeld,
    ReplySent,
    ReplyStarted,
    StartOfTurn,
    TimerFired,
    ToolEnded,
    ToolStarted,
    Update,
)
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.rules import Phase

WORDS = "I would like to know when you are open on Sunday, please.".split()
N_TURNS = 10
SILENT_UPDATES = 8  # two seconds


def spoken(stream_turn: int) -> list[Event]:
    """A turn of the caller's: three seconds."""
    text = " ".join(WORDS)
    return [
        StartOfTurn(stream_turn),
        *(Update(stream_turn, " ".join(WORDS[:n])) for n in range(1, len(WORDS) + 1)),
        EagerEndOfTurn(stream_turn, text),
        EndOfTurn(stream_turn, text, 3000, 3260),
    ]


def answered(turn: int, stream_turn: int) -> list[Event]:
    """Our reply, up to where it is heard to its end or interrupted by the turn that follows."""
    silence = [Update(stream_turn, "")] * SILENT_UPDATES
    tool = [ToolStarted(turn), ToolEnded(turn)]
    cough = [StartOfTurn(stream_turn), ReplyHeld(turn, None), TimerFired(turn, "false_start")]
    kind = stream_turn % 5
    return [
        *(tool if kind == 1 else []),
        ReplyStarted(turn),
        *silence,
        *(cough if kind == 2 else []),
        ReplySent(turn, 6000, 3000),
        *silence,
        *([] if kind in (3, 4) else [PlayoutFinished(turn)]),
    ]


def script() -> list[Event]:
    """All that the machine is told of such a call."""
    machine, events = TurnMachine(), list[Event]()

    def tell(told: list[Event]) -> None:
        for event in told:
            machine.handle(event)
        events.extend(told)

    tell([CallStarted(), ReplyStarted(1), ReplySent(1, 1500, 1500), PlayoutFinished(1)])
    for stream_turn in range(1, N_TURNS + 1):
        tell(spoken(stream_turn))
        assert machine.phase is Phase.THINKING
        tell(answered(machine.turn, stream_turn + 1))
    tell([CallerGone("hung up")])
    assert machine.phase is Phase.ENDED
    return events


EVENTS = script()


class Idle:
    """What the loop around the machine costs."""

    def handle(self, event: Event) -> list[Command]:
        return []


class Calls:
    """One such call after another, an event at a time."""

    def __init__(self, machine: Callable[[], TurnMachine | Idle]) -> None:
        self.begin = machine
        self.machine = machine()
        self.events: Iterator[Event] = cycle(EVENTS)

    def step(self, last: Event) -> None:
        event = next(self.events)
        self.machine.handle(event)
        if event is last:
            self.machine = self.begin()


CONTENDERS: dict[str, Callable[[], TurnMachine | Idle]] = {"ours": TurnMachine, "nothing": Idle}


@pytest.mark.parametrize("contender", CONTENDERS)
def bench_turn(measure: Any, contender: str) -> None:
    def prepare() -> Work:
        calls = Calls(CONTENDERS[contender])
        return Work(calls.step, (EVENTS[-1],), whole=len(EVENTS))

    measure(Unit("turn machine, an event", f"of {len(EVENTS)}"), contender, prepare)
