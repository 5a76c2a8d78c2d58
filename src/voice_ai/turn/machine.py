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
comes in time, not before.

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
caller waiting. A failure after ReplySent took nothing away. A phrase that fails is not replaced by
a phrase: there is no loop. Without the recogniser a caller cannot be heard any more: we say
goodbye, which nobody can interrupt, and hang up; so we do with the message for a machine that has
answered. A reply that was held tells ReplySent anew once it has gone on. What the caller said into
a protected answer that fails is answered instead of an apology.

Silence and length. A caller who says nothing is asked for, twice, and then left. A turn of the
caller's that goes on for too long, or in which no new word comes, ends with the words so far; those
that follow are another turn's. A call that has reached its limit ends with a goodbye.

Hanging up. The agent may ask for it before, while and after its turn is spoken. The last words are
played first; a caller who speaks into them has withdrawn the wish. When an agent that wants to hang
up fails to find its last words, the goodbye phrase stands in; when it has none to say, we hang up
at once.

Table
=====

Cells are commands in their order, then the phase if it changes; a dot is neither. Columns are
phases: I idle, L listening, C caller speaking, T thinking, S speaking, X closing, H held, E ended.
Whatever ends the call also cancels every timer that runs.

    G A B P  SayPhrase of a new turn: greeting, apology, goodbye, still_there
    M      the same: voicemail
    w R    KeepCaller of the caller's turn; with R then as r
    r      StartReply and StartTimer "reply" of a new turn
    D d    StartReply of a new turn, as a draft; CancelReply of the draft
    x      CancelReply           c  ClearPlayout
    h u    HoldReply, ResumeReply
    K k    KeepHeard: complete, not complete
    t      CancelTimer of each timer that runs
    p y f  StartTimer "playout", "reply", "false_start"
    m n    StartTimer "tool", CancelTimer of it
    q      SayFiller
    s g    StartTimer "silence", "digits"
    b      StartTimer "stuck" and "monologue" of a new turn, the caller's
    v o    StartTimer "stuck", after a CancelTimer of it; CancelTimer of it
    H      HangUp

    event                   I     L       C      T        S          X          H         E
    ---------------------   ---   -----   ----   ------   --------   --------   -------   ---
    CallStarted             G S   .       .      .        .          .          .         .
    DigitPressed            .     tg C    og     xctg C   xcktg C    xcktg C    xktg C    .
    CallerGone              E     t E     t E    xt E     xkt E      xkt E      xkt E     .
    MachineAnswered         M X   tM X    tM X   xctM X   xcktM X    .          xktM X    .
    StartOfTurn             .     tb C    .      htf H    htf H      htf H      .         .
    Update                  .     tb C    v      xctb C   xcktb C    xcktb C    xktb C    .
    Update murmur           .     tb C    v      .        .          .          .         .
    Update wordless         .     .       .      .        .          .          .         .
    EagerEndOfTurn          .     tbD C   vD     xctbD C  xcktbD C   xcktbD C   xktbD C   .
    EagerEndOfTurn murmur   .     tbD C   vD     .        .          .          .         .
    TurnResumed             .     .       .      .        .          .          .         .
    EndOfTurn               .     tR T    tR T   xctR T   xcktR T    xcktR T    xktR T    .
    EndOfTurn murmur        .     tR T    tR T   .        .          .          tu S      .
    EndOfTurn wordless      .     .       ts L   .        .          .          tu S      .
    ReplyStarted            .     .       .      t S      .          .          .         .
    ReplySent               .     .       .      tp S     p          p          .         .
    ReplySent empty         .     .       .      tA S     ks L       kH E       .         .
    ReplyHeld               .     .       .      .        .          .          .         .
    ReplyHeld near the end  .     .       .      .        .          .          .         .
    ToolStarted             .     .       .      m        .          .          .         .
    ToolEnded               .     .       .      .        .          .          .         .
    PlayoutFinished         .     .       .      .        Kts L      KtH E      K         .
    HangUpAsked             .     Ht E    .      .        X          .          .         .
    SpeakAsked              .     tr T    .      .        .          .          .         .
    ProviderFailed stt      .     tB X    tB X   xctB X   xcktB X    .          xktB X    .
    GoodbyeAsked            .     tB X    tB X   xctB X   xcktB X    .          xktB X    .
    ProviderFailed llm      .     .       .      xctA S   .          .          .         .
    ProviderFailed tts      .     .       .      xctA S   .          .          .         .
    TimerFired reply        .     .       .      xctA S   .          .          .         .
    TimerFired playout      .     .       .      .        ks L       kH E       .         .
    TimerFired false_start  .     .       .      .        .          .          u S       .
    TimerFired silence      .     P S     .      .        .          .          .         .
    TimerFired stuck        .     .       ts L   .        .          .          .         .
    TimerFired monologue    .     .       ts L   .        .          .          .         .
    TimerFired digits       .     .       .      .        .          .          .         .
    TimerFired tool         .     .       .      .        .          .          .         .

