"""Every fault in every phase of a call: the silence is bounded, no word is lost, nothing leaks."""

from collections.abc import Callable

import pytest

from faults.faults import FAULTS
from faults.script import PHASES, PhaseName
from faults.verdict import Outcome
from faults.world import WELL, MatrixFault, hold_a_call

Keep = Callable[[str, str, Outcome], None]


def test_there_are_enough_faults() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40


def test_without_a_fault_all_is_well() -> None:
    outcome = hold_a_call(WELL, "speaking")
    assert outcome.failures == []
    assert not outcome.struck
    assert outcome.worst_ms < 1500


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: MatrixFault, phase: PhaseName, keep_outcome: Keep) -> None:
    outcome = hold_a_call(fault, phase)
    keep_outcome(fault.name, phase, outcome)
    assert outcome.failures == [], outcome
