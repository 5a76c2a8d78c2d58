"""Who has the floor, and the steps by which it changes hands: each returns its commands."""

from dataclasses import dataclass, field

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
from voice_ai.turn.events import ReplySent, Timer
from voice_ai.turn.rules import Phase, Rules

# Timers of a turn of ours, and of a turn of the caller's.
OURS: tuple[Timer, ...] = ("reply", "filler", "tool", "protected", "playout", "false_start")
CALLERS: tuple[Timer, ...] = ("stuck", "monologue", "digits")
# Phrases after which the call ends.
LAST_WORDS: tuple[Phrase, ...] = ("goodbye", "voicemail")


@dataclass(slots=True)
class Ours:
    """The latest turn of ours, until the caller begins one.

    Started: its first frame is on the wire. Sent: all of it is. Broken: it failed on its way. Kept:
    it was heard to its end while it was held. `excuse` is what we say when it is broken, None for
    nothing if some of it was heard. `waiting` is what the caller said into it while it
    was protected, and `murmur` the stream turn and words of a backchannel while it was held.
    """

    turn: int
    phrase: Phrase | None = None
    started: bool = False
    sent: bool = False
    broken: bool = False
    excuse: Phrase | None = "apology"
    kept: bool = False
    protected: bool = False
    near_end: bool = False
    murmur: tuple[int, str] | None = None
    asked_to_hang_up: bool = False
    waiting: str = ""

    @property
    def closing(self) -> bool:
        """Whether the call ends after it."""
        return self.asked_to_hang_up or self.phrase in LAST_WORDS


@dataclass(slots=True)
class Caller:
    """The caller's turn under way: its number, and what there is of it.

    It may go on over several turns of the recogniser's, when that connects anew or keys are pressed
    meanwhile: `words` are the latest one's, `before` those of the earlier ones. `owed` is whether
    it interrupted an answer that was due.
    """

    stream_turn: int
    words: str = ""
    turn: int = 0
    before: str = ""
    digits: str = ""
    owed: bool = False
    draft: int | None = None
    draft_of: str = ""
    n_drafts: int = 0

    @property
    def said(self) -> str:
        """All words so far."""
        return f"{self.before} {self.words}".strip()

    def hear(self, stream_turn: int) -> None:
        """Go on with this turn of the recogniser's."""
        if stream_turn != self.stream_turn:
            self.before, self.words = self.said, ""
            self.stream_turn = stream_turn


