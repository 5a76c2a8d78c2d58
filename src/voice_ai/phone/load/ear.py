"""What a caller hears of our voice, frame by frame: its segments, and what is missing in them."""

from dataclasses import dataclass

from voice_ai.codec import g711
from voice_ai.phone.load import levels

FRAME_OCTETS = 160
MIDDLE = FRAME_OCTETS // 2
SILENT = -1
# In place of an expected symbol, where none is: before a segment, and in its header.
NONE = -2
# Of 15 counts: a frame so far ahead of its turn is taken for the next after a loss, one that is
# farther for one that comes late, or twice.
MAX_LOST = 11


def _symbol(octet: int) -> int:
    pcm = int.from_bytes(g711.ulaw_decode(bytes([octet])), "little", signed=True)
    symbol = levels.symbol(pcm)
    return SILENT if symbol is None else symbol


_SYMBOLS = tuple(_symbol(octet) for octet in range(256))
_NEXT = tuple(
    levels.FIRST_COUNT + (symbol + 1 - levels.FIRST_COUNT) % levels.N_COUNTS
    for symbol in range(levels.N_SYMBOLS)
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was heard: when its first frame came, and who sent it as which of theirs."""

    at: float
    source: int
    number: int


@dataclass(slots=True)
class Heard:
    """What was heard, in frames.

    Args:
        n_octets: of all audio.
        n_lost, n_out_of_order: missing in a segment; late in it, or there twice.
        n_dead: after a clear and of no segment that began after it.
        n_garbled: no frame that could stand where it stood.
    """

    n_octets: int = 0
    n_lost: int = 0
    n_out_of_order: int = 0
    n_dead: int = 0
    n_garbled: int = 0

    @property
    def n_frames(self) -> int:
        """All audio in frames."""
        return self.n_octets // FRAME_OCTETS


class Ear:
    """Reads a stream's audio. `heard` may be replaced at any time, to count anew.

    A frame's place is found by the octet with which its segment begins, so that what comes before
    it, a resampler's tail or a fade, may have any length.
    """

    __slots__ = (
        "_at",
        "_cleared",
        "_digits",
        "_expected",
        "_marked",
        "_rest",
        "_skip",
        "heard",
        "n_begun",
        "segments",
    )

    def __init__(self) -> None:
        self.heard = Heard()
        self.segments: list[Segment] = []  # one for each text that is spoken: a few a minute
        self.n_begun = 0
        self._expected = NONE
        self._digits: list[int] | None = None
        self._rest = b""
        self._skip = 0
        self._marked = False
        self._cleared = False
        self._at = 0.0

    @property
    def within(self) -> bool:
        """Whether the last frame was one of a segment's."""
        return self._expected != NONE or self._digits is not None

    def hear(self, audio: bytes, at: float) -> None:
        """Take the audio of one message that came at this time."""
        self.heard.n_octets += len(audio)
        if self._marked:
            self._after_mark(audio)
        data = self._rest + audio
        place, end = self._skip, len(data) - MIDDLE
        while place < end:
            symbol = _SYMBOLS[data[place + MIDDLE]]
            if symbol == self._expected:
                self._expected = _NEXT[symbol]
            elif symbol == levels.BEGIN and self._digits == []:
                self.heard.n_out_of_order += 1  # the same frame once more
            elif symbol == levels.BEGIN:
                place = _edge(data, place)
                self._begin(at)
            elif symbol != SILENT:
                self._unexpected(symbol)
            place += FRAME_OCTETS
        self._rest = data[place:]
        self._skip = max(0, place - len(data))  # of a frame whose middle was seen

    def mark(self) -> None:
        """Take note of a mark: a segment that begins with the next message begins at its edge."""
        self._marked = True

    def clear(self) -> None:
        """Forget the segment: what follows has to be another."""
        self._rest, self._skip = b"", 0
        self._expected, self._digits = NONE, None
        self._cleared = True

    def _after_mark(self, audio: bytes) -> None:
        self._marked = False
        middle = _SYMBOLS[audio[min(MIDDLE, len(audio) // 2)]]
        if middle == levels.BEGIN and self._digits != []:
            self._rest, self._skip = b"", 0

    def _begin(self, at: float) -> None:
        self._expected, self._digits = NONE, []
        self._cleared = False
        self._at = at
        self.n_begun += 1

    def _unexpected(self, symbol: int) -> None:
        if self._digits is not None:
            self._header(self._digits, symbol)
        elif self._expected == NONE:
            if self._cleared:
                self.heard.n_dead += 1
            else:
                self.heard.n_garbled += 1
        elif symbol < levels.FIRST_COUNT:
            self.heard.n_garbled += 1
        else:
            self._resume(symbol, self._expected, 0)

    def _header(self, digits: list[int], symbol: int) -> None:
        if symbol >= levels.FIRST_COUNT:
            n_missing = levels.SOURCE_DIGITS + levels.NUMBER_DIGITS - len(digits)
            self._digits = None
            self._resume(symbol, levels.FIRST_COUNT, n_missing)
            return
        digits.append(symbol)
        if len(digits) == levels.SOURCE_DIGITS + levels.NUMBER_DIGITS:
            source = _number(digits[: levels.SOURCE_DIGITS])
            self.segments.append(Segment(self._at, source, _number(digits[levels.SOURCE_DIGITS :])))
            self._expected, self._digits = levels.FIRST_COUNT, None

    def _resume(self, symbol: int, expected: int, n_missing: int) -> None:
        ahead = (symbol - expected) % levels.N_COUNTS
        if ahead > MAX_LOST:
            self.heard.n_out_of_order += 1
            self._expected = expected
        else:
            self._expected = _NEXT[symbol]
            n_missing += ahead
        self.heard.n_lost += n_missing


def _number(digits: list[int]) -> int:
    number = 0
    for digit in digits:
        number = number * levels.BASE + digit
    return number


def _edge(data: bytes, place: int) -> int:
    """Return where a frame begins whose middle is found in the one at `place`."""
    start = place + MIDDLE
    while start > max(0, place - MIDDLE) and _SYMBOLS[data[start - 1]] == levels.BEGIN:
        start -= 1
    return start
