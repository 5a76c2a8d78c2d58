"""What is said on a call: the caller's turns by the clock of their audio, and the answers' words.

    start    words grow every 250 ms           end      nothing is said, every 250 ms     start
    StartOfTurn  Update  Update  Update  EndOfTurn  Update  Update  Update  Update ...  StartOfTurn
    |<------------- speech_s ----------->|                                              |
    |<------------------------------------- period_s --------------------------------->|

No socket and no clock: times are milliseconds of the connection's audio.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from voice_ai.phone.load.services.plan import Plan

# "Update about every 0.25 s of audio": developers.deepgram.com/docs/flux/state.
UPDATE_MS = 250.0
# What a character of text takes to be spoken.
CHAR_S = 0.06
# Multiples of it lie evenly in a turn, for any number of calls (the golden ratio's fraction).
SPREAD = 0.618034

# A call and the number of its turn, from 1.
Turn: TypeAlias = tuple[int, int]

_NAMED = re.compile(r"call (\d+) turn (\d+)", re.IGNORECASE)
_ANSWER = "We are happy to help you with that today. "
_DELTA = re.compile(r"(?:\S+\s*){1,3}")


@dataclass(frozen=True, slots=True)
class Told:
    """What Flux says of a turn, numbered from 1; `words` are each word with its start and end."""

    event: str
    turn: int
    window_start_s: float
    window_end_s: float
    transcript: str
    words: tuple[tuple[str, float, float], ...]


class Script:
    """One connection's timetable. `due_ms` is when the next thing is to be said."""

    def __init__(self, plan: Plan) -> None:
        self.due_ms = UPDATE_MS
        self._plan = plan
        self._call: int | None = None
        self._turn = 1
        self._speaks = False
        self._started_ms = 0.0
        self._ended_ms = 0.0
        self._change_ms = float("inf")

    def begin(self, call: int) -> None:
        """Say whose call it is; until then, and in silence, nobody has a turn."""
        self._call = call
        spread_s = self._plan.period_s * (call * SPREAD % 1)
        self._change_ms = max(self.due_ms, (self._plan.first_turn_s + spread_s) * 1000)

    def next(self) -> Told:
        """Return what is said at `due_ms`, and go on."""
        at_ms = self.due_ms
        if at_ms < self._change_ms:
            told = self._tell("Update")
        elif self._speaks:
            told = self._tell("EndOfTurn")
            self._speaks, self._ended_ms = False, at_ms
            self._turn += 1
            self._change_ms = self._started_ms + self._plan.period_s * 1000
        else:
            self._speaks, self._started_ms = True, at_ms
            self._change_ms = at_ms + self._plan.speech_s * 1000
            told = self._tell("StartOfTurn")
        self.due_ms = min(at_ms + UPDATE_MS, self._change_ms)
        return told

    def farewell(self) -> Told:
        """Return the last Update, which comes as the stream is ended."""
        return self._tell("Update")

    def _tell(self, event: str) -> Told:
        words = self._words(whole=event == "EndOfTurn") if self._speaks else ()
        transcript = " ".join(word for word, _, _ in words)
        window = (self._ended_ms / 1000, self.due_ms / 1000)
        return Told(event, self._turn, *window, transcript, words)

    def _words(self, *, whole: bool) -> tuple[tuple[str, float, float], ...]:
        """Return the words so far: none as the turn starts, then one at least."""
        spoken_ms = self.due_ms - self._started_ms
        if self._call is None or not (spoken_ms or whole):
            return ()
        words = transcript(self._call, self._turn).split()
        each_s = self._plan.speech_s / len(words)
        n = len(words) if whole else max(1, int(spoken_ms / 1000 / each_s))
        began_s = self._started_ms / 1000
        return tuple(
            (word, began_s + i * each_s, began_s + (i + 1) * each_s)
            for i, word in enumerate(words[:n])
        )


def transcript(call: int, turn: int) -> str:
    """Return what a caller says in a turn."""
    return f"call {call} turn {turn} says hello"


def named(text: str) -> Turn | None:
    """Return the call and the turn that a text names last."""
    found = _NAMED.findall(text)
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def answer(name: Turn | None, reply_s: float) -> str:
    """Return an answer that takes so long to be spoken, of whole sentences but for the last."""
    head = "nobody: " if name is None else f"call {name[0]} turn {name[1]}: "
    n_chars = max(len(head) + 1, round(reply_s / CHAR_S)) - 1
    return (head + _ANSWER * (n_chars // len(_ANSWER) + 1))[:n_chars].rstrip(" .") + "."


def deltas(text: str) -> list[str]:
    """Cut a text into a few words each, as a model writes them."""
    return _DELTA.findall(text)
