"""Whole calls at random: the machine and the ledger in a small world, with events in any order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
from voice_ai.turn.history import History
from voice_ai.turn.machine import Phase, TurnMachine
from voice_ai.turn.playout import Playout

TEXT = "We are open from nine to five on weekdays, and on Saturdays until noon. "
SPOKEN = (Phase.SPEAKING, Phase.CLOSING)
QUIET = (Phase.IDLE, Phase.LISTENING, Phase.CALLER_SPEAKING, Phase.ENDED)

turns = st.integers(0, 12)
words = st.sampled_from(["", " ", "...", "Hello?", "5"])
any_event = st.one_of(
    st.just(CallStarted()),
    st.builds(DigitPressed, st.sampled_from("0#*")),
    st.builds(StartOfTurn, turns),
    st.builds(Update, turns, words),
    st.builds(EagerEndOfTurn, turns, words),
    st.builds(TurnResumed, turns),
    st.builds(EndOfTurn, turns, words, st.just(0.0), st.just(0.0)),
    st.builds(ReplyStarted, turns),
    st.builds(ReplySent, turns, st.sampled_from([0.0, 900.0]), st.sampled_from([-1.0, 0.0, 900.0])),
    st.builds(PlayoutFinished, turns),
    st.builds(HangUpAsked, turns),
    st.builds(ProviderFailed, turns, st.sampled_from(["llm", "tts"]), st.just("gone")),
    st.builds(TimerFired, turns, st.sampled_from(["reply", "playout"])),
)


class Call(RuleBasedStateMachine):
    """A shell that does what it is told and checks that it may be told so."""

    def __init__(self) -> None:
        super().__init__()
        self.machine, self.playout, self.history = TurnMachine(), Playout(), History()
        self.now = 0.0
        self.stream_turn = 0
        self.timers: set[tuple[int, Timer]] = set()
        self.marks: list[tuple[float, str]] = []
        self.begun: list[int] = []
        self.running: int | None = None
        self.n_ms = 0.0
        self.kept: set[int] = set()
        self.cancelled: set[int] = set()
        self.hung_up = False

    def tell(self, event: Event) -> None:
        was_ended = self.machine.phase is Phase.ENDED
        spoken = self.machine.turn if self.machine.phase in SPOKEN else None
        match event:
            case ReplySent(turn) | PlayoutFinished(turn) | ProviderFailed(turn):
                if turn == self.running:
                    self.running = None
            case TimerFired(turn, timer):
                self.timers.discard((turn, timer))
        commands = self.machine.handle(event)
        assert not (was_ended and commands)
        for command in commands:
            self.obey(command)
        if spoken and (spoken != self.machine.turn or self.machine.phase not in SPOKEN):
            assert spoken in self.kept

    def obey(self, command: Command) -> None:
        latest = self.begun[-1] if self.begun else 0
        assert not self.hung_up
        match command:
            case SayPhrase(turn) | StartReply(turn):
                assert turn > latest and self.running is None
                self.begun.append(turn)
                self.running, self.n_ms, self.marks = turn, 0.0, []
                self.playout.begin(turn, self.now)
                self.playout.text(turn, TEXT)
            case CancelReply(turn):
                assert turn == latest
                self.running = None
                self.cancelled.add(turn)
            case ClearPlayout(turn):
                assert turn == latest and turn in self.cancelled and turn not in self.kept
                self.playout.clear(turn, self.now)
                self.marks = [(self.now, name) for _, name in self.marks]
            case KeepHeard(turn):
                assert turn == latest and turn not in self.kept
                self.keep(turn, command.complete)
            case KeepCaller(turn, transcript):
                assert turn > latest
                self.history.caller(turn, transcript)
            case StartTimer(turn, timer, after_ms):
                assert turn == self.begun[-1] and not self.timers and after_ms >= 0
                self.timers.add((turn, timer))
            case CancelTimer(turn, timer):
                self.timers.remove((turn, timer))
            case HangUp(turn):
                assert turn == self.machine.turn == latest
                self.hung_up = True

    def keep(self, turn: int, complete: bool) -> None:
        self.kept.add(turn)
        heard = self.playout.heard(turn, self.now)
        assert heard.position_ms <= self.n_ms and TEXT.startswith(heard.text)
        self.history.agent(turn, heard.text, complete)

    # What happens in an orderly call.

    @rule()
    def the_call_starts(self) -> None:
        self.tell(CallStarted())

    @rule(text=words)
    def the_caller_speaks(self, text: str) -> None:
        self.stream_turn += 1
        self.tell(StartOfTurn(self.stream_turn))
        self.tell(EndOfTurn(self.stream_turn, text, 0, 0))

    @precondition(lambda self: self.running)
    @rule(n_ms=st.integers(20, 2000))
    def some_of_the_reply_is_sent(self, n_ms: int) -> None:
        turn = self.running
        assert turn
        if not self.n_ms:
            self.tell(ReplyStarted(turn))
        self.n_ms += n_ms
        if name := self.playout.sent(turn, n_ms, self.now):
            self.marks.append((self.now + self.playout.remaining_ms(turn, self.now), name))

    @precondition(lambda self: self.running)
    @rule()
    def all_of_the_reply_is_sent(self) -> None:
        turn = self.running
        assert turn
        remaining_ms = self.playout.remaining_ms(turn, self.now)
        if self.n_ms:
            self.marks.append((self.now + remaining_ms, self.playout.finish(turn)))
        self.tell(ReplySent(turn, self.n_ms, remaining_ms))

    @precondition(lambda self: self.running)
    @rule(stage=st.sampled_from(["llm", "tts"]))
    def the_reply_fails(self, stage: str) -> None:
        turn, n_ms = self.running, self.n_ms
        assert turn
        self.tell(ProviderFailed(turn, stage, "gone"))
        if n_ms and turn not in self.kept:
            remaining_ms = self.playout.remaining_ms(turn, self.now)
            self.marks.append((self.now + remaining_ms, self.playout.finish(turn, whole=False)))
            self.tell(ReplySent(turn, n_ms, remaining_ms))

    @precondition(lambda self: self.running)
    @rule()
    def the_agent_wants_to_hang_up(self) -> None:
        assert self.running
        self.tell(HangUpAsked(self.running))

    @rule(ms=st.integers(1, 3000))
    def time_goes_by(self, ms: int) -> None:
        self.now += ms
        due = [name for when, name in self.marks if when <= self.now]
        self.marks = [(when, name) for when, name in self.marks if when > self.now]
        for name in due:
            if turn := self.playout.echoed(name):
                self.tell(PlayoutFinished(turn))

    @precondition(lambda self: self.timers)
    @rule()
    def a_timer_fires(self) -> None:
        self.tell(TimerFired(*next(iter(self.timers))))

    @rule(rarely=st.integers(0, 9))
    def the_recogniser_fails(self, rarely: int) -> None:
        if rarely == 0:
            self.tell(ProviderFailed(0, "stt", "gone"))

    @rule(rarely=st.integers(0, 9))
    def the_caller_hangs_up(self, rarely: int) -> None:
        if rarely == 0:
            self.tell(CallerGone("hung up"))
            assert self.machine.phase is Phase.ENDED

    # And what does not: anything at any time.

    @rule(event=any_event)
    def anything_happens(self, event: Event) -> None:
        self.tell(event)

    @invariant()
    def timers_belong_to_the_live_turn(self) -> None:
        assert len(self.timers) <= 1
        if self.machine.phase in QUIET:
            assert not self.timers
        assert all(turn == self.machine.turn for turn, _ in self.timers)

    @invariant()
    def a_reply_runs_only_in_our_turn(self) -> None:
        if self.machine.phase in QUIET:
            assert self.running is None
        else:
            assert self.begun[-1] == self.machine.turn

    @invariant()
    def thinking_is_bounded_by_a_timer(self) -> None:
        if self.machine.phase is Phase.THINKING:
            assert self.timers == {(self.machine.turn, "reply")}

    @invariant()
    def a_turn_on_its_way_is_neither_kept_nor_cancelled(self) -> None:
        if self.machine.phase in SPOKEN:
            assert self.begun[-1] not in self.kept | self.cancelled

    @invariant()
    def hanging_up_ends_the_call(self) -> None:
        assert not self.hung_up or self.machine.phase is Phase.ENDED


Call.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCall = Call.TestCase
