"""What the caller may say yet, and what may not interrupt us yet: drafts and protected turns."""

import pytest

from turn.calls import (
    ASKED,
    DEAF,
    INTERRUPTED,
    SAID,
    SPEAKING,
    SPOKE,
    WISH,
    after,
    end,
    kept,
    told,
    without_timers,
)
from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    Command,
    HoldReply,
    KeepCaller,
    KeepHeard,
    ResumeReply,
    SayPhrase,
    StartReply,
    StartTimer,
)
from voice_ai.turn.events import (
    CallerGone,
    CallStarted,
    EagerEndOfTurn,
    Event,
    PlayoutFinished,
    ProviderFailed,
    ReplyHeld,
    ReplySent,
    ReplyStarted,
    StartOfTurn,
    TimerFired,
    ToolStarted,
    TurnResumed,
    Update,
)
from voice_ai.turn.rules import Phase, Rules

# Drafts.


def test_a_draft_is_released_by_the_end_that_says_the_same() -> None:
    rules = Rules(filler_ms=1_200)
    machine = after(*SPOKE, SAID, rules=rules)
    assert machine.handle(EagerEndOfTurn(9, "And on Sunday?")) == []
    assert machine.handle(end(9, "And on Sunday?")) == [
        CancelTimer(2, "stuck"),
        CancelTimer(2, "monologue"),
        KeepCaller(2, "And on Sunday?"),
        ResumeReply(3),
        StartTimer(3, "reply", 15_000),
        StartTimer(3, "filler", 1_200),
    ]
    machine.handle(ReplyStarted(3))
    assert machine.phase is Phase.SPEAKING


def test_a_draft_of_other_words_is_dropped_at_the_end() -> None:
    machine = after(*SPOKE, SAID)
    assert without_timers(machine.handle(end(9, "And on Sundays?"))) == [
        CancelReply(3),
        KeepCaller(2, "And on Sundays?"),
        StartReply(4),
    ]


def test_a_second_eager_end_with_other_words_replaces_the_draft() -> None:
    machine = after(*SPOKE, SAID)
    again = without_timers(machine.handle(EagerEndOfTurn(9, "And on Sunday, or Monday?")))
    assert again == [CancelReply(3), StartReply(4, "And on Sunday, or Monday?")]


def test_a_caller_who_goes_on_drops_the_draft() -> None:
    machine = after(*SPOKE, SAID)
    assert machine.handle(TurnResumed(9)) == [CancelReply(3)]
    assert machine.handle(TurnResumed(9)) == []
    # The same words may be the whole turn after all.
    assert without_timers(machine.handle(SAID)) == [StartReply(4, "And on Sunday?")]


def test_no_more_drafts_than_the_rules_allow() -> None:
    machine = after(*SPOKE, rules=Rules(max_drafts=2))
    drafts: list[Command] = []
    for words in ("one", "one two", "one two three", "one two three four"):
        drafts += without_timers(machine.handle(EagerEndOfTurn(9, words)))
    first, second = StartReply(3, "one"), StartReply(4, "one two")
    assert drafts == [first, CancelReply(3), second, CancelReply(4)]
    said = without_timers(machine.handle(end(9, "one two three four")))
    assert said == [KeepCaller(2, "one two three four"), StartReply(5)]


def test_no_drafts_at_all() -> None:
    machine = after(*SPOKE, rules=Rules(max_drafts=0))
    assert without_timers(machine.handle(SAID)) == []


@pytest.mark.parametrize("failed", [ProviderFailed(3, "llm", "gone"), ReplySent(3, 0, 0)])
def test_a_draft_that_comes_to_nothing_is_forgotten(failed: Event) -> None:
    machine = after(*SPOKE, SAID)
    assert machine.handle(failed) == []
    said = without_timers(machine.handle(end(9, "And on Sunday?")))
    assert said == [KeepCaller(2, "And on Sunday?"), StartReply(4)]


@pytest.mark.parametrize("event", [ReplyStarted(3), ToolStarted(3), ReplySent(3, 900, 900)])
def test_what_becomes_of_a_draft_changes_nothing(event: Event) -> None:
    machine = after(*SPOKE, SAID)
    assert machine.handle(event) == []
    assert machine.phase is Phase.CALLER_SPEAKING
    assert ResumeReply(3) in machine.handle(end(9, "And on Sunday?"))


@pytest.mark.parametrize("over", [CallerGone("hung up"), DEAF])
def test_a_draft_does_not_outlive_its_turn(over: Event) -> None:
    assert after(*SPOKE, SAID).handle(over)[0] == CancelReply(3)


def test_an_eager_end_while_we_speak_is_a_barge_in_and_a_draft() -> None:
    commands = without_timers(after(*SPEAKING).handle(SAID))
    assert commands == [*INTERRUPTED, StartReply(5, "And on Sunday?")]


def test_an_eager_end_that_interrupts_nothing_drafts_nothing() -> None:
    assert after(*SPEAKING).handle(EagerEndOfTurn(9, "mhm")) == []
    assert after(CallStarted(), rules=Rules(greeting_protected=True)).handle(SAID) == []


