"""What calls become in the archive, and how they are read."""

import asyncio
import stat
import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from archived import CALLER, archive, begin, hold, rows, say, until, until_kept
from voice_ai.call.record import MAX_NOTES, CallRecord
from voice_ai.server.archive import open_archive
from voice_ai.server.archive.pending import Pending
from voice_ai.server.archive.rows import Key, Row, join, split
from voice_ai.server.settings import Settings


def server(tmp_path, **changes) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", **changes)


async def test_nothing_is_kept_where_nothing_is_to_be(tmp_path):
    async with open_archive(server(tmp_path, keep_calls=False)) as kept:
        assert kept is None
    assert list(tmp_path.iterdir()) == []


async def test_an_archive_that_nobody_calls(tmp_path):
    async with open_archive(server(tmp_path)) as kept:
        assert (await kept.recent(), await kept.find("CA1")) == ([], None)
        assert not await kept.forget("CA1")
    assert kept.n_lost == 0


async def test_an_archive_leaves_no_thread(tmp_path):
    async with archive(tmp_path) as kept:
        await until_kept_after_begin(kept)
        assert "archive" in {one.name for one in threading.enumerate()}
    assert "archive" not in {one.name for one in threading.enumerate()}


async def until_kept_after_begin(kept):
    record = begin(kept)
    await until_kept(kept, "CA1")
    return record


