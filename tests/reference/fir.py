"""The FIR resamplers by their definition, in 64-bit integers or double precision.

Zeros between the samples, one long filter at that rate, and of its output what the ratio leaves: on
the whole signal at once. The product has no zeros, no long filter, works in blocks and keeps int32.
The filters come from fir_prototypes.json, which design_fir.py makes.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATES = (8000, 16000, 24000, 32000, 48000)
PROTOTYPES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("fir_prototypes.json").read_text()
)


def prototype(in_rate: int, out_rate: int, phase: str = "linear") -> dict[str, Any]:
    """Return the filter of a pair of rates."""
    common = math.gcd(in_rate, out_rate)
    wanted = (out_rate // common, in_rate // common, "linear" if in_rate == out_rate else phase)
    return next(p for p in PROTOTYPES if (p["up"], p["down"], p["phase"]) == wanted)


def n_made(filter_: dict[str, Any], n_samples: int, last: bool = False) -> int:
    """Return how many samples n make: those of whole groups, and at the end what is inside."""
    up, down = filter_["up"], filter_["down"]
    whole, rest = n_samples // down * up, n_samples % down
    return whole + (math.ceil(filter_["delay"] + rest * up / down) if last else 0)


def resample(
    x: NDArray[Any], filter_: dict[str, Any], last: bool = False
) -> NDArray[np.int16] | NDArray[np.float64]:
    """Resample int16 exactly (rounded half up, saturated), and floats in double precision."""
    up, down = filter_["up"], filter_["down"]
    is_float = x.dtype.kind == "f"
    taps = np.array(filter_["float_taps"] if is_float else filter_["taps"])
    n_out = n_made(filter_, len(x), last)
    stuffed = np.zeros(n_out // up * up * down + 2 * up * down + len(x) * up, taps.dtype)
    stuffed[: len(x) * up : up] = x
    y = np.convolve(stuffed, taps)[down - 1 :: down][:n_out]
    if is_float:
        return y
    shift = filter_["shift"]
    return np.clip((y + (1 << shift - 1)) >> shift, -32768, 32767).astype(np.int16)
