"""What a resampler does to a telephone's signal: delay, images and ripple, seen from outside.

Everything is 8 to 16 kHz in frames of 20 ms and goes out as int16, as in a call: beyond 95 dB that
hides all images. Nothing is timed; the same numbers in every run, but for python-soxr's dither.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benches.resamplers import Resampler, Stream

IN_HZ, OUT_HZ = 8000, 16000
FRAME_MS = 20
N_FRAME = IN_HZ * FRAME_MS // 1000
# A telephone's band ends here, and its images begin at 8000 - 3400 Hz.
BAND_HZ = 3400
TONES_HZ = range(100, BAND_HZ + 1, 100)
AMPLITUDE = 16000
# Long enough for libsoxr's bursts to repeat; a second of it is analysed.
N_LAG_FRAMES = 500
N_TONE_FRAMES = 100
N_AROUND = 320

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """A stream's output, and how many samples had come at the end of each frame."""

    samples: Samples
    n_by_frame: NDArray[np.int64]


def through(resampler: Resampler, x: NDArray[np.int16]) -> Run:
    """Feed a signal frame by frame to a new stream; what is inside at the end stays there."""
    stream: Stream = resampler.open(IN_HZ, OUT_HZ)
    made = [
        resampler.samples(stream.call(resampler.frame(x[i : i + N_FRAME]), *stream.more))
        for i in range(0, len(x), N_FRAME)
    ]
    return Run(np.concatenate(made), np.cumsum([len(each) for each in made]))


def impulse_response(resampler: Resampler) -> Samples:
    """Return what a sample of 1 becomes, from N_AROUND samples before it to as many after.

    Farther away is nothing, or the noise of dither.
    """
    x = np.zeros(N_LAG_FRAMES * N_FRAME, np.int16)
    at = len(x) // 2 // N_FRAME * N_FRAME + N_FRAME // 2
    x[at] = 1 << 14
    run = through(resampler, x)
    where = at * OUT_HZ // IN_HZ
    return run.samples[where - N_AROUND : where + N_AROUND] / (1 << 14)


def filter_delay_ms(resampler: Resampler) -> float:
    """Return the longest group delay of the filter in the band: how late a tone comes out."""
    h, n = impulse_response(resampler), np.arange(-N_AROUND, N_AROUND)
    waves = np.exp(-2j * np.pi * np.outer(TONES_HZ, n) / OUT_HZ)
    return float((waves @ (n * h) / (waves @ h)).real.max() * 1000 / OUT_HZ)


def delay_ms(resampler: Resampler) -> float:
    """Return the longest that a caller's sample waits after the frame in which it came.

    At the end of a frame all of its samples have been fed. Those that have no output yet wait for
    a later frame; what comes stands the filter's delay behind.
    """
    silence = np.zeros(N_LAG_FRAMES * N_FRAME, np.int16)
    n_made = through(resampler, silence).n_by_frame
    n_due = (np.arange(N_LAG_FRAMES) + 1) * N_FRAME * OUT_HZ // IN_HZ
    return float((n_due - n_made).max() * 1000 / OUT_HZ) + filter_delay_ms(resampler)


def spectrum(resampler: Resampler, tone_hz: int) -> Samples:
    """Return the amplitude of each Hz, 0 to 8000, that a tone makes; the tone's own is 1."""
    n = np.arange(N_TONE_FRAMES * N_FRAME)
    x = np.rint(AMPLITUDE * np.sin(2 * np.pi * tone_hz / IN_HZ * n)).astype(np.int16)
    y = through(resampler, x).samples
    settled = y[len(y) // 2 - OUT_HZ // 2 :][:OUT_HZ]
    return np.abs(np.fft.rfft(settled)) * 2 / OUT_HZ / AMPLITUDE


def signal(resampler: Resampler) -> dict[str, float]:
    """Sweep the band: the worst image in dB below its tone, and the worst gain in dB off 0."""
    rejections, gains = [], []
    for tone_hz in TONES_HZ:
        made = spectrum(resampler, tone_hz)
        images = np.sqrt(np.sum(made[IN_HZ - BAND_HZ :] ** 2))
        rejections.append(-20 * np.log10(images / made[tone_hz]))
        gains.append(abs(20 * np.log10(made[tone_hz])))
    # Rounded, so that the picture does not tremble; 0.0 is added against a -0.
    return {
        "delay_ms": round(delay_ms(resampler), 3) + 0.0,
        "rejection_db": round(float(min(rejections)), 2),
        "ripple_db": round(float(max(gains)), 5),
    }


def n_lengths(resampler: Resampler) -> int:
    """Count the different output lengths that frames of 20 ms have."""
    run = through(resampler, np.zeros(N_LAG_FRAMES * N_FRAME, np.int16))
    return len(set(np.diff(run.n_by_frame, prepend=0).tolist()))


def loud(seed: int, n_samples: int) -> NDArray[np.int16]:
    """Return noise over all of int16."""
    return np.random.default_rng(seed).integers(-32768, 32768, n_samples).astype(np.int16)


def n_cut(resampler: Resampler) -> int:
    """Count the samples that come out otherwise when the input is cut otherwise."""
    x = loud(1, 40_000)
    whole = through(resampler, x).samples
    lengths, stream, made = np.random.default_rng(2), resampler.open(IN_HZ, OUT_HZ), []
    at = 0
    while at < len(x):
        n = int(lengths.integers(1, 4097))
        part = resampler.frame(x[at : at + n])
        made.append(resampler.samples(stream.call(part, *stream.more)))
        at += n
    cut = np.concatenate(made)
    return abs(len(cut) - len(whole)) + int((cut != whole).sum() if len(cut) == len(whole) else 0)


def n_wrong(resampler: Resampler) -> int:
    """Count the samples that are not the rounded, saturated sum in 64 bits of Q14 taps.

    The input is the taps' own signs at full scale, at every phase: no sum is larger.
    """
    taps = np.rint(impulse_response(resampler)[N_AROUND:] * (1 << 14)).astype(np.int64)
    worst = [np.where(taps[phase::2][::-1] < 0, -32768, 32767) for phase in (0, 1)]
    parts = [*worst, *(-1 - each for each in worst), loud(3, 20 * N_FRAME)]
    x = np.concatenate(parts).astype(np.int16)
    x = x[: len(x) // N_FRAME * N_FRAME]
    zero_stuffed = np.zeros(2 * len(x), np.int64)
    zero_stuffed[::2] = x
    sums = np.convolve(zero_stuffed, taps)[: len(zero_stuffed)]
    right = np.clip((sums + (1 << 13)) >> 14, -32768, 32767)
    return int((through(resampler, x).samples != right).sum())


def streaming(resampler: Resampler) -> dict[str, float]:
    """Return what a live call asks of a filter, each 0 but the first, which is 1."""
    return {
        "n_lengths": n_lengths(resampler),
        "n_cut": n_cut(resampler),
        "n_wrong": n_wrong(resampler),
    }
