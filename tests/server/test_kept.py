"""Which calls the console shows: bounded, newest first, each once, whoever keeps them."""

import math
from collections.abc import Container
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, TurnRecord
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.kept import LIMIT, MAX_LIMIT, Kept, Wanted, glance


def record(number: int, *, ended: bool = True) -> CallRecord:
    call = CallInfo(f"CA{number}", caller="+15550100001")
    return CallRecord(call, started_at=float(number), ended=ended)


class Memory:
    def __init__(self, *records: CallRecord) -> None:
        self._records = records

    def records(self) -> list[CallRecord]:
        return list(reversed(self._records))

    def find(self, call_sid: str) -> CallRecord | None:
        return next((r for r in self.records() if r.call.call_sid == call_sid), None)


class Siblings:
    """Other processes, which answer as `App._answer` does, over JSON."""

    def __init__(self, *others: Memory | None) -> None:
        self._others = others

    async def ask(self, **question: Any) -> list[Any]:
        asked = orjson.loads(orjson.dumps(question))
        return [orjson.loads(orjson.dumps(self._answer(o, asked))) for o in self._others]

    def _answer(self, other: Memory | None, question: dict[str, Any]) -> Any:
        match question:
            case {"recent": [int(limit), before]} if other:
                return Kept(other).recent_here(Wanted.sent(limit, before))
            case {"calls": str(call_sid)} if other:
                return Kept(other).find_here(call_sid)
        return None  # a process of another version


class Archive:
    def __init__(self, *records: CallRecord) -> None:
        self.records = sorted(records, key=lambda r: r.started_at, reverse=True)
        self.n_asked = 0

    async def recent(
        self, limit: int, before: float, known: Container[tuple[str, float]]
    ) -> list[dict[str, Any]]:
        self.n_asked += 1
        begun = [r for r in self.records if r.started_at < before][:limit]
        return [glance(r) for r in begun if (r.call.call_sid, r.started_at) not in known]

    async def find(self, call_sid: str) -> dict[str, Any] | None:
        found = (r for r in self.records if r.call.call_sid == call_sid)
        return next((r.as_json() for r in found), None)


async def ids(kept: Kept, **wanted: Any) -> list[str]:
    return [shown["call_sid"] for shown in await kept.recent(Wanted(**wanted))]


