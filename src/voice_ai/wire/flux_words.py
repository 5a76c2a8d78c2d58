"""The words of a Deepgram Flux message with their places: read only when a stream has broken off.

Apart from `wire.flux`, which reads every message, four a second: this takes ten times as long.
"""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as the transcript has it; its place is in seconds from the stream's first audio."""

    text: str
    start_s: float
    end_s: float


def timed_words(data: str | bytes) -> list[TimedWord]:
    """Return the words of a TurnInfo, which `parse_flux` has read before.

    Their text is the transcript's, with its punctuation, where that has as many words; else it is
    the word's own. Nothing is returned if any word has no text or no place: who asks for places
    then has to do without.
    """
    fields = orjson.loads(data)
    words = fields.get("words") or []
    texts = (fields.get("transcript") or "").split()
    if len(texts) != len(words):
        texts = [None] * len(words)
    timed = [_timed(word, text) for word, text in zip(words, texts, strict=True)]
    known = [word for word in timed if word is not None]
    return known if len(known) == len(timed) else []


def _timed(word: Any, text: str | None) -> TimedWord | None:
    match word:
        case {"word": str(own), "start": int() | float() as start, "end": int() | float() as end}:
            return TimedWord(own if text is None else text, float(start), float(end))
    return None
