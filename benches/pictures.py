"""The two pictures: delay against images for every resampler; what four filters are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches.peers import peer
from benches.quality import BAND_HZ, IN_HZ, N_AROUND, OUT_HZ, impulse_response
from benches.resamplers import Resampler

# Left of it stands what has no delay at all: a logarithmic axis has no 0.
LEAST_MS = 0.05
# libsamplerate and soxr's better recipes are all at 16 bits' floor: their labels take turns.
LABELS: dict[str, tuple[float, float, str]] = {
    "fir": (0, -16, "center"),
    "fir minimum": (-8, 0, "right"),
    "soxr QQ": (8, 0, "left"),
    "soxr LQ": (0, -16, "center"),
    "soxr MQ": (0, 0, ""),
    "soxr HQ": (0, 12, "center"),
    "soxr VHQ": (0, 0, ""),
    "soxr live": (8, -7, "left"),
    "samplerate sinc_fastest": (-8, 0, "right"),
    "samplerate sinc_medium": (0, 10, "center"),
    "samplerate sinc_best": (0, 22, "center"),
    "resample_poly": (8, -2, "left"),
    "upfirdn, tail carried": (8, 0, "left"),
    "audioop.ratecv": (0, 10, "left"),
}
SAID = {
    "fir": "voice_ai fir",
    "fir minimum": "voice_ai fir, minimum phase",
    "soxr HQ": "soxr MQ, HQ, VHQ",
    "soxr live": "voice_ai soxr, live settings",
    "resample_poly": "scipy resample_poly (0 ms:\nno state, a seam a frame)",
    "upfirdn, tail carried": "scipy upfirdn, tail carried",
    "audioop.ratecv": "audioop.ratecv",
}
OURS, PEER = "#c0392b", "#2c5f8a"
STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "font.size": 10,
    "svg.hashsalt": "",
}


def _pyplot() -> Any:
    peer("matplotlib").use("Agg")
    return peer("matplotlib.pyplot")


def _save(figure: Any, path: Path) -> None:
    # Without the version of matplotlib in it, so that the same picture is the same file.
    figure.savefig(path, dpi=130, metadata={"Software": None})
    _pyplot().close(figure)


def delay_against_rejection(quality: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw every resampler: what a sample waits in a live call, how far down its images are."""
    plt = _pyplot()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 5.6), layout="constrained")
        for name, (dx, dy, side) in LABELS.items():
            if name not in quality:
                continue
            at = (max(quality[name]["delay_ms"], LEAST_MS), quality[name]["rejection_db"])
            colour = OURS if name in ("fir", "fir minimum", "soxr live") else PEER
            axes.plot(*at, "o", color=colour, markersize=7)
            if side:
                axes.annotate(
                    SAID.get(name, name), at, (dx, dy), textcoords="offset points", color=colour,
                    ha=side, va="center" if dx else "bottom" if dy > 0 else "top",
                )  # fmt: skip
        axes.axhline(94.7, color="#888888", linewidth=0.8, linestyle="--")
        axes.text(LEAST_MS, 95.5, "what 16 bits can show", color="#666666", va="bottom")
        axes.set(
            xscale="log", xlim=(0.04, 300), ylim=(0, 108),
            xlabel="longest wait of a caller's sample beyond its own frame, ms",
            ylabel="worst image of a tone up to 3.4 kHz, dB below it",
            title="8 to 16 kHz in frames of 20 ms: soon (left) and clean (up)",
        )  # fmt: skip
        axes.set_xticks([0.1, 0.3, 1, 3, 10, 30, 100], ["0.1", "0.3", "1", "3", "10", "30", "100"])
        _save(figure, path)


def responses(filters: Mapping[str, Resampler], path: Path) -> None:
    """Draw impulse responses, by when they come out, and frequency responses."""
    plt = _pyplot()
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
        for i, (name, resampler) in enumerate(filters.items()):
            h = impulse_response(resampler)
            _draw_impulse(left, h, i, SAID.get(name, name) if name != "soxr HQ" else name)
            _draw_frequencies(right, h, i)
        left.set(
            xlabel="ms after the sample; what libsoxr holds back not counted", yticks=[],
            xlim=(-3, 5), title="impulse responses",
        )  # fmt: skip
        right.axvspan(0, BAND_HZ / 1000, color="#f2f2f2", zorder=0)
        right.text(BAND_HZ / 2000, 8, "the telephone's band", ha="center", color="#666666")
        right.set(
            xlabel="kHz", ylabel="dB", xlim=(0, OUT_HZ / 2000), ylim=(-130, 18),
            title="frequency responses",
        )  # fmt: skip
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        _save(figure, path)


COLOURS = (OURS, "#e08e0b", PEER, "#3b8f5a")


def _draw_impulse(axes: Any, h: NDArray[np.float64], i: int, label: str) -> None:
    ms = np.arange(-N_AROUND, N_AROUND) * 1000 / OUT_HZ
    axes.plot(ms, h - 1.4 * i, color=COLOURS[i], linewidth=1.2, label=label)


def _draw_frequencies(axes: Any, h: NDArray[np.float64], i: int) -> None:
    n = 1 << 14
    # Two samples come out for one: the gain is the half of the sum.
    made = np.abs(np.fft.rfft(h, n)) * IN_HZ / OUT_HZ
    khz = np.arange(len(made)) * OUT_HZ / n / 1000
    axes.plot(khz, 20 * np.log10(made + 1e-7), color=COLOURS[i], linewidth=1)
