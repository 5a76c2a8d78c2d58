"""One reply's text and how far a voice has spoken it, so that another goes on from there.

No clock, no socket. Positions are characters from the start of the reply. What a voice confirms is
exact; between two confirmations the position is judged by the pace at which this voice has spoken
what it did confirm.
"""

import re
from bisect import bisect_right
from typing import Final

# English read aloud: about 170 words a minute of five letters and a space.
CHARS_PER_MS: Final = 0.017
# The default counts as so many characters that were confirmed at it: "Yes." with its pauses tells
# little about the pace of a sentence.
N_DEFAULT_CHARS: Final = 40
# A word of which no more than this was said is said again: half a syllable before it disturbs less
# than a word that is missing.
BARELY: Final = 0.25
# Pieces in which a text is given to the next voice, which may take 64 before it has spoken any
# (providers/local/speaking.py); the last holds all the rest.
MAX_PIECES: Final = 32

_WORD = re.compile(r"\S+")


class Pace:
    """How fast one voice speaks in one call."""

    def __init__(self) -> None:
        self._n_chars = float(N_DEFAULT_CHARS)
        self._n_ms = N_DEFAULT_CHARS / CHARS_PER_MS

    @property
    def chars_per_ms(self) -> float:
        """Characters a millisecond, the spaces and pauses between them included."""
        return self._n_chars / self._n_ms

    def learn(self, n_chars: int, n_ms: float) -> None:
        """Take in a stretch that the voice has confirmed."""
        if n_chars > 0 and n_ms > 0:
            self._n_chars += n_chars
            self._n_ms += n_ms


class Script:
    """The text of one reply.

    `n_octets` are those of audio since the last exact position; who passes audio on adds to it.

    Args:
        n_octets_per_ms: of that audio.
    """

    def __init__(self, n_octets_per_ms: int) -> None:
        self.text = ""
        self.n_octets = 0
        self.n_confirmed = 0
        self._n_octets_per_ms = n_octets_per_ms
        self._n_octets_before = 0
        self._ends: list[int] = []  # of the pieces in which the text was given

    @property
    def total_ms(self) -> float:
        """How much audio there was in all."""
        return (self._n_octets_before + self.n_octets) / self._n_octets_per_ms

    def add(self, text: str) -> None:
        """Append a sentence or clause."""
        if text:
            self.text += text
            self._ends.append(len(self.text))

    def piece(self, start: int) -> str:
        """Return what is there of the piece in which a position lies; nothing at the text's end."""
        at = bisect_right(self._ends, start)
        return self.text[start : self._ends[at]] if at < len(self._ends) else ""

    def confirm(self, n_chars: int, pace: Pace) -> None:
        """Note that all audio so far speaks the text up to here."""
        pace.learn(n_chars - self.n_confirmed, self.n_octets / self._n_octets_per_ms)
        self._settle(n_chars)

    def resume(self, pace: Pace) -> int:
        """Return where the text goes on after a voice of this pace broke off.

        That is a word's beginning: the one after the word that was cut, or that word's own if
        hardly any of it was said.
        """
        self._settle(self._stopped_at(pace))
        first = bisect_right(self._ends, self.n_confirmed)
        del self._ends[first + MAX_PIECES - 1 : -1]
        return self.n_confirmed

    @property
    def is_spoken(self) -> bool:
        """Whether what follows the last exact position has no sound."""
        return not any(map(str.isalnum, self.text[self.n_confirmed :]))

    def _settle(self, n_chars: int) -> None:
        self.n_confirmed = n_chars
        self._n_octets_before += self.n_octets
        self.n_octets = 0

    def _stopped_at(self, pace: Pace) -> int:
        if not self.n_octets:
            return self.n_confirmed
        n_ms = self.n_octets / self._n_octets_per_ms
        n_chars = self.n_confirmed + n_ms * pace.chars_per_ms
        for word in _WORD.finditer(self.text, self.n_confirmed):
            if n_chars <= word.start() + BARELY * (word.end() - word.start()):
                return word.start()
        return len(self.text)
