"""Our side of the floor: what becomes of a turn of ours."""

from voice_ai.errors import FailureKind
from voice_ai.turn.commands import Command, Filler, KeepHeard, Phrase, ResumeReply, SayFiller
from voice_ai.turn.events import (
    Event,
    HangUpAsked,
    PlayoutFinished,
    ProviderFailed,
    ReplyHeld,
    ReplySent,
    ReplyStarted,
    SpeakAsked,
    ToolEnded,
    ToolStarted,
)
from voice_ai.turn.floor import OURS, Floor, Ours
from voice_ai.turn.rules import Phase


class OurSide:
    """Takes what is told of our live turn, which is `ours`."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def about(self, ours: Ours, event: Event) -> list[Command]:
        """Take what is told of a turn of ours, the latest."""
        self._count_mute(ours, event)
        match self._floor.phase, event:
            case Phase.LISTENING, HangUpAsked():
                return self._floor.hang_up([])
            case Phase.LISTENING, SpeakAsked():
                return [*self._floor.cancel("silence"), *self._floor.think()]
            case Phase.HELD, _:
                return self._about_held(ours, event)
            case _, HangUpAsked():
                ours.asked_to_hang_up = True
                if self._floor.phase is Phase.SPEAKING:
                    self._floor.phase = Phase.CLOSING
            case Phase.THINKING, _:
                return self._about_awaited(ours, event)
            case ((Phase.SPEAKING | Phase.CLOSING), _):
                return self._about_spoken(ours, event)
        return []

    def _count_mute(self, ours: Ours, event: Event) -> None:
        """Count the turns in a row whose voice failed; one that was all sound ends the row."""
        if ours.phrase or ours.sent or ours.broken:
            return
        match event:
            case ProviderFailed(stage="tts"):
                self._floor.n_mute += 1
            case ReplySent(n_ms=n_ms) if n_ms > 0:
                self._floor.n_mute = 0
            case PlayoutFinished():
                self._floor.n_mute = 0

    def _about_awaited(self, ours: Ours, event: Event) -> list[Command]:
        match event:
            case ReplyStarted():
                return self._floor.speak(ours)
            case ReplySent(n_ms=n_ms) if n_ms <= 0:
                return self._nothing_to_say(ours)
            case ReplySent():
                return [*self._floor.speak(ours), *self._floor.await_playout(ours, event)]
            case ProviderFailed():
                _break(ours, event)
                return self.give_up(ours)
            case ToolStarted():
                return self._floor.start("tool", ours.turn, self._floor.rules.tool_ms)
            case ToolEnded():
                return self._floor.cancel("tool")
        return []

    def _about_spoken(self, ours: Ours, event: Event) -> list[Command]:
        match event:
            case PlayoutFinished():
                return self.spoken(ours, complete=not ours.broken)
            case ReplySent(n_ms=n_ms) if not ours.sent:
                if n_ms <= 0:
                    return self.spoken(ours, complete=False)
                return self._floor.await_playout(ours, event)
            case ProviderFailed() if not ours.sent:
                if ours.phrase:
                    return self.spoken(ours, complete=False)
                _break(ours, event)
        return []

    def _about_held(self, ours: Ours, event: Event) -> list[Command]:
        match event:
            case ReplyStarted():
                ours.started = True
            case HangUpAsked():
                ours.asked_to_hang_up = True
            case ReplySent(n_ms=n_ms) if n_ms <= 0 and not ours.started:
                ours.broken = True
            case ProviderFailed() if not ours.sent:
                _break(ours, event)
            case PlayoutFinished() if ours.started and not ours.kept:
                ours.kept = True
                return [KeepHeard(ours.turn, complete=not ours.broken)]
            case ReplyHeld(remaining_ms=left_ms):
                ours.near_end = left_ms is not None and left_ms <= self._floor.rules.near_end_ms
                if ours.near_end and ours.murmur:
                    return self._floor.begins(*ours.murmur)
        return []

    def resume(self) -> list[Command]:
        """Nobody has spoken: go on where we were."""
        ours, commands = self._floor.ours, self._floor.cancel("false_start")
        assert ours is not None
        if ours.kept:
            return [*commands, *self._after(ours)]
        if ours.broken and ours.phrase:
            return [*commands, *self.spoken(ours, complete=False)]
        if ours.broken and not ours.started:
            return [*commands, *self.give_up(ours)]
        ours.sent = ours.near_end = False
        ours.murmur = None
        commands.append(ResumeReply(ours.turn))
        if not ours.started:
            self._floor.phase = Phase.THINKING
            return [*commands, *self._floor.wait_for_reply(ours.turn)]
        self._floor.phase = Phase.CLOSING if ours.closing else Phase.SPEAKING
        return commands

    def _nothing_to_say(self, ours: Ours) -> list[Command]:
        """The answer came and was empty: never leave a caller in silence."""
        commands = self._floor.cancel(*OURS)
        if ours.waiting:
            return [*commands, *self._after(ours)]
        if ours.asked_to_hang_up:
            return self._floor.hang_up(commands)
        return [*commands, *self._floor.say("apology")]

    def fill(self, ours: Ours, filler: Filler) -> list[Command]:
        """Bridge the silence, and do so again while it lasts; one excuse at a time."""
        commands = [SayFiller(ours.turn, filler), *self._floor.cancel("filler", "tool")]
        return commands + self._floor.start("filler", ours.turn, self._floor.rules.filler_again_ms)

    def give_up(self, ours: Ours) -> list[Command]:
        """The answer cannot be had; what was said meanwhile is answered all the same."""
        if ours.waiting:
            return [*self._floor.stop(), *self._floor.think()]
        stopped = self._floor.stop()
        if ours.asked_to_hang_up:
            return [*stopped, *self._floor.say("goodbye")]
        return [*stopped, *self._floor.excuse(ours.excuse or "apology")]

    def spoken(self, ours: Ours, *, complete: bool) -> list[Command]:
        """Our turn is over: the caller has heard what there is of it."""
        kept = KeepHeard(ours.turn, complete)
        return [kept, *self._floor.cancel(*OURS), *self._after(ours)]

    def _after(self, ours: Ours) -> list[Command]:
        if ours.waiting:
            return [self._floor.keep(ours.waiting), *self._floor.think()]
        if ours.closing:
            return self._floor.hang_up([])
        if ours.broken and not ours.phrase and (ours.excuse or self._floor.is_mute):
            return self._floor.excuse(ours.excuse or "apology")
        return self._floor.listen()


# What the caller is told of a failure. An answer that was cut ends with a sentence.
_EXCUSES: dict[FailureKind, Phrase | None] = {
    "failed": "apology",
    "refused": "refusal",
    "cut": None,
}


def _break(ours: Ours, failure: ProviderFailed) -> None:
    ours.broken, ours.excuse = True, _EXCUSES[failure.kind]
