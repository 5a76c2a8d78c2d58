"""µ-law by the text of ITU-T G.711: slow, obvious, and sharing nothing with the compiled tables.

Decision and output values are built segment by segment as table 2 lists them, and the encoder looks
a sample up between the decision values; the product computes both by shifts.
"""

from bisect import bisect_right

# Table 2a: the first interval is 1 wide in the 14-bit scale, the rest of its segment 2, and each
# segment of 16 twice the one before. So the decision values x_1 .. x_128.
_WIDTHS = [1] + [2] * 15 + [2 << segment for segment in range(1, 8) for _ in range(16)]
_DECISIONS = [0]
for _width in _WIDTHS[:-1]:
    _DECISIONS.append(_DECISIONS[-1] + _width)
# Column 7: the middle of each interval; the first interval's is 0.
_OUTPUTS = [0] + [low + width // 2 for low, width in zip(_DECISIONS[1:], _WIDTHS[1:], strict=True)]


def decode(octet: int) -> int:
    """Return the 16-bit sample of a code; all bits travel inverted, so a sign bit of 1 is plus."""
    value = 4 * _OUTPUTS[~octet & 0x7F]
    return value if octet & 0x80 else -value


def encode(sample: int) -> int:
    """Return the code of a 16-bit sample; its two low bits are dropped by rounding down first."""
    sample14 = sample >> 2
    interval = bisect_right(_DECISIONS, abs(sample14)) - 1
    return (~interval & 0x7F) | (0x80 if sample14 >= 0 else 0)
