"""The machine against every cell of the table in its own docstring, and then whole calls."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import get_args

import pytest

from voice_ai.turn import machine as module
from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    ClearPlayout,
    Command,
    HangUp,
    KeepCaller,
    KeepHeard,
    SayPhrase,
    StartReply,
    StartTimer,
)
from voice_ai.turn.events import (
    CallerGone,
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
    TurnResumed,
    Update,
)
from voice_ai.turn.machine import Phase, Rules, TurnMachine

# Told to a machine to bring it into a phase; they leave stream turn 9 unused.
GREETED: list[Event] = [CallStarted(), ReplyStarted(1), ReplySent(1, 900, 800), PlayoutFinished(1)]
ASKED: list[Event] = [*GREETED, StartOfTurn(1), EndOfTurn(1, "When are you open?", 900, 1400)]
SPEAKING: list[Event] = [*ASKED, ReplyStarted(3)]
SENT = ReplySent(3, 4000, 3500)
BROKEN = ProviderFailed(3, "tts", "gone")
DEAF = ProviderFailed(0, "stt", "gone")
WISH = HangUpAsked(3)
NOT_HEARD, ASKED_FOR = "speech recognition failed", "asked for by the agent"
FALSE_START: list[Event] = [StartOfTurn(2), EndOfTurn(2, "", 900, 1400)]


@dataclass(frozen=True)
class Way:
    """A way into a phase, and which of the table's words hold after it."""

    phase: Phase
    words: frozenset[str]
    events: tuple[Event, ...]


def way(phase: Phase, words: str, *events: Event) -> Way:
    return Way(phase, frozenset(words.split()), events)


WAYS = [
    way(Phase.IDLE, ""),
    way(Phase.IDLE, "deaf", DEAF),
    way(Phase.LISTENING, "", *GREETED),
    way(Phase.LISTENING, "", *SPEAKING, PlayoutFinished(3)),
    way(Phase.LISTENING, "", *SPEAKING, SENT, TimerFired(3, "playout")),
    way(Phase.LISTENING, "", CallStarted(), ProviderFailed(1, "tts", "no sound")),
    way(Phase.LISTENING, "after-C", *GREETED, *FALSE_START),
    way(Phase.LISTENING, "after-C", *SPEAKING, *FALSE_START),
    way(Phase.CALLER_SPEAKING, "", *GREETED, StartOfTurn(1)),
    way(Phase.CALLER_SPEAKING, "", *SPEAKING, StartOfTurn(2)),
    way(Phase.CALLER_SPEAKING, "owed", *ASKED, StartOfTurn(2)),
    way(Phase.THINKING, "", *ASKED),
    way(Phase.THINKING, "", *ASKED, *FALSE_START),
    way(Phase.THINKING, "", CallStarted(), EndOfTurn(1, "Hello?", 900, 1400)),
    way(Phase.THINKING, "asked", *ASKED, WISH),
    way(Phase.SPEAKING, "phrase unsent", CallStarted()),
    way(Phase.SPEAKING, "phrase unsent", *ASKED, BROKEN),
    way(Phase.SPEAKING, "phrase sent", CallStarted(), ReplySent(1, 900, 800)),
    way(Phase.SPEAKING, "unsent", *SPEAKING),
    way(Phase.SPEAKING, "sent", *SPEAKING, SENT),
    way(Phase.SPEAKING, "sent", *ASKED, SENT),
    way(Phase.SPEAKING, "broken unsent", *SPEAKING, BROKEN),
    way(Phase.SPEAKING, "broken sent", *SPEAKING, BROKEN, SENT),
    way(Phase.CLOSING, "unsent", *SPEAKING, WISH),
    way(Phase.CLOSING, "unsent", *ASKED, WISH, ReplyStarted(3)),
    way(Phase.CLOSING, "sent", *SPEAKING, SENT, WISH),
    way(Phase.CLOSING, "sent", *ASKED, WISH, SENT),
    way(Phase.CLOSING, "broken unsent", *SPEAKING, BROKEN, WISH),
    way(Phase.CLOSING, "broken sent", *SPEAKING, WISH, BROKEN, SENT),
    way(Phase.CLOSING, "deaf unsent", *SPEAKING, WISH, DEAF),
    way(Phase.CLOSING, "deaf sent", *SPEAKING, WISH, DEAF, SENT),
    way(Phase.CLOSING, "phrase unsent", *ASKED, WISH, BROKEN),
    way(Phase.CLOSING, "phrase unsent deaf", *GREETED, DEAF),
    way(Phase.CLOSING, "phrase sent deaf", *GREETED, DEAF, ReplySent(2, 900, 800)),
    way(Phase.ENDED, "", CallerGone("hung up")),
    way(Phase.ENDED, "", *SPEAKING, WISH, PlayoutFinished(3)),
    way(Phase.ENDED, "", *GREETED, HangUpAsked(1)),
]

