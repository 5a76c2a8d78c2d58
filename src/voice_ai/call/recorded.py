"""A line whose sound is recorded, both ways; to the call it is the line itself."""

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias

from voice_ai.call.backlog import LIMIT_MS
from voice_ai.call.line import CallerAudio, Gate, Line, LineEvent, MarkIn
from voice_ai.call.recorder import Recorder
from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.transcode import Transcoder

# Milliseconds of silence that one jump of the timestamps becomes, at most. What Twilio leaves out
# is a few packets; a stream that is ten years on has lost no ten years of speech.
MAX_GAP_MS: Final = 5000

# Makes the caller's audio, given how many octets are to wait before who is called.
Tap: TypeAlias = Callable[[int, Callable[[], None]], CallerAudio]


class RecordedAudio:
    """A CallerAudio (call/line.py) that is recorded as it comes, whenever it is taken.

    It is taken out of its source at once. Of what waits here the bound is the source's: then it
    stays there, which says so in its own way.
    """

    def __init__(
        self,
        tap: Tap,
        n_octets: int,
        arrived: Callable[[], None],
        target: AudioFormat,
        recorder: Recorder,
    ) -> None:
        """Have `tap` make the source, in the format `target`; call `arrived` as it would."""
        self._arrived = arrived
        self._recorder = recorder
        self._pending = bytearray()
        self._limit = LIMIT_MS * target.n_octets_per_ms
        self._missing_ms = self._filled_ms = self._told_ms = 0.0
        self._source = tap(n_octets, self._come)

    @property
    def n_waiting(self) -> int:
        """Octets that wait to be taken."""
        return len(self._pending)

    @property
    def until_ms(self) -> float:
        """The end of the latest frame, by the stream's timestamps."""
        return self._source.until_ms

    @property
    def received_ms(self) -> float:
        """How much audio there was, in all."""
        return self._source.received_ms

    def put(self, data: bytes, timestamp_ms: int, /) -> None:
        """Append a frame in the line's format; raises UsageError when too much waits."""
        self._source.put(data, timestamp_ms)
        self.drain()

    def take(self, n_octets: int, /) -> bytes:
        """Return the oldest octets, fewer if fewer wait."""
        taken = bytes(self._pending[:n_octets])  # a copy: the rest of the bytearray moves
        del self._pending[:n_octets]
        return taken

    def now_ms(self) -> float:
        """Return the recording's time: what has come, and what was missing in between."""
        source = self._source
        missing_ms = source.until_ms - source.received_ms
        if missing_ms > self._missing_ms:
            self._filled_ms += min(missing_ms - self._missing_ms, MAX_GAP_MS)
            self._missing_ms = missing_ms
        return source.received_ms + self._filled_ms

    def drain(self) -> None:
        """Record what has come."""
        if len(self._pending) > self._limit:
            return
        audio = self._source.take(self._source.n_waiting)
        self._pending += audio
        self.now_ms()
        gap_ms, self._told_ms = self._filled_ms - self._told_ms, self._filled_ms
        self._recorder.caller(audio, gap_ms)

    def finish(self) -> None:
        """Record what has come to the last; nobody takes it any more."""
        self._pending.clear()
        self.drain()

    def _come(self) -> None:
        self.drain()
        self._arrived()


class RecordedLine:
    """A Line (call/line.py) that tells a recorder what goes over it, in the step in which it does.

    All of our voice comes by here: there is no gate that it could pass through.
    """

    def __init__(self, line: Line, recorder: Recorder) -> None:
        """Record this line for as long as this is entered."""
        self._line = line
        self._recorder = recorder
        self._audio: RecordedAudio

    async def __aenter__(self) -> "RecordedLine":
        """Begin."""
        self._recorder.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Record what has come to the last, and end."""
        self._audio.finish()
        self._recorder.__exit__(None, None, None)

    def tapping(self, tap: Tap, target: AudioFormat) -> Tap:
        """Return what makes the caller's audio as `tap` does, recorded."""

        def make(n_octets: int, arrived: Callable[[], None]) -> CallerAudio:
            self._audio = RecordedAudio(tap, n_octets, arrived, target, self._recorder)
            return self._audio

        return make

    @property
    def format(self) -> AudioFormat:
        """The audio that this line carries, both ways."""
        return self._line.format

    def tap(
        self,
        target: AudioFormat,
        n_octets: int,
        arrived: Callable[[], None],
        marked: Callable[[str], bool],
    ) -> CallerAudio | None:
        """Take audio and marks past the iterator, if the line can."""

        def noting(name: str) -> bool:
            if taken := marked(name):
                self._note(name)
            return taken

        return self._line.tap(target, n_octets, arrived, noting)

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Yield what comes until the caller hangs up; raises ProtocolError."""
        async for event in self._line:
            if isinstance(event, MarkIn):
                self._note(event.name)
            yield event

    def _note(self, name: str) -> None:
        self._recorder.mark(name, self._audio.now_ms())

    @property
    def is_free(self) -> bool:
        """Whether `write_audio` and `write_mark` may be called: nothing waits to be sent."""
        return self._line.is_free

    def gate(self, voice: Transcoder, otherwise: Callable[[bytes], bool]) -> Gate | None:
        """All of a voice is written piece by piece."""

    def write_audio(self, data: bytes) -> None:
        """Send audio at once."""
        self._recorder.agent(data, self._audio.now_ms())
        self._line.write_audio(data)

    def write_mark(self, name: str) -> None:
        """Send a mark at once."""
        self._line.write_mark(name)

    async def send_audio(self, data: bytes) -> None:
        """Queue audio for playing; raises PeerError if the far end does not take it in time."""
        self._recorder.agent(data, self._audio.now_ms())
        await self._line.send_audio(data)

    async def send_mark(self, name: str) -> None:
        """Ask to be told when all audio sent so far has been played."""
        await self._line.send_mark(name)

    async def clear(self) -> None:
        """Empty the far end's buffer; its outstanding marks come back at once."""
        self._recorder.clear(self._audio.now_ms())
        await self._line.clear()

    async def hang_up(self) -> None:
        """End the call from our side. Idempotent."""
        await self._line.hang_up()
