"""Decide what a call does next: events in, commands out; no clock, no socket, no audio.

Theory of operation
===================

A call is a row of turns, numbered from 1, each one side's right to speak: the greeting is turn 1,
the caller's first words turn 2, our reply to them turn 3. Each phrase of ours has a turn of its
own, so that whatever still arrives for an earlier one (a mark, a timer, a failure) is dropped by
comparing numbers. At most one turn of ours is live; an event that names another turn does nothing.

The recogniser counts the caller's turns by itself (`stream_turn`, which must keep rising when its
adapter connects anew). An event about a turn that has ended already is dropped. A StartOfTurn may
be lost with a connection, therefore an Update with words stands for it, and so does an EndOfTurn
with words, which is then a start and an end in one. Words are letters or digits: dots alone are no
turn. What only shows that somebody listens ("mhm", a murmur) is no turn either while we have the
floor, but is an answer like any other when we have not, or have hardly anything left to say.

A turn of the caller's may go on over several of the recogniser's, when that connects anew: their
words are put together. So are words and keys: a turn with keys ends by "#" or when no other key
comes in time, not before. What is typed ends a turn, with all that was said and pressed before it.

A turn of ours is THINKING until its first frame is on the wire and SPEAKING from there until the
caller has heard it. Phrases are sound already, so SayPhrase goes to SPEAKING directly. Every turn
that was SPEAKING or CLOSING is kept (KeepHeard) exactly once; one that was only THINKING was not
heard by anybody.

Barge-in. A StartOfTurn is a guess: it may have been a cough. So our turn is HELD: silent at once,
and kept. Words make it the caller's turn, and ours is cancelled. If none come in time, or the
caller's turn ends without any, ours goes on from the last word that was heard. A key is no guess. A
turn may be protected, for good or for a while: what the caller says into it is answered after it.

Drafts. An EagerEndOfTurn starts the reply to what the caller has perhaps finished saying; it is
held until the EndOfTurn that says the same, and cancelled by anything else. Until then it is not
live and whatever becomes of it changes nothing.

Failures. Without a language model or a voice we apologise, which needs neither. When the failure
comes while we speak, what was sent is played to its end (a ReplySent must follow the
ProviderFailed) and the apology comes after it: half a sentence and then silence would leave the
caller waiting. An answer that was cut behind a sentence just ends there. A model that refuses is
excused for in other words. A failure after ReplySent took nothing away. A voice that fails in two
turns in a row is lost: instead of a second apology we say goodbye, which nobody can interrupt. A
phrase that fails is not replaced by a phrase: there is no loop. Without the recogniser a caller
cannot be heard any more: we say goodbye, which nobody can interrupt, and hang up; so we do with the
message for a machine that has answered. A reply that was held tells ReplySent anew once it has gone
on. What the caller said into a protected answer that fails is answered instead of an apology.

A recogniser that is late. One that connects anew has what the caller said meanwhile still to hear.
A caller who has finished by then and waits is told a filler, which is no turn: as soon as the
recogniser has caught up the answer follows.

Silence and length. A caller who says nothing is asked for, twice, and then left. A turn of the
caller's that goes on for too long, or in which no new word comes, ends with the words so far; those
that follow are another turn's. A call that has reached its limit ends with a goodbye.

Hanging up. The agent may ask for it before, while and after its turn is spoken. The last words are
played first; a caller who speaks into them has withdrawn the wish. When an agent that wants to hang
up fails to find its last words, the goodbye phrase stands in; when it has none to say, we hang up
at once.

What is done in every case stands in `table.py`.
"""

from voice_ai.turn.caller import CallerSide
from voice_ai.turn.commands import ClearPlayout, Command, SayFiller
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
    MachineAnswered,
    ProviderFailed,
    StartOfTurn,
    Timer,
    TimerFired,
    TurnResumed,
    Update,
)
from voice_ai.turn.floor import Caller, Floor, Ours
from voice_ai.turn.ours import OurSide
from voice_ai.turn.rules import Phase, Rules

_DEFAULT_RULES = Rules()


