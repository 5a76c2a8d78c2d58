"""A shell that does what the turn machine wants and checks that it may be told so."""

from voice_ai.turn.commands import (
    CancelReply,
    CancelTimer,
    ClearPlayout,
    Command,
    HangUp,
    HoldReply,
    KeepCaller,
    KeepHeard,
    ResumeReply,
    SayFiller,
    SayPhrase,
    StartReply,
    StartTimer,
)
from voice_ai.turn.events import (
    Event,
    ProviderFailed,
    ReplyHeld,
    ReplySent,
    ReplyStarted,
    Timer,
    TimerFired,
)
from voice_ai.turn.floor import CALLERS, OURS
from voice_ai.turn.history import History
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.playout import Playout
from voice_ai.turn.rules import Phase, Rules

TEXT = "We are open from nine to five on weekdays, and on Saturdays until noon. "
PIECE_MS = 400.0
OUR_PHASES = (Phase.THINKING, Phase.SPEAKING, Phase.CLOSING, Phase.HELD)


class Shell:
    """One call. `orderly` while nobody told it what cannot happen: then no word may be lost.

    It sends audio to a far end without delay, whose marks wait in `marks` for their time.
    """

    def __init__(self, rules: Rules, seen: set[type[Command]]) -> None:
        self.machine, self.playout, self.history = TurnMachine(rules), Playout(), History()
        self.rules = rules
        self.seen = seen
        self.orderly = True
        self.now = 0.0
        self.timers: dict[Timer, tuple[int, float]] = {}
        self.marks: list[tuple[float, str]] = []
        self.coming: list[Event] = []
        # Our turns: those begun, the live one, the draft; what became of them.
        self.begun = 0
        self.live: int | None = None
        self.draft: int | None = None
        self.held = False
        self.running = False
        self.failed = False
        self.n_ms = 0.0
        self.total_ms = 0.0
        self.audible: set[int] = set()
        self.kept: set[int] = set()
        self.silenced: set[int] = set()
        self.empty: set[int] = set()
        # The caller: words by number.
        self.stream_turn = 0
        self.words: list[str] = []
        self.n_words = 0
        self.heeded = False
        self.said: list[str] = []
        self.written: list[str] = []
        self.caller_turn = 0
        self.deaf = False
        self.hung_up = False

    # What may be told.

    def tell(self, event: Event) -> None:
        """Tell the machine what happened, and then what came of that."""
        self.coming.append(event)
        while self.coming:
            self._tell(self.coming.pop(0))

    def _tell(self, event: Event) -> None:
        machine, phase, turn = self.machine, self.machine.phase, self.machine.turn
        self._note(event)
        commands = machine.handle(event)
        assert not (phase is Phase.ENDED and commands)
        assert machine.turn >= turn
        gone: set[int] = set()
        for command in commands:
            assert not self.hung_up or isinstance(command, CancelTimer)
            self.seen.add(type(command))
            self._obey(command, gone)
        if machine.phase not in OUR_PHASES:
            self.live, self.held = None, False
        self._check()

    def _note(self, event: Event) -> None:
        match event:
            case TimerFired(turn, timer):
                if self.timers.get(timer, (None, 0))[0] == turn:
                    del self.timers[timer]
                    self.deaf |= timer == "call"
            case ReplyStarted(turn):
                if turn == self.live:
                    self.audible.add(turn)
            case ReplySent(turn, n_ms):
                if turn == self.live and n_ms > 0 and not self.held:
                    self.audible.add(turn)
                elif n_ms <= 0:
                    self.empty.add(turn)
                if turn == self.draft and n_ms <= 0:
                    self._forget_the_draft()
            case ProviderFailed(_, "stt"):
                self.deaf = True
            case ProviderFailed(turn) if turn == self.draft:
                self._forget_the_draft()

    def _forget_the_draft(self) -> None:
        self.draft, self.running = None, False

    def _check(self) -> None:
        phase = self.machine.phase
        assert (phase in OUR_PHASES) == (self.live is not None)
        assert self.held == (phase is Phase.HELD)
        assert self.audible - self.kept <= {self.live}
        assert self.kept <= self.audible
        assert self.draft is None or phase is Phase.CALLER_SPEAKING
        assert ("reply" in self.timers) == (phase is Phase.THINKING)
        assert ("false_start" in self.timers) == (phase is Phase.HELD)
        if self.rules.silence_ms:
            assert ("silence" in self.timers) == (phase is Phase.LISTENING)
        assert not self.hung_up or phase is Phase.ENDED
        if phase is Phase.ENDED:
            assert not self.timers
        if self.orderly and not self.deaf:
            self._check_words(phase)

    def _check_words(self, phase: Phase) -> None:
        """Nothing is written twice, nor in another order; what was said is, once nobody speaks."""
        said = [*self.said, *self.words]
        assert self.written == said[: len(self.written)]
        ours = self.machine._floor.live
        if ours and ours.protected:
            return  # what is said into it is written after it
        if phase in (Phase.LISTENING, Phase.THINKING):
            assert len(self.written) >= len(self.said)

    # What the machine wants done.

    def _obey(self, command: Command, gone: set[int]) -> None:
        match command:
            case SayPhrase(turn):
                self._begin(turn)
                self.audible.add(turn)
            case StartReply(turn, None):
                self._begin(turn)
            case StartReply(turn):
                assert self.live is None and self.draft is None
                self._open(turn)
                self.draft = turn
            case CancelReply(turn):
                assert turn in (self.live, self.draft)
                gone.add(turn)
                self._cancelled(turn)
            case HoldReply(turn):
                assert turn == self.live and not self.held
                self._hold(turn)
            case ResumeReply(turn):
                self._resume(turn)
            case SayFiller(0):
                assert self.live is None
            case SayFiller(turn):
                assert turn == self.live and not self.held and turn not in self.audible
                self.total_ms += PIECE_MS
                self._put(PIECE_MS)
                self.playout.spoken_to(turn, 0)
            case ClearPlayout(turn):
                assert turn in gone and turn not in self.kept
                self.playout.clear(turn, self.now)
                self._flush()
            case KeepHeard(turn, complete):
                assert turn == self.live or turn in gone
                self._keep(turn, complete)
            case KeepCaller(turn, transcript):
                assert self.caller_turn < turn <= self.machine.turn
                self.caller_turn = turn
                self.history.caller(turn, transcript)
                self.written += [word for word in transcript.split() if word.startswith("w")]
            case StartTimer(turn, timer, after_ms):
                self._start(turn, timer, after_ms)
            case CancelTimer(turn, timer):
                assert self.timers.pop(timer)[0] == turn
            case HangUp(turn):
                assert turn == self.machine.turn
                self.hung_up = True

    def _begin(self, turn: int) -> None:
        # The one before it was played out, or cancelled, or had nothing to say.
        over = self.kept | self.silenced | self.empty
        assert self.live is None or self.live in over
        assert self.draft is None
        self._open(turn)
        self.live, self.held = turn, False

    def _open(self, turn: int) -> None:
        assert turn > self.begun and turn > self.caller_turn
        self.begun = turn
        self.running, self.failed = True, False
        self.n_ms = self.total_ms = 0.0
        self.marks.clear()
        self.playout.begin(turn, self.now)
        self.playout.text(turn, TEXT)

    def _cancelled(self, turn: int) -> None:
        self.silenced.add(turn)
        self.running = False
        if turn == self.draft:
            self.draft = None
        else:
            self.live, self.held = None, False

    def _hold(self, turn: int) -> None:
        self.held = True
        left_ms = self.playout.hold(turn, self.now)
        self._flush()
        self.coming.append(ReplyHeld(turn, None if self.running else left_ms))

    def _resume(self, turn: int) -> None:
        if turn == self.draft:
            assert self.live is None
            self.live, self.draft = turn, None
            return
        assert turn == self.live and self.held
        self.held = False
        position_ms = self.playout.resume(turn)
        assert position_ms is not None and 0 <= position_ms <= self.total_ms
        left_ms = self.total_ms - position_ms
        while left_ms > 0:
            self._put(min(PIECE_MS, left_ms))
            left_ms -= PIECE_MS
        if not self.running:
            self._end()

    def _flush(self) -> None:
        """The far end's buffer is emptied: all its marks come back at once."""
        self.marks = [(self.now, name) for _, name in self.marks]

    def _put(self, n_ms: float) -> None:
        turn = self.begun
        assert turn not in self.silenced and turn == self.live and not self.held
        if name := self.playout.sent(turn, n_ms, self.now):
            self.marks.append((self.now + self.playout.remaining_ms(turn, self.now), name))

    def _end(self) -> None:
        turn = self.begun
        remaining_ms = self.playout.remaining_ms(turn, self.now)
        if self.n_ms:
            name = self.playout.finish(turn, whole=not self.failed)
            self.marks.append((self.now + remaining_ms, name))
        self.coming.append(ReplySent(turn, self.n_ms, remaining_ms))

    def _keep(self, turn: int, complete: bool) -> None:
        assert turn in self.audible and turn not in self.kept
        self.kept.add(turn)
        heard = self.playout.heard(turn, self.now)
        assert heard.position_ms <= self.total_ms + 0.001 and TEXT.startswith(heard.text)
        if complete and self.orderly:
            assert heard.complete and heard.text == TEXT.strip()
        self.history.agent(turn, heard.text, complete)
        if not self.held:
            self.running = False

    def _start(self, turn: int, timer: Timer, after_ms: float) -> None:
        assert timer not in self.timers and after_ms >= 0
        if timer in OURS:
            assert turn == self.live
        elif timer in CALLERS:
            assert self.live is None and self.caller_turn < turn <= self.machine.turn
        else:
            assert turn == (0 if timer == "call" else self.machine.turn)
        self.timers[timer] = turn, self.now + after_ms
