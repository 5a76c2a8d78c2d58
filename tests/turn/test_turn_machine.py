"""The machine against every cell of the table in turn/table.py, and then whole calls."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import pytest

from turn.calls import (
    AGAIN,
    ASKED,
    ASKED_FOR,
    ASKED_FOR_TWICE,
    BROKEN,
    BROKEN_AGAIN,
    CUT,
    DEAF,
    GREETED,
    HELD,
    NO_VOICE,
    NOT_HEARD,
    REFUSED,
    SAID,
    SENT,
    SPEAKING,
    SPOKE,
    WELL,
    WISH,
    after,
    end,
    told,
    without_timers,
)
from voice_ai.turn import table as module
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
    CallerTyped,
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
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.rules import Phase, Rules


@dataclass(frozen=True)
class Way:
    """A way into a phase, and which of the table's words hold after it."""

    phase: Phase
    words: frozenset[str]
    events: tuple[Event, ...]


def way(phase: Phase, words: str, *events: Event) -> Way:
    return Way(phase, frozenset(words.split()), events)


# What is said into the answer to it waits.
MONOLOGUE = [*GREETED, Update(5, "Well"), TimerFired(2, "monologue")]

WAYS = [
    way(Phase.IDLE, ""),
    way(Phase.IDLE, "deaf", DEAF),
    way(Phase.LISTENING, "", *GREETED),
    way(Phase.LISTENING, "", *SPEAKING, PlayoutFinished(3)),
    way(Phase.LISTENING, "", *SPEAKING, SENT, TimerFired(3, "playout")),
    way(Phase.LISTENING, "", CallStarted(), ProviderFailed(1, "tts", "no sound")),
    way(Phase.LISTENING, "after-C", *GREETED, StartOfTurn(2), EndOfTurn(2, "", 900, 1400)),
    way(Phase.LISTENING, "after-C", *GREETED, StartOfTurn(1), TimerFired(2, "stuck")),
    way(Phase.LISTENING, "asked-twice", *ASKED_FOR_TWICE),
    way(Phase.CALLER_SPEAKING, "", *SPOKE),
    way(Phase.CALLER_SPEAKING, "", *SPOKE, Update(9, "...")),
    way(Phase.CALLER_SPEAKING, "words undrafted", *SPOKE, SAID, TurnResumed(9), WELL),
    way(Phase.CALLER_SPEAKING, "words", *SPOKE, WELL),
    way(Phase.CALLER_SPEAKING, "words", *SPEAKING, WELL),
    way(Phase.CALLER_SPEAKING, "words", *HELD, WELL),
    way(Phase.CALLER_SPEAKING, "words draft", *SPOKE, SAID),
    way(Phase.CALLER_SPEAKING, "keys", *GREETED, DigitPressed("1")),
    way(Phase.CALLER_SPEAKING, "owed words", *ASKED, WELL),
    way(Phase.CALLER_SPEAKING, "owed words", *ASKED, StartOfTurn(9), WELL),
    way(Phase.THINKING, "", *ASKED),
    way(Phase.THINKING, "", *ASKED, StartOfTurn(2), TimerFired(3, "false_start")),
    way(Phase.THINKING, "", CallStarted(), EndOfTurn(1, "Hello?", 900, 1400)),
    way(Phase.THINKING, "", *GREETED, EagerEndOfTurn(1, "So?"), EndOfTurn(1, "So?", 0, 0)),
    way(Phase.THINKING, "waiting", *MONOLOGUE, EndOfTurn(5, "Well. Hello?", 0, 0)),
    way(Phase.THINKING, "asked", *ASKED, WISH),
    way(Phase.THINKING, "tool", *ASKED, ToolStarted(3)),
    way(Phase.THINKING, "", *ASKED, ToolStarted(3), TimerFired(3, "tool")),
    way(Phase.THINKING, "again", *AGAIN),
    way(
        Phase.THINKING,
        "",
        *AGAIN,
        ReplySent(6, 9, 9),
        PlayoutFinished(6),
        StartOfTurn(3),
        EndOfTurn(3, "And?", 0, 0),
    ),
    way(Phase.SPEAKING, "phrase unsent", CallStarted()),
    way(Phase.SPEAKING, "phrase unsent", *ASKED, BROKEN),
    way(Phase.SPEAKING, "phrase unsent", *GREETED, TimerFired(1, "silence")),
    way(Phase.SPEAKING, "phrase sent", CallStarted(), ReplySent(1, 900, 800)),
    way(Phase.SPEAKING, "unsent", *SPEAKING),
    way(Phase.SPEAKING, "unsent", *HELD, TimerFired(3, "false_start")),
    way(Phase.SPEAKING, "sent", *SPEAKING, SENT),
    way(Phase.SPEAKING, "sent", *ASKED, SENT),
    way(Phase.SPEAKING, "sent", *HELD, TimerFired(3, "false_start"), SENT),
    way(Phase.SPEAKING, "broken unsent", *SPEAKING, BROKEN),
    way(Phase.SPEAKING, "broken sent", *SPEAKING, BROKEN, SENT),
    way(Phase.SPEAKING, "refused unsent", *SPEAKING, REFUSED),
    way(Phase.SPEAKING, "refused sent", *SPEAKING, REFUSED, SENT),
    way(Phase.SPEAKING, "cut unsent", *SPEAKING, CUT),
    way(Phase.SPEAKING, "cut sent", *SPEAKING, CUT, SENT),
    way(Phase.SPEAKING, "broken unsent", *AGAIN, ReplyStarted(6), ProviderFailed(6, "llm", "")),
    way(Phase.SPEAKING, "broken unsent mute", *AGAIN, ReplyStarted(6), BROKEN_AGAIN),
    way(Phase.SPEAKING, "broken unsent mute", *AGAIN, ReplyStarted(6), *[BROKEN_AGAIN] * 2),
    way(Phase.CLOSING, "unsent", *SPEAKING, WISH),
    way(Phase.CLOSING, "unsent", *ASKED, WISH, ReplyStarted(3)),
    way(Phase.CLOSING, "sent", *SPEAKING, SENT, WISH),
    way(Phase.CLOSING, "sent", *ASKED, WISH, SENT),
    way(Phase.CLOSING, "broken unsent", *SPEAKING, BROKEN, WISH),
    way(Phase.CLOSING, "broken sent", *SPEAKING, WISH, BROKEN, SENT),
    way(Phase.CLOSING, "broken cut sent", *SPEAKING, WISH, CUT, SENT),
    way(Phase.CLOSING, "deaf unsent", *SPEAKING, WISH, DEAF),
    way(Phase.CLOSING, "deaf sent", *SPEAKING, WISH, DEAF, SENT),
    way(Phase.CLOSING, "phrase unsent", *ASKED, WISH, BROKEN),
    way(Phase.CLOSING, "phrase unsent deaf", *GREETED, DEAF),
    way(Phase.CLOSING, "phrase sent deaf", *GREETED, DEAF, ReplySent(2, 900, 800)),
    way(Phase.CLOSING, "phrase unsent deaf mute", *AGAIN, BROKEN_AGAIN),
    way(Phase.HELD, "", *HELD),
    way(Phase.HELD, "", *SPEAKING, StartOfTurn(9)),
    way(Phase.HELD, "phrase", CallStarted(), StartOfTurn(9)),
    way(Phase.HELD, "phrase broken", CallStarted(), StartOfTurn(9), ProviderFailed(1, "tts", "")),
    way(Phase.HELD, "", *HELD, ProviderFailed(3, "tts", "too late to matter")),
    way(Phase.HELD, "silent", *ASKED, StartOfTurn(9)),
    way(Phase.HELD, "silent broken", *ASKED, StartOfTurn(9), BROKEN),
    way(Phase.HELD, "silent broken asked", *ASKED, WISH, StartOfTurn(9), BROKEN),
    way(Phase.HELD, "", *ASKED, StartOfTurn(9), ReplyStarted(3)),
    way(Phase.HELD, "broken", *SPEAKING, StartOfTurn(9), BROKEN),
    way(Phase.HELD, "asked", *SPEAKING, WISH, StartOfTurn(9)),
    way(Phase.HELD, "asked", *SPEAKING, StartOfTurn(9), WISH),
    way(Phase.HELD, "kept", *HELD, PlayoutFinished(3)),
    way(Phase.HELD, "kept asked", *SPEAKING, WISH, StartOfTurn(9), PlayoutFinished(3)),
    way(Phase.HELD, "silent broken", *ASKED, StartOfTurn(9), CUT),
    way(Phase.HELD, "kept", *SPEAKING, StartOfTurn(9), CUT, PlayoutFinished(3)),
    way(Phase.HELD, "kept broken", *SPEAKING, StartOfTurn(9), BROKEN, PlayoutFinished(3)),
    way(Phase.HELD, "silent broken mute", *AGAIN, StartOfTurn(9), BROKEN_AGAIN),
    way(
        *(Phase.HELD, "kept broken mute", *AGAIN, ReplyStarted(6)),
        *(StartOfTurn(9), BROKEN_AGAIN, PlayoutFinished(6)),
    ),
    way(Phase.HELD, "near", *HELD, ReplyHeld(3, 900)),
    way(Phase.HELD, "murmur", *HELD, Update(9, "Okay.")),
    way(Phase.HELD, "murmur", *HELD, ReplyHeld(3, 3000), Update(9, "Okay.")),
    way(Phase.ENDED, "", CallerGone("hung up")),
    way(Phase.ENDED, "", *SPEAKING, WISH, PlayoutFinished(3)),
    way(Phase.ENDED, "", *GREETED, HangUpAsked(1)),
]

