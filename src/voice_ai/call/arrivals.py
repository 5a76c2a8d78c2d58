"""How the caller's audio comes in: what never came, and what came late."""

from voice_ai.call.line import CallerAudio

# Twilio's frames; both counts are in these, whatever a line sends.
FRAME_MS = 20
# Audio is looked at once in 80 ms, when the oldest of it has waited 60: this leaves 40 ms to the
# network's own unevenness. Five frames behind, an end of turn is judged audibly late.
LATE_MS = 100.0
# Two clocks differ by up to some 100 parts in a million, 360 ms an hour: the earliest arrival that
# lateness is measured from is forgotten at ten times that pace.
FORGOTTEN_A_MS = 0.001


class Arrivals:
    """Counts the frames of one call; told whenever audio of a message's length has come."""

    __slots__ = ("_audio", "_early_ms", "_gap_ms", "_last_ms", "_received_ms", "n_late")

    def __init__(self, audio: CallerAudio) -> None:
        """Watch this audio, of which nothing has come yet."""
        self.n_late = 0
        self._audio = audio
        self._gap_ms: float | None = None
        self._early_ms = 0.0
        self._last_ms = 0.0
        self._received_ms = 0.0

    @property
    def n_lost(self) -> int:
        """Frames that are missing by the timestamps of those that came."""
        audio = self._audio
        if self._gap_ms is None:
            return 0
        return max(0, round((audio.until_ms - audio.received_ms - self._gap_ms) / FRAME_MS))

    def came(self, elapsed_ms: float) -> None:
        """Take it that audio has come, so long after the call began.

        Cost: a microsecond; once for 80 ms.
        """
        until_ms, received_ms = self._audio.until_ms, self._audio.received_ms
        came_ms, self._received_ms = received_ms - self._received_ms, received_ms
        behind_ms = elapsed_ms - until_ms
        if self._gap_ms is None:  # a stream's first timestamp need not be 0
            self._gap_ms, self._early_ms = until_ms - received_ms, behind_ms
        else:
            forgotten_ms = (elapsed_ms - self._last_ms) * FORGOTTEN_A_MS
            self._early_ms = min(self._early_ms + forgotten_ms, behind_ms)
        self._last_ms = elapsed_ms
        # The oldest frame of what came has waited for the others.
        oldest_ms = behind_ms + came_ms - FRAME_MS - self._early_ms
        late_ms = min(oldest_ms - LATE_MS, came_ms)
        if late_ms > 0:
            self.n_late += -int(-late_ms // FRAME_MS)
