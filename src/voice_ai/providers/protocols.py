"""What a call needs of its providers. An adapter satisfies these by shape.

Each `open` is entered once a call and left with it: a stream that is not entered cannot leak. All
failures surface as `ProviderError` with the stage in it; adapters bound every wait on their peer.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from voice_ai.codec.formats import AudioFormat
from voice_ai.providers.breaker import Budget
from voice_ai.providers.cost import Cost
from voice_ai.turn.events import Said, SpeechEvent


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Who is on the line. Ids and numbers as Twilio gives them; empty where it gives none.

    From `budget` all of the call's providers take their retries, to `cost` they add what they use.
    """

    call_sid: str
    stream_sid: str = ""
    caller: str = ""
    called: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget, compare=False, repr=False)
    cost: Cost = field(default_factory=Cost, compare=False, repr=False)


# Hearing.


class SpeechStream(Protocol):
    """One call's audio in, its turns out."""

    def send(self, audio: bytes) -> bool:
        """Give the recogniser a stretch of audio in its `input_format`, never empty.

        Nothing is waited for: what cannot be sent yet is kept, so much and no more. Raises nothing:
        who iterates is told of a failure.

        Returns:
            True once if the recogniser is late, and the caller has spoken meanwhile and waits.
        """

    def __aiter__(self) -> AsyncIterator[SpeechEvent]:
        """Yield what is heard; an end that we did not ask for raises ProviderError."""


class SpeechToText(Protocol):
    """A speech recogniser that also judges when a turn is over."""

    @property
    def input_format(self) -> AudioFormat:
        """The audio that streams of this recogniser take."""

    def open(self, call: CallInfo) -> AbstractAsyncContextManager[SpeechStream]:
        """Dial on entering; leave within a second."""


# Answering.


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer's text, as the model writes it: any length, any cut."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolRequested:
    """The model wants a tool run; `arguments` is JSON text, unchecked."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Writing:
    """The model writes what is of no use before it is whole, such as a tool's arguments."""


@dataclass(frozen=True, slots=True)
class TextEnded:
    """The text so far is whole; what comes behind it, if anything, begins anew.

    Models that cannot tell before the end of the answer say nothing.
    """


ModelEvent: TypeAlias = TextDelta | TextEnded | ToolRequested | Writing


class Dialogue(Protocol):
    """The language model's side of one call."""

    def reply(
        self, turn: int, said: Sequence[Said]
    ) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Ask for the next thing to say after all that was said. Leaving early aborts the request.

        The iterator ends when the answer is complete, and raises ProviderError when it cannot be
        had. After ToolRequested the caller runs the tools, adds their ToolCalled and ToolAnswered
        to `said`, and asks again.
        """

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        """Make the service's own record agree with `said`, where only what was heard stands.

        Called off the critical path once a turn of ours is over. Never raises; a later `reply`
        waits for it.
        """


class LanguageModel(Protocol):
    """Writes what the agent says."""

    def open(
        self, call: CallInfo, instructions: str, tools: Sequence[ToolSpec]
    ) -> AbstractAsyncContextManager[Dialogue]:
        """Enter the model's side of one call; leaving forgets it."""


# Speaking.


@dataclass(frozen=True, slots=True)
class Audio:
    """A stretch of the voice in the provider's `output_format`; whole samples, any length."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SpokenTo:
    """All audio so far speaks exactly the first `n_chars` characters of this utterance."""

    n_chars: int


VoiceEvent: TypeAlias = Audio | SpokenTo


@dataclass(slots=True)
class Taken:
    """Audio that went past an utterance's iterator: octets, and when the last came (loop time)."""

    n_octets: int = 0
    at_s: float = 0.0


class Utterance(Protocol):
    """One reply's text in, its voice out. Text and audio are handled by two tasks."""

    @property
    def taken(self) -> Taken:
        """What was taken of the audio that was offered."""

    @property
    def owes(self) -> bool:
        """Whether audio is due for text that was given: then silence is a fault."""

    async def send(self, text: str) -> None:
        """Give the next sentence or clause with its trailing space; it may be spoken at once."""

    async def finish(self) -> None:
        """Say that no more text comes; the iterator ends when all of it has been spoken."""

    def offer(self, take: Callable[[bytes], bool]) -> None:
        """Give audio to `take` from now on, in the very read that brings it, if it will have it.

        What it declines is iterated, as is all that comes before that has been. A voice that has no
        such moment iterates everything.
        """

    def __aiter__(self) -> AsyncIterator[VoiceEvent]:
        """Yield the voice as it is made; raises ProviderError when it cannot be had."""


class Voice(Protocol):
    """A call's connection to a voice; one utterance at a time, one after another."""

    def utter(self) -> AbstractAsyncContextManager[Utterance]:
        """Begin a reply. Leaving early drops what is unspoken: the next one hears none of it.

        Left by a ProviderError, its connection is not used again.
        """


class TextToSpeech(Protocol):
    """A synthetic voice."""

    @property
    def output_format(self) -> AudioFormat:
        """The audio that this voice gives."""

    def open(self, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """Dial on entering; leave within a second."""
