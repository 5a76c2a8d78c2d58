"""The numbers to reach, and whether the runs of the load rig reached them: plain arithmetic."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

MET, MISSED, NOT_MEASURED = "met", "MISSED", "not measured"
OURS = "ours"
FASTAPI, WINDOW = "FastAPI", "FastAPI, window"
RAW = "raw uvloop"

# Where a figure stands in what the rig tells of a run.
COST = ("server", "cpu_us_per_frame_pair")
CAPACITY = ("server", "calls_per_core")
TURN, BARGE_IN = ("turn_ms", "total"), ("barge_in_ms",)
TO_FLUX, TO_CALLER = ("added_delay_ms", "caller_to_flux"), ("added_delay_ms", "aura_to_caller")
LAG = ("loop_lag_ms", "p99_9")


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured several times: a program under so many calls, in one way of use."""

    program: str
    n_calls: int
    way: str = "PCM16"


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls at once.

    Args:
        few: of the comparison, which every peer can carry.
        peers: by which FastAPI's capacity is told; it carries hardly more.
        middle: by which the way to Flux is timed; with more, the fake of it is late itself.
        many: by which turns are timed.
        full: by which our capacity is told; some 80 % of it, as near as the rig comes.
    """

    few: int = 10
    peers: int = 20
    middle: int = 100
    many: int = 200
    full: int = 300


@dataclass(slots=True)
class Results:
    """All runs so far, as the rig's documents; `absent` says why a program cannot run."""

    runs: dict[Load, list[Mapping[str, Any]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, load: Load, figure: Sequence[str]) -> float:
        """Return a figure's median over the runs that are valid.

        Raises:
            LookupError: there is none; it says why.
        """
        if why := self.absent.get(load.program):
            raise LookupError(f"{load.program}: {why}")
        runs = self.runs.get(load, [])
        valid = [run for run in runs if run.get("valid")]
        found = [value for run in valid if (value := _at(run, figure)) is not None]
        if not found:
            raise LookupError(f"{name(load)}: {_why_none(runs)}")
        return float(median(found))


def name(load: Load) -> str:
    """Return what people call a load."""
    return f"{load.program}, N = {load.n_calls}, {load.way}"


def _at(run: Mapping[str, Any], figure: Sequence[str]) -> float | None:
    value: Any = run
    for key in figure:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None


def _why_none(runs: Sequence[Mapping[str, Any]]) -> str:
    for run in runs:
        if why := run.get("invalid"):
            return str(why[0])
    return "the runs told nothing of it" if runs else "did not run"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a row."""

    row: str
    reach: str
    measured: str
    word: str


class Row(Protocol):
    """A number to reach."""

    def judge(self, results: Results) -> Verdict:
        """Say whether it was."""
        ...


@dataclass(frozen=True, slots=True)
class Ratio:
    """A bound on one load's figure by another's, or what it is if there is no bound."""

    row: str
    figure: Sequence[str]
    over: Load
    under: Load
    bound: float | None
    at_least: bool = True

    def judge(self, results: Results) -> Verdict:
        """Divide the medians."""
        reach = "-" if self.bound is None else f"{'>=' if self.at_least else '<='} {self.bound:g}x"
        try:
            over, under = (results.median(load, self.figure) for load in (self.over, self.under))
        except LookupError as why:
            return Verdict(self.row, reach, "-", f"{NOT_MEASURED}: {why.args[0]}")
        ratio = over / under if under else float("inf")
        measured = f"{ratio:.3g}x ({over:.4g} by {under:.4g})"
        if self.bound is None:
            return Verdict(self.row, reach, measured, "")
        return Verdict(self.row, reach, measured, _word(ratio, self.bound, self.at_least))


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a time of ours, in ms."""

    row: str
    figure: Sequence[str]
    load: Load
    bound: float

    def judge(self, results: Results) -> Verdict:
        """Compare the median of the runs."""
        reach = f"<= {self.bound:g} ms"
        try:
            value = results.median(self.load, self.figure)
        except LookupError as why:
            return Verdict(self.row, reach, "-", f"{NOT_MEASURED}: {why.args[0]}")
        word = _word(value, self.bound, at_least=False)
        return Verdict(self.row, reach, f"{value:.3g} ms", word)


@dataclass(frozen=True, slots=True)
class NothingLost:
    """No run of ours, valid or not, may have lost a frame or broken the protocol."""

    row: str = "frames lost, out of order or dead, calls lost, violations"

    def judge(self, results: Results) -> Verdict:
        """Look at every run of ours."""
        runs = [run for load in results.runs if load.program == OURS for run in results.runs[load]]
        missed = sorted({what for run in runs for what in run.get("missed", ())})
        if not runs:
            return Verdict(self.row, "none", "-", f"{NOT_MEASURED}: {OURS} did not run")
        measured = "; ".join(missed) if missed else f"none in {len(runs)} runs"
        return Verdict(self.row, "none", measured, MISSED if missed else MET)


def _word(value: float, bound: float, at_least: bool) -> str:
    return MET if (value >= bound if at_least else value <= bound) else MISSED


def rows(calls: Calls, ways: Sequence[str]) -> Iterator[Row]:
    """Yield what is to be reached, of the ways that are measured."""
    for way in ("PCM16", "100 ms bursts", "mulaw"):
        if way in ways:
            yield from _costs(way, calls)
    if "mulaw" in ways:
        fastapi, ours = Load(FASTAPI, calls.few, "mulaw"), Load(OURS, calls.few, "mulaw")
        yield Ratio("mulaw: CPU, FastAPI passing it through, by ours", COST, fastapi, ours, None)
    if "PCM16" in ways:
        yield from _times(calls)
    if "barge-in" in ways:
        row = f"start of turn to clear, p99, N = {calls.many}"
        yield Limit(row, (*BARGE_IN, "p99"), Load(OURS, calls.many, "barge-in"), 5.0)
    yield NothingLost()


def _times(calls: Calls) -> Iterator[Row]:
    for share, bound in (("p50", 5.0), ("p99", 15.0)):
        row = f"end of turn to first media, {share}, N = {calls.many}"
        yield Limit(row, (*TURN, share), Load(OURS, calls.many), bound)
    # The rig counts from the last frame of a message, so that its 80 ms are not in it.
    row, to_flux = "last frame in to Flux, p99", (*TO_FLUX, "p99")
    yield Limit(f"{row}, N = {calls.middle}", to_flux, Load(OURS, calls.middle), 2.0)
    ours, raw = Load(OURS, calls.full), Load(RAW, calls.full)
    yield Ratio(f"{row}, ours by {RAW}, N = {calls.full}", to_flux, ours, raw, None)
    yield Limit(f"TTS in to media out, p99, N = {calls.full}", (*TO_CALLER, "p99"), ours, 2.0)
    yield Limit(f"the loop's lag, p99.9, N = {calls.full}", LAG, ours, 5.0)


def _costs(way: str, calls: Calls) -> Iterator[Ratio]:
    # The design that is replaced resamples; mulaw/8000 is a way of ours.
    few, theirs = calls.few, "PCM16" if way == "mulaw" else way
    fastapi = Load(FASTAPI, few, theirs)
    ours, raw = Load(OURS, few, way), Load(RAW, few, way)
    filled, floor = Load(OURS, calls.full, way), Load(RAW, calls.full, way)
    yield Ratio(f"{way}: CPU a frame pair, {FASTAPI} by ours, N = {few}", COST, fastapi, ours, 10)
    yield Ratio(f"{way}: the same, ours by {RAW}", COST, ours, raw, 1.25, at_least=False)
    for program, bound in ((FASTAPI, 20), (WINDOW, 13)):
        peer = Load(program, calls.peers, theirs)
        yield Ratio(f"{way}: calls a core, ours by {program}", CAPACITY, filled, peer, bound)
        yield Ratio(f"{way}: the same, {RAW} by {program}", CAPACITY, floor, peer, None)


def verdicts(results: Results, calls: Calls, ways: Sequence[str]) -> list[Verdict]:
    """Judge every row, in their order."""
    return [row.judge(results) for row in rows(calls, ways)]
