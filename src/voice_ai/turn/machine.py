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
turn.

A turn of ours is THINKING until its first frame is on the wire and SPEAKING from there until the
caller has heard it. Phrases are sound already, so SayPhrase goes to SPEAKING directly. Every turn
that was SPEAKING or CLOSING is kept (KeepHeard) exactly once; one that was only THINKING was not
heard by anybody.

A caller who begins again while we still think is owed an answer: if no words follow, we think
again.

Failures. Without a language model or a voice we apologise, which needs neither. When the failure
comes while we speak, what was sent is played to its end (a ReplySent must follow the
ProviderFailed) and the apology comes after it: half a sentence and then silence would leave the
caller waiting. A failure after ReplySent took nothing away. A phrase that fails is not replaced by
a phrase: there is no loop. Without the recogniser a caller cannot be heard any more: we say
goodbye, which nobody can interrupt, and hang up.

Hanging up. The agent may ask for it before, while and after its turn is spoken. The last words are
played first; a caller who speaks into them has withdrawn the wish. When an agent that wants to hang
up fails to find its last words, the goodbye phrase stands in; when it has none to say, we hang up
at once.

Not yet: a false start does not resume what it interrupted, and eager ends of turn start nothing.

Table
=====

Cells are commands in their order, then the phase if it changes; a dot is neither. Columns are
phases: I idle, L listening, C caller speaking, T thinking, S speaking, X closing, E ended.

    G A B  SayPhrase of a new turn: greeting, apology, goodbye
    R      KeepCaller of a new turn (in C: that begun), StartReply, StartTimer "reply" of the next
    r      StartReply and StartTimer "reply" of a new turn
    x      CancelReply           c  ClearPlayout
    K k    KeepHeard: complete, not complete
    t      CancelTimer, if one runs
    p      StartTimer "playout"
    H      HangUp

    event                   I      L      C      T        S         X         E
    ---------------------   ----   ----   ----   ------   -------   -------   ---
    CallStarted             G S    .      .      .        .         .         .
    DigitPressed            .      .      .      .        .         .         .
    CallerGone              E      E      E      xt E     xkt E     xkt E     .
    StartOfTurn             .      C      .      xt C     xckt C    xckt C    .
    Update                  .      C      .      xt C     xckt C    xckt C    .
    Update wordless         .      .      .      .        .         .         .
    EagerEndOfTurn          .      .      .      .        .         .         .
    TurnResumed             .      .      .      .        .         .         .
    EndOfTurn               .      R T    R T    xtR T    xcktR T   xcktR T   .
    EndOfTurn wordless      .      .      L      .        .         .         .
    ReplyStarted            .      .      .      t S      .         .         .
    ReplySent               .      .      .      tp S     p         p         .
    ReplySent empty         .      .      .      tA S     k L       kH E      .
    PlayoutFinished         .      .      .      .        Kt L      KtH E     .
    HangUpAsked             .      H E    .      .        X         .         .
    ProviderFailed stt      .      B X    B X    xtB X    xcktB X   .         .
    ProviderFailed llm      .      .      .      xtA S    .         .         .
    ProviderFailed tts      .      .      .      xtA S    .         .         .
    TimerFired reply        .      .      .      xA S     .         .         .
    TimerFired playout      .      .      .      .        k L       kH E      .

What came before makes these differences; where two are true, the first stands:

    phase  when     event                cell
    -----  -------  -------------------  -----
    I      deaf     CallStarted          B X
    L      after-C  HangUpAsked          .
    C      owed     EndOfTurn wordless   r T
    T      asked    ReplyStarted         t X
    T      asked    ReplySent            tp X
    T      asked    ReplySent empty      tH E
    T      asked    ProviderFailed llm   xtB X
    T      asked    ProviderFailed tts   xtB X
    T      asked    TimerFired reply     xB X
    S      sent     ReplySent            .
    S      sent     ReplySent empty      .
    S      sent     ProviderFailed llm   .
    S      sent     ProviderFailed tts   .
    S      unsent   TimerFired playout   .
    S      phrase   ProviderFailed llm   kt L
    S      phrase   ProviderFailed tts   kt L
    S      broken   ReplySent empty      kA S
    S      broken   PlayoutFinished      ktA S
    S      broken   TimerFired playout   kA S
    X      sent     ReplySent            .
    X      sent     ReplySent empty      .
    X      sent     ProviderFailed llm   .
    X      sent     ProviderFailed tts   .
    X      unsent   TimerFired playout   .
    X      phrase   ProviderFailed llm   ktH E
    X      phrase   ProviderFailed tts   ktH E
    X      broken   PlayoutFinished      ktH E
    X      deaf     StartOfTurn          .
    X      deaf     Update               .
    X      deaf     EndOfTurn            .