# The events of the table by its words; `n` is the turn that they are about.
EVENTS: dict[str, Callable[[int], Event]] = {
    "CallStarted": lambda n: CallStarted(),
    "DigitPressed": lambda n: DigitPressed("5"),
    "CallerTyped": lambda n: CallerTyped("And on Sunday?"),
    "CallerTyped wordless": lambda n: CallerTyped(" ?! "),
    "CallerGone": lambda n: CallerGone("hung up"),
    "MachineAnswered": lambda n: MachineAnswered(),
    "StartOfTurn": lambda n: StartOfTurn(9),
    "Update": lambda n: Update(9, "And on"),
    "Update murmur": lambda n: Update(9, "Mm-hmm."),
    "Update wordless": lambda n: Update(9, " ... "),
    "EagerEndOfTurn": lambda n: EagerEndOfTurn(9, "And on Sunday?"),
    "EagerEndOfTurn murmur": lambda n: EagerEndOfTurn(9, "Okay, okay."),
    "TurnResumed": lambda n: TurnResumed(9),
    "EndOfTurn": lambda n: EndOfTurn(9, "And on Sunday?", 2000, 2500),
    "EndOfTurn murmur": lambda n: EndOfTurn(9, "Uh-huh.", 2000, 2500),
    "EndOfTurn wordless": lambda n: EndOfTurn(9, " ?! ", 2000, 2500),
    "CallerUnheard": lambda n: CallerUnheard(),
    "ReplyStarted": lambda n: ReplyStarted(n),
    "ReplySent": lambda n: ReplySent(n, 1000, 600),
    "ReplySent empty": lambda n: ReplySent(n, 0, 0),
    "ReplyHeld": lambda n: ReplyHeld(n, None),
    "ReplyHeld near the end": lambda n: ReplyHeld(n, 1000),
    "ToolStarted": lambda n: ToolStarted(n),
    "ToolEnded": lambda n: ToolEnded(n),
    "PlayoutFinished": lambda n: PlayoutFinished(n),
    "HangUpAsked": lambda n: HangUpAsked(n),
    "SpeakAsked": lambda n: SpeakAsked(n),
    "ProviderFailed stt": lambda n: ProviderFailed(0, "stt", "gone"),
    "GoodbyeAsked": lambda n: GoodbyeAsked("the server stops"),
    "ProviderFailed llm": lambda n: ProviderFailed(n, "llm", "gone"),
    "ProviderFailed refused": lambda n: ProviderFailed(n, "llm", "no", "refused"),
    "ProviderFailed tts": lambda n: ProviderFailed(n, "tts", "gone"),
    "TimerFired reply": lambda n: TimerFired(n, "reply"),
    "TimerFired playout": lambda n: TimerFired(n, "playout"),
    "TimerFired false_start": lambda n: TimerFired(n, "false_start"),
    "TimerFired silence": lambda n: TimerFired(n, "silence"),
    "TimerFired stuck": lambda n: TimerFired(n, "stuck"),
    "TimerFired monologue": lambda n: TimerFired(n, "monologue"),
    "TimerFired digits": lambda n: TimerFired(n, "digits"),
    "TimerFired tool": lambda n: TimerFired(n, "tool"),
}

