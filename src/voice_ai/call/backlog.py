"""The caller's audio on its way to the recogniser: nothing is lost while that is dialled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voice_ai.call.arrivals import Arrivals
from voice_ai.call.clock import LineClock
from voice_ai.call.line import AudioIn, CallerAudio
from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError, UsageError

# Deepgram strongly recommends 80 ms (its Flux quickstart); a quarter of the system calls, too.
MESSAGE_MS = 80
# Milliseconds of audio; a handshake may take 10 s. When it is full, the recogniser has failed: the
# call ends, and says so.
LIMIT_MS = 15_000
# Milliseconds of audio that may have come ahead of the clock: nobody speaks faster than time goes,
# a far end that does is none, and each second of it is paid for. What a network has held back is
# never ahead.
LEAD_MS = 10_000


def _nobody() -> None:
    """Nobody is told."""


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
        now_s: Callable[[], float] = lambda: 0.0,
        flooded: Callable[[], None] | None = None,
    ) -> None:
        """Have `tap` make the audio, in the format `target`; it is given what to call, and when.

        `flooded` is called, once, when LEAD_MS more has come than `now_s` allows; nothing is sent
        on then.
        """
        self._now_s = now_s
        self._began_s = now_s()
        self._flooded = flooded
        self._is_over = False
        self._size = MESSAGE_MS * target.n_octets_per_ms
        self._send: Callable[[bytes], bool] | None = None
        self._unheard: Callable[[], None] = _nobody
        self.audio = tap(self._size, self._arrived)
        self.arrivals = Arrivals(self.audio)
        self.clock = LineClock(self.audio)

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
    def poured_into(
        self, send: Callable[[bytes], bool], unheard: Callable[[], None] = _nobody
    ) -> Iterator[None]:
        """Give `send` what waits, and then what comes; call `unheard` when it returns True."""
        self._send, self._unheard = send, unheard
        self._arrived()
        try:
            yield
        finally:
            self._send = None

    def _arrived(self) -> None:
        now_s = self._now_s()
        self.clock.came(now_s)
        elapsed_ms = (now_s - self._began_s) * 1000
        self.arrivals.came(elapsed_ms)
        if self._flooded is not None and self.audio.received_ms - elapsed_ms > LEAD_MS:
            self._is_over = True
            flooded, self._flooded = self._flooded, None
            flooded()
        while self._send is not None and not self._is_over and self.audio.n_waiting >= self._size:
            if self._send(self.audio.take(self._size)):
                self._unheard()
