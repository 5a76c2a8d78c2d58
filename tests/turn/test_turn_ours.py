"""Our side, beyond the table: held turns, fillers, failures, and the ends of a call."""

import pytest

from turn.calls import (
    ASKED,
    ASKED_FOR,
    ASKED_FOR_TWICE,
    BROKEN,
    CUT,
    DEAF,
    GREETED,
    HELD,
    NOT_HEARD,
    REFUSED,
    SENT,
    SILENT,
    SPEAKING,
    TOO_LONG,
    WISH,
    after,
    end,
    told,
    without_timers,
)
from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    ClearPlayout,
    Command,
    HangUp,
    HoldReply,
    KeepCaller,
    KeepHeard,
    Phrase,
    ResumeReply,
    SayFiller,
    SayPhrase,
    StartReply,
    StartTimer,
)
from voice_ai.turn.events import (
    CallerGone,
    CallStarted,
    DigitPressed,
    EagerEndOfTurn,
    Event,
    HangUpAsked,
    PlayoutFinished,
    ProviderFailed,
    ReplyHeld,
    ReplySent,
    ReplyStarted,
    StartOfTurn,
    Timer,
    TimerFired,
    ToolEnded,
    ToolStarted,
    Update,
)
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.rules import Phase, Rules

FALSE_START = TimerFired(3, "false_start")
SPEAKS_ON = [HoldReply(3), CancelTimer(3, "playout"), StartTimer(3, "false_start", 700)]


# Held turns.


def test_a_cough_holds_our_turn_and_then_it_goes_on() -> None:
    machine = after(*SPEAKING, SENT)
    assert machine.handle(StartOfTurn(9)) == SPEAKS_ON
    assert machine.handle(StartOfTurn(9)) == []
    assert machine.handle(ReplyHeld(3, 2900)) == machine.handle(Update(9, "")) == []
    assert machine.handle(FALSE_START) == [ResumeReply(3)]
    assert machine.handle(end(9, "")) == []
    assert machine.handle(ReplySent(3, 4000, 3000)) == [StartTimer(3, "playout", 5_000)]
    assert without_timers(machine.handle(PlayoutFinished(3)))[0] == KeepHeard(3, complete=True)


def test_a_turn_is_held_as_often_as_the_caller_coughs() -> None:
    machine = after(*HELD)
    for stream_turn in (10, 11, 12):
        assert machine.handle(end(stream_turn - 1, ""))[-1] == ResumeReply(3)
        assert machine.handle(StartOfTurn(stream_turn))[0] == HoldReply(3)


def test_words_that_come_after_the_turn_went_on_interrupt_it_all_the_same() -> None:
    machine = after(*HELD, FALSE_START)
    interrupted = [CancelReply(3), ClearPlayout(3), KeepHeard(3, complete=False)]
    assert without_timers(machine.handle(Update(9, "Wait"))) == interrupted


def test_thinking_is_held_and_goes_on() -> None:
    machine, timers = told([*ASKED, StartOfTurn(9)], Rules(filler_ms=1_200))
    assert timers == {"false_start": 3}
    assert machine.handle(FALSE_START) == [
        ResumeReply(3),
        StartTimer(3, "reply", 15_000),
        StartTimer(3, "filler", 1_200),
    ]


@pytest.mark.parametrize("asked", [(), (WISH,)])
def test_last_words_are_held_and_go_on(asked: tuple[Event, ...]) -> None:
    machine = after(*SPEAKING, *asked, StartOfTurn(9), *(() if asked else (WISH,)))
    machine.handle(FALSE_START)
    assert machine.phase is Phase.CLOSING


def test_a_murmur_does_not_interrupt() -> None:
    machine = after(*HELD, ReplyHeld(3, 3000))
    for murmur in (Update(9, "Mhm"), Update(9, "Mhm."), EagerEndOfTurn(9, "Mhm.")):
        assert machine.handle(murmur) == []
    assert machine.handle(end(9, "Mhm."))[-1] == ResumeReply(3)


def test_a_murmur_that_becomes_words_does() -> None:
    machine = after(*HELD, Update(9, "Okay"))
    commands = without_timers(machine.handle(Update(9, "Okay, but")))
    assert commands == [CancelReply(3), KeepHeard(3, complete=False)]


@pytest.mark.parametrize("left_ms", [0, 1_000])
def test_near_the_end_a_murmur_is_an_answer(left_ms: float) -> None:
    machine = after(*HELD, ReplyHeld(3, left_ms))
    machine.handle(Update(9, "Okay"))
    commands = without_timers(machine.handle(end(9, "Okay.")))
    assert commands == [KeepCaller(4, "Okay."), StartReply(5)]


