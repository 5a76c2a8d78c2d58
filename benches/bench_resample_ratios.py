"""The other ratios of telephony and speech, 20 ms at a time; 44.1 kHz is libsoxr's alone.

Timed by whole seconds, as bench_resample_2to1.py; the figures are of one frame.
"""

from typing import Any

import pytest

from benches.measuring import Unit, Work
from benches.resamplers import BARE, FIR, PEERS, SOXR, floor, work

RATES = {
    "24k to 8k": (24000, 8000),
    "24k to 16k": (24000, 16000),
    "16k to 24k": (16000, 24000),
    "48k to 16k": (48000, 16000),
    "44.1k to 16k": (44100, 16000),
}
NO_FIR = "44.1k to 16k"
CONTENDERS = {
    "fir, into": BARE["fir, into"],
    "fir minimum": FIR["fir minimum"],
    "soxr HQ, C call": BARE["soxr HQ, C call"],
    "soxr HQ": SOXR["soxr HQ"],
    **{
        name: PEERS[name]
        for name in (
            "soxr.ResampleStream HQ",
            "samplerate sinc_fastest",
            "resample_poly, window precomputed",
            "upfirdn, tail carried",
            "audioop.ratecv",
        )
    },
}
# upfirdn by frames wants frames that are a whole number of output samples, phase after phase.
CASES = [
    (way, contender)
    for way in RATES
    for contender in [*CONTENDERS, "memcpy"]
    if way != NO_FIR or not contender.startswith(("fir", "upfirdn"))
]


@pytest.mark.parametrize(("way", "contender"), CASES)
def bench_resample_ratios(measure: Any, way: str, contender: str) -> None:
    in_rate, out_rate = RATES[way]

    def prepare() -> Work:
        if contender == "memcpy":
            return floor(out_rate)
        return work(CONTENDERS[contender], in_rate, out_rate)

    measure(Unit(way, "20 ms"), contender, prepare)