# The events of the table by its words; `n` is the turn that they are about.
EVENTS: dict[str, Callable[[int], Event]] = {
    "CallStarted": lambda n: CallStarted(),
    "DigitPressed": lambda n: DigitPressed("5"),
    "CallerGone": lambda n: CallerGone("hung up"),
    "StartOfTurn": lambda n: StartOfTurn(9),
    "Update": lambda n: Update(9, "And on"),
    "Update wordless": lambda n: Update(9, " ... "),
    "EagerEndOfTurn": lambda n: EagerEndOfTurn(9, "And on Sunday?"),
    "TurnResumed": lambda n: TurnResumed(9),
    "EndOfTurn": lambda n: EndOfTurn(9, "And on Sunday?", 2000, 2500),
    "EndOfTurn wordless": lambda n: EndOfTurn(9, " ?! ", 2000, 2500),
    "ReplyStarted": lambda n: ReplyStarted(n),
    "ReplySent": lambda n: ReplySent(n, 1000, 600),
    "ReplySent empty": lambda n: ReplySent(n, 0, 0),
    "PlayoutFinished": lambda n: PlayoutFinished(n),
    "HangUpAsked": lambda n: HangUpAsked(n),
    "ProviderFailed stt": lambda n: ProviderFailed(0, "stt", "gone"),
    "ProviderFailed llm": lambda n: ProviderFailed(n, "llm", "gone"),
    "ProviderFailed tts": lambda n: ProviderFailed(n, "tts", "gone"),
    "TimerFired reply": lambda n: TimerFired(n, "reply"),
    "TimerFired playout": lambda n: TimerFired(n, "playout"),
}
# Their `turn` is not that of a reply.
TURNLESS = {"CallStarted", "DigitPressed", "CallerGone", "ProviderFailed stt"}
PHASES = dict(zip("ILCTSXE", Phase, strict=True))


def rows(first: str) -> list[list[str]]:
    """The rows of a table of the docstring, cells split at two spaces."""
    table = re.search(rf"(?m)^    {first} .*\n    -.*\n((?:    .*\n)+)", module.__doc__ or "")
    assert table
    return [re.split(r"  +", line.strip()) for line in table[1].splitlines()]


MAIN = {row[0]: dict(zip(PHASES.values(), row[1:], strict=True)) for row in rows("event")}
DIFFERENCES = [(PHASES[phase], word, event, cell) for phase, word, event, cell in rows("phase")]


def text_of_cell(way: Way, name: str) -> str:
    for phase, word, event, text in DIFFERENCES:
        if phase is way.phase and word in way.words and event == name:
            return text
    return MAIN[name][way.phase]


@dataclass
class Cell:
    """A cell of the table written out for a machine that stands at `turn`."""

    way: Way
    text: str
    turn: int
    timer: Timer | None

    def __post_init__(self) -> None:
        *letters, phase = self.text.split() if self.text != "." else ["", ""]
        if phase and phase not in PHASES:
            letters, phase = [phase], ""
        self.phase = PHASES[phase] if phase else self.way.phase
        self.live = self.turn
        self.commands: list[Command] = []
        for letter in "".join(letters):
            self.commands += self.written_out(letter)

    def new_turn(self) -> int:
        self.turn += 1
        return self.turn

    def written_out(self, letter: str) -> list[Command]:
        match letter:
            case "G":
                return [SayPhrase(self.new_turn(), "greeting")]
            case "A":
                return [SayPhrase(self.new_turn(), "apology")]
            case "B":
                return [SayPhrase(self.new_turn(), "goodbye")]
            case "R":
                caller = self.live if self.way.phase is Phase.CALLER_SPEAKING else self.new_turn()
                ours = self.new_turn()
                kept = KeepCaller(caller, "And on Sunday?")
                return [kept, StartReply(ours), StartTimer(ours, "reply", 15_000)]
            case "r":
                ours = self.new_turn()
                return [StartReply(ours), StartTimer(ours, "reply", 15_000)]
            case "x":
                return [CancelReply(self.live)]
            case "c":
                return [ClearPlayout(self.live)]
            case "K" | "k":
                return [KeepHeard(self.live, complete=letter == "K")]
            case "t":
                return [CancelTimer(self.live, self.timer)] if self.timer else []
            case "p":
                return [StartTimer(self.live, "playout", 2_600)]
            case "H":
                return [HangUp(self.live, NOT_HEARD if "deaf" in self.way.words else ASKED_FOR)]
        raise AssertionError(f"{letter!r} is no letter of the table")


