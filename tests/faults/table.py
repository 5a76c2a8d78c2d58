"""The matrix as a table: faults down, phases across; in a cell the worst silence, or what failed.

`cd tests && python -m faults.table [PART OF A FAULT'S NAME]` prints it without pytest.
"""

import logging
import sys
from collections.abc import Iterator, Mapping

from faults.faults import FAULTS
from faults.script import PHASES
from faults.verdict import Outcome
from faults.world import hold_a_call

Cells = Mapping[tuple[str, str], Outcome]

LEGEND = """\
Milliseconds of the longest silence for a caller who waits; `-`: the fault touched nothing.
a: apology heard, g: goodbye, s: asked whether still there.
FAILED: SIL over 2,500 ms, SPE a word lost or told twice, ANS last answer not heard, LEA leak."""


def lines(cells: Cells) -> Iterator[str]:
    """The table, of the cells that there are."""
    names = [fault.name for fault in FAULTS if any((fault.name, p) in cells for p in PHASES)]
    if not names:
        return
    width = max(map(len, names))
    yield " ".join([" " * width, *(f"{phase:>16}" for phase in PHASES)])
    for name in names:
        shown = (_cell(cells.get((name, phase))) for phase in PHASES)
        yield " ".join([name.ljust(width), *(f"{text:>16}" for text in shown)])
    n_failed = sum(bool(outcome.failures) for outcome in cells.values())
    n_idle = sum(not outcome.struck for outcome in cells.values())
    yield f"{len(cells)} cells, {n_failed} failed, {n_idle} untouched"
    yield from LEGEND.splitlines()


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    kinds = dict.fromkeys(failure[:3].upper() for failure in outcome.failures)
    ms = f"{outcome.worst_ms}{outcome.notes}{'' if outcome.struck else '-'}"
    return " ".join([*kinds, ms])


def main() -> int:
    """Hold the calls, print the table; 1 if any failed."""
    logging.disable(logging.CRITICAL)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    cells = {
        (fault.name, phase): hold_a_call(fault, phase)
        for fault in FAULTS
        if wanted in fault.name
        for phase in PHASES
    }
    for line in lines(cells):
        print(line)
    for (name, phase), outcome in cells.items():
        for failure in outcome.failures:
            print(f"{name} / {phase}: {failure}"[:300])
    return int(any(outcome.failures for outcome in cells.values()))


if __name__ == "__main__":
    sys.exit(main())
