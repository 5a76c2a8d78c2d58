"""What happened on a call, told to the turn machine, and what both sides said.

Two counts: `turn` is the machine's own number of a side's right to speak, from 1 (0 before the
first); `stream_turn` is the speech recogniser's count of the caller's turns, from 1.
All are plain values: no clock, no socket.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from voice_ai.errors import FailureKind, Stage

# What the line tells.


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The media stream is open: somebody is on the line."""

    turn: int = 0


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key: 0-9, *, #, A-D."""

    digit: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class CallerTyped:
    """The caller has written what they would have said: a whole turn."""

    text: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class GoodbyeAsked:
    """The call is to end with its last words; `reason` is for the record, not for the caller."""

    reason: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class MachineAnswered:
    """A machine has answered our call and records now: the agent's message is to be left."""

    turn: int = 0


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The caller hung up, or the media stream is gone; nothing can be said any more."""

    reason: str
    turn: int = 0


# What the speech recogniser tells (Deepgram Flux's events, by their names).


@dataclass(frozen=True, slots=True)
class StartOfTurn:
    """The caller has begun to speak (or something that sounds like it)."""

    stream_turn: int


@dataclass(frozen=True, slots=True)
class Update:
    """What has been recognised of the caller's turn so far; empty in silence."""

    stream_turn: int
    transcript: str


@dataclass(frozen=True, slots=True)
class EagerEndOfTurn:
    """The caller's turn is probably over: `transcript` is what an EndOfTurn would carry."""

    stream_turn: int
    transcript: str


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """The caller went on speaking after an EagerEndOfTurn."""

    stream_turn: int


@dataclass(frozen=True, slots=True)
class EndOfTurn:
    """The caller's turn is over.

    `speech_end_ms` is where the caller's speech ended and `decided_ms` how much audio had been
    heard when the turn was judged over, both as positions in the audio sent to the recogniser.
    """

    stream_turn: int
    transcript: str
    speech_end_ms: float
    decided_ms: float


@dataclass(frozen=True, slots=True)
class CallerUnheard:
    """The caller has spoken and waits, and the recogniser, which is late, has not heard it yet."""

    turn: int = 0


# What became of our own turn.


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The first frame of the reply is on the wire."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplySent:
    """The whole reply is on the wire with its last mark; `remaining_ms` are still to be played.

    A reply that had nothing to say ends with `n_ms` 0 and no ReplyStarted before it.
    """

    turn: int
    n_ms: float
    remaining_ms: float


@dataclass(frozen=True, slots=True)
class ReplyHeld:
    """The reply is held back; `remaining_ms` were still to be played, None while more is made."""

    turn: int
    remaining_ms: float | None


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The reply waits for a tool."""

    turn: int


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """The tool has answered, or was given up."""

    turn: int


@dataclass(frozen=True, slots=True)
class PlayoutFinished:
    """The caller has heard the reply to its end: its last mark came back."""

    turn: int


@dataclass(frozen=True, slots=True)
class HangUpAsked:
    """The agent wants to end the call once this turn has been heard."""

    turn: int


@dataclass(frozen=True, slots=True)
class SpeakAsked:
    """Something came of this turn after it was heard, and the agent wants to speak about it."""

    turn: int


@dataclass(frozen=True, slots=True)
class ProviderFailed:
    """A service failed; `turn` is the reply it was at, 0 for the recogniser, which serves all.

    A model that refuses to answer is `refused`; one whose answer broke off is `cut` if what was
    spoken of it are whole sentences.
    """

    turn: int
    stage: Stage
    reason: str
    kind: FailureKind = "failed"


Timer = Literal[
    "reply", "playout", "false_start", "protected", "filler", "tool",
    "silence", "stuck", "monologue", "digits", "call",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that the machine asked for has run out."""

    turn: int
    timer: Timer


SpeechEvent: TypeAlias = StartOfTurn | Update | EagerEndOfTurn | TurnResumed | EndOfTurn
Event: TypeAlias = (
    CallStarted
    | DigitPressed
    | CallerTyped
    | GoodbyeAsked
    | MachineAnswered
    | CallerGone
    | SpeechEvent
    | CallerUnheard
    | ReplyStarted
    | ReplySent
    | ReplyHeld
    | ToolStarted
    | ToolEnded
    | PlayoutFinished
    | HangUpAsked
    | SpeakAsked
    | ProviderFailed
    | TimerFired
)


# What was said: the history's items, and what a language model is given.


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """A finished turn of the caller's, as recognised."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """What the caller heard of a turn of ours; `complete` if that was all of it."""

    turn: int
    text: str
    complete: bool


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model asked for a tool; `arguments` is its JSON, as written."""

    turn: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """What the tool gave back, as text."""

    turn: int
    call_id: str
    output: str


Said: TypeAlias = CallerSaid | AgentSaid | ToolCalled | ToolAnswered
