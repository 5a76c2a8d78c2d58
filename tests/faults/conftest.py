"""Prints the matrix behind pytest's own report."""

from typing import Any

import pytest

from faults.table import lines
from faults.verdict import Outcome

CELLS = pytest.StashKey[dict[tuple[str, str], Outcome]]()


@pytest.fixture
def keep_outcome(request: pytest.FixtureRequest) -> Any:
    """Remember what became of a cell, for the table."""
    cells = request.config.stash.setdefault(CELLS, {})

    def keep(fault: str, phase: str, outcome: Outcome) -> None:
        cells[fault, phase] = outcome

    return keep


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if cells := config.stash.get(CELLS, {}):
        terminalreporter.section("faults and phases of a call")
        for line in lines(cells):
            terminalreporter.write_line(line)