def told(events: Iterable[Event]) -> tuple[TurnMachine, Timer | None]:
    """A machine that was told these events, and the timer that it has running then."""
    machine, timer = TurnMachine(), None
    for event in events:
        if isinstance(event, TimerFired):
            timer = None
        for command in machine.handle(event):
            match command:
                case StartTimer():
                    assert timer is None
                    timer = command.timer
                case CancelTimer():
                    assert timer == command.timer
                    timer = None
    return machine, timer


def name_of(way: Way) -> str:
    return f"{way.phase.name}-{'+'.join(sorted(way.words)) or 'plain'}-{WAYS.index(way)}"


# The table itself.


def test_the_table_has_a_row_for_every_event_and_a_column_for_every_phase() -> None:
    assert set(MAIN) == set(EVENTS)
    assert {name.split()[0] for name in MAIN} == {event.__name__ for event in get_args(Event)}
    assert all(set(row) == set(Phase) for row in MAIN.values())


def test_every_difference_is_reached_and_is_one() -> None:
    for n, (phase, word, event, text) in enumerate(DIFFERENCES):
        assert any(way.phase is phase and word in way.words for way in WAYS), (phase, word)
        later = [row[3] for row in DIFFERENCES[n + 1 :] if (row[0], row[2]) == (phase, event)]
        assert {MAIN[event][phase], *later} != {text}, (phase, word, event)


def test_every_phase_is_reached() -> None:
    assert {way.phase for way in WAYS} == set(Phase)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_the_way_leads_where_it_says(way: Way) -> None:
    assert told(way.events)[0].phase is way.phase


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_cell(way: Way, name: str) -> None:
    machine, timer = told(way.events)
    cell = Cell(way, text_of_cell(way, name), machine.turn, timer)
    assert machine.handle(EVENTS[name](machine.turn)) == cell.commands
    assert machine.phase is cell.phase
    begun = way.phase is not Phase.CALLER_SPEAKING and machine.phase is Phase.CALLER_SPEAKING
    assert machine.turn == cell.turn + begun


# What the table leaves to the text: dead turns, ended turns of the recogniser's.

OF_A_TURN = [name for name in EVENTS if hasattr(EVENTS[name](1), "turn") and name not in TURNLESS]
OF_THE_CALLER = [name for name in EVENTS if hasattr(EVENTS[name](1), "stream_turn")]


@pytest.mark.parametrize("name", OF_A_TURN)
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_an_event_of_a_dead_turn_does_nothing(way: Way, name: str) -> None:
    for distance in (-2, -1, 1):
        machine, _ = told(way.events)
        turn = machine.turn
        assert machine.handle(EVENTS[name](turn + distance)) == []
        assert (machine.phase, machine.turn) == (way.phase, turn)


@pytest.mark.parametrize("name", OF_THE_CALLER)
def test_an_event_of_an_ended_stream_turn_does_nothing(name: str) -> None:
    machine, _ = told([*GREETED, StartOfTurn(9), EndOfTurn(9, "Hello?", 0, 0), ReplyStarted(3)])
    assert machine.handle(EVENTS[name](3)) == []
    assert machine.phase is Phase.SPEAKING


def test_an_ended_turn_without_words_is_ended_too() -> None:
    machine, _ = told([*GREETED, StartOfTurn(4), EndOfTurn(4, "", 0, 0)])
    assert machine.handle(EndOfTurn(4, "Hello?", 0, 0)) == []
    assert machine.handle(StartOfTurn(4)) == []
    assert machine.phase is Phase.LISTENING


# Order and race.


def test_the_last_mark_may_be_told_before_reply_sent() -> None:
    machine, _ = told(SPEAKING)
    assert machine.handle(PlayoutFinished(3)) == [KeepHeard(3, complete=True)]
    assert machine.handle(ReplySent(3, 4000, 0)) == []
    assert machine.phase is Phase.LISTENING


def test_barge_in_at_the_very_frame_that_ends_playout() -> None:
    machine, _ = told([*SPEAKING, SENT])
    stopped = [CancelReply(3), ClearPlayout(3), KeepHeard(3, False), CancelTimer(3, "playout")]
    assert machine.handle(StartOfTurn(2)) == stopped
    assert machine.handle(PlayoutFinished(3)) == []
    assert machine.phase is Phase.CALLER_SPEAKING