@dataclass(slots=True)
class Floor:
    """The state of a call that both sides change.

    `turn` is the number of the turn begun last, `ours` the latest turn of ours until the caller
    begins one, `caller` the caller's while it is under way. A timer of a name runs at most once,
    for the turn in `timers`. `deaf` is why the caller is heard no more, `n_silences` how often they
    have said nothing in a row, and `n_mute` in how many turns of ours in a row the voice failed.
    """

    rules: Rules
    phase: Phase = Phase.IDLE
    turn: int = 0
    ours: Ours | None = None
    caller: Caller | None = None
    timers: dict[Timer, int] = field(default_factory=dict)
    deaf: str = ""
    n_silences: int = 0
    n_mute: int = 0

    @property
    def live(self) -> Ours | None:
        """Our turn, if it is not over."""
        return None if self.phase in (Phase.IDLE, Phase.LISTENING) else self.ours

    def stop(self) -> list[Command]:
        """Take the floor away from whatever is under way, and keep what was heard of it."""
        ours, caller, commands = self.live, self.caller, self.drop_draft()
        self.caller = None
        if caller and caller.said:
            commands.append(KeepCaller(caller.turn, caller.said))
        if ours is None:
            return [*commands, *self.cancel(*CALLERS)]
        commands.append(CancelReply(ours.turn))
        # Also while we think: the first frame may be on the wire, its ReplyStarted on its way.
        if self.phase is not Phase.HELD:
            commands.append(ClearPlayout(ours.turn))
        if ours.started and not ours.kept:
            commands.append(KeepHeard(ours.turn, complete=False))
        if ours.waiting:
            commands.append(self.keep(ours.waiting))
        return [*commands, *self.cancel(*OURS)]

    def keep(self, words: str) -> Command:
        """Keep what the caller said as a turn of its own."""
        self.turn += 1
        return KeepCaller(self.turn, words)

    def begins(self, stream_turn: int, words: str = "") -> list[Command]:
        """Begin a turn of the caller's, who speaks."""
        commands = self.yield_to(Caller(stream_turn, words))
        commands += self.start("stuck", self.turn, self.rules.stuck_ms)
        return [*commands, *self.start("monologue", self.turn, self.rules.monologue_ms)]

    def yield_to(self, caller: Caller) -> list[Command]:
        """Leave the floor to the caller, as a new turn."""
        ours = self.live
        caller.owed = ours is not None and (not ours.started or bool(ours.waiting))
        commands = [*self.stop(), *self.cancel("silence")]
        self.turn += 1
        caller.turn, self.phase = self.turn, Phase.CALLER_SPEAKING
        self.ours, self.caller = None, caller
        return commands

    def say(self, phrase: Phrase) -> list[Command]:
        """Say a phrase as a new turn of ours."""
        self.turn += 1
        protected = phrase == "greeting" and self.rules.greeting_protected
        self.ours = Ours(self.turn, phrase, started=True, protected=protected)
        self.phase = Phase.CLOSING if phrase in LAST_WORDS else Phase.SPEAKING
        return [*self.cancel("silence"), SayPhrase(self.turn, phrase)]

    @property
    def is_mute(self) -> bool:
        """Whether the voice has failed in too many turns in a row."""
        return self.n_mute >= self.rules.max_mute

    def excuse(self, phrase: Phrase) -> list[Command]:
        """Say that an answer cannot be had, and when the voice is lost that none will be."""
        if not self.is_mute:
            return self.say(phrase)
        self.deaf = self.deaf or "the voice failed"
        return self.say("goodbye")

    def think(self) -> list[Command]:
        """Have the caller answered, as a new turn of ours."""
        self.turn += 1
        self.ours = Ours(self.turn)
        self.phase = Phase.THINKING
        return [StartReply(self.turn), *self.wait_for_reply(self.turn)]

    def wait_for_reply(self, turn: int) -> list[Command]:
        """Start the timers that bound the silence before our first sound."""
        timer = self.start("reply", turn, self.rules.reply_timeout_ms)
        return [*timer, *self.start("filler", turn, self.rules.filler_ms)]

    def listen(self) -> list[Command]:
        """Leave the floor to nobody, for a while."""
        self.phase = Phase.LISTENING
        return self.start("silence", self.turn, self.rules.silence_ms)

    def hang_up(self, commands: list[Command]) -> list[Command]:
        """End the call from our side, after these commands."""
        silent = self.n_silences > self.rules.max_prompts
        reason = "the caller said nothing" if silent else "asked for by the agent"
        return self.end([*commands, HangUp(self.turn, self.deaf or reason)])

    def end(self, commands: list[Command]) -> list[Command]:
        """Be in no call any more, after these commands."""
        self.phase = Phase.ENDED
        return [*commands, *self.cancel(*self.timers)]

    def await_playout(self, ours: Ours, sent: ReplySent) -> list[Command]:
        """Wait for the caller to have heard the turn, all of which is on the wire."""
        ours.sent = True
        after_ms = max(sent.remaining_ms, 0) + self.rules.playout_slack_ms
        return self.start("playout", ours.turn, after_ms)

    def speak(self, ours: Ours) -> list[Command]:
        """Go over from thinking to speaking."""
        ours.started = True
        self.phase = Phase.CLOSING if ours.closing else Phase.SPEAKING
        commands = self.cancel(*OURS)
        if self.rules.protected_ms and not ours.protected:
            ours.protected = True
            commands += self.start("protected", ours.turn, self.rules.protected_ms)
        return commands

    def drop_draft(self) -> list[Command]:
        """Cancel the draft, if there is one."""
        caller = self.caller
        if caller is None or caller.draft is None:
            return []
        commands: list[Command] = [CancelReply(caller.draft)]
        caller.draft, caller.draft_of = None, ""
        return commands

    def start(self, timer: Timer, turn: int, after_ms: float | None) -> list[Command]:
        """Start a timer, anew if it runs; None is a rule that is off."""
        if after_ms is None:
            return []
        commands = self.cancel(timer)
        self.timers[timer] = turn
        return [*commands, StartTimer(turn, timer, after_ms)]

    def cancel(self, *timers: Timer) -> list[Command]:
        """Cancel those of these timers that run."""
        return [
            CancelTimer(self.timers.pop(timer), timer) for timer in timers if timer in self.timers
        ]

    def fired(self, timer: Timer, turn: int) -> bool:
        """Whether a timer that ran out was still running; it is not any more."""
        if self.timers.get(timer) != turn:
            return False
        del self.timers[timer]
        return True