# Their `turn` is not that of a reply.
TURNLESS = {
    "CallStarted",
    "DigitPressed",
    "CallerTyped",
    "CallerTyped wordless",
    "MachineAnswered",
    "GoodbyeAsked",
    "CallerGone",
    "CallerUnheard",
    "ProviderFailed stt",
}
PHASES = dict(zip("ILCTSXHE", Phase, strict=True))


def rows(first: str) -> list[list[str]]:
    """The rows of a table of the docstring, cells split at two spaces."""
    table = re.search(rf"(?m)^    {first} .*\n    -.*\n((?:    .*\n)+)", module.__doc__ or "")
    assert table
    return [re.split(r"  +", line.strip()) for line in table[1].splitlines()]


MAIN = {row[0]: dict(zip(PHASES.values(), row[1:], strict=True)) for row in rows("event")}
DIFFERENCES = [(PHASES[phase], word, event, cell) for phase, word, event, cell in rows("phase")]


def text_of_cell(way: Way, name: str) -> str:
    for phase, word, event, text in DIFFERENCES:
        if phase is way.phase and event == name and way.words.issuperset(word.split("+")):
            return text
    return MAIN[name][way.phase]


@dataclass
class Cell:
    """A cell of the table written out for a machine that stands at `turn`."""

    way: Way
    name: str
    turn: int
    timers: dict[Timer, int]

    def __post_init__(self) -> None:
        text = text_of_cell(self.way, self.name)
        *letters, phase = text.split() if text != "." else ["", ""]
        if phase and phase not in PHASES:
            letters, phase = [phase], ""
        self.phase = PHASES[phase] if phase else self.way.phase
        self.live = self.turn
        # A draft's number comes after the caller's.
        self.caller = self.turn - bool({"draft", "undrafted"} & self.way.words)
        self.commands: list[Command] = []
        for letter in "".join(letters):
            self.commands += self.written_out(letter)

    def new_turn(self) -> int:
        self.turn += 1
        return self.turn

    def words(self) -> str:
        """What the caller will have said."""
        event = EVENTS[self.name](0)
        if isinstance(event, CallerTyped):
            return self.typed(event.text)
        words = event.transcript if isinstance(event, EndOfTurn | EagerEndOfTurn) else ""
        if "waiting" in self.way.words:
            return "Hello?"
        if not any(map(str.isalnum, words)):
            words = "And on Sunday?" if "draft" in self.way.words else "Well"
            words = words if "words" in self.way.words else ""
        return f"{words} (pressed 1)".strip() if "keys" in self.way.words else words

    def kept(self) -> Command:
        if self.way.phase is not Phase.CALLER_SPEAKING:
            self.caller = self.new_turn()
        return KeepCaller(self.caller, self.words())

    def typed(self, text: str) -> str:
        """What was said and pressed before, and what was typed then."""
        before = "And on Sunday?" if "draft" in self.way.words else "Well"
        text = f"{before} {text}" if "words" in self.way.words else text
        return f"{text} (pressed 1)" if "keys" in self.way.words else text

    def start(self, timer: Timer, turn: int) -> list[Command]:
        again: list[Command] = [CancelTimer(turn, timer)] if self.timers.get(timer) == turn else []
        return [*again, StartTimer(turn, timer, AFTER_MS[timer])]

    def ended_timers(self) -> list[Command]:
        ended = [CancelTimer(turn, timer) for timer, turn in self.timers.items()]
        self.timers = {}
        return ended

    def written_out(self, letter: str) -> list[Command]:
        match letter:
            case "G" | "A" | "B" | "P" | "M" | "N":
                return [SayPhrase(self.new_turn(), PHRASES[letter])]
            case "w" if self.name == "CallerTyped":
                return [KeepCaller(self.new_turn(), "Hello?")]
            case "w":
                return [self.kept()]
            case "R" | "r":
                kept = [self.kept()] if letter == "R" else []
                ours = self.new_turn()
                return [*kept, StartReply(ours), *self.start("reply", ours)]
            case "D":
                return [StartReply(self.new_turn(), self.words())]
            case "x" | "d":
                return [CancelReply(self.live)]
            case "c":
                return [ClearPlayout(self.live)]
            case "h":
                return [HoldReply(self.live)]
            case "u":
                return [ResumeReply(self.live)]
            case "q":
                return [SayFiller(self.live, "moment")]
            case "j":
                return [SayFiller(0, "filler")]
            case "K" | "k":
                return [KeepHeard(self.live, complete=letter == "K")]
            case "t":
                return self.ended_timers()
            case "n":
                return [CancelTimer(self.live, "tool")]
            case "b":
                caller = self.new_turn()
                return [*self.start("stuck", caller), *self.start("monologue", caller)]
            case "s":
                return self.start("silence", self.turn)
            case "g":
                begins = self.way.phase is not Phase.CALLER_SPEAKING
                return self.start("digits", self.new_turn() if begins else self.caller)
            case "v":
                return self.start("stuck", self.caller)
            case "o":
                return [CancelTimer(self.caller, "stuck")]
            case "y" | "p" | "f" | "m":
                return self.start(OF_OURS[letter], self.live)
            case "H":
                deaf = NO_VOICE if "mute" in self.way.words else NOT_HEARD
                return [HangUp(self.turn, deaf if "deaf" in self.way.words else ASKED_FOR)]
        raise AssertionError(f"{letter!r} is no letter of the table")


