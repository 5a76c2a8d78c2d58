"""Speech of which every word is known: a tone a word, and an ear that tells words and their places.

A word of which less than most is heard is heard wrong, and one that is just being said not at all;
so whoever cuts a word in two, or leaves out or repeats any audio, finds it in the transcript.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from fakes.ear import HOP_MS, MARGIN_MS, ONSET_HOPS, Ear

RATE_HZ = 16000
WORDS = (
    "I would like to book a table for two on Friday evening by the window please and"
    " could you tell me whether there is parking near your house because my mother"
).split()
# 50 Hz is what 20 ms can tell apart; two apart, and in the middle of the telephone's band.
HZ = {word: 500.0 + 100 * n for n, word in enumerate(dict.fromkeys(WORDS))}
WORD_MS = 240
GAP_MS = 60
WHOLE = 0.7  # of a word
# RMS of a hop whose tone can be told: with less than a fifth of one in it, it is a neighbour's.
TOLD = 2400
# A recogniser tells a word some time after it has heard it.
LAG_MS = 120


def spoken(words: Sequence[str], gap_ms: int = GAP_MS) -> bytes:
    """Say words as PCM16 at 16 kHz, each followed by a gap."""
    n_word, n_gap = WORD_MS * RATE_HZ // 1000, gap_ms * RATE_HZ // 1000
    phase = 2 * np.pi * np.arange(n_word) / RATE_HZ
    pieces = [(8000 * np.sin(phase * HZ[word])).astype("<i2").tobytes() for word in words]
    return b"".join(piece + bytes(2 * n_gap) for piece in pieces)


@lru_cache(10_000)
def _word(hop: bytes) -> str:
    samples = np.frombuffer(hop, "<i2").astype(np.float64)
    if np.sqrt(np.mean(samples**2)) < TOLD:
        return ""
    hz = np.argmax(np.abs(np.fft.rfft(samples))) * RATE_HZ / len(samples)
    return min(HZ, key=lambda word: abs(HZ[word] - hz))


@dataclass
class WordEar(Ear):
    """Hears `spoken` words, wherever in them the stream begins. PCM16 at 16 kHz."""

    wrong_ms: int = 0  # by so much, one way or the other, a place is told wrong
    _words: list[tuple[str, int, int]] = field(default_factory=list)
    _rest: bytes = b""  # less than a hop

    def feed(self, audio: bytes) -> Iterator[dict[str, Any]]:
        """Hear more, a hop at a time, so that words are known when they are told."""
        self._rest += audio
        n_hop = HOP_MS * RATE_HZ // 1000 * 2
        while len(self._rest) >= n_hop:
            hop, self._rest = self._rest[:n_hop], self._rest[n_hop:]
            # The last bit may be a number (`fakes.ledger`).
            tone = np.frombuffer(hop, "<i2") & ~np.int16(1)
            self._hear(_word(tone.tobytes()), self.now_ms)
            yield from super().feed(hop)

    def _hear(self, word: str, at_ms: int) -> None:
        if not word:
            return
        last = self._words[-1] if self._words else ("", 0, 0)
        goes_on = last[0] == word and last[2] == at_ms
        if goes_on:
            self._words[-1] = (word, last[1], at_ms + HOP_MS)
        else:
            self._words.append((word, at_ms, at_ms + HOP_MS))

    def _heard(self, until_ms: int) -> list[tuple[str, int, int]]:
        """The words of this turn that are known by now."""
        begin_ms = (self._onset_ms or 0) - MARGIN_MS - HOP_MS * ONSET_HOPS
        mine = [word for word in self._words if word[1] >= begin_ms and word[2] <= until_ms]
        return [
            (word if end_ms - start_ms >= WHOLE * WORD_MS else f"({word})", start_ms, end_ms)
            for word, start_ms, end_ms in mine
            if end_ms < self.now_ms or end_ms - start_ms >= WHOLE * WORD_MS
        ]

    def _final(self) -> str:
        return " ".join(word for word, *_ in self._heard(self.now_ms))

    def _so_far(self) -> str:
        if self._onset_ms is None:
            return ""
        return " ".join(word for word, *_ in self._heard(self.now_ms - LAG_MS))

    def turn_info(self, event: str, transcript: str) -> dict[str, Any]:
        """Make a TurnInfo with the words where they were."""
        message = super().turn_info(event, transcript)
        heard = self._heard(self.now_ms)[: len(transcript.split())]
        error_s = self.wrong_ms / 1000
        message["words"] = [
            {
                "word": word,
                "confidence": 0.9,
                "start": start_ms / 1000 + error_s * (-1) ** n,
                "end": end_ms / 1000 + error_s * (-1) ** n,
            }
            for n, (word, start_ms, end_ms) in enumerate(heard)
        ]
        return message

    def end(self, transcript: str) -> dict[str, Any]:
        """End the turn here; its words are told no more."""
        message = super().end(transcript)
        self._words.clear()
        return message
