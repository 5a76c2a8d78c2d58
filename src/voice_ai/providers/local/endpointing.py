"""When a caller starts and stops speaking, from speech probabilities alone: no audio, no clock.

One probability a hop of 32 ms. A turn begins when three of the last four hops are speech, so that a
click or a cough of two hops is none; it begins at the first of them. It ends when `silence_ms` have
passed without speech. Before that, a `Paused` tells that it will probably end, so that recognition
can begin: its result is ready, most of the time, when the turn is over.

    idle     --3 of 4 hops are speech-->     Began     speaking
    speaking --early_ms of silence-->        Paused    paused
    paused   --a hop of speech-->            Resumed   speaking
    speaking, paused --silence_ms of silence, or max_turn_ms in all--> Ended   idle
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

HOP_MS = 32

# Silero's defaults (get_speech_timestamps): speech above 0.5; once there, until below 0.5 - 0.15.
SPEECH = 0.5
STILL_SPEECH = 0.35

# Pauses inside a sentence are mostly shorter than a quarter of a second.
EARLY_MS = 256

CONFIRM_HOPS = 3
CONFIRM_WINDOW = 4


@dataclass(frozen=True, slots=True)
class Began:
    """Speech has begun, at the hop numbered `first`."""

    first: int


@dataclass(frozen=True, slots=True)
class Paused:
    """The turn is probably over; the last hop of speech was before `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was not over."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over: speech from hop `first` to before `end`; judged so after `decided` hops."""

    first: int
    end: int
    decided: int


Heard: TypeAlias = Began | Paused | Resumed | Ended


class Endpointer:
    """Turns probabilities into turns. Hops are counted from 0 over the whole stream.

    Args:
        silence_ms: silence that ends a turn.
        early_ms: silence after which recognition may begin; at least `silence_ms` for never.
        max_turn_ms: a turn is cut here; a television in the background must not fill the memory.
    """

    def __init__(
        self, silence_ms: float = 500, early_ms: float = EARLY_MS, max_turn_ms: float = 60_000
    ) -> None:
        self._silence_ms = silence_ms
        self._early_ms = early_ms
        self._max_turn_ms = max_turn_ms
        self._recent: deque[bool] = deque(maxlen=CONFIRM_WINDOW)
        self._n_hops = 0
        self._first: int | None = None
        self._end = 0
        self._paused = False

    @property
    def speaking(self) -> bool:
        """Whether a turn is open."""
        return self._first is not None

    def push(self, probability: float) -> Heard | None:
        """Take the next hop's probability of speech; return what it means, if anything."""
        self._n_hops += 1
        if self._first is None:
            return self._idle(probability > SPEECH)
        return self._in_turn(self._first, probability > STILL_SPEECH)

    def _idle(self, speech: bool) -> Heard | None:
        self._recent.append(speech)
        if sum(self._recent) < CONFIRM_HOPS:
            return None
        self._first = self._n_hops - len(self._recent) + self._recent.index(True)
        self._end = self._n_hops
        self._recent.clear()
        return Began(self._first)

    def _in_turn(self, first: int, speech: bool) -> Heard | None:
        if speech:
            self._end = self._n_hops
        silence_ms = (self._n_hops - self._end) * HOP_MS
        if silence_ms >= self._silence_ms or (self._n_hops - first) * HOP_MS >= self._max_turn_ms:
            return self._over(first)
        if speech and self._paused:
            self._paused = False
            return Resumed()
        if silence_ms >= self._early_ms and not self._paused:
            self._paused = True
            return Paused(first, self._end)
        return None

    def _over(self, first: int) -> Heard:
        self._first = None
        self._paused = False
        return Ended(first, self._end, self._n_hops)