@pytest.mark.parametrize("query", ["", "x=1", "call_sid="])
def test_a_list_is_bounded_though_nobody_says_so(query: str) -> None:
    assert Wanted.parse(query) == Wanted(LIMIT, math.inf)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=", "limit is ''; needed a whole number from 1 to 200"),
        ("limit=0", "limit is '0'; needed a whole number from 1 to 200"),
        ("limit=201", "limit is '201'; needed a whole number from 1 to 200"),
        ("limit=-1", "limit is '-1'; needed a whole number from 1 to 200"),
        ("limit=1e1", "limit is '1e1'; needed a whole number from 1 to 200"),
        ("limit=%D9%A1", "limit is '١'; needed a whole number from 1 to 200"),
        ("before=", "before is ''; needed seconds since the epoch"),
        ("before=nan", "before is 'nan'; needed seconds since the epoch"),
        ("before=1e999", "before is '1e999'; needed seconds since the epoch"),
        ("before=yesterday", "before is 'yesterday'; needed seconds since the epoch"),
    ],
)
def test_what_no_list_can_be_asked_for(query: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        Wanted.parse(query)
    assert str(raised.value) == said


def test_what_is_quoted_of_a_bad_value_is_short() -> None:
    for query in ("limit=" + "1" * 9_000, "before=" + "x" * 9_000):
        with pytest.raises(ValueError) as raised:
            Wanted.parse(query)
        assert len(str(raised.value)) < 120


def test_a_list_as_it_is_asked_for() -> None:
    assert Wanted.parse(f"limit={MAX_LIMIT}&before=1790000000.25") == Wanted(200, 1790000000.25)
    assert Wanted.parse("limit=007") == Wanted(7)


async def test_nobody_has_called() -> None:
    kept = Kept(Memory(), Siblings(Memory(), None), Archive())
    assert await kept.recent(Wanted()) == []
    assert await kept.find("CA1") is None
    assert await kept.find("") is None


def test_a_call_without_an_answer_has_no_latency() -> None:
    thinking = record(1, ended=False)
    thinking.turns.append(TurnRecord("typed", None, n=1))
    thinking.turns.append(TurnRecord("spoken", Latency(0.0, 0.2, 0.2), n=2))
    shown = glance(thinking)
    assert (shown["n_turns"], shown["last_ms"], shown["worst_ms"]) == (2, None, None)
    assert "turns" not in shown and "notes" not in shown


def test_the_last_answer_and_the_worst() -> None:
    call = record(1)
    for total in (0.5, 2.25, 0.75):
        call.add_turn("?", Latency(9.0, 9.0, 9.0, sent=9.0 + total))
    late = call.add_turn("and", Latency(20.0, 25.0, 25.0))
    shown = glance(call)
    assert (shown["n_turns"], shown["last_ms"], shown["worst_ms"]) == (4, 750, 2250)
    call.add_turn("hello?", Latency(30.0, 30.0, 30.0, sent=30.5))
    assert late.latency
    late.latency.sent = 25.0  # with an apology, of which we learn late
    call.turn_changed(late)
    call.turn_changed(call.turns[0])
    shown = glance(call)
    assert (shown["n_turns"], shown["last_ms"], shown["worst_ms"]) == (5, 500, 5000)


async def test_an_archive_is_not_asked_for_a_list_that_calls_under_way_fill() -> None:
    live, archive = [record(n, ended=False) for n in (3, 4)], Archive(record(1), record(2))
    kept = Kept(Memory(*live), Siblings(), archive)
    for limit, n_asked, shown in ((2, 0, [4.0, 3.0]), (3, 1, [4.0, 3.0, 2.0])):
        assert [s["started_at"] for s in await kept.recent(Wanted(limit))] == shown
        assert archive.n_asked == n_asked


async def test_what_a_process_knows_goes_before_the_archive() -> None:
    live, kept_of_it = record(2, ended=False), record(2, ended=False)
    live.phase, kept_of_it.phase = "the caller speaks", "nobody speaks"
    kept = Kept(Memory(live), Siblings(), Archive(kept_of_it, record(1)))
    assert [s["phase"] for s in await kept.recent(Wanted())] == ["the caller speaks", ""]
    found = await kept.find("CA2")
    assert found and found["phase"] == "the caller speaks"
    forgotten = await kept.find("CA1")
    assert forgotten and forgotten["turns"] == []


async def test_a_caller_who_comes_back_has_called_twice() -> None:
    again = record(3)
    again.call = CallInfo("CA1")
    kept = Kept(Memory(record(1), again))
    assert [s["started_at"] for s in await kept.recent(Wanted())] == [3.0, 1.0]
    found = await kept.find("CA1")
    assert found and found["started_at"] == 3.0


async def test_the_calls_of_all_processes_and_of_the_archive() -> None:
    kept = Kept(
        Memory(record(1), record(4)),
        Siblings(Memory(record(2), record(5)), None),
        Archive(record(0), record(3), record(5)),
    )
    assert await ids(kept) == ["CA5", "CA4", "CA3", "CA2", "CA1", "CA0"]
    assert await ids(kept, limit=2) == ["CA5", "CA4"]
    assert await ids(kept, limit=2, before=4.0) == ["CA3", "CA2"]
    assert await ids(kept, before=0.0) == []
    found = await kept.find("CA2")
    assert found and found["started_at"] == 2.0


async def test_a_call_under_way_is_not_crowded_out() -> None:
    long, short = record(0, ended=False), [record(n) for n in range(1, 9)]
    assert await ids(Kept(Memory(long, *short)), limit=3) == ["CA8", "CA7", "CA0"]
    assert await ids(Kept(Memory(*short), Siblings(Memory(long))), limit=1) == ["CA0"]


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(1, 12))
async def test_paging_shows_every_call_that_is_over_once(where: list[int], limit: int) -> None:
    kept_by: list[list[CallRecord]] = [[], [], []]
    for number, place in enumerate(where):
        kept_by[place].append(record(number))
    here, there, archived = kept_by
    kept = Kept(Memory(*here), Siblings(Memory(*there)), Archive(*archived, *here))
    shown: list[dict[str, Any]] = []
    while page := await kept.recent(Wanted(limit, shown[-1]["started_at"] if shown else math.inf)):
        assert len(page) <= limit
        shown += page
    assert [s["call_sid"] for s in shown] == [f"CA{n}" for n in reversed(range(len(where)))]