def test_barge_in_into_a_draft_that_was_released() -> None:
    machine = after(*SPOKE, SAID, end(9, "And on Sunday?"), ReplyStarted(3))
    assert machine.handle(StartOfTurn(10))[0] == HoldReply(3)
    assert without_timers(machine.handle(Update(10, "Wait"))) == [
        CancelReply(3),
        KeepHeard(3, complete=False),
    ]


# Protected turns.

PROTECTED = Rules(protected_ms=500)


def test_what_is_said_into_a_protected_greeting_is_answered_after_it() -> None:
    machine = after(CallStarted(), rules=Rules(greeting_protected=True))
    for event in (StartOfTurn(1), Update(1, "I need help"), end(1, "I need help."), end(2, "Now!")):
        assert machine.handle(event) == []
    assert machine.handle(PlayoutFinished(1)) == [
        KeepHeard(1, complete=True),
        KeepCaller(2, "I need help. Now!"),
        StartReply(3),
        StartTimer(3, "reply", 15_000),
    ]


@pytest.mark.parametrize("said", ["", "...", "Okay.", "mm-hmm"])
def test_what_is_no_turn_is_not_answered_after_a_protected_one(said: str) -> None:
    machine = after(CallStarted(), end(1, said), rules=Rules(greeting_protected=True))
    machine.handle(PlayoutFinished(1))
    assert machine.phase is Phase.LISTENING


def test_only_the_greeting_is_protected_by_that_rule() -> None:
    machine = after(*ASKED, ReplySent(3, 0, 0), rules=Rules(greeting_protected=True))
    assert machine.handle(StartOfTurn(2))[0] == HoldReply(4)


def test_who_speaks_on_interrupts_when_the_protection_ends() -> None:
    machine, timers = told(SPEAKING, PROTECTED)
    assert timers == {"protected": 3}
    assert machine.handle(StartOfTurn(2)) == machine.handle(Update(2, "Wait")) == []
    assert machine.handle(TimerFired(3, "protected")) == []
    assert without_timers(machine.handle(Update(2, "Wait a"))) == INTERRUPTED
    assert kept(machine, end(2, "Wait a minute.")) == ["Wait a minute."]


def test_the_end_of_a_turn_interrupts_too_when_the_protection_ended_in_it() -> None:
    machine = after(*SPEAKING, Update(2, "Wait"), TimerFired(3, "protected"), rules=PROTECTED)
    said = without_timers(machine.handle(end(2, "Wait.")))
    assert said == [*INTERRUPTED, KeepCaller(4, "Wait."), StartReply(5)]


def test_after_its_protection_a_turn_is_held_as_any_other() -> None:
    machine = after(*SPEAKING, TimerFired(3, "protected"), rules=PROTECTED)
    assert machine.handle(StartOfTurn(2))[0] == HoldReply(3)
    machine.handle(ReplyHeld(3, None))
    assert machine.handle(TimerFired(3, "false_start")) == [ResumeReply(3)]


WAITING = (*SPEAKING, end(2, "Wait."), TimerFired(3, "protected"))


def test_what_waits_is_kept_when_the_caller_interrupts_in_the_end() -> None:
    machine = after(*WAITING, StartOfTurn(3), rules=PROTECTED)
    begun = without_timers(machine.handle(Update(3, "Hello?")))
    assert begun == [CancelReply(3), KeepHeard(3, complete=False), KeepCaller(4, "Wait.")]
    said = without_timers(machine.handle(end(3, "Hello?")))
    assert said == [KeepCaller(5, "Hello?"), StartReply(6)]


def test_what_waits_is_answered_when_the_interruption_was_nothing() -> None:
    machine = after(*WAITING, Update(3, "Hello?"), rules=PROTECTED)
    assert without_timers(machine.handle(end(3, ""))) == [StartReply(6)]


def test_what_waits_is_kept_when_the_recogniser_fails() -> None:
    commands = without_timers(after(*WAITING, rules=PROTECTED).handle(DEAF))
    assert commands == [*INTERRUPTED, KeepCaller(4, "Wait."), SayPhrase(5, "goodbye")]


def test_what_waits_is_kept_when_the_caller_is_gone() -> None:
    commands = without_timers(after(*WAITING, rules=PROTECTED).handle(CallerGone("hung up")))
    assert commands == [CancelReply(3), KeepHeard(3, complete=False), KeepCaller(4, "Wait.")]


def test_who_speaks_into_protected_last_words_has_withdrawn_the_wish() -> None:
    machine = after(*ASKED, rules=PROTECTED)
    for event in (WISH, ReplyStarted(3), end(2, "One more thing."), ReplySent(3, 900, 900)):
        machine.handle(event)
    commands = without_timers(machine.handle(PlayoutFinished(3)))
    assert commands == [
        KeepHeard(3, complete=True),
        KeepCaller(4, "One more thing."),
        StartReply(5),
    ]


def test_a_turn_that_nobody_interrupted_has_no_protection_left() -> None:
    machine = after(*SPEAKING, rules=PROTECTED)
    over = machine.handle(PlayoutFinished(3))
    assert CancelTimer(3, "protected") in over
