"""The caller's side, beyond the table: long turns, lost connections, keys."""

import pytest

from turn.calls import (
    ASKED,
    DEAF,
    GREETED,
    HELD,
    INTERRUPTED,
    SAID,
    SENT,
    SPEAKING,
    SPOKE,
    WELL,
    after,
    end,
    kept,
    keys,
    told,
    without_timers,
)
from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    ClearPlayout,
    KeepCaller,
    ResumeReply,
    SayPhrase,
    StartReply,
    StartTimer,
)
from voice_ai.turn.events import (
    CallStarted,
    DigitPressed,
    EagerEndOfTurn,
    Event,
    PlayoutFinished,
    ProviderFailed,
    ReplySent,
    ReplyStarted,
    StartOfTurn,
    TimerFired,
    Update,
)
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.rules import Phase, Rules

# The recogniser's turns.


def test_nothing_is_heard_before_the_call() -> None:
    machine = TurnMachine()
    for event in (StartOfTurn(1), Update(1, "Hello?"), end(1, "Hello?"), DigitPressed("1")):
        assert machine.handle(event) == []
    assert machine.turn == 0


def test_a_later_turn_ends_those_before_it() -> None:
    machine = after(*SPOKE, WELL)
    assert machine.handle(Update(8, "late")) == machine.handle(end(8, "late")) == []
    assert kept(machine, end(9, "Well?")) == ["Well?"]


def test_a_turn_goes_on_when_the_recogniser_connects_anew() -> None:
    machine = after(*SPOKE, Update(9, "I would like"))
    assert kept(machine, StartOfTurn(10), Update(10, "a table"), end(11, "for two.")) == [
        "I would like a table for two."
    ]


def test_words_before_and_after_a_connection_are_drafted_together() -> None:
    machine = after(*SPOKE, Update(9, "I would like"))
    drafted = without_timers(machine.handle(EagerEndOfTurn(10, "a table.")))
    assert drafted == [StartReply(3, "I would like a table.")]
    said = without_timers(machine.handle(end(10, "a table.")))
    assert said == [KeepCaller(2, "I would like a table."), ResumeReply(3)]


def test_a_turn_that_ends_without_the_words_it_had_was_none() -> None:
    machine = after(*SPOKE, WELL)
    assert kept(machine, end(9, "...")) == []
    assert machine.phase is Phase.LISTENING


# Stuck turns and monologues.


def test_what_follows_a_turn_that_was_cut_off_is_another_turn() -> None:
    machine = after(*SPOKE, Update(9, "It began in May,"), TimerFired(2, "stuck"))
    assert machine.phase is Phase.THINKING
    for same in (Update(9, "It began in May,"), EagerEndOfTurn(9, "It began in May."), WELL):
        assert machine.handle(same) == []
    machine.handle(Update(9, "It began in May, no, in"))
    assert machine.phase is Phase.CALLER_SPEAKING
    assert kept(machine, end(9, "It began in May, no, in June.")) == ["no, in June."]


def test_who_goes_on_and_on_cannot_stop_the_answer_by_it_and_is_answered_again() -> None:
    machine = after(*SPOKE, Update(9, "It began in May,"), TimerFired(2, "monologue"))
    for more in (StartOfTurn(9), Update(9, "It began in May, no, in")):
        assert machine.handle(more) == []
    assert kept(machine, end(9, "It began in May, no, in June.")) == []
    machine.handle(ReplyStarted(3))
    assert machine.handle(Update(10, "Or July.")) == []
    assert kept(machine, PlayoutFinished(3)) == ["no, in June."]
    assert machine.phase is Phase.THINKING


@pytest.mark.parametrize(
    "nothing", [ReplySent(3, 0, 0), ProviderFailed(3, "llm", "gone"), TimerFired(3, "reply")]
)
def test_what_waits_for_an_answer_that_comes_to_nothing_is_answered_itself(nothing: Event) -> None:
    machine = after(*SPOKE, WELL, TimerFired(2, "monologue"))
    machine.handle(end(10, "Are you there?"))
    assert kept(machine, nothing) == ["Are you there?"]
    assert machine.phase is Phase.THINKING
    # And only once: if that fails, too, we apologise.
    apology = machine.handle(ProviderFailed(5, "llm", "gone"))
    assert SayPhrase(6, "apology") in apology


def test_a_turn_cut_off_twice() -> None:
    machine = after(*SPOKE, Update(9, "one two"), TimerFired(2, "stuck"))
    machine.handle(Update(9, "one two three"))
    assert kept(machine, TimerFired(4, "stuck")) == ["three"]
    assert machine.handle(Update(9, "One, two three.")) == []
    assert kept(machine, end(9, "One, two, three, four.")) == ["four."]


def test_nothing_follows_a_turn_that_was_cut_off() -> None:
    machine = after(*SPOKE, WELL, TimerFired(2, "stuck"), ReplyStarted(3))
    assert machine.handle(end(9, "Well.")) == []
    assert machine.phase is Phase.SPEAKING
    assert kept(machine, StartOfTurn(10), end(10, "Well.")) == ["Well."]


REVISED = [
    # taken, as it stands later, what is left
    ("it is twenty one and blue", "it is 21 and blue or green", "or green"),
    ("it can not be true", "It cannot be true, can it?", "can it?"),
    ("I cannot do this", "I can not do this today", "today"),
    ("I went to the sta", "I went to the station and back", "and back"),
    ("no no no", "No, no, no, no.", "no."),
    ("Hello", "Yellow pages", "pages"),
    ("", "Hello", "Hello"),
    ("one two three", "One two", ""),
    ("a b c d e f g", "d e f g h", "h"),
]


