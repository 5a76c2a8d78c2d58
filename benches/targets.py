"""The numbers to reach, row by row, and whether a run reached them."""

from collections.abc import Callable
from dataclasses import dataclass

from benches.measuring import Figures, Times, Unit
from benches.pipelines import PIPELINES

MET, MISSED, NOT_MEASURED = "met", "MISSED", "not measured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a row: by the minimum it is met or missed; p99 stands beside it."""

    row: str
    reach: str
    measured: str
    p99: str
    word: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A bound on two contenders' times.

    Args:
        over, under: (unit, contenders); the ratio is over's time by under's, each the fastest of
            its contenders. One that is missing might have been the fastest: then it is unknown.
        at_least: the ratio must be that or more; else that or less.
    """

    row: str
    peer: str
    over: tuple[Unit, tuple[str, ...]]
    under: tuple[Unit, tuple[str, ...]]
    bound: float
    at_least: bool = True

    def judge(self, figures: Figures) -> Verdict:
        reach = f"{'>=' if self.at_least else '<='} {self.bound:g}x {self.peer}"
        try:
            over, under = (_all_of(figures, *side) for side in (self.over, self.under))
        except LookupError as missing:
            return Verdict(self.row, reach, "-", "-", f"{NOT_MEASURED}: {missing}")
        ratio = _least(over, "min") / _least(under, "min")
        p99 = _least(over, "p99") / _least(under, "p99")
        met = ratio >= self.bound if self.at_least else ratio <= self.bound
        measured = f"{ratio:.3g}x" + self._fastest(over)
        return Verdict(self.row, reach, measured, f"{p99:.3g}x", _word(figures, met, timed=True))

    def _fastest(self, over: list[Times]) -> str:
        if len(over) == 1:
            return ""
        at = min(range(len(over)), key=lambda i: over[i].min)
        return f" ({self.over[1][at]})"


@dataclass(frozen=True, slots=True)
class Quality:
    """A bound on what was measured of a signal, whatever the time."""

    row: str
    of: str
    name: str
    unit: str
    bound: float
    at_least: bool = False

    def judge(self, figures: Figures) -> Verdict:
        reach = f"{'>=' if self.at_least else '<='} {self.bound:g} {self.unit}".rstrip()
        value = figures.quality.get(self.of, {}).get(self.name)
        if value is None:
            return Verdict(self.row, reach, "-", "-", f"{NOT_MEASURED}: no run of bench_quality.py")
        met = value >= self.bound if self.at_least else value <= self.bound
        measured = f"{value:.3g} {self.unit}".rstrip()
        return Verdict(self.row, reach, measured, "-", _word(figures, met, timed=False))


def _word(figures: Figures, met: bool, *, timed: bool) -> str:
    if timed and figures.unfit:
        return f"{NOT_MEASURED}: {figures.unfit}"
    return MET if met else MISSED


def _all_of(figures: Figures, unit: Unit, contenders: tuple[str, ...]) -> list[Times]:
    found = []
    for contender in contenders:
        times = figures.times.get(unit, {}).get(contender)
        if times is None or not times.seconds:
            why = times.missing if times and times.missing else "did not run"
            raise LookupError(f"{contender}: {why}")
        found.append(times)
    return found


def _least(times: list[Times], statistic: str) -> float:
    return float(min(getattr(each, statistic) for each in times))


def _against(row: str, unit: Unit, peer: str, bound: float) -> Ratio:
    return Ratio(row, peer, (unit, (peer,)), (unit, ("ours",)), bound)


def _g711() -> list[Ratio]:
    bounds = {("decode", "160"): 1.7, ("encode", "160"): 7, ("decode", "1e6"): 4.5}
    bounds["encode", "1e6"] = 75
    rows = []
    for law in ("µ-law", "A-law"):
        for (job, size), bound in bounds.items():
            unit = Unit(f"{law} {job}", size)
            rows.append(_against(f"{unit.job} {size}", unit, "audioop", bound))
            if size == "160":
                rows.append(_against(f"{unit.job} {size}", unit, "numpy table", 20))
        unit = Unit(f"{law} decode", "1e8")
        floor = "memcpy of the input"
        ours = (unit, ("ours, into",))
        rows.append(Ratio(f"{law} decode into 1e8", floor, ours, (unit, (floor,)), 2, False))
    return rows


UP, DOWN = Unit("8k to 16k", "20 ms"), Unit("16k to 8k", "20 ms")
# Both through the same thin door, without the public face of either.
C_CALL, FIR = ("soxr HQ, C call",), ("fir, C call",)
# libsoxr dithers int16 unless told not to, and python-soxr always does.
AS_IT_SHIPS = ("soxr HQ dithered, C call",)
IN, OUT, OUT_24K = (
    Unit(job, "20 ms") for job in ("message to 16k", "16k to message", "24k to message")
)
# `ratecv` costs less than these and is no peer: it interpolates linearly, which at 3.4 kHz
# leaves an image 4 dB down.
SEPARATE = tuple(name for name in PIPELINES if "ratecv" not in name)


def _resamplers() -> list[Ratio | Quality]:
    rows: list[Ratio | Quality] = [
        Ratio(f"FIR, {unit.job}", f"soxr's C call at HQ{how}", (unit, call), (unit, FIR), 5)
        for unit in (UP, DOWN)
        for how, call in (("", C_CALL), (", dithered as it ships", AS_IT_SHIPS))
    ]
    for name, limit_ms in (("fir", 2), ("fir minimum", 0.6)):
        rows += [
            Quality(f"{name}: delay", name, "delay_ms", "ms", limit_ms),
            Quality(f"{name}: rejection", name, "rejection_db", "dB", 70, at_least=True),
            Quality(f"{name}: ripple to 3.4 kHz", name, "ripple_db", "dB", 0.02),
            Quality(f"{name}: output lengths of a frame, all", name, "n_lengths", "", 1),
            Quality(f"{name}: samples that depend on the chunking", name, "n_cut", "", 0),
            Quality(f"{name}: wrong on adversarial input", name, "n_wrong", "", 0),
        ]
    return rows


def _frames() -> list[Ratio]:
    rows = []
    for unit, bound in ((IN, 0.35), (OUT, 0.40)):
        row, ours = f"whole frame, {unit.job}", (unit, ("ours",))
        call = (unit, ("one soxr HQ call in C",))
        rows.append(Ratio(row, "one soxr HQ call in C", ours, call, bound, False))
    for unit in (IN, OUT, OUT_24K):
        row = f"whole frame, {unit.job}"
        rows.append(Ratio(row, "best separate libraries", (unit, SEPARATE), (unit, ("ours",)), 20))
    return rows


TARGETS: list[Ratio | Quality] = [*_g711(), *_resamplers(), *_frames()]
Judge = Callable[[Figures], Verdict]


def judge(figures: Figures) -> list[Verdict]:
    """Judge every row, in the order of the design."""
    return [target.judge(figures) for target in TARGETS]