def test_a_wish_to_hang_up_is_dropped_by_a_barge_in() -> None:
    machine, _ = told([*SPEAKING, SENT, WISH, StartOfTurn(2)])
    assert machine.handle(WISH) == []
    machine.handle(EndOfTurn(2, "Wait, one more thing.", 0, 0))
    machine.handle(ReplyStarted(5))
    assert machine.phase is Phase.SPEAKING


def test_a_wish_to_hang_up_for_a_turn_that_was_heard() -> None:
    machine, _ = told([*SPEAKING, PlayoutFinished(3)])
    assert machine.handle(WISH) == [HangUp(3, ASKED_FOR)]


def test_no_loop_of_apologies() -> None:
    machine, _ = told(ASKED)
    assert machine.handle(ReplySent(3, 0, 0)) == [CancelTimer(3, "reply"), SayPhrase(4, "apology")]
    assert machine.handle(ReplySent(4, 0, 0)) == [KeepHeard(4, complete=False)]
    assert machine.phase is Phase.LISTENING


def test_a_negative_rest_waits_for_the_slack_only() -> None:
    machine, _ = told(SPEAKING)
    assert machine.handle(ReplySent(3, 4000, -20)) == [StartTimer(3, "playout", 2_000)]


def test_rules_set_the_times() -> None:
    machine = TurnMachine(Rules(reply_timeout_ms=7, playout_slack_ms=5))
    machine.handle(CallStarted())
    assert machine.handle(ReplySent(1, 900, 800)) == [StartTimer(1, "playout", 805)]
    assert machine.handle(EndOfTurn(1, "Hello?", 0, 0))[-1] == StartTimer(3, "reply", 7)


@pytest.mark.parametrize("transcript", ["", " ", "...", "\n?!", "\u2026"])
def test_no_words_are_no_turn(transcript: str) -> None:
    machine, _ = told([*GREETED, StartOfTurn(1)])
    assert machine.handle(EndOfTurn(1, transcript, 0, 0)) == []
    assert machine.phase is Phase.LISTENING


@pytest.mark.parametrize("transcript", ["5", "a", "\u042f", "\u4e2d"])
def test_one_letter_or_digit_is_a_turn(transcript: str) -> None:
    machine, _ = told([*GREETED, StartOfTurn(1)])
    assert machine.handle(EndOfTurn(1, transcript, 0, 0))[0] == KeepCaller(2, transcript)


def test_a_call_of_two_turns() -> None:
    machine = TurnMachine()
    script: list[tuple[Event, list[Command], Phase]] = [
        (CallStarted(), [SayPhrase(1, "greeting")], Phase.SPEAKING),
        (ReplyStarted(1), [], Phase.SPEAKING),
        (ReplySent(1, 1800, 1800), [StartTimer(1, "playout", 3800)], Phase.SPEAKING),
        (PlayoutFinished(1), [KeepHeard(1, True), CancelTimer(1, "playout")], Phase.LISTENING),
        (StartOfTurn(1), [], Phase.CALLER_SPEAKING),
        (Update(1, "When"), [], Phase.CALLER_SPEAKING),
        (
            EndOfTurn(1, "When?", 900, 1400),
            [KeepCaller(2, "When?"), StartReply(3), StartTimer(3, "reply", 15_000)],
            Phase.THINKING,
        ),
        (ReplyStarted(3), [CancelTimer(3, "reply")], Phase.SPEAKING),
        (
            StartOfTurn(2),
            [CancelReply(3), ClearPlayout(3), KeepHeard(3, False)],
            Phase.CALLER_SPEAKING,
        ),
        (
            EndOfTurn(2, "Goodbye.", 4000, 4300),
            [KeepCaller(4, "Goodbye."), StartReply(5), StartTimer(5, "reply", 15_000)],
            Phase.THINKING,
        ),
        (ReplyStarted(5), [CancelTimer(5, "reply")], Phase.SPEAKING),
        (HangUpAsked(5), [], Phase.CLOSING),
        (ReplySent(5, 1000, 1000), [StartTimer(5, "playout", 3000)], Phase.CLOSING),
        (
            PlayoutFinished(5),
            [KeepHeard(5, True), CancelTimer(5, "playout"), HangUp(5, ASKED_FOR)],
            Phase.ENDED,
        ),
    ]
    for event, commands, phase in script:
        assert (machine.handle(event), machine.phase) == (commands, phase), event
