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

A turn may be held when the caller seems to begin: the far end's buffer is emptied and the position
stands still. If nobody spoke, `resume` says where the audio goes on: at the beginning of the word
that was cut, so that nothing is left out and no whole word is said twice. What was sent beyond that
position is to be sent again before anything else.

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
    # Before a mark's position; another one after each `resume`, so that marks of before are known.
    label: str
    text: str = ""
    sent_ms: float = 0.0
    # The most that was ever sent: more than `sent_ms` while a turn that was held is sent again.
    furthest_ms: float = 0.0
    marked_ms: float = 0.0
    echoed_ms: float = 0.0
    stretches: list[tuple[float, float]] = field(default_factory=list)
    points: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    marks: dict[str, float] = field(default_factory=dict)
    frozen_ms: float | None = None
    # What was heard before the last `resume`, which may be half a word more than is played again.
    heard_ms: float = 0.0
    held: bool = False
    n_resumed: int = 0
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

    def resume(self, position_ms: float) -> None:
        self.heard_ms = max(self.heard_ms, self.frozen_ms or 0.0)
        self.sent_ms = self.marked_ms = self.echoed_ms = position_ms
        self.stretches.clear()
        self.frozen_ms = None
        self.held = False
        self.n_resumed += 1
        self.label = f"{self.turn}.{self.n_resumed}"

    def n_chars(self, position_ms: float) -> float:
        """How many characters of the text are spoken up to a position."""
        after = bisect_right(self.points, position_ms, key=lambda point: point[0])
        from_ms, from_chars = self.points[after - 1]
        return min(len(self.text), from_chars + (position_ms - from_ms) * self.pace(after))

    def ms_of(self, n_chars: int) -> float:
        """The position up to which so many characters are spoken."""
        after = bisect_right(self.points, n_chars, key=lambda point: point[1])
        from_ms, from_chars = self.points[after - 1]
        if n_chars <= from_chars:
            return from_ms
        return from_ms + (n_chars - from_chars) / self.pace(after)

    def pace(self, after: int) -> float:
        """Characters a ms on the way to a point, or beyond the last."""
        from_ms, from_chars = self.points[after - 1]
        if after == len(self.points):
            # What was sent before the text began was a filler.
            return from_chars / (from_ms - self.ms_of(0)) if from_chars else CHARS_PER_MS
        to_ms, to_chars = self.points[after]
        return (to_chars - from_chars) / (to_ms - from_ms)


class Playout:
    """The ledger of a call: one turn of ours at a time; what is told of another one is ignored.

    Args:
        mark_every_ms: a mark is due whenever so much audio was sent since the last one.
    """

    def __init__(self, mark_every_ms: float = 400.0) -> None:
        self._mark_every_ms = mark_every_ms
        self._turn = _Turn(0, "0")

    @property
    def live(self) -> int:
        """The turn begun last, also when it was cleared or heard; 0 before the first."""
        return self._turn.turn

    def begin(self, turn: int, now_ms: float) -> None:
        """Open the books of a turn and close those of the one before it."""
        if turn >= self.live:
            self._turn = _Turn(turn, str(turn))

    def text(self, turn: int, text: str) -> None:
        """Append text that was handed to the voice, with the spaces that it was handed with."""
        if self._open(turn) or self._held(turn):
            self._turn.text += text

    def spoken_to(self, turn: int, n_chars: int) -> None:
        """Note that all audio sent so far speaks exactly the first `n_chars` of the text.

        What is sent again after `resume` counts as sent before.
        """
        if self._open(turn) or self._held(turn):
            self._point(n_chars)

    def sent(self, turn: int, n_ms: float, now_ms: float) -> str | None:
        """Note that so much audio was put on the wire; returns the name of a mark due after it."""
        books = self._turn
        if not self._open(turn) or n_ms <= 0:
            return None
        if not books.stretches or books.played_ms(now_ms) >= books.sent_ms:
            books.stretches.append((now_ms, books.sent_ms))
        books.sent_ms += n_ms
        books.furthest_ms = max(books.furthest_ms, books.sent_ms)
        if books.sent_ms - books.marked_ms < self._mark_every_ms:
            return None
        books.marked_ms = books.sent_ms
        name = f"{books.label}:{books.sent_ms:.0f}"
        books.marks[name] = books.sent_ms
        return name

    def finish(self, turn: int, *, whole: bool = True) -> str:
        """Note that no more audio comes, and return the name of the last mark, to be sent now.

        With `whole=False` the turn broke off: audio after the last exact point need not reach the
        text's end.
        """
        if not self._open(turn):
            return f"{turn}:end"
        books, name = self._turn, f"{self._turn.label}:end"
        books.whole = whole
        books.marks[name] = books.sent_ms
        if whole and books.points[-1][0] < books.furthest_ms:
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
        if name != f"{books.label}:end":
            return None
        books.complete = books.whole
        return books.turn

    def clear(self, turn: int, now_ms: float) -> None:
        """Freeze the position: the far end's buffer is emptied, no more of this turn is heard."""
        if self._open(turn):
            self._turn.frozen_ms = self._turn.position_ms(now_ms)
            self._turn.marks.clear()
        if turn == self.live:
            self._turn.held = False

    def hold(self, turn: int, now_ms: float) -> float:
        """Freeze the position until `resume`; returns how much was still to be played.

        The far end's buffer is emptied, as for `clear`. Of what is told of the turn meanwhile, its
        text is taken, and up to where the audio sent before speaks it.
        """
        remaining_ms = self.remaining_ms(turn, now_ms)
        if self._open(turn):
            self.clear(turn, now_ms)
            self._turn.held = True
        return remaining_ms

    def resume(self, turn: int) -> float | None:
        """Go on with a turn that is held; returns the position from which to send it again.

        That is where the last word that was heard to its end did end, or where the text begins, or
        the filler before it. None if the turn is not held.
        """
        books = self._turn
        if not self._held(turn) or books.frozen_ms is None:
            return None
        n_chars, end = books.n_chars(books.frozen_ms), 0
        for word in _WORD.finditer(books.text):
            if word.end() > n_chars:
                break
            end = word.end()
        position_ms = books.ms_of(end)
        if position_ms > books.frozen_ms:
            position_ms = books.frozen_ms if end else 0.0
        books.resume(position_ms)
        return position_ms

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
        position_ms = max(books.heard_ms, books.position_ms(now_ms))
        text = _whole_words(books.text, books.n_chars(position_ms)) if position_ms > 0 else ""
        return Heard(text, position_ms, books.complete)

    def _open(self, turn: int) -> bool:
        return turn == self._turn.turn and self._turn.frozen_ms is None

    def _held(self, turn: int) -> bool:
        return turn == self._turn.turn and self._turn.held

    def _point(self, n_chars: int) -> None:
        """Add an exact point at the end of what was sent, or correct the one that is there."""
        books = self._turn
        if books.furthest_ms <= 0:
            return
        if books.points[-1][0] == books.furthest_ms:
            books.points.pop()
        n_chars = min(max(n_chars, books.points[-1][1]), len(books.text))
        books.points.append((books.furthest_ms, n_chars))


def _whole_words(text: str, n_chars: float) -> str:
    """The words of which at least half is within the first `n_chars`."""
    end = 0
    for word in _WORD.finditer(text):
        if (word.start() + word.end()) / 2 > n_chars:
            break
        end = word.end()
    return text[:end].lstrip()
