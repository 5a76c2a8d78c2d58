"""A small world for the turn machine: what may happen on a call, to be chosen from."""

from turn.shell import Shell
from voice_ai.errors import FailureKind, Stage
from voice_ai.turn.events import (
    CallerGone,
    CallStarted,
    DigitPressed,
    EagerEndOfTurn,
    EndOfTurn,
    Event,
    HangUpAsked,
    MachineAnswered,
    PlayoutFinished,
    ProviderFailed,
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
from voice_ai.turn.rules import Phase


class World(Shell):
    """One call. Words are numbered, so that it can be seen what became of each."""

    # What happens in an orderly call.

    def start(self) -> None:
        self.tell(CallStarted())

    def send(self, n_ms: int) -> None:
        """Some audio is made and put on the wire; nothing of what is held."""
        if not self.running or self.held or self.live is None:
            return
        starts = not self.n_ms
        self.n_ms += n_ms
        self.total_ms += n_ms
        self._put(n_ms)
        if starts:
            self.tell(ReplyStarted(self.live))

    def finish(self) -> None:
        """All of the reply is on the wire; an empty one was none."""
        if not self.running or ((self.held or self.draft) and self.n_ms):
            return
        self.running = False
        if not self.n_ms:
            self.tell(ReplySent(self.begun, 0, 0))
        else:
            self._end()
            self.tell(self.coming.pop())

    def fail(self, stage: Stage, kind: FailureKind = "failed") -> None:
        """The reply fails; what was sent of it is played."""
        if not self.running:
            return
        self.running, self.failed = False, True
        if self.n_ms and not self.held:
            self._end()
            sent = self.coming.pop()
            self.tell(ProviderFailed(self.begun, stage, "gone", kind))
            if self.live == sent.turn:
                self.tell(sent)
        else:
            self.tell(ProviderFailed(self.begun, stage, "gone", kind))

    def use_a_tool(self, *, ends: bool) -> None:
        if self.running and self.live and not self.n_ms:
            self.tell(ToolEnded(self.live) if ends else ToolStarted(self.live))

    def wish_to_hang_up(self) -> None:
        if self.live:
            self.tell(HangUpAsked(self.live))

    def wish_to_speak(self) -> None:
        if self.live:
            self.tell(SpeakAsked(self.live))

    def begin_to_speak(self) -> None:
        """A StartOfTurn; one that is not followed by words was a cough.

        In the middle of a turn of the caller's, the recogniser has connected anew.
        """
        if self.words and not (self.heeded and self.machine.phase is Phase.CALLER_SPEAKING):
            self.end_the_turn()
        self._end_of_words()
        self.stream_turn += 1
        self.tell(StartOfTurn(self.stream_turn))

    def speak(self, n_words: int) -> None:
        """More words in this turn of the recogniser's."""
        self.stream_turn += not self.stream_turn
        for _ in range(n_words):
            self.n_words += 1
            self.words.append(f"w{self.n_words}")
        self.tell(Update(self.stream_turn, " ".join(self.words)))
        self.heeded = self.machine.phase is Phase.CALLER_SPEAKING

    def pause(self) -> None:
        if self.words:
            self.tell(EagerEndOfTurn(self.stream_turn, " ".join(self.words)))

    def go_on(self) -> None:
        if self.words:
            self.tell(TurnResumed(self.stream_turn))

    def end_the_turn(self) -> None:
        self.stream_turn += not self.stream_turn
        event = EndOfTurn(self.stream_turn, " ".join(self.words), 0, 0)
        self._end_of_words()
        self.tell(event)
        self.stream_turn += 1

    def murmur(self) -> None:
        self.begin_to_speak()
        self.tell(Update(self.stream_turn, "Mhm"))
        self.tell(EndOfTurn(self.stream_turn, "Mhm.", 0, 0))
        self.stream_turn += 1

    def _end_of_words(self) -> None:
        if self.machine.phase is not Phase.IDLE:
            self.said += self.words
        self.words = []

    def press(self, digit: str) -> None:
        self.tell(DigitPressed(digit))

    def wait(self, ms: float) -> None:
        """Time goes by: timers fire and marks come back, each at its time."""
        until = self.now + ms
        while due := min(
            [(when, 0, name) for when, name in self.marks]
            + [(when, 1, timer) for timer, (_, when) in self.timers.items()],
            default=None,
        ):
            when, kind, name = due
            if when > until:
                break
            self.now = max(self.now, when)
            if kind == 0:
                self.marks.remove((when, name))
                if turn := self.playout.echoed(name):
                    self.tell(PlayoutFinished(turn))
            else:
                timer: Timer = name  # type: ignore[assignment]
                self.tell(TimerFired(self.timers[timer][0], timer))
        self.now = until

    def lose_the_recogniser(self) -> None:
        self.tell(ProviderFailed(0, "stt", "gone"))

    def meet_a_machine(self) -> None:
        self.tell(MachineAnswered())
        assert self.machine.phase in (Phase.CLOSING, Phase.ENDED)

    def hang_up(self) -> None:
        self.tell(CallerGone("hung up"))
        assert self.machine.phase is Phase.ENDED

    # And what does not happen in one.

    def anything(self, event: Event) -> None:
        self.orderly = False
        self.tell(event)
