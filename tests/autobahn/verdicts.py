"""What Autobahn says of two servers, case by case: is one worse than the other?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Autobahn's words, from what the standard asks for to what it forbids.
RANKS = {
    "OK": 0,
    "INFORMATIONAL": 0,
    "NON-STRICT": 1,
    "UNIMPLEMENTED": 2,
    "UNCLEAN": 3,
    "FAILED BY CLIENT": 3,
    "WRONG CODE": 3,
    "FAILED": 4,
}
JUDGED = "behavior", "behaviorClose"

Cases = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Worse:
    """A case in which ours does worse, and both verdicts."""

    case: str
    what: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"case {self.case}, {self.what}: ours {self.ours}, the library's {self.theirs}"


def in_order(cases: Cases) -> list[str]:
    """Return the cases' names by their numbers: 1.2.3 before 1.10.1."""
    return sorted(cases, key=lambda case: [int(part) for part in case.split(".")])


def worse(ours: Cases, theirs: Cases) -> Iterator[Worse]:
    """Yield every verdict that is worse than the other server's; a missing case is the worst."""
    for case in in_order(theirs):
        for what in JUDGED:
            mine = str(ours.get(case, {}).get(what, "FAILED"))
            other = str(theirs[case][what])
            if RANKS.get(mine, RANKS["FAILED"]) > RANKS.get(other, RANKS["FAILED"]):
                yield Worse(case, what, mine, other)


def best(one: Cases, other: Cases) -> Cases:
    """Join two runs of a server, each case by its better verdict.

    For races of the suite's own: in 4.1.5 each octet is sent by itself, and the echo is seen or not
    by how the kernel joins them.
    """
    joined = dict(one)
    for case, verdicts in other.items():
        if case not in one or _total(verdicts) < _total(one[case]):
            joined[case] = verdicts
    return joined


def _total(verdicts: Mapping[str, object]) -> int:
    return sum(RANKS.get(str(verdicts[what]), RANKS["FAILED"]) for what in JUDGED)


def counts(cases: Cases, what: str) -> dict[str, int]:
    """Return how many cases got each verdict."""
    found: dict[str, int] = {}
    for case in cases.values():
        verdict = str(case[what])
        found[verdict] = found.get(verdict, 0) + 1
    return dict(sorted(found.items()))