What came before makes these differences, a plus sign meaning all of them; where several are true,
the first stands:

    phase  when                 event                    cell
    -----  -------------------  -----------------------  ------
    I      deaf                 CallStarted              B X
    L      after-C              HangUpAsked              .
    L      after-C              SpeakAsked               .
    L      asked-twice          TimerFired silence       B X
    C      draft                CallerGone               dwt E
    C      draft                EagerEndOfTurn           .
    C      draft                EagerEndOfTurn murmur    vdD
    C      draft                TurnResumed              d
    C      draft                EndOfTurn                twuy T
    C      draft                EndOfTurn murmur         tdR T
    C      draft                EndOfTurn wordless       tds L
    C      draft                ProviderFailed stt       dwtB X
    C      draft                GoodbyeAsked             dwtB X
    C      draft                MachineAnswered          dwtM X
    C      words                CallerGone               wt E
    C      words                ProviderFailed stt       wtB X
    C      words                GoodbyeAsked             wtB X
    C      words                MachineAnswered          wtM X
    C      draft                TimerFired stuck         twuy T
    C      draft                TimerFired monologue     twuy T
    C      keys                 DigitPressed             g
    C      keys                 Update                   .
    C      keys                 Update murmur            .
    C      keys                 EagerEndOfTurn           .
    C      keys                 EagerEndOfTurn murmur    .
    C      keys                 EndOfTurn                .
    C      keys                 EndOfTurn murmur         .
    C      keys                 EndOfTurn wordless       .
    C      keys                 TimerFired digits        R T
    C      keys                 TimerFired stuck         .
    C      keys                 TimerFired monologue     .
    C      owed                 EndOfTurn wordless       tr T
    C      words                TimerFired stuck         tR T
    C      words                TimerFired monologue     tR T
    T      asked                ReplyStarted             t X
    T      asked                ReplySent                tp X
    T      asked                ReplySent empty          tH E
    T      asked                ProviderFailed llm       xctB X
    T      asked                ProviderFailed tts       xctB X
    T      asked                TimerFired reply         xctB X
    T      tool                 ToolEnded                n
    T      tool                 TimerFired tool          q
    T      waiting              DigitPressed             xcwtg C
    T      waiting              CallerGone               xwt E
    T      waiting              MachineAnswered          xcwtM X
    T      waiting              StartOfTurn              .
    T      waiting              Update                   .
    T      waiting              EagerEndOfTurn           .
    T      waiting              EndOfTurn                .
    T      waiting              ReplySent empty          tR
    T      waiting              ProviderFailed stt       xcwtB X
    T      waiting              GoodbyeAsked             xcwtB X
    T      waiting              ProviderFailed llm       xcwtr
    T      waiting              ProviderFailed tts       xcwtr
    T      waiting              TimerFired reply         xcwtr
    S      sent                 ReplySent                .
    S      sent                 ReplySent empty          .
    S      sent                 ProviderFailed llm       .
    S      sent                 ProviderFailed tts       .
    S      unsent               TimerFired playout       .
    S      phrase               ProviderFailed llm       ks L
    S      phrase               ProviderFailed tts       ks L
    S      broken               ReplySent empty          kA S
    S      broken               PlayoutFinished          ktA S
    S      broken               TimerFired playout       kA S
    X      sent                 ReplySent                .
    X      sent                 ReplySent empty          .
    X      sent                 ProviderFailed llm       .
    X      sent                 ProviderFailed tts       .
    X      unsent               TimerFired playout       .
    X      phrase               ProviderFailed llm       ktH E
    X      phrase               ProviderFailed tts       ktH E
    X      broken               PlayoutFinished          ktH E
    X      deaf                 DigitPressed             .
    X      deaf                 StartOfTurn              .
    X      deaf                 Update                   .
    X      deaf                 EagerEndOfTurn           .
    X      deaf                 EndOfTurn                .
    H      near                 Update murmur            xktb C
    H      near                 EagerEndOfTurn murmur    xktbD C
    H      near                 EndOfTurn murmur         xktR T
    H      murmur               ReplyHeld near the end   xktb C
    H      kept+asked           EndOfTurn murmur         tH E
    H      kept+asked           EndOfTurn wordless       tH E
    H      kept+asked           TimerFired false_start   tH E
    H      kept+broken          EndOfTurn murmur         tA S
    H      kept+broken          EndOfTurn wordless       tA S
    H      kept+broken          TimerFired false_start   tA S
    H      kept                 EndOfTurn murmur         ts L
    H      kept                 EndOfTurn wordless       ts L
    H      kept                 TimerFired false_start   ts L
    H      phrase+broken        EndOfTurn murmur         tks L
    H      phrase+broken        EndOfTurn wordless       tks L
    H      phrase+broken        TimerFired false_start   tks L
    H      silent+broken+asked  EndOfTurn murmur         txB X
    H      silent+broken+asked  EndOfTurn wordless       txB X
    H      silent+broken+asked  TimerFired false_start   txB X
    H      silent+broken        EndOfTurn murmur         txA S
    H      silent+broken        EndOfTurn wordless       txA S
    H      silent+broken        TimerFired false_start   txA S
    H      silent               EndOfTurn murmur         tuy T
    H      silent               EndOfTurn wordless       tuy T
    H      silent               TimerFired false_start   tuy T
    H      asked                EndOfTurn murmur         tu X
    H      asked                EndOfTurn wordless       tu X
    H      asked                TimerFired false_start   tu X
    H      kept                 PlayoutFinished          .
    H      kept                 CallerGone               xt E
    H      kept                 DigitPressed             xtg C
    H      kept                 Update                   xtb C
    H      kept                 EagerEndOfTurn           xtbD C
    H      kept                 EndOfTurn                xtR T
    H      kept                 ProviderFailed stt       xtB X
    H      kept                 GoodbyeAsked             xtB X
    H      kept                 MachineAnswered          xtM X
    H      silent               PlayoutFinished          .
    H      silent               CallerGone               xt E
    H      silent               DigitPressed             xtg C
    H      silent               Update                   xtb C
    H      silent               EagerEndOfTurn           xtbD C
    H      silent               EndOfTurn                xtR T
    H      silent               ProviderFailed stt       xtB X
    H      silent               GoodbyeAsked             xtB X
    H      silent               MachineAnswered          xtM X
    H      broken               PlayoutFinished          k

deaf: nobody is heard any more. after-C: the last turn was the caller's. asked: HangUpAsked came.
sent, unsent: ReplySent came, or not yet. phrase: the live turn is a phrase. broken: it failed on
its way. tool: a tool is waited for. waiting: it is protected, and the caller has spoken into it.
silent: held before its first sound. near: held near its end. murmur: the caller has murmured. kept:
held, and heard to its end. words, keys: what the caller's turn has so far. owed: it interrupted our
thinking. draft: its reply is drafted. asked-twice: the caller has been asked for twice.
"""

from voice_ai.turn.caller import CallerSide
from voice_ai.turn.commands import ClearPlayout, Command, SayFiller
from voice_ai.turn.events import (
    CallerGone,
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
            case DigitPressed(digit):
                return self._caller.press(digit)
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
                filler = SayFiller(ours.turn, "filler" if timer == "filler" else "moment")
                return [filler, *floor.cancel("filler", "tool")]
            case "reply", Ours() as ours, _:
                return self._ours.give_up(ours)
        # The last mark of ours is overdue: "playout".
        return self._ours.spoken(floor.ours, complete=False) if floor.ours else []
