"""The line's own clock: audio comes in at the pace of speech, so counting it tells the time."""

import math

from voice_ai.call.line import CallerAudio

# Seconds. The pace of audio is judged by the least late of what came in one to two of these: it
# comes 12 times in one, and in two the far end's clock is off by 0.2 ms at most (100 ppm).
PACE_S = 1.0


class LineClock:
    """Reads time off the caller's audio: a stalled network stalls playout's clock with it."""

    def __init__(self, audio: CallerAudio) -> None:
        """Read this call's audio."""
        self._audio = audio
        # When the call's first audio would have come in at the pace of what came lately, and
        # before; none of it can come before it was spoken, but much comes later.
        self._start_s = self._start_before_s = math.inf
        self._since_s = -math.inf

    @property
    def timestamp_ms(self) -> float:
        """Where the stream is, by its own timestamps: the end of the latest frame."""
        return self._audio.until_ms

    def came(self, now: float) -> None:
        """Take that audio has come in: the latest of it at `now`, in seconds of any clock."""
        start_s = now - self._audio.received_ms / 1000
        if now - self._since_s >= PACE_S:
            self._since_s = now
            self._start_before_s, self._start_s = self._start_s, start_s
        elif start_s < self._start_s:
            self._start_s = start_s

    def moment(self, position_ms: float, now: float) -> float:
        """Return when the audio at this position came in, in seconds of the clock of `came`.

        What the network or this process had held back counts as come when it was due: the caller
        has waited since then.
        """
        return min(now, min(self._start_s, self._start_before_s) + position_ms / 1000)