deaf: the recogniser has failed. after-C: the last turn was the caller's. asked: HangUpAsked came.
owed: the caller began while we were thinking.
sent, unsent: ReplySent came, or not yet. phrase: the live turn is a phrase. broken: it failed on
its way.
"""

from dataclasses import dataclass
from enum import Enum

from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    ClearPlayout,
    Command,
    HangUp,
    KeepCaller,
    KeepHeard,
    Phrase,
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


class Phase(Enum):
    """Where a call stands."""

    IDLE = "before the call"
    LISTENING = "nobody speaks"
    CALLER_SPEAKING = "the caller speaks"
    THINKING = "a reply was asked for and none of it is on the wire"
    SPEAKING = "our turn is on the wire or being played"
    CLOSING = "our last words are being played"
    ENDED = "after the call"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is a matter of taste.

    Args:
        reply_timeout_ms: how long a caller waits in silence before we apologise. A reply commonly
            takes 1-2 s; 15 s leaves room for a tool or two.
        playout_slack_ms: how late the last mark may be before we stop waiting for it: a round trip
            to the far end and its jitter buffer, generously.
    """

    reply_timeout_ms: float = 15_000
    playout_slack_ms: float = 2_000


_DEFAULT_RULES = Rules()


@dataclass(slots=True)
class _Ours:
    """The latest turn of ours, until the caller begins one."""

    turn: int
    phrase: bool
    timer: Timer | None = None
    broken: bool = False
    asked_to_hang_up: bool = False

    @property
    def sent(self) -> bool:
        return self.timer == "playout"


