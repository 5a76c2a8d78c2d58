"""What the console costs the calls: the same load with and without it, interleaved, in one run.

`python -m benches.bench_watched`. Without: nothing is kept on disk, nobody looks. With: every call
and turn goes into the database, and a page has the list of calls open. Issue 7 allows a ratio of
1.03; a run that is not valid (the callers themselves were late) does not count and is run again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

REACH = 1.03
# A machine that makes more of them invalid is not one to measure on.
MOST_RUNS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if the console costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warmup", type=float, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    costs: dict[bool, list[float]] = {False: [], True: []}
    for n in range(MOST_RUNS * 2 * options.repeats):
        with_console = bool((n + n // 2) % 2)  # without, with, with, without, ...
        if len(costs[with_console]) == options.repeats:
            continue
        run = _run(options, with_console)
        cost, said = run["server"]["cpu_us_per_frame_pair"], "; ".join(run["invalid"])
        if run["valid"]:
            costs[with_console].append(cost)
        print(f"{'with' if with_console else 'without'}: {cost:.1f} us a frame pair {said}")
    if min(map(len, costs.values())) < options.repeats:
        print(f"not measured: {options.repeats} valid runs of each were wanted")
        return 1
    without, with_it = (statistics.median(costs[way]) for way in (False, True))
    ratio = with_it / without
    least = min(costs[True]) / min(costs[False])
    print(f"N={options.calls}, {options.repeats} runs each: median {without:.1f} and {with_it:.1f}")
    print(f"ratio of medians {ratio:.3f}, of minima {least:.3f}; to reach {REACH}")
    return int(ratio > REACH)


def _run(options: argparse.Namespace, with_console: bool) -> dict[str, Any]:
    given = ("calls", "seconds", "warmup")
    command = [sys.executable, "-m", "server", "load", "--json"]
    for name in given:
        command += [f"--{name}", str(getattr(options, name))]
    command += ["--watch"] if with_console else []
    with tempfile.TemporaryDirectory() as folder:
        kept = {"KEEP_CALLS": str(int(with_console)), "DATA_DIR": folder}
        done = subprocess.run(
            command, env=os.environ | kept, stdout=subprocess.PIPE, check=False, timeout=300
        )
    run: dict[str, Any] = json.loads(done.stdout)
    return run


if __name__ == "__main__":
    sys.exit(main())