PHRASES: dict[str, Phrase] = {
    "G": "greeting",
    "A": "apology",
    "B": "goodbye",
    "P": "still_there",
    "M": "voicemail",
    "N": "refusal",
}
OF_OURS: dict[str, Timer] = {"y": "reply", "p": "playout", "f": "false_start", "m": "tool"}
AFTER_MS: dict[Timer, float] = {
    "reply": 15_000,
    "playout": 2_600,
    "false_start": 700,
    "tool": 800,
    "silence": 6_000,
    "stuck": 12_000,
    "monologue": 60_000,
    "digits": 3_000,
}


def name_of(way: Way) -> str:
    return f"{way.phase.name}-{'+'.join(sorted(way.words)) or 'plain'}-{WAYS.index(way)}"


# The table itself.


def test_the_table_has_a_row_for_every_event_and_a_column_for_every_phase() -> None:
    assert set(MAIN) == set(EVENTS)
    assert {name.split()[0] for name in MAIN} == {event.__name__ for event in get_args(Event)}
    assert all(set(row) == set(Phase) for row in MAIN.values())


def test_every_difference_is_reached_and_is_one() -> None:
    for n, (phase, word, event, text) in enumerate(DIFFERENCES):
        words = set(word.split("+"))
        assert any(way.phase is phase and way.words >= words for way in WAYS), (phase, word)
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
    machine, timers = told(way.events)
    event = EVENTS[name](machine.turn)
    if isinstance(event, TimerFired):
        event = TimerFired(timers.pop(event.timer, machine.turn), event.timer)
    cell = Cell(way, name, machine.turn, timers)
    assert machine.handle(event) == cell.commands
    assert (machine.phase, machine.turn) == (cell.phase, cell.turn)


