"""Audio that says who sent it and which frame it is: a level of sound for each frame of 20 ms.

A frame is constant, and its level is a symbol. A segment is a marker, six digits (its source's
number, then its own) and a body that counts:

    BEGIN  d d d d  d d  C0 C1 C2 ... C14 C0 C1 ...

So whoever hears a segment, after any resampler with little delay and through mu-law, knows where it
came from, and that no frame of it was lost or came late. Silence is no symbol.
"""

from collections.abc import Iterator

N_SYMBOLS = 32
BEGIN = 31
BASE = 16
SOURCE_DIGITS = 4
NUMBER_DIGITS = 2
HEADER_FRAMES = 1 + SOURCE_DIGITS + NUMBER_DIGITS
# The body's symbols follow the digits.
FIRST_COUNT = BASE
N_COUNTS = BEGIN - FIRST_COUNT
# Between two levels, in samples of int16; mu-law is wrong by 256 at most where they are.
STEP = 1000
# The level of silence, and how far from it a sample still is silent.
QUIET = STEP // 4


def sample(symbol: int) -> int:
    """Return the int16 sample of a symbol."""
    return STEP * symbol - STEP * (N_SYMBOLS - 1) // 2


def symbol(value: int) -> int | None:
    """Return the symbol of a frame from a sample in its middle; None in silence."""
    if -QUIET < value < QUIET:
        return None
    return max(0, min(N_SYMBOLS - 1, (value + STEP * N_SYMBOLS // 2) // STEP))


def segment(source: int, number: int) -> Iterator[int]:
    """Yield the symbols of a segment, for ever.

    Args:
        source: who sends it, less than 65,536.
        number: which of the source's segments it is; counted modulo 256.
    """
    yield BEGIN
    yield from _digits(source, SOURCE_DIGITS)
    yield from _digits(number, NUMBER_DIGITS)
    n = 0
    while True:
        yield FIRST_COUNT + n % N_COUNTS
        n += 1


def _digits(value: int, n: int) -> list[int]:
    return [value // BASE**place % BASE for place in reversed(range(n))]
