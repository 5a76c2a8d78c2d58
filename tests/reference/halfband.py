"""The half-band filter and both 2:1 resamplers by their definition, in 64-bit integers.

All 55 taps at the full rate, zeros and all, on the whole signal at once: the product never sees the
zeros, works in blocks and keeps int32. The taps come from design_halfband.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF = (-10, 21, -41, 74, -121, 190, -284, 415, -595, 852, -1239, 1900, -3362, 10392)
TAPS = np.zeros(55, np.int64)
TAPS[::2] = HALF + HALF[::-1]
TAPS[27] = 1 << 14


def _int16(x: NDArray[np.int64], shift: int) -> NDArray[np.int16]:
    """Round half up and saturate."""
    return np.clip((x + (1 << shift - 1)) >> shift, -32768, 32767).astype(np.int16)


def upsample(x: Sequence[int] | NDArray[Any]) -> NDArray[np.int16]:
    """Return 2 n samples for n: zeros between the samples, then the filter with its gain of 2."""
    stuffed = np.zeros(2 * len(x), np.int64)
    stuffed[::2] = x
    return _int16(np.convolve(stuffed, TAPS)[: len(stuffed)], 14) if len(x) else _int16(stuffed, 14)


def downsample(x: Sequence[int] | NDArray[Any]) -> NDArray[np.int16]:
    """Return n // 2 samples for n: the filter with a gain of 1, then every second sample."""
    if len(x) < 2:
        return np.zeros(0, np.int16)
    return _int16(np.convolve(np.asarray(x, np.int64), TAPS)[1 : len(x) : 2], 15)
