"""The judge, before it judges: what it must never call met. Nothing is timed here."""

import math

import pytest

from benches.measuring import Figures, Times, Unit
from benches.report import as_markdown, seconds
from benches.targets import MET, MISSED, NOT_MEASURED, Quality, Ratio, judge

UNIT = Unit("job", "1")
AT_LEAST = Ratio("row", "peer", (UNIT, ("peer", "other")), (UNIT, ("ours",)), 5)
AT_MOST = Ratio("row", "peer", (UNIT, ("ours",)), (UNIT, ("peer",)), 0.5, at_least=False)


def figures(**seconds: float) -> Figures:
    return Figures({UNIT: {name: Times([each, 2 * each]) for name, each in seconds.items()}})


def bench_a_run_without_figures_meets_nothing() -> None:
    assert {verdict.word.partition(":")[0] for verdict in judge(Figures())} == {NOT_MEASURED}


@pytest.mark.parametrize(("other", "word"), [(5, MET), (4.9, MISSED), (50, MET)])
def bench_the_fastest_peer_counts(other: float, word: str) -> None:
    assert AT_LEAST.judge(figures(ours=1, peer=6, other=other)).word == word


@pytest.mark.parametrize(("ours", "word"), [(0.5, MET), (0.51, MISSED)])
def bench_at_most(ours: float, word: str) -> None:
    assert AT_MOST.judge(figures(ours=ours, peer=1)).word == word


def bench_a_missing_peer_might_have_been_the_fastest() -> None:
    run = figures(ours=1, peer=6)
    run.of(UNIT, "other").missing = "other is not installed"
    assert AT_LEAST.judge(run).word == f"{NOT_MEASURED}: other: other is not installed"
    assert "not measured: other is not installed" in as_markdown(run)


def bench_an_unfit_build_meets_nothing_of_time_and_says_so() -> None:
    run = figures(ours=1, peer=6, other=6)
    run.unfit = "traced"
    assert AT_LEAST.judge(run).word == f"{NOT_MEASURED}: traced"
    assert "NO FIGURE OF TIME HERE COUNTS: traced" in as_markdown(run)


@pytest.mark.parametrize(("value", "word"), [(2, MET), (2.1, MISSED), (math.nan, MISSED)])
def bench_a_quality(value: float, word: str) -> None:
    run = Figures(quality={"fir": {"delay_ms": value}})
    assert Quality("row", "fir", "delay_ms", "ms", 2).judge(run).word == word


def bench_p99_is_the_time_that_99_of_100_rounds_kept() -> None:
    assert Times([float(n) for n in range(1, 101)]).p99 == 99
    assert Times([3.0]).p99 == 3.0


@pytest.mark.parametrize(
    ("value", "text"), [(4.85e-8, "48.5 ns"), (9.996e-7, "1 µs"), (0.0123, "12.3 ms"), (2, "2 s")]
)
def bench_seconds(value: float, text: str) -> None:
    assert seconds(value) == text
