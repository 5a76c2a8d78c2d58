"""Flux's turns over several connections: one count, one clock, and no word lost or told twice.

A connection counts its turns and its audio from 0. To the call they go on: turns are numbered from
1, positions are milliseconds of the call's audio.

When a connection is lost in the middle of a turn, the next one hears the end of what its
predecessor heard again, and all that came since. The cut is between two words, a second or more
before the end of what was heard, as the words told last are still guesses; and never behind the
last words of all, since a recogniser that hears only silence ends no turn. Words before the cut
stand; those after it are the new connection's. The turn keeps its number meanwhile: its transcripts
go on to replace one another, and who hears them need not know. Where no word has a known place, all
of the turn is heard again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voice_ai.turn.events import (
    EagerEndOfTurn,
    EndOfTurn,
    SpeechEvent,
    StartOfTurn,
    TurnResumed,
    Update,
)
from voice_ai.wire.flux import TurnInfo
from voice_ai.wire.flux_words import TimedWord, timed_words

# How much is heard again of what has words: the last second's are guesses, and two words are the
# least that tells the end of a sentence from a silence.
OVERLAP_MS = 1000.0
OVERLAP_WORDS = 2
# Sound before the first word that counts, so that its beginning is not cut off.
WORD_LEAD_MS = 300.0
# The same where no word's place is known: a StartOfTurn comes some time after the sound.
TURN_LEAD_MS = 800.0
# A StartOfTurn that no words have followed for so long was a cough.
COUGH_MS = 4000.0


@dataclass(frozen=True, slots=True)
class Told:
    """A message and its text, from a connection whose positions have a `place` in the call, in ms.

    `sent_ms` is how far audio has been sent; no message can tell of more.
    """

    info: TurnInfo
    data: str | bytes
    place: Callable[[float], float]
    sent_ms: float

    @property
    def window_ms(self) -> float:
        """How far had been heard."""
        return min(self.place(self.info.window_end_s * 1000), self.sent_ms)

    @property
    def words(self) -> list[TimedWord]:
        """The words with their places in the call; none if any has no place."""
        return [
            TimedWord(word.text, self._place_s(word.start_s), self._place_s(word.end_s))
            for word in timed_words(self.data)
        ]

    @property
    def speech_end_ms(self) -> float:
        """Where the last word ends; without words, how far had been heard."""
        end_s = self.info.speech_end_s
        return self.place((self.info.window_end_s if end_s is None else end_s) * 1000)

    def _place_s(self, at_s: float) -> float:
        return self.place(at_s * 1000) / 1000


class FluxTurns:
    """Turns what the connections tell into one row of events. No socket, no clock."""

    def __init__(self) -> None:
        self.heard_ms = 0.0
        self._base = 0  # turns before the first of this connection
        self._turn = 0  # the latest that was told of
        self._ended = 0  # the latest that has ended, and where
        self._ended_ms = 0.0
        self._began_ms: float | None = None  # where the turn under way was seen to begin
        self._told: Told | None = None  # its latest words
        # Of the turn under way, if a connection was lost in it: its words before the cut.
        self._before: list[str] = []
        self._cut_ms: float | None = None
        self._known_ms = -1.0  # how far connections before this one heard

    @property
    def needed_ms(self) -> float:
        """Audio before this is not asked for again."""
        from_ms = self.heard_ms if self._began_ms is None else self._began_ms
        return max(self._ended_ms, from_ms - TURN_LEAD_MS)

    @property
    def in_turn(self) -> bool:
        """Whether the caller has begun a turn that is not over."""
        return self._began_ms is not None

    def heard_silence(self, at_ms: float) -> None:
        """Take an Update without a word while nobody has begun a turn."""
        self.heard_ms = max(self.heard_ms, at_ms)

    def hear(self, told: Told) -> SpeechEvent | None:
        """Take a message; return the event, if it is one and news."""
        stream_turn = self._base + told.info.turn_index + 1
        self.heard_ms = max(self.heard_ms, told.window_ms)
        if stream_turn <= self._ended:
            return None
        if stream_turn > self._turn:
            self._turn = stream_turn
            self._forget_turn()
        match told.info.event:
            case "EndOfTurn":
                return self._end(told)
            case "StartOfTurn":
                return self._start(told.window_ms)
            case _ if told.window_ms <= self._known_ms:
                return None  # heard again
        self._note(told)
        match told.info.event:
            case "Update":
                transcript = self._transcript(told)
                # One of silence comes four times a second, and tells nothing.
                return Update(stream_turn, transcript) if transcript else None
            case "EagerEndOfTurn":
                return EagerEndOfTurn(stream_turn, self._transcript(told))
            case "TurnResumed":
                return TurnResumed(stream_turn)
        return None

    def lose(self) -> float:
        """Take the loss of the connection; return from where on the next one is to hear."""
        words = [] if self._told is None else self._told.words
        self._told = None
        self._cut(words)
        self._base = max(self._ended, self._turn - 1)
        self._known_ms = self.heard_ms
        if self._cut_ms is not None:
            return max(self._ended_ms, self._cut_ms - WORD_LEAD_MS)
        if words:
            return max(self.needed_ms, words[0].start_s * 1000 - WORD_LEAD_MS)
        return self.needed_ms

    def _start(self, window_ms: float) -> SpeechEvent | None:
        if self._began_ms is not None and window_ms <= self._known_ms:
            return None  # heard again
        if self._began_ms is None or self._told is None:
            self._began_ms = window_ms
        return StartOfTurn(self._turn)

    def _note(self, told: Told) -> None:
        if told.info.transcript:
            self._told = told
            self._began_ms = told.window_ms if self._began_ms is None else self._began_ms
        elif self._told is None and self._cut_ms is None and self._began_ms is not None:
            if told.window_ms - self._began_ms > COUGH_MS:
                self._began_ms = None

    def _end(self, told: Told) -> SpeechEvent:
        transcript = self._transcript(told)
        self._ended, self._ended_ms = self._turn, told.window_ms
        self._forget_turn()
        return EndOfTurn(self._turn, transcript, told.speech_end_ms, told.window_ms)

    def _forget_turn(self) -> None:
        self._began_ms = self._told = self._cut_ms = None
        self._before = []

    def _transcript(self, told: Told) -> str:
        if self._cut_ms is None:
            return told.info.transcript
        after = [word.text for word in self._after_cut(told.words)]
        return " ".join([*self._before, *after])

    def _after_cut(self, words: list[TimedWord]) -> list[TimedWord]:
        """Leave out the words before the cut; one that lies across it is where its middle is."""
        if self._cut_ms is None:
            return words
        return [word for word in words if (word.start_s + word.end_s) * 500 > self._cut_ms]

    def _cut(self, words: list[TimedWord]) -> None:
        """Cut before the last word that was safely heard; without one an earlier cut stays."""
        words = self._after_cut(words)
        safe_s = (self.heard_ms - OVERLAP_MS) / 1000
        last = len(words) - OVERLAP_WORDS
        n = max((n for n in range(1, last + 1) if words[n].start_s <= safe_s), default=0)
        if n:
            self._before += [word.text for word in words[:n]]
            self._cut_ms = (words[n - 1].end_s + words[n].start_s) * 500