# What the table leaves to the text: dead turns, ended turns of the recogniser's.

OF_A_TURN = [name for name in EVENTS if hasattr(EVENTS[name](1), "turn") and name not in TURNLESS]
OF_THE_CALLER = [name for name in EVENTS if hasattr(EVENTS[name](1), "stream_turn")]


@pytest.mark.parametrize("name", OF_A_TURN)
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_an_event_of_a_dead_turn_does_nothing(way: Way, name: str) -> None:
    for distance in (-2, -1, 1):
        machine, timers = told(way.events)
        turn = machine.turn
        if turn + distance in timers.values():
            continue
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
    machine = after(*SPEAKING)
    silence = StartTimer(3, "silence", 6_000)
    assert machine.handle(PlayoutFinished(3)) == [KeepHeard(3, complete=True), silence]
    assert machine.handle(ReplySent(3, 4000, 0)) == []
    assert machine.phase is Phase.LISTENING


def test_barge_in_at_the_very_frame_that_ends_playout() -> None:
    machine = after(*SPEAKING, SENT)
    held = [HoldReply(3), CancelTimer(3, "playout"), StartTimer(3, "false_start", 700)]
    assert machine.handle(StartOfTurn(2)) == held
    assert machine.handle(PlayoutFinished(3)) == [KeepHeard(3, complete=True)]
    assert machine.handle(ReplyHeld(3, 0)) == []
    assert without_timers(machine.handle(Update(2, "Thanks"))) == [CancelReply(3)]
    assert machine.handle(PlayoutFinished(3)) == []
    assert machine.phase is Phase.CALLER_SPEAKING


def test_a_wish_to_hang_up_is_dropped_by_a_barge_in() -> None:
    machine = after(*SPEAKING, SENT, WISH, StartOfTurn(2), Update(2, "Wait"))
    assert machine.handle(WISH) == []
    machine.handle(end(2, "Wait, one more thing."))
    machine.handle(ReplyStarted(5))
    assert machine.phase is Phase.SPEAKING


def test_a_wish_to_hang_up_for_a_turn_that_was_heard() -> None:
    machine = after(*SPEAKING, PlayoutFinished(3))
    assert machine.handle(WISH) == [HangUp(3, ASKED_FOR), CancelTimer(3, "silence")]