async def test_a_call_without_a_turn(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        record.end()
        assert await until_kept(kept, "CA1") == record.as_json()
        [summary] = await kept.recent()
    assert (summary["n_turns"], summary["last_ms"], summary["worst_ms"]) == (0, None, None)


async def test_a_turn_without_a_latency_has_no_last_and_no_worst(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        record.add_turn("typed", None)
        record.end()
    async with archive(tmp_path) as kept:
        [summary] = await kept.recent()
    assert (summary["n_turns"], summary["last_ms"], summary["worst_ms"]) == (1, None, None)


async def test_a_call_is_as_its_record_was(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        record.greeting, record.failures = "Hello.", ["tts"]
        say(record)
        record.note("tool", "opening_hours", '{"day": "monday"}')
        record.note("key", "5")
        say(record, "And now?", "The same ☂ \x00 hour.")
        record.late_tools.append({"tool": "hours", "result": "nine"})
        record.reason = "put through to 'the boss'"
        record.end()
        await until(lambda: rows(tmp_path, "SELECT 1 FROM calls WHERE ended_at NOT NULL"))
        assert await kept.find("CA1") == record.as_json()
        [summary] = await kept.recent()
    total_ms = record.turns[-1].latency.stages_ms()["total"]
    added = {"n_turns": 2, "last_ms": total_ms, "worst_ms": total_ms}
    assert summary == record.summary() | added


async def test_the_record_may_change_while_it_is_written(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        record.failures.append("stt")
        record.end()
        put = kept._pending.take()[-1].value
        record.failures.append("tts")
        record.late_tools.append({})
    assert (put["failures"], put["late_tools"]) == (["stt"], [])


async def test_what_passes_is_no_reason_to_write(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        await until(lambda: not kept._pending)
        record.stands("the caller speaks")
        record.hears("How la")
        kept._flush()
        assert len(kept._pending) == 0
        record.greeting = "Hello."
        record.changed()
        assert len(kept._pending) == 0
        assert (await until_greeted(kept))["partial"] == "How la"


async def test_what_is_not_over_is_rendered_once_a_second(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        await until(lambda: not kept._pending)
        turn = record.add_turn("How late is it?", None)
        turn.reply = "It is"
        record.turn_changed(turn)
        assert len(kept._pending) == 0
        turn.reply = "It is noon."
        kept._flush()
        await until(lambda: rows(tmp_path, "SELECT 1 FROM turns"))
        assert (await kept.find("CA1"))["turns"] == [turn.as_json()]


async def test_leaving_writes_what_has_changed(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        await until(lambda: not kept._pending)
        record.greeting = "Hello."
        record.changed()
        record.add_turn("How late is it?", None)
    async with archive(tmp_path) as kept:
        found = await kept.find("CA1")
    assert (found["greeting"], len(found["turns"])) == ("Hello.", 1)


async def test_what_a_call_has_cost_is_kept_with_a_turn_twice_a_minute(tmp_path, monkeypatch):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        await until(lambda: not kept._pending)
        record.call.cost.stt_s += 1.5
        say(record)
        assert {row.key.kind for row in kept._pending.take()} == {"turn"}
        monkeypatch.setattr("voice_ai.server.archive.watching.COST_S", 0.0)
        say(record)
        found = await until_kept(kept, "CA1")
        async with asyncio.timeout(5):
            while found["cost"]["stt_s"] != 1.5:
                found = await until_kept(kept, "CA1")


async def until_greeted(kept):
    found = await until_kept(kept, "CA1")
    while not found["greeting"]:
        found = await kept.find("CA1")
    return found


async def test_notes_that_the_record_does_not_keep(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        for _ in range(MAX_NOTES + 5):
            record.note("fault", "")
    assert rows(tmp_path, "SELECT count(*), max(n) FROM notes") == [(MAX_NOTES, MAX_NOTES)]


async def test_a_caller_who_comes_back_is_another_call_of_the_same_id(tmp_path):
    async with archive(tmp_path) as kept:
        first = begin(kept, started_at=1000.0 + time.time())
        say(first), say(first), first.end()
        second = begin(kept, started_at=2000.0 + time.time())
        say(second, "Me again."), second.end()
    async with archive(tmp_path) as kept:
        assert await kept.find("CA1") == second.as_json()
        assert [one["n_turns"] for one in await kept.recent()] == [1, 2]


async def test_the_newest_calls_come_first_and_the_rest_page_by_page(tmp_path):
    now = time.time()
    async with archive(tmp_path) as kept:
        for number in (3, 1, 2):
            begin(kept, f"CA{number}", started_at=now + number)
    async with archive(tmp_path) as kept:
        assert [one["call_sid"] for one in await kept.recent()] == ["CA3", "CA2", "CA1"]
        page = await kept.recent(1, before=now + 3)
        assert [one["call_sid"] for one in page] == ["CA2"]
        rest = await kept.recent(2, known={("CA3", now + 3), ("CA2", now)})
        assert [one["call_sid"] for one in rest] == ["CA2"]


async def test_a_call_that_is_deleted_stays_so(tmp_path):
    async with archive(tmp_path) as kept:
        record, other = begin(kept), begin(kept, "CA2")
        say(record), say(other)
        await until_kept(kept, "CA2")
        assert await kept.forget("CA1")
        assert not await kept.forget("CA1")
        say(record, "Still here.")
        record.end()
        other.end()
    async with archive(tmp_path) as kept:
        assert await kept.find("CA1") is None
        assert await kept.find("CA2") == other.as_json()
        assert [one["call_sid"] for one in await kept.recent()] == ["CA2"]
    assert rows(tmp_path, "SELECT DISTINCT call_sid FROM words") == [("CA2",)]
    assert rows(tmp_path, "SELECT DISTINCT call_sid FROM turns") == [("CA2",)]


async def test_half_a_character_costs_its_row_alone(tmp_path, caplog):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        say(record, "\ud800")
        say(record, "whole")
        record.end()
    assert kept.n_lost == 1
    assert rows(tmp_path, "SELECT n FROM turns") == [(2,)]


async def test_others_may_not_read_it(tmp_path):
    async with archive(tmp_path / "data") as kept:
        await until_kept_after_begin(kept)
        modes = {one: stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "data").rglob("*")}
        modes[tmp_path / "data"] = stat.S_IMODE((tmp_path / "data").stat().st_mode)
    for one, mode in modes.items():
        assert mode == (0o700 if one.is_dir() else 0o600), one
    assert len(modes) >= 4  # with the log and its index


async def test_two_servers_write_into_one_file(tmp_path):
    async with archive(tmp_path) as old, archive(tmp_path) as new:
        for number in range(20):
            for kept, name in ((old, "old"), (new, "new")):
                record = begin(kept, f"{name}{number}")
                say(record)
                record.end()
            await asyncio.sleep(0)
    assert rows(tmp_path, "SELECT count(*) FROM calls WHERE ended_at NOT NULL") == [(40,)]
    assert rows(tmp_path, "SELECT count(*) FROM turns") == [(40,)]
    assert old.n_lost == new.n_lost == 0


async def test_what_is_left_is_written_on_leaving(tmp_path):
    async with archive(tmp_path) as kept:
        records = [begin(kept, f"CA{number}") for number in range(300)]
        for record in records:
            say(record), record.end()
    assert rows(tmp_path, "SELECT count(*) FROM turns") == [(300,)]
    assert not list((tmp_path / "servers").iterdir())


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.text(max_size=5)),
        st.tuples(st.just("reply"), st.text(max_size=5)),
        st.tuples(st.just("over"), st.booleans()),
        st.tuples(st.just("note"), st.sampled_from(["tool", "key", "typed", "mark"])),
        st.tuples(st.just("partial"), st.text(max_size=5)),
        st.tuples(st.just("greeting"), st.text(max_size=5)),
        st.tuples(st.just("failure"), st.sampled_from(["stt", "tts"])),
        st.tuples(st.just("pause"), st.none()),
    ),
    max_size=30,
)


async def change(records: list[CallRecord], which: int, what: str, value) -> None:
    record = records[which % len(records)]
    match what:
        case "turn":
            record.add_turn(value, None)
        case "reply" if record.turns:
            record.turns[which % len(record.turns)].reply = value
            record.turn_changed(record.turns[which % len(record.turns)])
        case "over" if record.turns:
            record.turns[-1].over, record.turns[-1].complete = True, value
            record.turn_changed(record.turns[-1])
        case "note":
            record.note(value, value, "detail")
        case "partial":
            record.hears(value)
        case "greeting":
            record.greeting = value
            record.changed()
        case "failure":
            record.failures.append(value)
            record.changed()
        case "pause":  # time for the writer between two changes
            await asyncio.sleep(0.001)


@given(changes=st.lists(st.tuples(st.integers(0, 8), CHANGES), max_size=4))
@settings(max_examples=40)
def test_however_changes_come_the_file_ends_as_the_records(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("archive")

    async def run():
        async with archive(folder) as kept:
            records = [begin(kept, f"CA{number}") for number in range(3)]
            for which, some in changes:
                for what, value in some:
                    await change(records, which, what, value)
            for record in records:
                record.end()
        async with archive(folder) as kept:
            for record in records:
                assert await kept.find(record.call.call_sid) == record.as_json()

    asyncio.run(run())


# What waits.


def row(n: int, kind: str = "turn", over: bool = False, at_s: float = 0.0, sid: str = "CA") -> Row:
    return Row(Key(kind, sid, 1.0, n), {"over": over}, at_s)


def numbers(pending: Pending) -> list[int]:
    return [one.key.n for one in pending.take()]


def test_nothing_waits():
    pending = Pending()
    assert (pending.take(), len(pending), pending.n_lost) == ([], 0, 0)
    pending.put_back([], 0.0)
    assert pending.take() == []


def test_the_last_state_of_a_part_is_what_waits():
    pending = Pending()
    for over in (False, False, True):
        pending.put(row(1, over=over))
    [only] = pending.take()
    assert only.value["over"]


def test_a_turn_that_is_not_over_gives_way_first_then_the_oldest():
    pending = Pending(3)
    for n, over in ((1, True), (2, False), (3, False), (4, True)):
        pending.put(row(n, over=over))
    assert pending.n_lost == 1
    assert numbers(pending) == [1, 4, 3]
    for n in range(5):
        pending.put(row(n, "note"))
    assert numbers(pending) == [2, 3, 4] and pending.n_lost == 3


def test_what_has_changed_since_it_was_taken_is_not_put_back():
    pending = Pending()
    pending.put(row(1))
    pending.put(row(2))
    taken = pending.take()
    pending.put(row(1, over=True))
    pending.put_back(taken, 0.0)
    assert [(one.key.n, one.value["over"]) for one in pending.take()] == [(1, True), (2, False)]


def test_words_that_cannot_be_written_wait_no_longer_than_they_may():
    pending = Pending()
    pending.put_back([row(1, at_s=1.0), row(2, at_s=5.0)], since_s=4.0)
    assert numbers(pending) == [2] and pending.n_lost == 1


def test_what_is_put_back_has_its_bound_too():
    pending = Pending(2)
    pending.put(row(9, over=True))
    pending.put_back([row(n, over=True) for n in (1, 2, 3)], 0.0)
    assert numbers(pending) == [3, 9] and pending.n_lost == 2


# Facts and words.


def test_facts_say_nothing_of_what_was_said():
    record = begin(None)
    turn = say(record)
    record.note("typed", "my card is 4000")
    record.reason = "the provider said 'secret'"
    parts = [("call", record.summary()), ("turn", turn.as_json())]
    parts += [("note", note.as_json()) for note in record.notes]
    for kind, value in parts:
        facts, words = split(kind, value)
        said = ("How late", "Noon", "4000", "secret", CALLER)
        assert not any(one in facts for one in said), facts
        assert join(kind, facts, words) == value
        assert join(kind, facts, None).keys() == value.keys()


async def test_a_server_finds_what_the_one_before_has_kept(tmp_path):
    await hold(tmp_path, 3)
    async with archive(tmp_path) as kept:
        assert len(await kept.recent()) == 3
