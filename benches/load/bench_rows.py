"""The judge of the load, before it judges: what it must never call met. Nothing is timed here."""

from typing import Any

import pytest

from benches.bench_load import as_text
from benches.load.rows import (
    CAPACITY,
    COST,
    MET,
    MISSED,
    NOT_MEASURED,
    OURS,
    TURN,
    Calls,
    Limit,
    Load,
    NothingLost,
    Ratio,
    Results,
    verdicts,
)
from benches.load.runs import COMMANDS, PEERS, WAYS, plan

CALLS = Calls()
PEER, US = Load("peer", 10), Load(OURS, 10)
AT_LEAST = Ratio("row", COST, PEER, US, 10)
AT_MOST = Ratio("row", COST, US, PEER, 1.25, at_least=False)
SOON = Limit("row", (*TURN, "p99"), US, 15)


def run(cost: float | None, *, valid: bool = True, **more: Any) -> dict[str, Any]:
    """Return what the rig tells of a run, as far as it is read."""
    why = [] if valid else ["the callers were late"]
    server = {"cpu_us_per_frame_pair": cost, "calls_per_core": cost}
    return {"valid": valid, "invalid": why, "missed": [], "server": server, **more}


def runs(peer: list[float], ours: list[float]) -> Results:
    return Results({PEER: [run(cost) for cost in peer], US: [run(cost) for cost in ours]})


def bench_without_runs_nothing_is_met() -> None:
    words = {verdict.word.partition(":")[0] for verdict in verdicts(Results(), CALLS, list(WAYS))}
    assert words == {NOT_MEASURED}


def bench_a_program_that_is_absent_says_why() -> None:
    results = runs([100], [1])
    results.absent["peer"] = "not installed"
    assert AT_LEAST.judge(results).word == f"{NOT_MEASURED}: peer: not installed"
    assert "not installed" in as_text({}, results, [])


def bench_runs_that_are_not_valid_do_not_count() -> None:
    results = runs([1000], [100])
    results.runs[PEER] += [run(1.0, valid=False)] * 5
    assert AT_LEAST.judge(results).word == MET
    results.runs[PEER] = [run(1000.0, valid=False)]
    assert AT_LEAST.judge(results).word.endswith("the callers were late")


def bench_a_run_without_a_server_to_measure_has_no_figure() -> None:
    results = Results({PEER: [run(1000.0)], US: [run(1.0) | {"server": None}]})
    assert AT_LEAST.judge(results).word.startswith(NOT_MEASURED)


@pytest.mark.parametrize(("peer", "word"), [(1000.0, MET), (999.0, MISSED)])
def bench_at_least(peer: float, word: str) -> None:
    assert AT_LEAST.judge(runs([peer], [100])).word == word


@pytest.mark.parametrize(("ours", "word"), [(125.0, MET), (126.0, MISSED)])
def bench_at_most(ours: float, word: str) -> None:
    assert AT_MOST.judge(runs([100], [ours])).word == word


def bench_the_medians_are_divided() -> None:
    verdict = AT_LEAST.judge(runs([900, 1500, 9000], [1, 100, 120]))
    assert verdict.measured == "15x (1500 by 100)"


def bench_a_ratio_without_a_bound_is_only_told() -> None:
    verdict = Ratio("row", CAPACITY, PEER, US, None).judge(runs([100], [50]))
    assert (verdict.reach, verdict.measured, verdict.word) == ("-", "2x (100 by 50)", "")


@pytest.mark.parametrize(("p99", "word"), [(15.0, MET), (15.1, MISSED)])
def bench_a_limit(p99: float, word: str) -> None:
    results = Results({US: [run(1.0, turn_ms={"total": {"p99": p99}})]})
    assert SOON.judge(results).word == word


def bench_no_turns_are_no_quick_turns() -> None:
    results = Results({US: [run(1.0, turn_ms={"total": None})]})
    assert SOON.judge(results).word.startswith(NOT_MEASURED)


def bench_a_loss_counts_even_in_a_run_that_does_not() -> None:
    results = runs([1], [1])
    assert NothingLost().judge(results).word == MET
    results.runs[US].append(run(1.0, valid=False) | {"missed": ["3 frames in: lost"]})
    assert NothingLost().judge(results).word == MISSED


def bench_peers_may_lose() -> None:
    results = runs([1], [1])
    results.runs[PEER].append(run(1.0) | {"missed": ["3 frames in: lost"]})
    assert NothingLost().judge(results).word == MET


def bench_each_row_has_its_runs_and_each_program_its_file() -> None:
    loads = plan(CALLS, list(WAYS), batched=True)
    assert len(loads) == len(set(loads))
    results = Results({load: [run(1.0)] for load in loads})
    assert not [row for row in verdicts(results, CALLS, list(WAYS)) if "did not run" in row.word]
    assert {load.program for load in loads} == set(COMMANDS)
    assert all((PEERS / command[0]).is_file() for command in COMMANDS.values() if command)
