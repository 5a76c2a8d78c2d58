"""8 to 16 kHz and back, 20 ms at a time: the FIR, libsoxr, and every other resampler.

Timed by whole seconds: soxr gives nothing for most frames and pays for all of them in one. The
figures are of one frame. `resample_poly` keeps no state: each frame is a signal of its own, with a
seam after it; it is timed because it is used so.
"""

from typing import Any

import pytest

from benches.measuring import Unit, Work
from benches.resamplers import BARE, FIR, PEERS, SOXR, floor, work

RATES = {"8k to 16k": (8000, 16000), "16k to 8k": (16000, 8000)}
CONTENDERS = {"fir, into": BARE["fir, into"], **FIR, **BARE, **SOXR, **PEERS}


@pytest.mark.parametrize("contender", [*CONTENDERS, "memcpy"])
@pytest.mark.parametrize("way", RATES)
def bench_resample_2to1(measure: Any, way: str, contender: str) -> None:
    in_rate, out_rate = RATES[way]

    def prepare() -> Work:
        if contender == "memcpy":
            return floor(out_rate)
        return work(CONTENDERS[contender], in_rate, out_rate)

    measure(Unit(way, "20 ms"), contender, prepare)
