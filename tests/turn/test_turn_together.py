"""Whole calls at random: the machine, the ledger and the history in a small world (`world.py`)."""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from turn.world import World
from voice_ai.turn.commands import Command
from voice_ai.turn.events import (
    CallerGone,
    CallerUnheard,
    CallStarted,
    DigitPressed,
    EagerEndOfTurn,
    EndOfTurn,
    Event,
    GoodbyeAsked,
    HangUpAsked,
    MachineAnswered,
    PlayoutFinished,
    ProviderFailed,
    ReplyHeld,
    ReplySent,
    ReplyStarted,
    SpeakAsked,
    StartOfTurn,
    Timer,
    TimerFired,
    ToolEnded,
    ToolStarted,
    TurnResumed,
    Update,
)
from voice_ai.turn.rules import Phase, Rules

RULES = [
    Rules(),
    Rules(protected_ms=1_500, greeting_protected=True),
    Rules(filler_ms=1_200, filler_again_ms=900, tool_ms=400, reply_timeout_ms=5_000),
    Rules(silence_ms=None, stuck_ms=None, monologue_ms=4_000, max_drafts=1),
    Rules(call_ms=60_000, silence_ms=2_000, max_prompts=1, stuck_ms=2_000),
]
TRANSCRIPTS = ["", "...", "Mhm.", "Hello?", "Hello? Is it", "5"]
TIMERS = get_args(Timer)


def any_event(pick: Callable[..., int]) -> Event:
    """Any event with any numbers; `pick(n)` is a number below `n`."""
    n, words = pick(14), TRANSCRIPTS[pick(len(TRANSCRIPTS))]
    events: list[Callable[[], Event]] = [
        CallStarted,
        lambda: CallerGone("hung up"),
        lambda: DigitPressed("05#*"[pick(4)]),
        MachineAnswered,
        CallerUnheard,
        lambda: GoodbyeAsked("the server stops"),
        lambda: StartOfTurn(n),
        lambda: Update(n, words),
        lambda: EagerEndOfTurn(n, words),
        lambda: TurnResumed(n),
        lambda: EndOfTurn(n, words, 0, 0),
        lambda: ReplyStarted(n),
        lambda: ReplySent(n, [-1.0, 0.0, 900.0][pick(3)], [-1.0, 0.0, 900.0][pick(3)]),
        lambda: ReplyHeld(n, [None, 0.0, 1000.0, 1001.0][pick(4)]),
        lambda: ToolStarted(n),
        lambda: ToolEnded(n),
        lambda: PlayoutFinished(n),
        lambda: HangUpAsked(n),
        lambda: SpeakAsked(n),
        lambda: ProviderFailed(n, "llm" if pick(9) else "stt", "gone"),
        lambda: TimerFired(n, TIMERS[pick(len(TIMERS))]),
    ]
    return events[pick(len(events))]()


# Each with how often it happens, and what it needs to know.
DEEDS: list[tuple[int, Callable[[World, Callable[..., int]], None]]] = [
    (10, lambda world, pick: world.start()),
    (30, lambda world, pick: world.send(20 + 20 * pick(100))),
    (14, lambda world, pick: world.finish()),
    (2, lambda world, pick: world.fail("llm" if pick(2) else "tts")),
    (2, lambda world, pick: world.fail("llm", "cut" if pick(2) else "refused")),
    (3, lambda world, pick: world.use_a_tool(ends=bool(pick(2)))),
    (1, lambda world, pick: world.wish_to_hang_up()),
    (1, lambda world, pick: world.wish_to_speak()),
    (12, lambda world, pick: world.begin_to_speak()),
    (10, lambda world, pick: world.speak(1 + pick(3))),
    (8, lambda world, pick: world.pause()),
    (3, lambda world, pick: world.go_on()),
    (12, lambda world, pick: world.end_the_turn()),
    (5, lambda world, pick: world.murmur()),
    (3, lambda world, pick: world.tell(CallerUnheard())),
    (3, lambda world, pick: world.press("05#*"[pick(4)])),
    (40, lambda world, pick: world.wait(1 + pick(2_000))),
    (3, lambda world, pick: world.wait(12_000)),
]
WEIGHTS = [weight for weight, _ in DEEDS]


@pytest.mark.parametrize("orderly", [True, False], ids=["orderly", "anything"])
def test_a_hundred_thousand_steps(orderly: bool) -> None:
    """With what can happen on a call, and with any event at any time between."""
    dice = random.Random(4)
    pick = dice.randrange
    phases: Counter[Phase] = Counter()
    seen: set[type[Command]] = set()
    world = World(RULES[0], seen)
    for _ in range(100_000):
        if world.machine.phase is Phase.ENDED and pick(4) == 0:
            world = World(RULES[pick(len(RULES))], seen)
        if pick(400) == 0:
            dice.choice([world.hang_up, world.lose_the_recogniser, world.meet_a_machine])()
        elif not orderly and pick(4) == 0:
            world.anything(any_event(pick))
        else:
            dice.choices(DEEDS, WEIGHTS)[0][1](world, pick)
        phases[world.machine.phase] += 1
    assert seen == set(get_args(Command))
    assert min(phases[phase] for phase in Phase) > 100


class Call(RuleBasedStateMachine):
    """The same, by hypothesis, which finds the shortest call that shows a fault."""

    @initialize(rules=st.sampled_from(RULES))
    def begin(self, rules: Rules) -> None:
        self.world = World(rules, set())

    @rule(deed=st.sampled_from([deed for _, deed in DEEDS]), data=st.data())
    def something_happens(
        self, deed: Callable[[World, Callable[..., int]], None], data: st.DataObject
    ) -> None:
        deed(self.world, partial(_draw, data))

    @rule(data=st.data())
    def anything_happens(self, data: st.DataObject) -> None:
        self.world.anything(any_event(partial(_draw, data)))


def _draw(data: st.DataObject, below: int) -> int:
    return data.draw(st.integers(0, below - 1))


Call.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestCall = Call.TestCase
