"""The 2:1 resamplers against soxr.ResampleStream at HQ, 20 ms at a time, in one run.

Timed by the second of audio: soxr gives nothing for most frames and pays for all of them in one.
The last test prints the ratios: how many times as long soxr takes, by the minimum.
"""

import numpy as np
import pytest
import soxr

from voice_ai import ResampleStream, codec

N_FRAMES = 50
MINIMA: dict[tuple[str, str], float] = {}
RATES = {"8k to 16k": (8000, 16000), "16k to 8k": (16000, 8000)}


def frame(rate_hz: int) -> bytes:
    tone = 8000 * np.sin(np.arange(rate_hz // N_FRAMES) * 2 * np.pi * 1000 / rate_hz)
    return tone.astype("<i2").tobytes()


@pytest.mark.parametrize("way", RATES)
def test_fir(benchmark, way):
    x, room, stream = frame(RATES[way][0]), bytearray(640), ResampleStream(*RATES[way])
    benchmark.group = f"{way}, 50 frames, kernel: {codec.info()['resample']}"

    def second() -> int:
        return sum(stream.resample_into(x, room) for _ in range(N_FRAMES))

    assert benchmark(second) == RATES[way][1]
    MINIMA[way, "ours"] = benchmark.stats.stats.min


@pytest.mark.parametrize("way", RATES)
def test_soxr_hq(benchmark, way):
    x = np.frombuffer(frame(RATES[way][0]), "<i2")
    stream = soxr.ResampleStream(*RATES[way], 1, dtype="int16", quality="HQ")
    benchmark.group = f"{way}, 50 frames, kernel: {codec.info()['resample']}"

    def second() -> int:
        return sum(len(stream.resample_chunk(x)) for _ in range(N_FRAMES))

    assert benchmark(second) > 0
    MINIMA[way, "soxr HQ"] = benchmark.stats.stats.min


def test_print_the_ratios(capsys):
    with capsys.disabled():
        for way in RATES:
            ratio = MINIMA[way, "soxr HQ"] / MINIMA[way, "ours"]
            print(f"\n{way}: soxr HQ takes {ratio:.1f} times as long", end="")
        print()