def test_no_loop_of_apologies() -> None:
    machine = after(*ASKED)
    assert machine.handle(ReplySent(3, 0, 0)) == [CancelTimer(3, "reply"), SayPhrase(4, "apology")]
    over = [KeepHeard(4, complete=False), StartTimer(4, "silence", 6_000)]
    assert machine.handle(ReplySent(4, 0, 0)) == over
    assert machine.phase is Phase.LISTENING


def test_a_voice_that_fails_twice_in_a_row_is_lost() -> None:
    machine = after(*AGAIN)
    commands = without_timers(machine.handle(BROKEN_AGAIN))
    assert commands[-1] == SayPhrase(7, "goodbye")
    assert machine.handle(StartOfTurn(3)) == machine.handle(Update(3, "Hello?")) == []
    over = [KeepHeard(7, complete=True), HangUp(7, NO_VOICE)]
    assert without_timers(machine.handle(PlayoutFinished(7))) == over


@pytest.mark.parametrize("well", [ReplySent(6, 900, 800), PlayoutFinished(6)])
def test_a_turn_that_was_spoken_ends_the_row_of_failures(well: Event) -> None:
    machine = after(*AGAIN, ReplyStarted(6), well, StartOfTurn(3), end(3, "And?"))
    commands = without_timers(machine.handle(ProviderFailed(machine.turn, "tts", "gone")))
    assert commands[-1] == SayPhrase(machine.turn, "apology")


def test_a_negative_rest_waits_for_the_slack_only() -> None:
    machine = after(*SPEAKING)
    assert machine.handle(ReplySent(3, 4000, -20)) == [StartTimer(3, "playout", 2_000)]


def test_rules_set_the_times() -> None:
    machine = TurnMachine(Rules(reply_timeout_ms=7, playout_slack_ms=5))
    machine.handle(CallStarted())
    assert machine.handle(ReplySent(1, 900, 800)) == [StartTimer(1, "playout", 805)]
    assert machine.handle(end(1, "Hello?"))[-1] == StartTimer(3, "reply", 7)


@pytest.mark.parametrize("transcript", ["", " ", "...", "\n?!", "\u2026"])
def test_no_words_are_no_turn(transcript: str) -> None:
    machine = after(*GREETED, StartOfTurn(1))
    assert without_timers(machine.handle(end(1, transcript))) == []
    assert machine.phase is Phase.LISTENING


@pytest.mark.parametrize("transcript", ["5", "a", "\u042f", "\u4e2d"])
def test_one_letter_or_digit_is_a_turn(transcript: str) -> None:
    machine = after(*GREETED, StartOfTurn(1))
    commands = without_timers(machine.handle(end(1, transcript)))
    assert commands == [KeepCaller(2, transcript), StartReply(3)]


def test_a_call_of_three_turns() -> None:
    """A greeting, a question, an answer that is interrupted by a cough and then by words."""
    machine = TurnMachine()
    script: list[tuple[Event, list[Command], Phase]] = [
        (CallStarted(), [SayPhrase(1, "greeting")], Phase.SPEAKING),
        (ReplyStarted(1), [], Phase.SPEAKING),
        (ReplySent(1, 1800, 1800), [], Phase.SPEAKING),
        (PlayoutFinished(1), [KeepHeard(1, complete=True)], Phase.LISTENING),
        (StartOfTurn(1), [], Phase.CALLER_SPEAKING),
        (Update(1, "When"), [], Phase.CALLER_SPEAKING),
        (end(1, "When?"), [KeepCaller(2, "When?"), StartReply(3)], Phase.THINKING),
        (ReplyStarted(3), [], Phase.SPEAKING),
        (StartOfTurn(2), [HoldReply(3)], Phase.HELD),
        (ReplyHeld(3, None), [], Phase.HELD),
        (end(2, ""), [ResumeReply(3)], Phase.SPEAKING),
        (StartOfTurn(3), [HoldReply(3)], Phase.HELD),
        (Update(3, "Good"), [CancelReply(3), KeepHeard(3, complete=False)], Phase.CALLER_SPEAKING),
        (end(3, "Goodbye."), [KeepCaller(4, "Goodbye."), StartReply(5)], Phase.THINKING),
        (ReplyStarted(5), [], Phase.SPEAKING),
        (HangUpAsked(5), [], Phase.CLOSING),
        (ReplySent(5, 1000, 1000), [], Phase.CLOSING),
        (PlayoutFinished(5), [KeepHeard(5, complete=True), HangUp(5, ASKED_FOR)], Phase.ENDED),
    ]
    for event, commands, phase in script:
        assert (without_timers(machine.handle(event)), machine.phase) == (commands, phase), event