def test_it_is_an_answer_too_when_the_murmur_is_told_first() -> None:
    machine = after(*HELD, Update(9, "Okay"), ReplyHeld(3, 900))
    assert machine.phase is Phase.CALLER_SPEAKING
    commands = without_timers(machine.handle(end(9, "Okay.")))
    assert commands == [KeepCaller(4, "Okay."), StartReply(5)]


@pytest.mark.parametrize("left_ms", [None, 1_001])
def test_not_near_the_end_it_is_none(left_ms: float | None) -> None:
    machine = after(*HELD, Update(9, "Okay"), ReplyHeld(3, left_ms))
    assert machine.phase is Phase.HELD


def test_near_the_end_is_forgotten_when_the_turn_goes_on() -> None:
    machine = after(*HELD, ReplyHeld(3, 900), FALSE_START)
    assert machine.handle(Update(9, "Okay")) == []


def test_heard_to_its_end_while_it_was_held() -> None:
    machine = after(*HELD)
    assert machine.handle(PlayoutFinished(3)) == [KeepHeard(3, complete=True)]
    assert machine.handle(PlayoutFinished(3)) == []
    assert machine.handle(FALSE_START) == [StartTimer(3, "silence", 6_000)]


def test_last_words_heard_to_their_end_while_they_were_held() -> None:
    machine = after(*HELD, WISH, PlayoutFinished(3))
    assert machine.handle(FALSE_START) == [HangUp(3, ASKED_FOR)]


def test_a_failure_while_held_is_apologised_for_after_what_was_sent() -> None:
    machine = after(*SPEAKING, StartOfTurn(9), BROKEN, FALSE_START, ReplySent(3, 900, 300))
    assert without_timers(machine.handle(PlayoutFinished(3))) == [
        KeepHeard(3, complete=False),
        SayPhrase(4, "apology"),
    ]


def test_a_failure_while_held_before_the_first_sound_is_apologised_for_at_once() -> None:
    machine = after(*ASKED, StartOfTurn(9), BROKEN)
    commands = without_timers(machine.handle(FALSE_START))
    assert commands == [CancelReply(3), SayPhrase(4, "apology")]


@pytest.mark.parametrize(
    ("failure", "then"),
    [
        (REFUSED, [SayPhrase(4, "refusal")]),
        (CUT, [StartTimer(3, "silence", 6_000)]),
        (BROKEN, [SayPhrase(4, "apology")]),
    ],
)
def test_what_is_said_after_a_broken_answer_is_said_after_a_held_one(
    failure: Event, then: list[Command]
) -> None:
    machine = after(*SPEAKING, StartOfTurn(9), failure)
    assert machine.handle(PlayoutFinished(3)) == [KeepHeard(3, complete=False)]
    assert machine.handle(FALSE_START) == then


@pytest.mark.parametrize(("failure", "phrase"), [(REFUSED, "refusal"), (CUT, "apology")])
@pytest.mark.parametrize("held", [(), (StartOfTurn(9),)])
def test_an_answer_of_which_nothing_was_heard_is_always_excused_for(
    failure: Event, phrase: Phrase, held: tuple[Event, ...]
) -> None:
    machine = after(*ASKED, *held)
    commands = [*machine.handle(failure), *(machine.handle(FALSE_START) if held else [])]
    assert without_timers(commands)[-1] == SayPhrase(4, phrase)


def test_an_answer_that_was_empty_while_held_is_apologised_for() -> None:
    machine = after(*ASKED, StartOfTurn(9), ReplySent(3, 0, 0))
    commands = without_timers(machine.handle(FALSE_START))
    assert commands == [CancelReply(3), SayPhrase(4, "apology")]


def test_a_failure_after_all_was_sent_takes_nothing_away_from_a_held_turn_either() -> None:
    machine = after(*HELD, BROKEN, FALSE_START, SENT)
    commands = without_timers(machine.handle(PlayoutFinished(3)))
    assert commands == [KeepHeard(3, complete=True)]


def test_a_goodbye_that_fails_while_held_ends_the_call() -> None:
    machine = after(*ASKED_FOR_TWICE, TimerFired(3, "silence"), StartOfTurn(9))
    machine.handle(ProviderFailed(4, "tts", "gone"))
    assert machine.handle(TimerFired(4, "false_start")) == [
        KeepHeard(4, complete=False),
        HangUp(4, SILENT),
    ]


