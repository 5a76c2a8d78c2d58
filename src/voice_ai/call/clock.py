"""The line's own clock: audio comes in at the pace of speech, so counting it tells the time."""

from voice_ai.call.line import CallerAudio


class LineClock:
    """Reads time off the caller's audio: a stalled network stalls playout's clock with it."""

    def __init__(self, audio: CallerAudio) -> None:
        """Read this call's audio."""
        self._audio = audio

    @property
    def timestamp_ms(self) -> float:
        """Where the stream is, by its own timestamps: the end of the latest frame."""
        return self._audio.until_ms

    def moment(self, position_ms: float, now: float) -> float:
        """Return when the audio at this position came in, in seconds of the clock of `now`."""
        return now - max(0.0, self._audio.received_ms - position_ms) / 1000
