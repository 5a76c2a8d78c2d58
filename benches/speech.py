"""What the benches feed: noise with the loudness of speech, the same in every run."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

FRAMES_A_SECOND = 50


@cache
def speech(rate_hz: int) -> NDArray[np.int16]:
    """Return 20 ms."""
    noise = np.random.default_rng(rate_hz).normal(0, 3000, rate_hz // FRAMES_A_SECOND)
    return noise.astype(np.int16)
