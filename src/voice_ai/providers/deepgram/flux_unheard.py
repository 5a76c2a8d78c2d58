"""Whether a caller waits for an answer to what a recogniser that is late has yet to hear.

The recogniser judges when a turn is over; while it is out or behind nobody does, and a caller who
has finished hears nothing until it has caught up. How loud their audio is tells that they wait.
"""

from heapq import heappushpop

from voice_ai.codec.formats import AudioFormat
from voice_ai.providers.deepgram.flux_silence import FRAME_MS, LOUD_FRAMES, QUIET, levels

# After so long a caller wonders whether anybody is there: server/providers.py, FILLER_MS.
WAITS_MS = 1200


class Unheard:
    """One outage's audio, from where the recogniser is to hear on. No socket, no clock.

    Args:
        form: the audio's format.
        audio: what there is of it already.
    """

    def __init__(self, form: AudioFormat, audio: bytes = b"") -> None:
        self._form = form
        self._loudest = [0] * LOUD_FRAMES  # a heap
        self._quiet_ms = 0
        self._is_told = False
        self._take(audio)

    def hear(self, audio: bytes) -> bool:
        """Take more of it; return True, once, when the caller has spoken and then been silent.

        Cost: 5 us a frame.
        """
        self._take(audio)
        if self._is_told or self._quiet_ms < WAITS_MS:
            return False
        self._is_told = True
        return True

    def _take(self, audio: bytes) -> None:
        for swing in levels(audio, self._form):
            heappushpop(self._loudest, swing)
            self._quiet_ms = self._quiet_ms + FRAME_MS if swing < QUIET * self._loudest[0] else 0
