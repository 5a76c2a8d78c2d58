"""G.711 by the text of ITU-T G.711: slow, obvious, and sharing nothing with the compiled loops.

Decision and output values are built segment by segment as the standard's tables list them, and the
encoders look a sample up between the decision values; the product computes both by the exponent and
the mantissa of floating-point numbers.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate

# Table 2a: the first interval is 1 wide in the 14-bit scale, the rest of its segment 2, and each
# segment of 16 twice the one before. So the decision values x_1 .. x_128.
_ULAW_WIDTHS = [1] + [2] * 15 + [2 << segment for segment in range(1, 8) for _ in range(16)]
_ULAW_DECISIONS = [0, *accumulate(_ULAW_WIDTHS[:-1])]
# Column 7: the middle of each interval; the first interval's is 0.
_ULAW_OUTPUTS = [0] + [
    low + width // 2 for low, width in zip(_ULAW_DECISIONS[1:], _ULAW_WIDTHS[1:], strict=True)
]

# Table 1a: 32 intervals 2 wide in the 13-bit scale, then segments of 16, each twice as wide.
_ALAW_WIDTHS = [2] * 32 + [2 << segment for segment in range(1, 7) for _ in range(16)]
_ALAW_DECISIONS = [0, *accumulate(_ALAW_WIDTHS[:-1])]
_ALAW_OUTPUTS = [low + width // 2 for low, width in zip(_ALAW_DECISIONS, _ALAW_WIDTHS, strict=True)]

# In the 16-bit scale.
_ULAW_DECISIONS_16 = [4 * decision for decision in _ULAW_DECISIONS]
_ALAW_DECISIONS_16 = [8 * decision for decision in _ALAW_DECISIONS]


def _interval(decisions: list[int], sample: int) -> int:
    """The interval of a sample; on the decision between two, the one nearer to plus."""
    if sample >= 0:
        return bisect_right(decisions, sample) - 1
    return bisect_left(decisions, -sample) - 1


def ulaw_decode(octet: int) -> int:
    """Return the 16-bit sample of a code; all bits travel inverted, so a sign bit of 1 is plus."""
    value = 4 * _ULAW_OUTPUTS[~octet & 0x7F]
    return value if octet & 0x80 else -value


def ulaw_encode(sample: int) -> int:
    """Return audioop's code of a 16-bit sample.

    Its two low bits are dropped by rounding down first, and on the decision between two intervals
    it is the outer one's.
    """
    sample14 = sample >> 2
    interval = bisect_right(_ULAW_DECISIONS, abs(sample14)) - 1
    return (~interval & 0x7F) | (0x80 if sample14 >= 0 else 0)


def ulaw_encode_itu(sample: int) -> int:
    """Return ITU-T G.191's code of a 16-bit sample."""
    interval = _interval(_ULAW_DECISIONS_16, sample)
    return (~interval & 0x7F) | (0x80 if sample >= 0 else 0)


def alaw_decode(octet: int) -> int:
    """Return the 16-bit sample of a code; a sign bit of 1 is plus, every second bit is inverted."""
    value = 8 * _ALAW_OUTPUTS[(octet ^ 0x55) & 0x7F]
    return value if octet & 0x80 else -value


def alaw_encode(sample: int) -> int:
    """Return the code of a 16-bit sample."""
    interval = _interval(_ALAW_DECISIONS_16, sample)
    return (interval | (0x80 if sample >= 0 else 0)) ^ 0x55
