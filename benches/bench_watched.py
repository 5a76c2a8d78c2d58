"""What the console costs the calls: the same load with and without it, at the same time.

`python -m benches.bench_watched`. Without: nothing is kept on disk, nobody looks. With: every call
and turn goes into the database, and a page has the list of calls open. Two servers share a core and
have the same calls, so that whatever else the machine does befalls both. One after the other,
single runs differ by 15 %; side by side, two of a kind by half a percent, which `--same` shows.
To reach: a ratio of 1.03 at most.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

REACH = 1.03
# A machine that makes more of them invalid is not one to measure on.
MOST_RUNS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if the console costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50, help="of each of the two servers")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warmup", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--same", action="store_true", help="two servers without a console")
    options = parser.parse_args(arguments)
    pairs: list[tuple[float, float]] = []
    for n in range(MOST_RUNS * options.repeats):
        runs = _pair(options, first=bool(n % 2))
        without, with_it = (run["server"]["cpu_us_per_frame_pair"] for run in runs)
        said = "; ".join(reason for run in runs for reason in run["invalid"])
        if not said:
            pairs.append((without, with_it))
        print(f"{without:.1f} and {with_it:.1f} us a frame pair, {with_it / without:.3f} {said}")
        if len(pairs) == options.repeats:
            break
    else:
        print(f"not measured: {options.repeats} valid pairs of runs were wanted")
        return 1
    ratios = [with_it / without for without, with_it in pairs]
    without, with_it = (statistics.median(way) for way in zip(*pairs, strict=True))
    ratio, least = statistics.median(ratios), min(ratios)
    print(f"N={options.calls} each, {options.repeats} pairs: {without:.1f} and {with_it:.1f} us")
    print(f"ratio {ratio:.3f}, {least:.3f} to {max(ratios):.3f}; to reach {REACH}")
    return int(ratio > REACH)


def _pair(options: argparse.Namespace, first: bool) -> list[dict[str, Any]]:
    """Return what two loads at the same time came to: without a console, and with it."""
    with ExitStack() as stack:
        loads = {
            console: stack.enter_context(_load(options, console, stack))
            for console in (first, not first)
        }
        said = {console: load.communicate(timeout=300)[0] for console, load in loads.items()}
    return [json.loads(said[console]) for console in (False, True)]


def _load(options: argparse.Namespace, console: bool, stack: ExitStack) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "server", "load", "--json"]
    for name in ("calls", "seconds", "warmup"):
        command += [f"--{name}", str(getattr(options, name))]
    console = console and not options.same
    command += ["--watch"] if console else []
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    kept = {"KEEP_CALLS": str(int(console)), "DATA_DIR": folder}
    return subprocess.Popen(command, env=os.environ | kept, stdout=subprocess.PIPE)


if __name__ == "__main__":
    sys.exit(main())
