"""The caller's side of the floor: what is heard and pressed, and what it does to us."""

from collections.abc import Callable

from voice_ai.turn.commands import (
    Command,
    HoldReply,
    KeepCaller,
    ResumeReply,
    StartReply,
)
from voice_ai.turn.events import (
    EagerEndOfTurn,
    Event,
    ProviderFailed,
    ReplySent,
    SpeechEvent,
    StartOfTurn,
    TurnResumed,
    Update,
)
from voice_ai.turn.floor import CALLERS, OURS, Caller, Floor, Ours
from voice_ai.turn.rules import Phase, has_words


class CallerSide:
    """Takes the recogniser's events and keys. `resume` goes on with a turn of ours that is held."""

    def __init__(self, floor: Floor, resume: Callable[[], list[Command]]) -> None:
        self._floor = floor
        self._resume = resume
        self._ended_stream_turn = 0
        # What was taken of a stream turn that goes on: a monologue's first minute.
        self._taken: tuple[int, list[str]] = (0, [])

    def hear(self, event: SpeechEvent) -> list[Command]:
        """Take what the recogniser tells."""
        if (
            self._floor.phase is Phase.IDLE
            or self._floor.deaf
            or event.stream_turn <= self._ended_stream_turn
        ):
            return []
        # A later turn of the recogniser's ends those before it.
        self._ended_stream_turn = event.stream_turn - 1
        match event:
            case StartOfTurn(stream_turn):
                return self._caller_may_begin(stream_turn)
            case TurnResumed():
                return self._floor.drop_draft()
            case Update(stream_turn, transcript):
                return self._caller_speaks(stream_turn, self._new(event, transcript))
            case EagerEndOfTurn(stream_turn, transcript):
                transcript = self._new(event, transcript)
                commands = self._caller_speaks(stream_turn, transcript)
                return [*commands, *self._draft(transcript)]
        self._ended_stream_turn = event.stream_turn
        return self._caller_ends(event.stream_turn, self._new(event, event.transcript))

    def _new(self, event: SpeechEvent, transcript: str) -> str:
        """What of a transcript has not been answered yet."""
        stream_turn, taken = self._taken
        if event.stream_turn != stream_turn:
            return transcript
        words = transcript.split()
        return " ".join(words[_n_taken(taken, words) :])

    def _caller_may_begin(self, stream_turn: int) -> list[Command]:
        if self._floor.caller:
            self._floor.caller.hear(stream_turn)
        if self._floor.phase is Phase.LISTENING:
            return self._floor.begins(stream_turn)
        ours = self._floor.live
        if ours is None or ours.protected or self._floor.phase is Phase.HELD:
            return []
        self._floor.phase = Phase.HELD
        commands = [HoldReply(ours.turn), *self._floor.cancel(*OURS)]
        return [
            *commands,
            *self._floor.start("false_start", ours.turn, self._floor.rules.false_start_ms),
        ]

    def _caller_speaks(self, stream_turn: int, words: str) -> list[Command]:
        if not has_words(words):
            return []
        if self._floor.caller:
            return self._caller_goes_on(self._floor.caller, stream_turn, words)
        if self._interrupts(words):
            return self._floor.begins(stream_turn, words)
        if self._floor.phase is Phase.HELD and self._floor.ours:
            self._floor.ours.murmur = (stream_turn, words)
        return []

    def _caller_goes_on(self, caller: Caller, stream_turn: int, words: str) -> list[Command]:
        caller.hear(stream_turn)
        if words == caller.words:
            return []
        caller.words = words
        if caller.digits:
            return []
        return self._floor.start("stuck", caller.turn, self._floor.rules.stuck_ms)

    def _interrupts(self, words: str) -> bool:
        ours = self._floor.live
        if ours is None:
            return True
        return not ours.protected and (ours.near_end or not self._floor.rules.is_backchannel(words))

    def _caller_ends(self, stream_turn: int, words: str) -> list[Command]:
        caller = self._floor.caller
        if caller:
            caller.hear(stream_turn)
            caller.words = words if has_words(words) else ""
            # Who presses keys has not finished before the keys are.
            return [] if caller.digits else self._caller_said(caller)
        if not has_words(words) or not self._interrupts(words):
            return self._not_a_turn(words)
        caller = Caller(stream_turn, words)
        return [*self._floor.yield_to(caller), *self._caller_said(caller)]

    def _not_a_turn(self, words: str) -> list[Command]:
        """A cough, a backchannel, or something said into what nobody may interrupt."""
        if self._floor.phase is Phase.HELD:
            return self._resume()
        ours = self._floor.live
        if ours and has_words(words) and not self._floor.rules.is_backchannel(words):
            ours.waiting = f"{ours.waiting} {words}".strip()
        return []

    def _caller_said(self, caller: Caller) -> list[Command]:
        """The caller's turn is over."""
        words = caller.said
        if caller.digits:
            words = f"{words} (pressed {' '.join(caller.digits)})".strip()
        commands = self._floor.cancel(*CALLERS)
        if not words:
            return [*commands, *self._said_nothing(caller)]
        self._floor.n_silences = 0
        kept = KeepCaller(caller.turn, words)
        if caller.draft is None or caller.draft_of != words:
            commands += self._floor.drop_draft()
            self._floor.caller = None
            return [*commands, kept, *self._floor.think()]
        self._floor.caller = None
        self._floor.ours = Ours(caller.draft)
        self._floor.phase = Phase.THINKING
        return [
            *commands,
            kept,
            ResumeReply(caller.draft),
            *self._floor.wait_for_reply(caller.draft),
        ]

    def _said_nothing(self, caller: Caller) -> list[Command]:
        commands = self._floor.drop_draft()
        self._floor.caller = None
        return [*commands, *(self._floor.think() if caller.owed else self._floor.listen())]

    def cut_off(self, caller: Caller, typed: str = "") -> list[Command]:
        """Take the words so far, and those typed, as the turn; what follows is another one."""
        if caller.words:
            before = self._taken[1] if self._taken[0] == caller.stream_turn else []
            self._taken = caller.stream_turn, [*before, *caller.words.split()]
        if typed:
            caller.before, caller.words = caller.said, typed
        return self._caller_said(caller)

    def write(self, words: str) -> list[Command]:
        """Take a turn that was typed: as a key, it ends what we say in any case."""
        if self._floor.phase is Phase.IDLE or self._floor.deaf or not has_words(words):
            return []
        if self._floor.caller:
            return self.cut_off(self._floor.caller, words)
        caller = Caller(self._ended_stream_turn + 1)
        return [*self._floor.yield_to(caller), *self.cut_off(caller, words)]

    def press(self, digit: str) -> list[Command]:
        """Take a key: it ends what we say, whether that is protected or not."""
        if self._floor.phase is Phase.IDLE or self._floor.deaf:
            return []
        commands: list[Command] = []
        caller = self._floor.caller
        if caller is None:
            caller = Caller(self._ended_stream_turn + 1)
            commands = self._floor.yield_to(caller)
        if digit == "#" and caller.digits:
            return self.cut_off(caller)
        caller.digits += digit
        # Sixteen digits take longer than words may.
        commands += self._floor.cancel("stuck")
        return [*commands, *self._floor.start("digits", caller.turn, self._floor.rules.digits_ms)]

    def _draft(self, words: str) -> list[Command]:
        caller = self._floor.caller
        if caller is None or caller.digits or not has_words(words):
            return []
        if caller.draft_of == caller.said:
            return []
        commands = self._floor.drop_draft()
        if caller.n_drafts >= self._floor.rules.max_drafts:
            return commands
        self._floor.turn += 1
        caller.n_drafts += 1
        caller.draft, caller.draft_of = self._floor.turn, caller.said
        return [*commands, StartReply(self._floor.turn, caller.said)]

    def about_draft(self, caller: Caller, event: Event) -> list[Command]:
        """A draft that comes to nothing is forgotten: the turn's end asks again."""
        match event:
            case ReplySent(n_ms=n_ms) if n_ms > 0:
                pass
            case ProviderFailed() | ReplySent():
                caller.draft, caller.draft_of = None, ""
        return []


def _n_taken(taken: list[str], words: list[str]) -> int:
    """How many of these words were taken already; the recogniser may have changed them since.

    As many as were taken, unless the last of them moved: it may write "twenty one", then "21".
    """
    n = len(taken)
    for tail in (_plain(taken[-3:]), _plain(taken[-2:])):
        for moved in (0, -1, 1, -2, 2, -3, 3):
            begin = n + moved - len(tail)
            if begin >= 0 and _plain(words[begin : n + moved]) == tail:
                return n + moved
    return n


def _plain(words: list[str]) -> list[str]:
    return ["".join(filter(str.isalnum, word)).lower() for word in words]