class TurnMachine:
    """The one place that decides: who may speak, what is cancelled and kept, when the call ends.

    Give `handle` each event in the order in which things happened, and carry out what it returns in
    order before the next event. It never raises, whatever comes in whatever phase.
    """

    def __init__(self, rules: Rules = _DEFAULT_RULES) -> None:
        self.phase = Phase.IDLE
        self.turn = 0
        self._rules = rules
        self._ours: _Ours | None = None
        self._deaf = False
        self._owed = False
        self._ended_stream_turn = 0

    def handle(self, event: Event) -> list[Command]:
        """Take in what happened and return what is to be done about it."""
        match event:
            case _ if self.phase is Phase.ENDED:
                return []
            case CallStarted() if self.phase is Phase.IDLE:
                return self._say("goodbye" if self._deaf else "greeting")
            case CallerGone():
                return self._caller_gone()
            case ProviderFailed(stage="stt"):
                return self._recogniser_failed()
            case StartOfTurn() | Update() | EndOfTurn():
                return self._caller(event)
            case CallStarted() | DigitPressed() | EagerEndOfTurn() | TurnResumed():
                return []
        if self._ours is None or event.turn != self._ours.turn:
            return []
        return self._about(self._ours, event)

    # The caller and the line.

    def _caller_gone(self) -> list[Command]:
        commands = self._stop()
        self.phase = Phase.ENDED
        return [command for command in commands if not isinstance(command, ClearPlayout)]

    def _recogniser_failed(self) -> list[Command]:
        self._deaf = True
        if self.phase in (Phase.IDLE, Phase.CLOSING):
            return []
        return [*self._stop(), *self._say("goodbye")]

    def _caller(self, event: StartOfTurn | Update | EndOfTurn) -> list[Command]:
        if self.phase is Phase.IDLE or self._deaf or event.stream_turn <= self._ended_stream_turn:
            return []
        if isinstance(event, EndOfTurn):
            self._ended_stream_turn = event.stream_turn
            return self._caller_ends(event.transcript)
        if isinstance(event, Update) and not _has_words(event.transcript):
            return []
        return self._caller_begins()

    def _caller_begins(self) -> list[Command]:
        if self.phase is Phase.CALLER_SPEAKING:
            return []
        commands = self._stop()
        self._owed = self.phase is Phase.THINKING
        self._ours = None
        self.turn += 1
        self.phase = Phase.CALLER_SPEAKING
        return commands

    def _caller_ends(self, transcript: str) -> list[Command]:
        if not _has_words(transcript):
            return self._false_start()
        return [*self._caller_begins(), KeepCaller(self.turn, transcript), *self._think()]

    def _false_start(self) -> list[Command]:
        if self.phase is not Phase.CALLER_SPEAKING:
            return []
        if self._owed:
            return self._think()
        self.phase = Phase.LISTENING
        return []

    def _think(self) -> list[Command]:
        self.turn += 1
        self._ours = _Ours(self.turn, phrase=False)
        self.phase = Phase.THINKING
        timer = self._start_timer(self._ours, "reply", self._rules.reply_timeout_ms)
        return [StartReply(self.turn), timer]

    # Our own turn. `ours` is the turn that the event names.

    def _about(self, ours: _Ours, event: Event) -> list[Command]:
        match self.phase, event:
            case Phase.THINKING, ReplyStarted():
                return self._speak(ours)
            case Phase.THINKING, ReplySent(n_ms=n_ms) if n_ms <= 0:
                return self._nothing_to_say(ours)
            case Phase.THINKING, ReplySent(remaining_ms=remaining_ms):
                return [*self._speak(ours), self._await_playout(ours, remaining_ms)]
            case Phase.THINKING, ProviderFailed():
                return self._give_up(ours)
            case Phase.THINKING, TimerFired(timer="reply"):
                ours.timer = None
                return self._give_up(ours)
            case Phase.THINKING, HangUpAsked():
                ours.asked_to_hang_up = True
            case Phase.SPEAKING, HangUpAsked():
                self.phase = Phase.CLOSING
            case Phase.LISTENING, HangUpAsked():
                return self._hang_up()
            case ((Phase.SPEAKING | Phase.CLOSING), _):
                return self._about_spoken(ours, event)
        return []

    def _about_spoken(self, ours: _Ours, event: Event) -> list[Command]:
        match event:
            case PlayoutFinished():
                return self._spoken(ours, complete=not ours.broken)
            case TimerFired(timer="playout") if ours.sent:
                ours.timer = None
                return self._spoken(ours, complete=False)
            case ReplySent(n_ms=n_ms, remaining_ms=remaining_ms) if not ours.sent:
                if n_ms <= 0:
                    return self._spoken(ours, complete=False)
                return [self._await_playout(ours, remaining_ms)]
            case ProviderFailed() if not ours.sent:
                if ours.phrase:
                    return self._spoken(ours, complete=False)
                ours.broken = True
        return []

    def _speak(self, ours: _Ours) -> list[Command]:
        self.phase = Phase.CLOSING if ours.asked_to_hang_up else Phase.SPEAKING
        return self._cancel_timer(ours)

    def _nothing_to_say(self, ours: _Ours) -> list[Command]:
        """The answer came and was empty: never leave a caller in silence."""
        commands = self._cancel_timer(ours)
        return [*commands, *(self._hang_up() if ours.asked_to_hang_up else self._say("apology"))]

    def _give_up(self, ours: _Ours) -> list[Command]:
        """The answer cannot be had."""
        return [*self._stop(), *self._say("goodbye" if ours.asked_to_hang_up else "apology")]

    def _spoken(self, ours: _Ours, *, complete: bool) -> list[Command]:
        """Our turn is over: the caller has heard what there is of it."""
        commands = [KeepHeard(ours.turn, complete), *self._cancel_timer(ours)]
        if self.phase is Phase.CLOSING:
            return [*commands, *self._hang_up()]
        if ours.broken:
            return [*commands, *self._say("apology")]
        self.phase = Phase.LISTENING
        return commands

    # Steps that several cells share.

    def _stop(self) -> list[Command]:
        """Take the floor away from our live turn, if there is one."""
        ours = self._ours
        if ours is None or self.phase is Phase.LISTENING:
            return []
        commands: list[Command] = [CancelReply(ours.turn)]
        if self.phase is not Phase.THINKING:
            commands += [ClearPlayout(ours.turn), KeepHeard(ours.turn, complete=False)]
        return [*commands, *self._cancel_timer(ours)]

    def _say(self, phrase: Phrase) -> list[Command]:
        self.turn += 1
        self._ours = _Ours(self.turn, phrase=True)
        self.phase = Phase.CLOSING if phrase == "goodbye" else Phase.SPEAKING
        return [SayPhrase(self.turn, phrase)]

    def _hang_up(self) -> list[Command]:
        self.phase = Phase.ENDED
        reason = "speech recognition failed" if self._deaf else "asked for by the agent"
        return [HangUp(self.turn, reason)]

    def _await_playout(self, ours: _Ours, remaining_ms: float) -> Command:
        after_ms = max(remaining_ms, 0) + self._rules.playout_slack_ms
        return self._start_timer(ours, "playout", after_ms)

    def _start_timer(self, ours: _Ours, timer: Timer, after_ms: float) -> Command:
        ours.timer = timer
        return StartTimer(ours.turn, timer, after_ms)

    def _cancel_timer(self, ours: _Ours) -> list[Command]:
        timer, ours.timer = ours.timer, None
        return [CancelTimer(ours.turn, timer)] if timer else []


def _has_words(transcript: str) -> bool:
    return any(map(str.isalnum, transcript))