class TurnMachine:
    """The one place that decides: who may speak, what is cancelled and kept, when the call ends.

    Give `handle` each event in the order in which things happened, and carry out what it returns in
    order before the next event. It never raises, whatever comes in whatever phase.
    """

    def __init__(self, rules: Rules = _DEFAULT_RULES) -> None:
        self._floor = Floor(rules)
        self._ours = OurSide(self._floor)
        self._caller = CallerSide(self._floor, self._ours.resume)

    @property
    def phase(self) -> Phase:
        """Where the call stands."""
        return self._floor.phase

    @property
    def turn(self) -> int:
        """The number of the turn begun last; 0 before the first."""
        return self._floor.turn

    def handle(self, event: Event) -> list[Command]:
        """Take in what happened and return what is to be done about it."""
        match event:
            case _ if self.phase is Phase.ENDED:
                return []
            case CallStarted():
                return self._begin()
            case CallerGone():
                return self._caller_gone()
            case ProviderFailed(stage="stt"):
                return self._last_words("speech recognition failed")
            case GoodbyeAsked(reason):
                return self._last_words(reason)
            case MachineAnswered():
                return self._leave_message()
            case StartOfTurn() | Update() | EagerEndOfTurn() | TurnResumed() | EndOfTurn():
                return self._caller.hear(event)
            case CallerUnheard():
                return self._bridge()
            case DigitPressed(digit):
                return self._caller.press(digit)
            case CallerTyped(text):
                return self._caller.write(text)
            case TimerFired(turn, timer):
                return self._time_is_up(timer) if self._floor.fired(timer, turn) else []
        caller, ours = self._floor.caller, self._floor.ours
        if caller and event.turn == caller.draft:
            return self._caller.about_draft(caller, event)
        return self._ours.about(ours, event) if ours and event.turn == ours.turn else []

    def _begin(self) -> list[Command]:
        if self.phase is not Phase.IDLE:
            return []
        commands = self._floor.start("call", 0, self._floor.rules.call_ms)
        return [*commands, *self._floor.say("goodbye" if self._floor.deaf else "greeting")]

    def _caller_gone(self) -> list[Command]:
        stopped = self._floor.stop()
        return self._floor.end([it for it in stopped if not isinstance(it, ClearPlayout)])

    def _last_words(self, reason: str) -> list[Command]:
        """Say goodbye; nobody is heard any more, so nobody can interrupt it."""
        was_deaf, self._floor.deaf = self._floor.deaf, self._floor.deaf or reason
        if was_deaf or self.phase in (Phase.IDLE, Phase.CLOSING):
            return []
        return [*self._floor.stop(), *self._floor.say("goodbye")]

    def _leave_message(self) -> list[Command]:
        """Say what a machine is to record, whatever else it plays, and hang up."""
        self._floor.deaf = self._floor.deaf or "a machine answered"
        if self.phase is Phase.CLOSING:
            return []
        return [*self._floor.stop(), *self._floor.say("voicemail")]

    def _bridge(self) -> list[Command]:
        """Let somebody who waits for an answer know that we are there."""
        waits = self.phase in (Phase.LISTENING, Phase.CALLER_SPEAKING)
        return [SayFiller(0, "filler")] if waits else []

    def _interrupt(self, caller: Caller) -> list[Command]:
        """Answer a caller who goes on and on, and cannot stop the answer by going on."""
        commands = self._caller.cut_off(caller)
        if self._floor.ours:
            self._floor.ours.protected = True
        return commands

    def _time_is_up(self, timer: Timer) -> list[Command]:
        floor = self._floor
        match timer, floor.ours, floor.caller:
            case "call", _, _:
                return self._last_words("the call has reached its limit")
            case "silence", _, _:
                floor.n_silences += 1
                over = floor.n_silences > floor.rules.max_prompts
                return floor.say("goodbye" if over else "still_there")
            case "monologue", _, Caller() as caller:
                return self._interrupt(caller)
            case (("stuck" | "digits"), _, Caller() as caller):
                return self._caller.cut_off(caller)
            case "false_start", Ours(), _:
                return self._ours.resume()
            case "protected", Ours() as ours, _:
                ours.protected = False
                return []
            case (("filler" | "tool"), Ours() as ours, _):
                return self._ours.fill(ours, "filler" if timer == "filler" else "moment")
            case "reply", Ours() as ours, _:
                return self._ours.give_up(ours)
        # The last mark of ours is overdue: "playout".
        return self._ours.spoken(floor.ours, complete=False) if floor.ours else []