@pytest.mark.parametrize(("taken", "later", "left"), REVISED)
def test_what_was_taken_may_be_written_otherwise_later(taken: str, later: str, left: str) -> None:
    machine = after(*SPOKE, Update(9, taken), TimerFired(2, "stuck"))
    assert kept(machine, Update(9, later), end(9, later)) == ([left] if left else [])


def test_a_turn_without_a_word_that_is_stuck_takes_nothing() -> None:
    machine = after(*SPOKE, TimerFired(2, "stuck"))
    assert machine.phase is Phase.LISTENING
    assert kept(machine, Update(9, "Hello?"), end(9, "Hello?")) == ["Hello?"]


def test_only_a_new_word_starts_the_watch_anew() -> None:
    machine = after(*SPOKE, WELL)
    assert machine.handle(WELL) == machine.handle(Update(9, "")) == []
    again = [CancelTimer(2, "stuck"), StartTimer(2, "stuck", 12_000)]
    assert machine.handle(Update(9, "Well, then")) == again


# Keys.


def test_keys_end_by_the_terminator() -> None:
    machine = after(*GREETED, *keys("4711"))
    commands = machine.handle(DigitPressed("#"))
    assert commands[0] == CancelTimer(2, "digits")
    assert commands[1:3] == [KeepCaller(2, "(pressed 4 7 1 1)"), StartReply(3)]


def test_keys_end_when_no_other_one_comes() -> None:
    machine = after(*GREETED, *keys("47"))
    anew = [CancelTimer(2, "digits"), StartTimer(2, "digits", 3_000)]
    assert machine.handle(DigitPressed("*")) == anew
    assert kept(machine, TimerFired(2, "digits")) == ["(pressed 4 7 *)"]


def test_a_terminator_alone_is_a_key() -> None:
    machine = after(*GREETED)
    assert kept(machine, *keys("#"), TimerFired(2, "digits")) == ["(pressed #)"]


def test_an_empty_key_is_no_turn() -> None:
    machine = after(*GREETED, DigitPressed(""))
    assert kept(machine, TimerFired(2, "digits")) == []
    assert machine.phase is Phase.LISTENING


def test_a_key_interrupts_us() -> None:
    machine = after(*SPEAKING, SENT)
    stopped = [*INTERRUPTED, CancelTimer(3, "playout"), StartTimer(4, "digits", 3_000)]
    assert machine.handle(DigitPressed("1")) == stopped


def test_a_key_interrupts_what_words_may_not() -> None:
    machine = after(CallStarted(), rules=Rules(greeting_protected=True))
    assert without_timers(machine.handle(DigitPressed("1")))[0] == CancelReply(1)
    assert machine.phase is Phase.CALLER_SPEAKING


def test_a_key_while_we_are_held_is_no_false_start() -> None:
    machine = after(*HELD)
    assert CancelTimer(3, "false_start") in machine.handle(DigitPressed("1"))
    assert kept(machine, TimerFired(4, "digits")) == ["(pressed 1)"]


def test_a_key_while_we_think_leaves_the_question_to_be_answered_too() -> None:
    machine = after(*ASKED)
    commands = without_timers(machine.handle(DigitPressed("1")))
    assert commands == [CancelReply(3), ClearPlayout(3)]
    assert without_timers(machine.handle(TimerFired(4, "digits"))) == [
        KeepCaller(4, "(pressed 1)"),
        StartReply(5),
    ]


def test_words_and_keys_together() -> None:
    machine = after(*SPOKE, Update(9, "My number is"), *keys("47"))
    assert kept(machine, end(9, "My number is:")) == []
    assert kept(machine, *keys("11"), TimerFired(2, "digits")) == [
        "My number is: (pressed 4 7 1 1)"
    ]


def test_a_long_number_after_words_is_not_cut_off() -> None:
    machine, timers = told([*SPOKE, Update(9, "It is"), *keys("4711")])
    assert timers == {"monologue": 2, "digits": 2}
    assert machine.handle(Update(9, "It is four seven")) == []


def test_words_between_keys_and_a_noise_do_not_part_a_number() -> None:
    machine = after(*GREETED, *keys("47"), StartOfTurn(9), Update(9, "um"), *keys("1"))
    heard = (end(9, "um"), StartOfTurn(10), end(10, "..."), *keys("1"), Update(11, "done"))
    assert kept(machine, *heard) == []
    assert kept(machine, DigitPressed("#")) == ["um done (pressed 4 7 1 1)"]


def test_words_after_keys_that_were_taken_are_another_turn() -> None:
    machine = after(*SPOKE, WELL, *keys("1#"))
    assert kept(machine, end(9, "Well, and hello?")) == ["and hello?"]


def test_a_draft_is_not_what_was_said_once_a_key_is_pressed() -> None:
    machine = after(*SPOKE, SAID, *keys("1"))
    assert machine.handle(EagerEndOfTurn(9, "And on Sunday?")) == []
    assert without_timers(machine.handle(DigitPressed("#"))) == [
        CancelReply(3),
        KeepCaller(2, "And on Sunday? (pressed 1)"),
        StartReply(4),
    ]


def test_keys_are_not_heard_by_who_does_not_hear() -> None:
    assert after(*GREETED, DEAF).handle(DigitPressed("1")) == []
