"""What the turn machine wants done, each with its turn; the shell does it and decides nothing."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from voice_ai.turn.events import Timer

Phrase = Literal["greeting", "apology", "refusal", "goodbye", "still_there", "voicemail"]
Filler = Literal["filler", "moment"]


@dataclass(frozen=True, slots=True)
class SayPhrase:
    """Speak a phrase of the agent's that was made at start-up, as the reply of this turn."""

    turn: int
    phrase: Phrase


@dataclass(frozen=True, slots=True)
class StartReply:
    """Ask the language model for an answer to the history as it stands, and speak it.

    With a `draft` the caller has perhaps said that, too: the answer is made and held, it runs no
    tool and leaves no trace, until a ResumeReply.
    """

    turn: int
    draft: str | None = None


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop the reply of this turn wherever it is; no audio of it may be sent after this."""

    turn: int


@dataclass(frozen=True, slots=True)
class HoldReply:
    """Empty the far end's buffer and send no more of this turn; what was not heard is kept."""

    turn: int


@dataclass(frozen=True, slots=True)
class ResumeReply:
    """Send what was held, from the last word boundary that was heard; then the rest."""

    turn: int


@dataclass(frozen=True, slots=True)
class SayFiller:
    """Bridge the silence before the reply's own first sound; no part of what was said.

    In turn 0 it belongs to no reply: none can be begun yet.
    """

    turn: int
    filler: Filler


@dataclass(frozen=True, slots=True)
class ClearPlayout:
    """Empty the far end's buffer: what is not yet played of this turn shall not be heard."""

    turn: int


@dataclass(frozen=True, slots=True)
class KeepCaller:
    """Write the caller's turn into the history."""

    turn: int
    transcript: str


@dataclass(frozen=True, slots=True)
class KeepHeard:
    """Write what was heard of this turn into the history; `complete` if it was played out."""

    turn: int
    complete: bool


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send TimerFired with this turn and name after so many milliseconds."""

    turn: int
    timer: Timer
    after_ms: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget this timer; it has not fired."""

    turn: int
    timer: Timer


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""

    turn: int
    reason: str


Command: TypeAlias = (
    SayPhrase
    | StartReply
    | CancelReply
    | HoldReply
    | ResumeReply
    | SayFiller
    | ClearPlayout
    | KeepCaller
    | KeepHeard
    | StartTimer
    | CancelTimer
    | HangUp
)
