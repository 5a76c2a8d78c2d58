"""What is wanted of a soxr resampler, checked before any library sees it."""

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypedDict

from voice_ai.errors import UsageError

Dtype = Literal["int16", "float32"]
Phase = Literal["linear", "intermediate", "minimum"]

# Of a sample.
N_OCTETS = {"int16": 2, "float32": 4}

# libsoxr's numbers for python-soxr's names, which are also its own.
RECIPES = {"QQ": 0, "LQ": 1, "MQ": 2, "HQ": 4, "VHQ": 6}
PHASES_PERCENT = {"linear": 50.0, "intermediate": 25.0, "minimum": 0.0}
MAX_RATE_HZ = 3_072_000
MAX_RATIO = 256
# Of soxr_runtime_spec, in the public header of libsoxr 0.1.3.
LOG2_MIN_DFT_SIZES = range(8, 16)
LOG2_LARGE_DFT_SIZES = range(8, 21)


class SoxrOptions(TypedDict, total=False):
    """The arguments of a `SoxrDesign` after the rates."""

    dtype: Dtype
    quality: str
    phase: Phase | float
    passband: float | None
    stopband: float | None
    log2_min_dft_size: int | None
    log2_large_dft_size: int | None
    dither: bool


@dataclass(frozen=True, slots=True)
class SoxrDesign:
    """A resampler for one mono stream.

    Args:
        in_rate: Hz of what comes in.
        out_rate: Hz of what goes out.
        dtype: of the samples on both sides.
        quality: python-soxr's names, in either case. QQ is cubic interpolation, without a filter.
        phase: of the filter, or libsoxr's own number for it (0 minimum, 50 linear, 100 maximum).
        passband: where it ends, as a fraction of half the lower rate; None is the quality's own.
        stopband: where it begins; above 1 some images or aliases stay.
        log2_min_dft_size: the least length of a block, 8 to 15 (libsoxr: 10). Blocks are what
            makes libsoxr late.
        log2_large_dft_size: from which length on a block is no more than it must be, 8 to 20
            (libsoxr: 17).
        dither: add triangular noise to int16 output.

    Raises:
        UsageError: an argument is out of its range; it names both numbers.
    """

    in_rate: float
    out_rate: float
    _: KW_ONLY
    dtype: Dtype = "int16"
    quality: str = "HQ"
    phase: Phase | float = "linear"
    passband: float | None = None
    stopband: float | None = None
    log2_min_dft_size: int | None = None
    log2_large_dft_size: int | None = None
    dither: bool = False

    def __post_init__(self) -> None:
        self._check_rates()
        _check_name("dtype", self.dtype, ("int16", "float32"))
        _check_name("quality", self.quality.upper(), RECIPES)
        if isinstance(self.phase, str):
            _check_name("phase", self.phase, PHASES_PERCENT)
        elif not 0 <= self.phase <= 100:
            raise UsageError(f"phase is {self.phase} %; 0 to 100 are possible")
        for name in ("passband", "stopband"):
            _check_fraction(name, getattr(self, name))
        _check_size("log2_min_dft_size", self.log2_min_dft_size, LOG2_MIN_DFT_SIZES)
        _check_size("log2_large_dft_size", self.log2_large_dft_size, LOG2_LARGE_DFT_SIZES)
        if self.recipe == 0 and self.of_the_filter():
            names = ", ".join(self.of_the_filter())
            raise UsageError(f"quality QQ has no filter that could have {names}")

    @property
    def recipe(self) -> int:
        """The quality in libsoxr's numbers."""
        return RECIPES[self.quality.upper()]

    @property
    def phase_percent(self) -> float:
        """The phase in libsoxr's numbers."""
        return PHASES_PERCENT[self.phase] if isinstance(self.phase, str) else self.phase

    def of_the_filter(self) -> list[str]:
        """Name the arguments that shape the filter and are not the quality's own."""
        names = ("passband", "stopband", "log2_min_dft_size", "log2_large_dft_size")
        given = [name for name in names if getattr(self, name) is not None]
        return given if self.phase_percent == 50 else ["phase", *given]

    def _check_rates(self) -> None:
        for name, rate_hz in ("in_rate", self.in_rate), ("out_rate", self.out_rate):
            if not 0 < rate_hz <= MAX_RATE_HZ:
                raise UsageError(
                    f"{name} is {rate_hz} Hz; more than 0 and at most {MAX_RATE_HZ} are possible"
                )
        ratio = self.out_rate / self.in_rate
        if not 1 / MAX_RATIO <= ratio <= MAX_RATIO:
            raise UsageError(
                f"{self.in_rate} Hz to {self.out_rate} Hz is a ratio of {ratio:g}; "
                f"1/{MAX_RATIO} to {MAX_RATIO} are possible"
            )


def _check_name(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise UsageError(f"{name} is {value!r}; {', '.join(known)} are possible")


def _check_fraction(name: str, value: float | None) -> None:
    # libsoxr reads more than 2 as a percentage; it checks the rest by itself.
    if value is not None and not (math.isfinite(value) and 0 < value <= 2):
        raise UsageError(f"{name} is {value}; it is a fraction of half the lower rate, up to 2")


def _check_size(name: str, value: int | None, sizes: range) -> None:
    if value is not None and value not in sizes:
        raise UsageError(f"{name} is {value}; {sizes[0]} to {sizes[-1]} are possible")
