"""G.711 against audioop and a NumPy table, in one run: `make bench`, or pytest on this file.

The last test prints the ratios to reach: how many times as long the peer takes, by the minimum.
"""

import importlib
import os
import sys
import warnings

import numpy as np
import pytest

from voice_ai import codec
from voice_ai.codec import ulaw_decode, ulaw_decode_into, ulaw_encode

SIZES = (160, 1_000_000)
MINIMA: dict[tuple[str, str, int], float] = {}

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = importlib.import_module("audioop") if sys.version_info < (3, 13) else None

DECODED = np.frombuffer(ulaw_decode(bytes(range(256))), "<i2")
ENCODED = np.frombuffer(ulaw_encode(np.arange(65536).astype("<u2")), np.uint8)


def numpy_decode(ulaw: bytes) -> bytes:
    return DECODED[np.frombuffer(ulaw, np.uint8)].tobytes()


def numpy_encode(pcm: bytes) -> bytes:
    return ENCODED[np.frombuffer(pcm, "<u2")].tobytes()


WAYS = {
    "decode": {"ours": ulaw_decode, "numpy": numpy_decode},
    "encode": {"ours": ulaw_encode, "numpy": numpy_encode},
}
if audioop is not None:
    WAYS["decode"]["audioop"] = lambda ulaw: audioop.ulaw2lin(ulaw, 2)
    WAYS["encode"]["audioop"] = lambda pcm: audioop.lin2ulaw(pcm, 2)


def samples(job: str, n_samples: int) -> bytes:
    ulaw = np.random.default_rng(1).integers(0, 256, n_samples, np.uint8).tobytes()
    return ulaw if job == "decode" else ulaw_decode(ulaw)


@pytest.mark.skipif(os.environ.get("VOICE_AI_TRACE") == "1", reason="a traced build proves nothing")
@pytest.mark.parametrize("n_samples", SIZES)
@pytest.mark.parametrize(("job", "way"), [(job, way) for job, ways in WAYS.items() for way in ways])
def test_g711(benchmark, job, way, n_samples):
    data = samples(job, n_samples)
    benchmark.group = f"{job} {n_samples}, kernel: {codec.info()['g711']}"
    made = benchmark(WAYS[job][way], data)
    assert made == WAYS[job]["ours"](data)
    MINIMA[job, way, n_samples] = benchmark.stats.stats.min


def test_decode_into(benchmark):
    data, room = samples("decode", 160), bytearray(320)
    benchmark.group = "decode 160 into the caller's buffer"
    assert benchmark(ulaw_decode_into, data, room) == 160


def test_print_the_ratios(capsys):
    with capsys.disabled():
        for (job, way, n_samples), seconds in MINIMA.items():
            if way != "ours":
                ratio = seconds / MINIMA[job, "ours", n_samples]
                print(f"\n{job} {n_samples}: {way} takes {ratio:.1f} times as long", end="")
        print()
