"""The filters that run: their gain and delay, read off the compiled engine, and their tables."""

from pathlib import Path

import numpy as np
import pytest

from reference import fir as reference
from reference import fir_header
from voice_ai.codec._fir import Fir

RATIOS = [(1, 2), (1, 3), (2, 3), (3, 4), (1, 4), (1, 6)]
PAIRS = [(8000 * a, 8000 * b) for low, high in RATIOS for a, b in ((low, high), (high, low))]
# Ratios of before, from another rate.
PAIRS += [(16000, 32000), (48000, 24000)]
N_BINS = 1 << 14
HEADER = Path(__file__).parents[2] / "ext/voice_ai/codec/fir_taps.h"

each = pytest.mark.parametrize(
    ("in_rate", "out_rate", "phase", "dtype"),
    [
        (*pair, phase, dtype)
        for pair in PAIRS
        for phase in ("linear", "minimum")
        for dtype in ("int16", "float32")
    ],
)


def engine(fir: Fir, up: int, down: int, kind: str) -> np.ndarray:
    """Return the filter at in_rate * up that explains what the engine makes of noise.

    By least squares, for each output of a group over all samples of 30 groups. What the rounding to
    int16 adds is 100 dB down.
    """
    n_seen, n_rows = 30 * down, 600
    x = np.random.default_rng(5).integers(-12000, 12001, (n_rows + 29) * down)
    made = np.frombuffer(fir.process(x.astype(kind)), kind).reshape(-1, up)[29:].astype(float)
    seen = np.lib.stride_tricks.sliding_window_view(x, n_seen)[::down].astype(float)
    found = np.linalg.solve(seen.T @ seen, seen.T @ made)[::-1]
    taps = np.zeros(up * (n_seen + down))
    for output in range(up):
        # Output m is the sum of h[(m + 1) down - 1 - k up] x[k]; the newest comes first here.
        at = (output + 1) * down - 1 - (down - 1 - np.arange(n_seen)) * up
        assert np.abs(found[at < 0, output]).max(initial=0) < 1e-4
        taps[at[at >= 0]] = found[at >= 0, output]
    return taps


def decibels(x: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.abs(x))


@each
def test_pass_band_rejection_and_delay(in_rate, out_rate, phase, dtype):
    filter_ = reference.prototype(in_rate, out_rate, phase)
    up, down = filter_["up"], filter_["down"]
    lower, rate_hz = min(in_rate, out_rate), in_rate * up
    kind = "<i2" if dtype == "int16" else "<f4"
    taps = engine(Fir(in_rate, out_rate, dtype=dtype, phase=phase), up, down, kind)
    gain = np.fft.rfft(taps, N_BINS) / up
    bins = np.fft.rfftfreq(N_BINS, 1 / rate_hz)
    passes, stops = bins <= 0.425 * lower, bins >= 0.575 * lower
    ripple_db = np.abs(decibels(gain[passes])).max()
    rejection_db = -decibels(gain[stops]).max()
    ramp = np.fft.rfft(taps * np.arange(len(taps)), N_BINS) / up
    # An output is made when the last sample of its group is there.
    delay_ms = ((ramp[passes] / gain[passes]).real - (down - 1)) / rate_hz * 1000
    told_ms = Fir(in_rate, out_rate, dtype=dtype, phase=phase).delay() / out_rate * 1000
    found = (
        f"{in_rate} to {out_rate} {phase} {dtype}: ripple {ripple_db:.4f} dB, rejection "
        f"{rejection_db:.2f} dB, delay {delay_ms.mean():.3f} ms (at most {delay_ms.max():.3f}), "
        f"told {told_ms:.3f} ms"
    )
    assert ripple_db <= 0.02, found
    assert rejection_db >= 70, found
    assert told_ms == pytest.approx(delay_ms.mean(), abs=2e-3), found
    scale = 8000 / lower
    if phase == "linear":
        assert delay_ms.max() <= 1.75 * scale, found
        assert np.ptp(delay_ms) <= 1e-3, found
        assert (told_ms * out_rate / 1000).is_integer(), found
    else:
        assert delay_ms.max() <= (0.6 if max(up, down) == 2 else 0.61) * scale, found


@pytest.mark.skipif(not HEADER.exists(), reason="only beside the source")
def test_the_tables_are_those_of_the_prototypes():
    assert HEADER.read_text() == fir_header.header(reference.PROTOTYPES)


@pytest.mark.parametrize("filter_", reference.PROTOTYPES, ids=lambda p: f"{p['up']}_{p['down']}")
def test_no_sum_overflows_and_a_constant_has_a_gain_of_one(filter_):
    taps, up, unit = np.array(filter_["taps"]), filter_["up"], 1 << filter_["shift"]
    assert [taps[p::up].sum() for p in range(up)] == [unit] * up
    assert [np.sum(filter_["float_taps"][p::up]) for p in range(up)] == pytest.approx([1] * up)
    for output in range(up):
        pairs = fir_header.pairs_of(fir_header.taps_of_output(filter_, output))
        sums = fir_header.halves(pairs)
        assert sum(tap for part in sums for pair in part for tap in pair[2:]) == unit
        for part in sums:
            most = sum(abs(tap) for pair in part for tap in pair[2:])
            # Half a unit more is added for the rounding.
            assert most * 32768 + (unit >> 1) < 1 << 31


@pytest.mark.parametrize("tone_hz", [300, 1000, 3400])
@pytest.mark.parametrize("out_rate", [16000, 24000, 48000])
def test_a_tone_has_no_image(tone_hz, out_rate):
    n_samples = out_rate // 2
    tone = np.round(30000 * np.sin(2 * np.pi * tone_hz * np.arange(6000) / 8000)).astype("<i2")
    y = np.frombuffer(Fir(8000, out_rate).process(tone), "<i2")[-n_samples:]
    spectrum = decibels(np.fft.rfft(y * np.blackman(n_samples)) + 1e-9)
    bins = np.fft.rfftfreq(n_samples, 1 / out_rate)
    assert abs(bins[spectrum.argmax()] - tone_hz) <= 4
    assert spectrum[bins > 4500].max() <= spectrum.max() - 70


@pytest.mark.parametrize("in_rate", [16000, 24000, 32000, 48000])
@pytest.mark.parametrize("phase", ["linear", "minimum"])
def test_a_tone_beyond_the_band_does_not_fold(in_rate, phase):
    for tone_hz in (4650, 5000, 6500, 7900):
        tone = np.round(30000 * np.sin(2 * np.pi * tone_hz * np.arange(in_rate) / in_rate))
        y = np.frombuffer(Fir(in_rate, 8000, phase=phase).process(tone.astype("<i2")), "<i2")[100:]
        assert np.abs(y).max() <= 30000 * 10 ** (-70 / 20) + 1, tone_hz
