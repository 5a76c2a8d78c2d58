"""Our server and its peers under the same load, interleaved: what a frame costs, and calls a core.

`python -m benches.bench_load`, or `make bench-load`. Each row of the table is a number to reach;
the median of the repeats counts. The peers are compared at a number of calls that all can carry,
and their calls a core are told from the CPU that they took; so are ours, at more calls.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benches.load.rows import CAPACITY, COST, MISSED, Calls, Results, Verdict, verdicts
from benches.load.runs import WAYS, Rig, machine, plan

OUT = Path("build/bench/load.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a row was missed."""
    options = _options(arguments)
    rig = Rig(options.seconds, options.warmup, options.pipecat)
    results = Results(absent=dict(rig.absent()))
    calls = Calls(options.few, options.peers, options.middle, options.many, options.full)
    loads = plan(calls, options.ways, batched=options.batched)
    loads = [load for load in loads if load.program not in results.absent]
    began, n_runs = time.monotonic(), len(loads) * options.repeats
    for n in range(n_runs):
        load = loads[n % len(loads)]
        passed_s = time.monotonic() - began
        _tell(f"{n + 1}/{n_runs}, {passed_s:.0f} s: {load.program}, {load.n_calls}, {load.way}")
        results.runs.setdefault(load, []).append(rig.run(load))
    found = verdicts(results, calls, options.ways)
    about = machine() | {"seconds": options.seconds, "repeats": options.repeats}
    _write(options.out, about, results, found)
    print(as_text(about, results, found))
    return int(any(verdict.word == MISSED for verdict in found))


def as_text(about: dict[str, object], results: Results, found: Sequence[Verdict]) -> str:
    """Return what was measured of each program, and the verdicts."""
    head = "; ".join(f"{key} {value}" for key, value in about.items())
    verdict_rows = [["to reach", "", "measured, medians", ""]]
    verdict_rows += [[one.row, one.reach, one.measured, one.word] for one in found]
    return "\n\n".join([head, _table(_programs(results)), _table(verdict_rows)])


def _programs(results: Results) -> list[list[str]]:
    table = [["program", "N", "way", "us a frame pair", "calls a core", "valid runs", ""]]
    for load, runs in results.runs.items():
        cells = []
        for figure, digits in ((COST, 1), (CAPACITY, 0)):
            try:
                cells.append(f"{results.median(load, figure):.{digits}f}")
            except LookupError:
                cells.append("-")
        n_valid = sum(bool(run.get("valid")) for run in runs)
        wrong = [why for run in runs for key in ("invalid", "missed") for why in run.get(key, ())]
        said = wrong[0].splitlines()[-1] if wrong else ""
        row = [load.program, str(load.n_calls), load.way, *cells, f"{n_valid} of {len(runs)}", said]
        table.append(row)
    table += [[program, "", "", "-", "-", "", why] for program, why in results.absent.items()]
    return table


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _write(out: Path, about: dict[str, object], results: Results, found: Sequence[Verdict]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    runs = [
        {"program": load.program, "n_calls": load.n_calls, "way": load.way, "run": _short(run)}
        for load, documents in results.runs.items()
        for run in documents
    ]
    table = [[one.row, one.reach, one.measured, one.word] for one in found]
    document = {"about": about, "absent": results.absent, "rows": table, "runs": runs}
    out.write_text(json.dumps(document, indent=1))


def _short(run: object) -> object:
    """Leave out what the rig tells of each call."""
    return {key: run[key] for key in run if key != "calls"} if isinstance(run, dict) else run


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--repeats", type=int, default=3, help="times round all of it")
    add("--seconds", type=float, default=8.0, help="each run; 8 are one turn of every call")
    add("--warmup", type=float, default=6.0, help="before, so that all is imported and connected")
    default = Calls()
    add("--few", type=int, default=default.few, help="calls of the comparison with the peers")
    add("--peers", type=int, default=default.peers, help="calls by which FastAPI's is told")
    add("--middle", type=int, default=default.middle, help="calls whose way to Flux is timed")
    add("--many", type=int, default=default.many, help="calls whose turns are timed")
    add("--full", type=int, default=default.full, help="calls by which our capacity is told")
    add("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="some of it only")
    add("--batched", action="store_true", help="FastAPI sending Flux 80 ms too")
    add("--pipecat", type=Path, default=Path(".venv/peers/bin/python"), help="its Python")
    add("--out", type=Path, default=OUT, help="where all figures go, as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