def test_a_held_turn_that_began_in_that_moment_was_heard() -> None:
    machine = after(*ASKED, StartOfTurn(9), ReplyStarted(3))
    commands = without_timers(machine.handle(Update(9, "Wait")))
    assert commands == [CancelReply(3), KeepHeard(3, complete=False)]


@pytest.mark.parametrize("over", [CallerGone("hung up"), DigitPressed("1"), DEAF])
def test_a_held_turn_is_kept_when_it_ends(over: Event) -> None:
    commands = without_timers(after(*HELD).handle(over))
    assert commands[:2] == [CancelReply(3), KeepHeard(3, complete=False)]


# Fillers.

FILLED = Rules(filler_ms=1_200)


def test_a_silence_is_filled_while_we_think() -> None:
    machine, timers = told(ASKED, FILLED)
    assert timers == {"reply": 3, "filler": 3}
    assert machine.handle(TimerFired(3, "filler")) == [SayFiller(3, "filler")]
    assert machine.handle(ReplyStarted(3)) == [CancelTimer(3, "reply")]


def test_a_silence_that_goes_on_is_filled_again() -> None:
    rules = Rules(filler_ms=1_200, filler_again_ms=2_500)
    machine, timers = told(ASKED, rules)
    for _ in range(3):
        assert timers == {"reply": 3, "filler": 3}
        again = [SayFiller(3, "filler"), StartTimer(3, "filler", 2_500)]
        assert machine.handle(TimerFired(3, "filler")) == again
    assert CancelTimer(3, "filler") in machine.handle(ReplyStarted(3))


def test_a_silence_that_goes_on_after_an_excuse_for_a_tool_is_filled() -> None:
    rules = Rules(filler_ms=1_200, filler_again_ms=2_500)
    machine = after(*ASKED, ToolStarted(3), rules=rules)
    filled = [SayFiller(3, "moment"), CancelTimer(3, "filler"), StartTimer(3, "filler", 2_500)]
    assert machine.handle(TimerFired(3, "tool")) == filled
    assert machine.handle(TimerFired(3, "filler"))[0] == SayFiller(3, "filler")


def test_no_filler_once_we_speak() -> None:
    machine = after(*ASKED, rules=FILLED)
    assert CancelTimer(3, "filler") in machine.handle(ReplyStarted(3))
    assert machine.handle(TimerFired(3, "filler")) == []


def test_a_filler_is_cleared_and_is_nothing_that_was_heard() -> None:
    machine = after(*ASKED, TimerFired(3, "filler"), rules=FILLED)
    commands = without_timers(machine.handle(Update(9, "Hello?")))
    assert commands == [CancelReply(3), ClearPlayout(3)]


def test_a_filler_that_is_held_was_cleared_by_that() -> None:
    machine = after(*ASKED, TimerFired(3, "filler"), StartOfTurn(9), rules=FILLED)
    assert without_timers(machine.handle(Update(9, "Hello?"))) == [CancelReply(3)]


def test_a_slow_tool_is_excused_for() -> None:
    machine = after(*ASKED)
    assert machine.handle(ToolStarted(3)) == [StartTimer(3, "tool", 800)]
    assert machine.handle(TimerFired(3, "tool")) == [SayFiller(3, "moment")]
    assert machine.handle(ToolEnded(3)) == []


def test_a_quick_tool_is_not() -> None:
    machine = after(*ASKED, ToolStarted(3))
    assert machine.handle(ToolEnded(3)) == [CancelTimer(3, "tool")]
    assert machine.handle(ToolStarted(3)) == [StartTimer(3, "tool", 800)]


def test_no_excuse_once_we_speak_or_when_the_rule_is_off() -> None:
    assert after(*SPEAKING).handle(ToolStarted(3)) == []
    assert after(*ASKED, rules=Rules(tool_ms=None)).handle(ToolStarted(3)) == []


# Silence.


def test_a_silent_caller_is_asked_for_twice_and_then_left() -> None:
    machine = after(*GREETED)
    for turn in (2, 3):
        asked = machine.handle(TimerFired(turn - 1, "silence"))
        assert asked == [SayPhrase(turn, "still_there")]
        assert machine.handle(PlayoutFinished(turn))[-1] == StartTimer(turn, "silence", 6_000)
    assert machine.handle(TimerFired(3, "silence")) == [SayPhrase(4, "goodbye")]
    assert machine.phase is Phase.CLOSING
    assert machine.handle(PlayoutFinished(4))[-1] == HangUp(4, SILENT)


@pytest.mark.parametrize("words", [[end(9, "Yes")], [DigitPressed("1"), DigitPressed("#")]])
def test_any_words_or_keys_begin_the_count_anew(words: list[Event]) -> None:
    machine = after(*ASKED_FOR_TWICE, *words, ReplyStarted(5), PlayoutFinished(5))
    assert machine.handle(TimerFired(5, "silence")) == [SayPhrase(6, "still_there")]


