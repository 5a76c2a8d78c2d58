"""The far end of a call: audio, marks and digits in; audio, marks and clear out."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.transcode import Transcoder


@dataclass(frozen=True, slots=True)
class AudioIn:
    """A frame of the caller's voice; `timestamp_ms` counts from the stream's start."""

    data: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class MarkIn:
    """The far end has played all that was sent before the mark of this name, or has cleared it."""

    name: str


@dataclass(frozen=True, slots=True)
class DigitIn:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class TextIn:
    """The caller has written what they would have said."""

    text: str


LineEvent: TypeAlias = AudioIn | MarkIn | DigitIn | TextIn


class CallerAudio(Protocol):
    """The caller's audio of one call, in the recogniser's format, in the order in which it came."""

    @property
    def n_waiting(self) -> int:
        """Octets that wait to be taken."""

    @property
    def until_ms(self) -> float:
        """The end of the latest frame, by the stream's timestamps."""

    @property
    def received_ms(self) -> float:
        """How much audio there was, in all."""

    def put(self, data: bytes, timestamp_ms: int, /) -> None:
        """Append a frame in the line's format; raises UsageError when too much waits."""

    def take(self, n_octets: int, /) -> bytes:
        """Return the oldest octets, fewer if fewer wait."""


class Gate(Protocol):
    """The way of one turn's voice to the line, while nothing is to be decided about it.

    It takes the voice in its own format, whole samples, and returns whether it took it.
    """

    @property
    def n_octets(self) -> int:
        """Octets that have passed, in the line's format."""

    def __call__(self, audio: bytes, /) -> bool:
        """Let audio through, or leave it to who was named for it."""

    def open(
        self,
        n_octets: int,
        dry_ms: float,
        label: str,
        sent_ms: float,
        mark_ms: float,
        every_ms: float,
        /,
    ) -> None:
        """Let so much through, from where the books are (turn/playout.py: Ahead)."""

    def shut(self) -> None:
        """Let nothing through."""

    def take(self) -> tuple[bytes, list[tuple[float, int]], list[tuple[str, float]]]:
        """Return what has passed since last time, when each unbroken stretch did, and marks."""


class Line(Protocol):
    """A Twilio stream or a browser. One task reads; any task of the call may send."""

    @property
    def format(self) -> AudioFormat:
        """The audio that this line carries, both ways."""

    def tap(
        self,
        target: AudioFormat,
        n_octets: int,
        arrived: Callable[[], None],
        marked: Callable[[str], bool],
    ) -> CallerAudio | None:
        """Take audio and marks past the iterator from now on, if this line can.

        `arrived` is called when some was taken and so many octets wait. AudioIn is then the
        exception; it is to be put into the same audio. `marked` is given the name of a mark, and
        returns whether that was taken: if not, it comes as a MarkIn.
        """

    def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Yield what comes until the caller hangs up; raises ProtocolError."""

    @property
    def is_free(self) -> bool:
        """Whether `write_audio` and `write_mark` may be called: nothing waits to be sent."""

    def gate(self, voice: Transcoder, otherwise: Callable[[bytes], bool]) -> Gate | None:
        """Return what lets a turn's voice through past `write_audio`, if this line can do that.

        The gate of the turn before it is closed.
        """

    def write_audio(self, data: bytes) -> None:
        """Send audio at once."""

    def write_mark(self, name: str) -> None:
        """Send a mark at once."""

    async def send_audio(self, data: bytes) -> None:
        """Queue audio for playing; raises PeerError if the far end does not take it in time."""

    async def send_mark(self, name: str) -> None:
        """Ask to be told when all audio sent so far has been played."""

    async def clear(self) -> None:
        """Empty the far end's buffer; its outstanding marks come back at once."""

    async def hang_up(self) -> None:
        """End the call from our side. Idempotent."""
