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

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voice_ai.turn.books import TurnBooks, end_of_words, whole_words


@dataclass(frozen=True, slots=True)
class Passed:
    """What was sent without being told: `(now_ms, n_ms)` of audio, `(name, position_ms)` of marks.

    Audio that is played without a break counts as sent when it began to be.
    """

    audio: Sequence[tuple[float, float]] = ()
    marks: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class Ahead:
    """Where a turn's books are, for who sends without telling.

    All that was sent is played at `dry_ms` of the line's clock. `sent_ms` was sent; a mark is due
    at `mark_ms` of it, called by `label`, and then whenever `every_ms` more were sent.
    """

    dry_ms: float
    label: str
    sent_ms: float
    mark_ms: float
    every_ms: float


_NOTHING = Passed()


def _nothing() -> Passed:
    return _NOTHING


@dataclass(frozen=True, slots=True)
class Heard:
    """What the caller has heard of a turn: words, how far the audio was played, if that was all."""

    text: str
    position_ms: float
    complete: bool


class Playout:
    """The ledger of a call: one turn of ours at a time; what is told of another one is ignored.

    Args:
        mark_every_ms: a mark is due whenever so much audio was sent since the last one.
    """

    def __init__(self, mark_every_ms: float = 400.0) -> None:
        self._mark_every_ms = mark_every_ms
        self._passed: Callable[[], Passed] = _nothing
        self._turn = TurnBooks(0, "0")

    @property
    def live(self) -> int:
        """The turn begun last, also when it was cleared or heard; 0 before the first."""
        return self._turn.turn

    def begin(self, turn: int, now_ms: float, passed: Callable[[], Passed] = _nothing) -> None:
        """Open the books of a turn and close those of the one before it.

        `passed` returns what was put on the wire past `sent` since it was last asked; it is asked
        before anything is told or entered.
        """
        if turn >= self.live:
            self._turn = TurnBooks(turn, str(turn))
            self._passed = passed

    def text(self, turn: int, text: str) -> None:
        """Append text that was handed to the voice, with the spaces that it was handed with."""
        if self._open(turn) or self._held(turn):
            self._turn.text += text

    def spoken_to(self, turn: int, n_chars: int) -> None:
        """Note that all audio sent so far speaks exactly the first `n_chars` of the text.

        What is sent again after `resume` counts as sent before.
        """
        self._catch_up()
        if self._open(turn) or self._held(turn):
            self._point(n_chars)

    def sent(self, turn: int, n_ms: float, now_ms: float) -> str | None:
        """Note that so much audio was put on the wire; returns the name of a mark due after it."""
        self._catch_up()
        books = self._turn
        if not self._open(turn) or n_ms <= 0:
            return None
        books.enter(n_ms, now_ms)
        if books.sent_ms - books.marked_ms < self._mark_every_ms:
            return None
        books.marked_ms = books.sent_ms
        name = f"{books.label}:{books.sent_ms:.0f}"
        books.marks[name] = books.sent_ms
        return name

    def ahead(self, turn: int) -> Ahead | None:
        """Return where a live turn's books are; None if nothing of it was sent yet."""
        self._catch_up()
        books = self._turn
        if not self._open(turn) or not books.stretches:
            return None
        time_ms, begin_ms = books.stretches[-1]
        return Ahead(
            time_ms + books.sent_ms - begin_ms,
            books.label,
            books.sent_ms,
            books.marked_ms + self._mark_every_ms,
            self._mark_every_ms,
        )

    def finish(self, turn: int, *, whole: bool = True) -> str:
        """Note that no more audio comes, and return the name of the last mark, to be sent now.

        With `whole=False` the turn broke off: audio after the last exact point need not reach the
        text's end.
        """
        self._catch_up()
        if not self._open(turn):
            return f"{turn}:end"
        books, name = self._turn, f"{self._turn.label}:end"
        books.whole = whole
        books.marks[name] = books.sent_ms
        if whole and books.points[-1][0] < books.furthest_ms:
            self._point(len(books.text))
        return name

    def mark_ms(self, name: str) -> float | None:
        """Return the position of a mark that is still to come back."""
        if name not in self._turn.marks:
            self._catch_up()
        return self._turn.marks.get(name)

    def echoed(self, name: str) -> int | None:
        """Note that a mark came back; returns the turn if it was the last: all of it was heard.

        Marks of a turn that was cleared, marks that came before and names that are none of ours are
        ignored.
        """
        books = self._turn
        if name not in books.marks:
            self._catch_up()
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
        self._catch_up()
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
        end = end_of_words(books.text, books.n_chars(books.frozen_ms))
        position_ms = books.ms_of(end)
        if position_ms > books.frozen_ms:
            position_ms = books.frozen_ms if end else 0.0
        books.resume(position_ms)
        return position_ms

    def resumable_ms(self, turn: int) -> float:
        """Return how far back `resume` could still go: audio before this is not sent again.

        That is the last word which, by an exact point that stays, was heard to its end.
        """
        books = self._turn
        if turn != books.turn:
            return 0.0
        after = bisect_right(books.points, books.echoed_ms, key=lambda point: point[0])
        # The last point may yet be corrected, and the way to it then with it.
        last = min(after, len(books.points) - 1) - 1
        if last > books.settled[0]:
            end = end_of_words(books.text, books.points[last][1])
            books.settled = (last, books.ms_of(end))
        return books.settled[1]

    def remaining_ms(self, turn: int, now_ms: float) -> float:
        """Return how much is still to be played; 0 for a turn that was cleared or is not live."""
        self._catch_up()
        if not self._open(turn):
            return 0.0
        return self._turn.sent_ms - self._turn.position_ms(now_ms)

    def heard(self, turn: int, now_ms: float) -> Heard:
        """Return what the caller has heard of a turn; nothing of a turn that is not live."""
        self._catch_up()
        books = self._turn
        if turn != books.turn:
            return Heard("", 0.0, False)
        position_ms = max(books.heard_ms, books.position_ms(now_ms))
        text = whole_words(books.text, books.n_chars(position_ms)) if position_ms > 0 else ""
        return Heard(text, position_ms, books.complete)

    def _catch_up(self) -> None:
        passed, books = self._passed(), self._turn
        if passed is _NOTHING or books.frozen_ms is not None:
            return
        for now_ms, n_ms in passed.audio:
            books.enter(n_ms, now_ms)
        for name, position_ms in passed.marks:
            books.marks[name] = books.marked_ms = position_ms

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
