"""Twilio's outbound buffer, as the caller hears it: media in, sound and mark echoes out.

No clock, no socket.
Whoever holds the clock calls `play` once a frame; everything else follows from the order of the
messages.
Source: twilio.com/docs/voice/media-streams/websocket-messages, "media", "mark" and "clear" to
Twilio.
"""

from collections import deque

# µ-law for silence, and one frame of it: 20 ms at 8 kHz.
SILENCE = b"\xff"
FRAME_OCTETS = 160
FRAME_MS = 20

# Twilio warns (31931) and throws away what is more than 10 minutes.
MAX_OCTETS = 10 * 60 * 8000


class PlayoutBuffer:
    """What was sent to the caller and not yet played, with the marks between it."""

    def __init__(self, max_octets: int = MAX_OCTETS) -> None:
        """Begin empty; `max_octets` of audio are kept at most."""
        self._max_octets = max_octets
        self._audio = bytearray()
        self._n_added = 0
        # A mark's name, and how many octets were added before it. Unbounded as Twilio's: marks take
        # no time.
        self._marks: deque[tuple[int, str]] = deque()

    @property
    def n_octets(self) -> int:
        """How much is yet to be played."""
        return len(self._audio)

    def media(self, payload: bytes) -> int:
        """Append audio; return how many octets did not fit and are thrown away."""
        room = self._max_octets - len(self._audio)
        taken = payload[:room]
        self._audio += taken
        self._n_added += len(taken)
        return len(payload) - len(taken)

    def mark(self, name: str) -> list[str]:
        """Set a mark behind the audio; return what to echo now: this one, on an empty buffer."""
        self._marks.append((self._n_added, name))
        return self._passed()

    def clear(self) -> list[str]:
        """Throw the audio away and return all marks in it, which are echoed at once."""
        self._audio.clear()
        return self._passed()

    def play(self, n_octets: int = FRAME_OCTETS) -> tuple[bytes, list[str]]:
        """Return the next sound, short where the buffer ran empty, and the marks passed by it."""
        sound = bytes(self._audio[:n_octets])
        del self._audio[:n_octets]
        return sound, self._passed()

    def _passed(self) -> list[str]:
        played = self._n_added - len(self._audio)
        names = []
        while self._marks and self._marks[0][0] <= played:
            names.append(self._marks.popleft()[1])
        return names