def test_a_noise_does_not() -> None:
    machine = after(*ASKED_FOR_TWICE, StartOfTurn(9), end(9, ""))
    assert machine.handle(TimerFired(4, "silence")) == [SayPhrase(5, "goodbye")]


def test_the_goodbye_to_a_silent_caller_can_be_interrupted() -> None:
    machine = after(*ASKED_FOR_TWICE, TimerFired(3, "silence"), StartOfTurn(9))
    machine.handle(end(9, "I am here!"))
    machine.handle(ReplyStarted(6))
    assert machine.phase is Phase.SPEAKING
    assert machine.handle(HangUpAsked(6)) == []
    assert machine.handle(PlayoutFinished(6))[-1] == HangUp(6, ASKED_FOR)


def test_nobody_is_asked_for_when_the_rule_is_off() -> None:
    assert told(GREETED, Rules(silence_ms=None))[1] == {}


# The length of a call.

LIMITED = Rules(call_ms=600_000)
LIMIT = TimerFired(0, "call")


def test_a_call_has_a_limit() -> None:
    machine = TurnMachine(LIMITED)
    started = [StartTimer(0, "call", 600_000), SayPhrase(1, "greeting")]
    assert machine.handle(CallStarted()) == started
    assert machine.handle(CallStarted()) == []


STOPPED: dict[str, tuple[list[Event], list[Command]]] = {
    "listening": (GREETED, []),
    "the caller speaks": ([*GREETED, Update(9, "Well")], [KeepCaller(2, "Well")]),
    "a draft": (
        [*GREETED, EagerEndOfTurn(9, "Well?")],
        [CancelReply(3), KeepCaller(2, "Well?")],
    ),
    "thinking": (ASKED, [CancelReply(3), ClearPlayout(3)]),
    "speaking": (SPEAKING, [CancelReply(3), ClearPlayout(3), KeepHeard(3, complete=False)]),
    "held": (HELD, [CancelReply(3), KeepHeard(3, complete=False)]),
}


@pytest.mark.parametrize("when", STOPPED)
def test_at_its_limit_a_call_ends_with_a_goodbye_that_nobody_interrupts(when: str) -> None:
    events, stopped = STOPPED[when]
    machine = after(*events, rules=LIMITED)
    *before, goodbye = without_timers(machine.handle(LIMIT))
    turn = machine.turn
    assert (before, goodbye) == (stopped, SayPhrase(turn, "goodbye"))
    for event in (StartOfTurn(10), Update(10, "Wait!"), end(10, "Wait!"), DigitPressed("1")):
        assert machine.handle(event) == []
    assert machine.handle(PlayoutFinished(turn))[:2] == [
        KeepHeard(turn, complete=True),
        HangUp(turn, TOO_LONG),
    ]
    assert machine.phase is Phase.ENDED


def test_last_words_are_not_said_anew_at_the_limit_and_nobody_interrupts_them_any_more() -> None:
    machine = after(*SPEAKING, WISH, rules=LIMITED)
    assert machine.handle(LIMIT) == machine.handle(StartOfTurn(9)) == []
    assert HangUp(3, TOO_LONG) in machine.handle(PlayoutFinished(3))


@pytest.mark.parametrize(("first", "then"), [(LIMIT, DEAF), (DEAF, LIMIT)])
def test_the_first_reason_to_end_a_call_is_the_one(first: Event, then: Event) -> None:
    machine = after(*GREETED, first, rules=LIMITED)
    assert machine.handle(then) == []
    reason = TOO_LONG if first == LIMIT else NOT_HEARD
    assert HangUp(2, reason) in machine.handle(PlayoutFinished(2))


def test_a_call_that_ends_before_its_limit_leaves_no_timer() -> None:
    machine = after(*GREETED, rules=LIMITED)
    assert machine.handle(CallerGone("hung up")) == [
        CancelTimer(0, "call"),
        CancelTimer(1, "silence"),
    ]


# What never happens.

OTHERS: list[Timer] = ["playout", "reply", "silence", "stuck", "digits", "false_start", "call"]


@pytest.mark.parametrize("timer", OTHERS)
def test_a_timer_that_does_not_run_does_nothing(timer: Timer) -> None:
    machine = after(CallStarted())
    assert machine.handle(TimerFired(1, timer)) == machine.handle(TimerFired(0, timer)) == []
    assert machine.phase is Phase.SPEAKING
