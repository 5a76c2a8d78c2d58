"""The caller's audio on its way to the recogniser: nothing is lost while that is dialled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voice_ai.call.line import AudioIn, CallerAudio
from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError, UsageError

# Deepgram strongly recommends 80 ms (its Flux quickstart); a quarter of the system calls, too.
MESSAGE_MS = 80
# Milliseconds of audio; a handshake may take 10 s. When it is full, the recogniser has failed: the
# call ends, and says so.
LIMIT_MS = 15_000


class ConvertedAudio:
    """A CallerAudio (call/line.py) for lines that cannot convert by themselves."""

    def __init__(self, transcoder: Transcoder) -> None:
        """Convert by `transcoder`, from the line's format to the recogniser's."""
        self.until_ms = 0.0
        self.received_ms = 0.0
        self._transcoder = transcoder
        self._limit = LIMIT_MS * transcoder.target.n_octets_per_ms
        self._pending = bytearray()

    @property
    def n_waiting(self) -> int:
        """Octets that wait to be taken."""
        return len(self._pending)

    def put(self, data: bytes, timestamp_ms: int, /) -> None:
        """Append a frame.

        Raises:
            UsageError: more waits than LIMIT_MS.
        """
        n_ms = self._transcoder.source.duration_ms(len(data))
        self.received_ms += n_ms
        self.until_ms = max(self.until_ms, timestamp_ms + n_ms)
        self._pending += self._transcoder.convert(data)
        if len(self._pending) > self._limit:
            raise UsageError(f"{len(self._pending)} octets of speech wait, {self._limit} may")

    def take(self, n_octets: int, /) -> bytes:
        """Return the oldest octets, fewer if fewer wait."""
        taken = bytes(self._pending[:n_octets])  # a copy: the rest of the bytearray moves
        del self._pending[:n_octets]
        return taken


class Backlog:
    """Gives the caller's audio in messages of `MESSAGE_MS`, as it comes, once there is who takes.

    There is no task and no wait in it: who brings the last of a message also sends it on.
    """

    def __init__(
        self,
        tap: Callable[[int, Callable[[], None]], CallerAudio],
        target: AudioFormat,
    ) -> None:
        """Have `tap` make the audio, in the format `target`; it is given what to call, and when."""
        self._size = MESSAGE_MS * target.n_octets_per_ms
        self._send: Callable[[bytes], None] | None = None
        self.audio = tap(self._size, self._arrived)

    def put(self, frame: AudioIn) -> None:
        """Append a frame that came as a message. Never waits.

        Raises:
            ProviderError: the recogniser has fallen `LIMIT_MS` behind.
        """
        try:
            self.audio.put(frame.data, frame.timestamp_ms)
        except UsageError as error:
            raise ProviderError("stt", f"it has fallen behind: {error}") from error
        self._arrived()

    @contextmanager
    def poured_into(self, send: Callable[[bytes], None]) -> Iterator[None]:
        """Give `send` what waits, and then what comes."""
        self._send = send
        self._arrived()
        try:
            yield
        finally:
            self._send = None

    def _arrived(self) -> None:
        while self._send is not None and self.audio.n_waiting >= self._size:
            self._send(self.audio.take(self._size))
