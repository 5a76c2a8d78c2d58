"""Turn latency by stage, and the stop of a barge-in, over the whole server: 1, 10 and 50 calls.

The rig's callers, the fakes of the services (which answer at once) and the server are processes of
their own. Figures of a run in which the callers were late themselves are shown, and judged by
nobody.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benches.load.rows import OURS, Load
from benches.load.runs import Rig

RIG = Rig(seconds=16.0, warmup=11.0, pipecat_python=Path())
# In ms: p50 and p99 from the end of turn to the first media frame; p99 from the start of a turn to
# the `clear`.
TURN_P50_MS, TURN_P99_MS, CLEAR_P99_MS = 5.0, 15.0, 5.0


@pytest.mark.parametrize("n_calls", [1, 10, 50])
def bench_turn_latency(n_calls, capsys):
    run = RIG.run(Load(OURS, n_calls))
    stages = run.get("turn_ms") or {}
    with capsys.disabled():
        print(f"\nend of turn to first media, {n_calls} calls{_but(run)}")
        for stage, spread in stages.items():
            print(f"  {stage:32} {_told(spread)}")
        total = stages.get("total")
        if total:
            reached = total["p50"] <= TURN_P50_MS and total["p99"] <= TURN_P99_MS
            print(f"  p50 <= {TURN_P50_MS:g}, p99 <= {TURN_P99_MS:g}: {_word(run, reached)}")
    assert stages.get("total"), run


@pytest.mark.parametrize("n_calls", [1, 10, 50])
def bench_barge_in(n_calls, capsys):
    run = RIG.run(Load(OURS, n_calls, "barge-in"))
    spread = run.get("barge_in_ms")
    assert spread, run
    reached = spread["p99"] < CLEAR_P99_MS and not run["missed"]
    with capsys.disabled():
        print(f"\nstart of turn to clear, {n_calls} calls{_but(run)}: {_told(spread)}")
        print(f"  p99 < {CLEAR_P99_MS:g}, nothing of a dead turn behind it: {_word(run, reached)}")


def _told(spread: Mapping[str, Any]) -> str:
    return f"p50 {spread['p50']:.2f} ms, p99 {spread['p99']:.2f} ms, N {spread['n']}"


def _but(run: Mapping[str, Any]) -> str:
    return "" if run.get("valid") else f" (not valid: {'; '.join(run.get('invalid', ()))})"


def _word(run: Mapping[str, Any], reached: bool) -> str:
    return ("met" if reached else "MISSED") if run.get("valid") else "not measured"
