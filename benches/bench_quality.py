"""What every resampler does to the signal, 8 to 16 kHz: numbers for the tables, and two pictures.

Nothing is timed here.
"""

from pathlib import Path

import pytest

from benches import pictures, quality
from benches.measuring import Figures, Missing
from benches.resamplers import EXACT, FIR, PEERS, SOXR

RESAMPLERS = {**FIR, **SOXR, **PEERS}


@pytest.mark.parametrize("name", RESAMPLERS)
def bench_quality(figures: Figures, name: str) -> None:
    resampler = RESAMPLERS[name]
    try:
        figures.quality[name] = quality.signal(resampler)
    except Missing as missing:
        figures.absent[name] = str(missing)
        pytest.skip(str(missing))
    if name in FIR:
        figures.quality[name] |= quality.streaming(resampler)


def bench_pictures(figures: Figures, figures_path: Path) -> None:
    folder = figures_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    pictures.delay_against_rejection(figures.quality, folder / "resamplers.png")
    pictures.responses({**FIR, **EXACT}, folder / "responses.png")
