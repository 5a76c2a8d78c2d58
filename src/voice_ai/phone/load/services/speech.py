"""One Aura connection's voice: which audio its texts become, and when each piece of it is due.

No socket and no clock: times are seconds that the caller gives.
"""

import struct
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

from voice_ai.codec import g711
from voice_ai.codec.formats import AudioFormat
from voice_ai.phone.load.levels import N_SYMBOLS, sample, segment
from voice_ai.phone.load.services.plan import Plan
from voice_ai.phone.load.services.script import CHAR_S, Turn, named

FRAME_MS = 20
MIN_FRAMES = 50  # 1 s, so that a body follows the header
# How far audio goes out ahead of its playing.
LEAD_S = 0.2
# Sources that are no calls: connections that do not know theirs.
FIRST_NAMELESS = 60_000
N_NAMELESS = 5_000


@dataclass(slots=True)
class Segment:
    """The text of one Flush, and how far its audio has gone out; a Flush without text has none.

    `turn` is the call and turn that it answers, if the text said so.
    """

    audio: bytes
    ready_s: float
    source: int
    number: int
    turn: Turn | None
    at: int = 0


@dataclass(slots=True)
class Speech:
    """The voice of one connection; what speaks to no call is ready at once.

    Args:
        plan: the pace.
        audio: the format.
        connection: its number.
    """

    plan: Plan
    audio: AudioFormat
    connection: int
    _text: str = ""
    _call: int | None = None
    _n_segments: int = 0
    _segments: deque[Segment] = field(default_factory=deque)  # bounded by the client's Flushes
    _played_s: float = 0.0  # until when what went out is being played
    _last_due_s: float = 0.0

    def speak(self, text: str) -> Turn | None:
        """Take text; return the turn that the text since the last Flush names."""
        self._text += text
        return named(self._text)

    def flush(self, now_s: float) -> None:
        """Have the text spoken."""
        turn = named(self._text)
        if turn is not None:
            self._call = turn[0]
        nameless = FIRST_NAMELESS + self.connection % N_NAMELESS
        source = nameless if self._call is None else self._call
        number = self._n_segments
        n_frames = max(MIN_FRAMES, round(len(self._text) * CHAR_S * 1000 / FRAME_MS))
        audio = _segment_audio(source, number, n_frames, self.audio) if self._text else b""
        ready_s = now_s + self.plan.tts_first_byte_ms / 1000
        self._segments.append(Segment(audio, ready_s, source, number, turn))
        self._n_segments += bool(self._text)
        self._text = ""

    def clear(self) -> None:
        """Forget all text and audio; the next begins as if nothing had been played."""
        self._text = ""
        self._segments.clear()
        self._played_s = 0.0

    @property
    def due_s(self) -> float | None:
        """When the next piece, or the end of a segment, is to go out."""
        if not self._segments:
            return None
        head = self._segments[0]
        if head.audio and head.at == len(head.audio):
            return self._last_due_s
        return max(head.ready_s, self._played_s - LEAD_S)

    def take(self) -> tuple[Segment, bytes]:
        """Return what is due, of which segment; no octets are its end.

        Only while `due_s` tells a time.
        """
        due_s, head = self.due_s or 0.0, self._segments[0]
        end = head.at + self.plan.tts_chunk_ms * self.audio.n_octets_per_ms
        piece = head.audio[head.at : end]
        if piece:
            self._last_due_s = due_s
            if self._call is not None:  # nobody listens to what is made before the calls
                n_ms = self.audio.duration_ms(len(piece))
                self._played_s = max(self._played_s, due_s) + n_ms / 1000
            head.at += len(piece)
        else:
            self._segments.popleft()
        return head, piece


def _segment_audio(source: int, number: int, n_frames: int, audio: AudioFormat) -> bytes:
    frames = _frames(audio)
    return b"".join([frames[one] for one in islice(segment(source, number), n_frames)])


@cache
def _frames(audio: AudioFormat) -> list[bytes]:
    """Return the frame of each symbol."""
    n_samples = FRAME_MS * audio.rate_hz // 1000
    linear = [struct.pack("<h", sample(one)) * n_samples for one in range(N_SYMBOLS)]
    return [g711.ulaw_encode(one) for one in linear] if audio.encoding == "mulaw" else linear
