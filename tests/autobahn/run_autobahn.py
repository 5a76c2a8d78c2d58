"""Autobahn's fuzzing client against our port and against websockets: `make autobahn`.

`wstest` runs under Python 2.7 with what requirements.txt beside this names. Exits with 1 where a
case goes worse with us than with the library, each time that it is tried, or is missing.

`AUTOBAHN_CASES="1.* 6.*"` runs some of the cases; without it all but compression (12, 13), which
both refuse.
"""

import argparse
import asyncio
import json
import os
import shlex
import sys
import time
from pathlib import Path

import uvloop

from autobahn.echoing import both
from autobahn.verdicts import JUDGED, Cases, best, counts, worse

COMPRESSION = ["12.*", "13.*"]
# All cases but those take two minutes a server on a quiet machine.
WITHIN_S = 1800.0
# How often a case that went worse is tried again, with both servers.
AGAIN = 8


async def run(wstest: list[str], folder: Path, cases: list[str]) -> dict[str, Cases]:
    """Have both servers tested; returns the verdicts by their names."""
    async with both() as urls:
        spec = {
            "outdir": str(folder),
            "servers": [{"agent": name, "url": url} for name, url in urls.items()],
            "cases": cases,
            "exclude-cases": COMPRESSION,
            "exclude-agent-cases": {},
        }
        file = folder / "spec.json"
        file.write_text(json.dumps(spec))
        process = await asyncio.create_subprocess_exec(
            *wstest, "-m", "fuzzingclient", "-s", str(file), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
    if code:
        raise SystemExit(f"wstest ended with {code}")
    verdicts: dict[str, Cases] = json.loads((folder / "index.json").read_text())
    return verdicts


async def run_again(wstest: list[str], folder: Path, cases: list[str]) -> dict[str, Cases]:
    """Run the cases, and then those again that went worse with us."""
    found = await run(wstest, folder, cases)
    for round_ in range(AGAIN):
        doubtful = sorted({one.case for one in worse(found["voice_ai"], found["websockets"])})
        if not doubtful:
            break
        print(f"again: {' '.join(doubtful)}", flush=True)
        again = folder / f"again-{round_ + 1}"
        again.mkdir(exist_ok=True)
        once_more = await run(wstest, again, doubtful)
        found = {name: best(found[name], once_more[name]) for name in found}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wstest", required=True, help="the command, with its Python")
    parser.add_argument("--user-base", help="where that Python finds the suite: PYTHONUSERBASE")
    parser.add_argument("--out", type=Path, default=Path("build/autobahn"))
    given = parser.parse_args()
    folder = given.out.resolve()
    if given.user_base:
        os.environ["PYTHONUSERBASE"] = given.user_base
    folder.mkdir(parents=True, exist_ok=True)
    cases = os.environ.get("AUTOBAHN_CASES", "*").split()
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run_again(shlex.split(given.wstest), folder, cases))
    for name, of in found.items():
        said = "; ".join(f"{what}: {counts(of, what)}" for what in JUDGED)
        print(f"{name}: {len(of)} cases; {said}")
    regressions = [str(one) for one in worse(found["voice_ai"], found["websockets"])]
    print(*regressions, sep="\n", end="\n" if regressions else "")
    print(
        f"{len(regressions)} verdicts worse, in {time.perf_counter() - began:.0f} s; see {folder}"
    )
    return 1 if regressions or not found["websockets"] else 0


if __name__ == "__main__":
    sys.exit(main())
