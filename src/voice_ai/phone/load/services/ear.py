"""Reads which frames a caller's audio consists of: whose they are, which are lost, which are late.

A frame's level is looked at in its middle, where a resampler's delay does not matter. Source of the
symbols: `voice_ai.phone.load.levels`.
"""

import struct
from dataclasses import dataclass
from functools import cache

from voice_ai.codec import g711
from voice_ai.codec.formats import AudioFormat
from voice_ai.phone.load.levels import (
    BASE,
    BEGIN,
    FIRST_COUNT,
    HEADER_FRAMES,
    N_COUNTS,
    SOURCE_DIGITS,
    symbol,
)

FRAME_MS = 20
# Flux's messages are of 80 ms, so that four frames in step are read at once.
N_AT_ONCE = 4
# The body's count is known modulo 15. A frame that is up to so many behind is one that comes late
# or again; else frames are missing, which happens to more at a time.
MAX_BEHIND = 3
# Positions of missing frames, so that one that comes late is not lost. Older ones stay lost.
MAX_MISSING = 64


@dataclass(slots=True)
class Heard:
    """Frames of all streams; `n_unknown` came before a stream's call was known."""

    n_frames: int = 0
    n_lost: int = 0
    n_out_of_order: int = 0
    n_unknown: int = 0


@cache
def _linear_symbols() -> list[int]:
    """Return the symbol of each sample; negative samples index from the end."""
    values = (*range(0x8000), *range(-0x8000, 0))
    return [-1 if (found := symbol(value)) is None else found for value in values]


def _ulaw_symbols() -> list[int]:
    linear = _linear_symbols()
    samples = struct.unpack("<256h", g711.ulaw_decode(bytes(range(256))))
    return [linear[sample] for sample in samples]


_SYMBOLS = {"linear16": _linear_symbols(), "mulaw": _ulaw_symbols()}
# The next four symbols, by how many of the body have come, modulo 15.
_NEXT = [[FIRST_COUNT + (n + i) % N_COUNTS for i in range(N_AT_ONCE)] for n in range(N_COUNTS)]


class Ear:
    """One stream's audio in any pieces of whole samples.

    `call` is known once the header has been heard; `frame` is the number of the last whole frame,
    counted from BEGIN, -1 before it.

    Args:
        audio: what the stream is in.
        heard: the counts to add to.
    """

    def __init__(self, audio: AudioFormat, heard: Heard) -> None:
        self.call: int | None = None
        self.frame = -1
        self._heard = heard
        self._symbols = _SYMBOLS[audio.encoding]
        self._sample = struct.Struct("<h" if audio.encoding == "linear16" else "<B")
        self._frame_octets = FRAME_MS * audio.n_octets_per_ms
        self._middle = self._frame_octets // 2
        self._usual_octets = N_AT_ONCE * self._frame_octets
        self._four = struct.Struct("<" + self._frame_format() * N_AT_ONCE)
        self._at = 0  # octets of the frame under way
        self._digits: list[int] | None = None  # of the header under way
        self._next = 0  # the body's next frame
        self._missing: list[int] = []

    def hear(self, audio: bytes | memoryview, n_octets: int) -> None:
        """Take more audio."""
        symbols = self._read(audio, n_octets)
        if self.call is not None and symbols == _NEXT[self._next % N_COUNTS]:
            self._next += N_AT_ONCE
            self._heard.n_frames += N_AT_ONCE
        else:
            for one in symbols:
                self._take(one)
        if self.call is not None:
            is_cut = self._at > self._middle
            self.frame = HEADER_FRAMES + self._next - 1 - is_cut

    def _frame_format(self) -> str:
        after = self._frame_octets - self._middle - self._sample.size
        return f"{self._middle}x{self._sample.format[1:]}{after}x"

    def _read(self, audio: bytes | memoryview, n_octets: int) -> list[int]:
        symbols = self._symbols
        if n_octets == self._usual_octets and not self._at:
            a, b, c, d = self._four.unpack(audio)
            return [symbols[a], symbols[b], symbols[c], symbols[d]]
        first = (self._middle - self._at) % self._frame_octets
        places = range(first, n_octets - self._sample.size + 1, self._frame_octets)
        self._at = (self._at + n_octets) % self._frame_octets
        return [symbols[self._sample.unpack_from(audio, place)[0]] for place in places]

    def _take(self, one: int) -> None:
        self._heard.n_frames += 1
        if self.call is not None:
            self._count(one)
            return
        self._heard.n_unknown += 1
        if one == BEGIN:
            self._digits = []
        elif self._digits is not None and 0 <= one < BASE:
            self._digits.append(one)
            if len(self._digits) == HEADER_FRAMES - 1:
                self._know(self._digits)
        else:
            self._digits = None

    def _know(self, digits: list[int]) -> None:
        """Take the header: its frames were known ones."""
        call = 0
        for digit in digits[:SOURCE_DIGITS]:
            call = call * BASE + digit
        self.call = call
        self._heard.n_unknown = max(0, self._heard.n_unknown - HEADER_FRAMES)

    def _count(self, one: int) -> None:
        """Take a frame of the body: the next, a later one, or one that should have come before."""
        if not FIRST_COUNT <= one < FIRST_COUNT + N_COUNTS:
            self._lose(1)  # something else came in its place
            return
        ahead = (one - FIRST_COUNT - self._next) % N_COUNTS
        if ahead < N_COUNTS - MAX_BEHIND:
            self._lose(ahead)
            self._next += 1
            return
        self._heard.n_out_of_order += 1
        place = self._next + ahead - N_COUNTS
        if place in self._missing:
            self._missing.remove(place)
            self._heard.n_lost = max(0, self._heard.n_lost - 1)

    def _lose(self, n: int) -> None:
        self._heard.n_lost += n
        self._missing += range(self._next, self._next + n)
        del self._missing[:-MAX_MISSING]
        self._next += n
