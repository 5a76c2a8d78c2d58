"""The line's own clock: audio comes in at the pace of speech, so counting it tells the time."""

from voice_ai.call.line import AudioIn


class LineClock:
    """Counts the caller's audio; playout is judged by it, so a stalled network stalls it too."""

    def __init__(self) -> None:
        """Start at the stream's start."""
        self.timestamp_ms = 0.0
        self.received_ms = 0.0

    def hear(self, frame: AudioIn, n_ms: float) -> None:
        """Count a frame that lasts `n_ms`."""
        self.received_ms += n_ms
        self.timestamp_ms = max(self.timestamp_ms, frame.timestamp_ms + n_ms)

    def moment(self, position_ms: float, now: float) -> float:
        """Return when the audio at this position came in, in seconds of the clock of `now`."""
        return now - max(0.0, self.received_ms - position_ms) / 1000
