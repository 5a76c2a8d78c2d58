"""The 2:1 resamplers against soxr.ResampleStream at HQ, a frame of 20 ms at a time, in one run.

The last test prints the ratios: how many times as long soxr takes, by the mean, as soxr gives nothing
for most frames and pays for all of them in one.
"""

import numpy as np
import pytest
import soxr

from voice_ai import ResampleStream, codec

MEANS: dict[tuple[str, str], float] = {}
RATES = {"8k to 16k": (8000, 16000), "16k to 8k": (16000, 8000)}


def frame(rate_hz: int) -> bytes:
    tone = 8000 * np.sin(np.arange(rate_hz // 50) * 2 * np.pi * 1000 / rate_hz)
    return tone.astype("<i2").tobytes()


@pytest.mark.parametrize("way", RATES)
def test_fir_into(benchmark, way):
    x, room = frame(RATES[way][0]), bytearray(640)
    benchmark.group = f"{way}, 20 ms, kernel: {codec.info()['resample']}"
    assert benchmark(ResampleStream(*RATES[way]).resample_into, x, room) == RATES[way][1] // 50
    MEANS[way, "ours"] = benchmark.stats.stats.mean


@pytest.mark.parametrize("way", RATES)
def test_soxr_hq(benchmark, way):
    x = np.frombuffer(frame(RATES[way][0]), "<i2")
    stream = soxr.ResampleStream(*RATES[way], 1, dtype="int16", quality="HQ")
    benchmark.group = f"{way}, 20 ms, kernel: {codec.info()['resample']}"
    assert benchmark(stream.resample_chunk, x).dtype == np.int16
    MEANS[way, "soxr HQ"] = benchmark.stats.stats.mean


def test_print_the_ratios(capsys):
    with capsys.disabled():
        for way in RATES:
            ratio = MEANS[way, "soxr HQ"] / MEANS[way, "ours"]
            print(f"\n{way}: soxr HQ takes {ratio:.1f} times as long", end="")
        print()
