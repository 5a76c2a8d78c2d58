"""What was sent to the caller, and how much of it has been heard.

Audio is sent as fast as the voice makes it and waits in the far end's buffer, so the sender is
ahead of the listener, often by seconds. Three things tell how far the listener is, as positions in
ms of the turn's audio:

- Marks. A mark comes back when all audio sent before it has been played, or when the buffer is
  cleared (Twilio Media Streams, "Send a clear message"): so a mark of a cleared turn says nothing.
- The clock. Audio plays in real time from when it was sent, or from when the audio before it ends.
  A clear takes as long to arrive as the audio took: what the far end will have played by then is
  what this side's clock says now, and needs no correction for the way.
- The end of what was sent.

The position is the clock's, but never behind a mark that came back and never beyond the end.

Words are found from positions by exact points (`spoken_to`: all audio so far speaks exactly so many
characters) and straight lines between them. After the last point the line goes on at the pace of
the points before it, or at `CHARS_PER_MS`, but not beyond the text known; a finished turn has a
point at its end. A word counts as heard when at least half of it was. Speech is not that even:
expect to be a word off, rarely two.

All times (`now_ms`) are the line's: media timestamps in ms, which never run backwards.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

# English read aloud: about 170 words a minute of five letters and a space.
CHARS_PER_MS = 0.017

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the caller has heard of a turn: words, how far the audio was played, if that was all."""

    text: str
    position_ms: float
    complete: bool


@dataclass(slots=True)
class _Turn:
    """The books of one turn. `stretches` are (time, position) at which unbroken playing begins."""

    turn: int
    text: str = ""
    sent_ms: float = 0.0
    marked_ms: float = 0.0
    echoed_ms: float = 0.0
    stretches: list[tuple[float, float]] = field(default_factory=list)
    points: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    marks: dict[str, float] = field(default_factory=dict)
    frozen_ms: float | None = None
    whole: bool = True
    complete: bool = False

    def position_ms(self, now_ms: float) -> float:
        if self.frozen_ms is not None:
            return self.frozen_ms
        return min(self.sent_ms, max(self.echoed_ms, self.played_ms(now_ms)))

    def played_ms(self, now_ms: float) -> float:
        """By the clock alone."""
        later = self.sent_ms
        for time_ms, begin_ms in reversed(self.stretches):
            if now_ms >= time_ms:
                return min(later, begin_ms + now_ms - time_ms)
            later = begin_ms
        return 0.0

    def n_chars(self, position_ms: float) -> float:
        """How many characters of the text are spoken up to a position."""
        after = bisect_right(self.points, position_ms, key=lambda point: point[0])
        from_ms, from_chars = self.points[after - 1]
        if after < len(self.points):
            to_ms, to_chars = self.points[after]
            pace = (to_chars - from_chars) / (to_ms - from_ms)
        else:
            pace = from_chars / from_ms if from_chars else CHARS_PER_MS
        return min(len(self.text), from_chars + (position_ms - from_ms) * pace)


class Playout:
    """The ledger of a call: one turn of ours at a time; what is told of another one is ignored.

    Args:
        mark_every_ms: a mark is due whenever so much audio was sent since the last one.
    """

    def __init__(self, mark_every_ms: float = 400.0) -> None:
        self._mark_every_ms = mark_every_ms
        self._turn = _Turn(0)

    @property
    def live(self) -> int:
        """The turn begun last, also when it was cleared or heard; 0 before the first."""
        return self._turn.turn

    def begin(self, turn: int, now_ms: float) -> None:
        """Open the books of a turn and close those of the one before it."""
        if turn >= self.live:
            self._turn = _Turn(turn)

    def text(self, turn: int, text: str) -> None:
        """Append text that was handed to the voice, with the spaces that it was handed with."""
        if self._open(turn):
            self._turn.text += text

    def spoken_to(self, turn: int, n_chars: int) -> None:
        """Note that all audio sent so far speaks exactly the first `n_chars` of the text."""
        if self._open(turn):
            self._point(n_chars)

    def sent(self, turn: int, n_ms: float, now_ms: float) -> str | None:
        """Note that so much audio was put on the wire; returns the name of a mark due after it."""
        books = self._turn
        if not self._open(turn) or n_ms <= 0:
            return None
        if not books.stretches or books.played_ms(now_ms) >= books.sent_ms:
            books.stretches.append((now_ms, books.sent_ms))
        books.sent_ms += n_ms
        if books.sent_ms - books.marked_ms < self._mark_every_ms:
            return None
        books.marked_ms = books.sent_ms
        name = f"{turn}:{books.sent_ms:.0f}"
        books.marks[name] = books.sent_ms
        return name

    def finish(self, turn: int, *, whole: bool = True) -> str:
        """Note that no more audio comes, and return the name of the last mark, to be sent now.

        With `whole=False` the turn broke off: audio after the last exact point need not reach the
        text's end.
        """
        books, name = self._turn, f"{turn}:end"
        if self._open(turn):
            books.whole = whole
            books.marks[name] = books.sent_ms
            if whole and books.points[-1][0] < books.sent_ms:
                self._point(len(books.text))
        return name

    def echoed(self, name: str) -> int | None:
        """Note that a mark came back; returns the turn if it was the last: all of it was heard.

        Marks of a turn that was cleared, marks that came before and names that are none of ours are
        ignored.
        """
        books = self._turn
        position_ms = books.marks.pop(name, None)
        if position_ms is None:
            return None
        books.echoed_ms = max(books.echoed_ms, position_ms)
        if name != f"{books.turn}:end":
            return None
        books.complete = books.whole
        return books.turn

    def clear(self, turn: int, now_ms: float) -> None:
        """Freeze the position: the far end's buffer is emptied, no more of this turn is heard."""
        if self._open(turn):
            self._turn.frozen_ms = self._turn.position_ms(now_ms)
            self._turn.marks.clear()

    def remaining_ms(self, turn: int, now_ms: float) -> float:
        """Return how much is still to be played; 0 for a turn that was cleared or is not live."""
        if not self._open(turn):
            return 0.0
        return self._turn.sent_ms - self._turn.position_ms(now_ms)

    def heard(self, turn: int, now_ms: float) -> Heard:
        """Return what the caller has heard of a turn; nothing of a turn that is not live."""
        books = self._turn
        if turn != books.turn:
            return Heard("", 0.0, False)
        position_ms = books.position_ms(now_ms)
        text = _whole_words(books.text, books.n_chars(position_ms)) if position_ms > 0 else ""
        return Heard(text, position_ms, books.complete)

    def _open(self, turn: int) -> bool:
        return turn == self._turn.turn and self._turn.frozen_ms is None

    def _point(self, n_chars: int) -> None:
        """Add an exact point at the end of what was sent, or correct the one that is there."""
        books = self._turn
        if books.sent_ms <= 0:
            return
        if books.points[-1][0] == books.sent_ms:
            books.points.pop()
        n_chars = min(max(n_chars, books.points[-1][1]), len(books.text))
        books.points.append((books.sent_ms, n_chars))


def _whole_words(text: str, n_chars: float) -> str:
    """The words of which at least half is within the first `n_chars`."""
    end = 0
    for word in _WORD.finditer(text):
        if (word.start() + word.end()) / 2 > n_chars:
            break
        end = word.end()
    return text[:end].lstrip()
