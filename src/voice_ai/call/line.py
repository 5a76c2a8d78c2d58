"""The far end of a call: audio, marks and digits in; audio, marks and clear out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from voice_ai.codec.formats import AudioFormat


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


LineEvent: TypeAlias = AudioIn | MarkIn | DigitIn


class Line(Protocol):
    """A Twilio stream or a browser. One task reads; any task of the call may send."""

    @property
    def format(self) -> AudioFormat:
        """The audio that this line carries, both ways."""

    def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Yield what comes until the caller hangs up; raises ProtocolError."""

    async def send_audio(self, data: bytes) -> None:
        """Queue audio for playing; raises PeerError if the far end does not take it in time."""

    async def send_mark(self, name: str) -> None:
        """Ask to be told when all audio sent so far has been played."""

    async def clear(self) -> None:
        """Empty the far end's buffer; its outstanding marks come back at once."""

    async def hang_up(self) -> None:
        """End the call from our side. Idempotent."""
