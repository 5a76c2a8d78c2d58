"""Mutated messages of every protocol against its parser: accepted, or refused as documented.

`PYTHONPATH=src:tests python tests/fuzz/fuzz_messages.py --n 10_000_000 --seed 1` tries as many,
each batch from a seed of its own. An input that does anything else is written to a file, and tried
again by `--replay FILE`; exit code 1. Also fails where a worker's memory grows.
"""

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fuzz.mutations import mutated
from fuzz.parsers import PARSERS
from leaks.growth import resident_octets

BATCH = 10_000
# After the first batches, which fill caches and the allocators' pools; a leak of one octet an input
# would be 10 MB in the whole run.
WARM_BATCHES = 5
GROWTH_OCTETS = 8 << 20


class Failure(Exception):
    """An input that was neither taken nor refused as documented."""

    def __init__(self, parser: str, data: bytes, seed: int, told: str) -> None:
        super().__init__(parser, data, seed, told)
        self.parser, self.data, self.seed, self.told = parser, data, seed, told

    def keep(self, folder: Path) -> Path:
        """Write the input to a file whose name says which parser it is for."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.parser.replace(' ', '-')}.{sha256(self.data).hexdigest()[:12]}.bin"
        (folder / name).write_bytes(self.data)
        return folder / name


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is through."""

    counts: Counter[str]
    pid: int
    resident: int


def check(parser: str, data: bytes, seed: int = 0) -> str:
    """Try one input.

    Raises:
        Failure: by whatever the parser let through.
    """
    try:
        return PARSERS[parser].check(data)
    except Exception as error:
        raise Failure(parser, data, seed, f"{type(error).__name__}: {error}"[:500]) from error


def run_batch(seed: int, n: int) -> Counter[str]:
    """Try n inputs, which the seed decides, by each parser its share."""
    rng = random.Random(seed)
    shares = sum(parser.share for parser in PARSERS.values())
    counts: Counter[str] = Counter()
    for name, parser in PARSERS.items():
        for data in mutated(rng, parser.pool, -(-n * parser.share // shares)):
            counts[f"{name} {check(name, data, seed)}"] += 1
    return counts


def _run_one(seed_and_n: tuple[int, int]) -> Done:
    counts = run_batch(*seed_and_n)
    return Done(counts, os.getpid(), resident_octets())


def run(n: int, seed: int, workers: int) -> tuple[Counter[str], dict[int, list[int]]]:
    """Try n inputs; returns what became of them, and the memory of each worker over time.

    Raises:
        Failure: the first one.
    """
    batches = [(seed * 1_000_003 + i, min(BATCH, n - i * BATCH)) for i in range(-(-n // BATCH))]
    counts: Counter[str] = Counter()
    resident: dict[int, list[int]] = {}
    with multiprocessing.Pool(workers) as pool:
        for done in pool.imap_unordered(_run_one, batches):
            counts.update(done.counts)
            resident.setdefault(done.pid, []).append(done.resident)
    return counts, resident


def growth(resident: dict[int, list[int]]) -> int:
    """Return by how much the worker that grew most has grown since it was warm."""
    return max(
        (one[-1] - one[WARM_BATCHES] for one in resident.values() if len(one) > WARM_BATCHES),
        default=0,
    )


def table(counts: Counter[str]) -> str:
    rows = [
        f"  {name:16} {counts[f'{name} taken']:>12,} {counts[f'{name} refused']:>12,}"
        for name in PARSERS
    ]
    return "\n".join([f"  {'parser':16} {'taken':>12} {'refused':>12}", *rows])


def replay(file: Path) -> int:
    """Try the input of a file again, to see its traceback."""
    names = {name.replace(" ", "-"): name for name in PARSERS}
    print(PARSERS[names[file.name.partition(".")[0]]].check(file.read_bytes()))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--replay", type=Path)
    given = parser.parse_args()
    if given.replay:
        return replay(given.replay)
    print(f"seed {given.seed}", flush=True)
    began = time.perf_counter()
    try:
        counts, resident = run(given.n, given.seed, given.workers)
    except Failure as failure:
        file = failure.keep(given.failures)
        print(f"{failure.parser}: {failure.told}\n--replay {file}", file=sys.stderr)
        return 1
    took_s = time.perf_counter() - began
    n, grown = counts.total(), growth(resident)
    print(f"{n:,} messages in {took_s:.1f} s, {n / took_s:,.0f} a second\n{table(counts)}")
    print(f"memory of a worker since it was warm: {grown / 2**20:+.2f} MB")
    return 1 if grown > GROWTH_OCTETS else 0


if __name__ == "__main__":
    sys.exit(main())
