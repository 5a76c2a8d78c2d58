"""Audio of which every millisecond is numbered, and an account of which of them somebody was sent.

The numbers are in the last bits of the samples, where nobody hears them. PCM16 at 16 kHz, a minute
at most.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

N_SAMPLES = 16  # in a millisecond
BITS = np.arange(N_SAMPLES)


def _rows(audio: bytes) -> NDArray[np.int16]:
    return np.frombuffer(audio, "<i2").reshape(-1, N_SAMPLES)


def numbered(audio: bytes) -> bytes:
    """Number every millisecond."""
    rows = _rows(audio)
    bits = (np.arange(len(rows))[:, None] >> BITS) & 1
    return ((rows & ~np.int16(1)) | bits.astype(np.int16)).tobytes()


def numbers(audio: bytes) -> NDArray[np.int64]:
    """Read the numbers of what may be a part of it."""
    sums: NDArray[np.int64] = ((_rows(audio) & 1).astype(np.int64) << BITS).sum(1)
    return sums


def n_lost(audio: bytes, heard: Iterable[bytes]) -> int:
    """Return how many octets of speech are in nothing that was heard.

    Fails if any of that is not the audio as it was, or jumps over speech, or back.
    """
    rows = _rows(audio)
    is_speech = np.abs(rows).max(1) > 1
    is_heard = np.zeros(len(rows), bool)
    for piece in heard:
        places = numbers(piece)
        assert (rows[places] == _rows(piece)).all(), "not the audio that was said"
        for before, after in zip(places, places[1:], strict=False):
            assert before < after, f"{after} ms follows {before}"
            assert after == before + 1 or not is_speech[before + 1 : after].any()
        is_heard[places] = True
    return int(2 * N_SAMPLES * (is_speech & ~is_heard).sum())
