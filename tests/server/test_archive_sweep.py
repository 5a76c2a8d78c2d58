"""What goes out of the archive, when, and that it is gone then."""

import os
import random
import re
import sqlite3
import time
from contextlib import closing

import pytest

from archived import CALLED, CALLER, archive, begin, on_disk, rows, say, until, until_kept
from voice_ai.server.archive import schema, sweep, writer
from voice_ai.server.archive.schema import FILE, open_file
from voice_ai.server.archive.sweep import KILLED, Keeping

HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(writer, "SWEEP_S", 0.05)


@pytest.fixture
def db(tmp_path):
    with closing(open_file(tmp_path / FILE, 1 << 30)) as db:
        yield db


def swept(db: sqlite3.Connection, folder, **changes) -> None:
    assert sweep.sweep(db, Keeping(folder, **changes), lambda name: True)


async def calls_of(folder, *started_at: float, words: str = "How late is it?", n_turns=1) -> None:
    """Calls of a few ms, at these times, kept by a server that has gone; nothing is swept."""
    async with archive(folder, words_s=1e12, calls_s=1e12) as kept:
        for number, began in enumerate(started_at):
            record = begin(kept, f"CA{number}", began)
            record.greeting, record.voicemail, record.partial = "Hi.", "Call us.", "uh"
            record.note("tool", "hours", "argument")
            record.note("key", "7")
            record.note("typed", "typed words")
            for _ in range(n_turns):
                say(record, words)
            record.late_tools.append({"tool": "late result"})
            record.reason = "it said 'quoted'"
            record.end()


def test_a_file_with_nothing_in_it(db, tmp_path):
    swept(db, tmp_path)
    assert db.execute("SELECT count(*) FROM calls").fetchone() == (0,)


async def test_words_go_an_hour_after_the_call_and_timings_stay(tmp_path):
    now = time.time()
    await calls_of(tmp_path, now - 2 * HOUR_S, now - HOUR_S / 2)
    before = {one["call_sid"]: one for one in await read(tmp_path, words_s=1e12)}
    async with archive(tmp_path) as kept:
        await until(lambda: len(rows(tmp_path, "SELECT DISTINCT call_sid FROM words")) == 1)
        old, new = await kept.find("CA0"), await kept.find("CA1")
    assert new == before["CA1"]
    for name in ("caller", "called", "partial", "greeting", "voicemail"):
        assert old[name] == ""
    assert (old["late_tools"], old["reason"]) == ([], "it said '...'")
    assert [(one["kind"], one["text"], one["detail"]) for one in old["notes"]] == [
        ("tool", "hours", ""),
        ("key", "", ""),
        ("typed", "", ""),
    ]
    [turn], [was] = old["turns"], before["CA0"]["turns"]
    assert (turn["caller"], turn["reply"], turn["heard"]) == ("", "", "")
    for name in ("latency_ms", "moments_ms", "at_ms", "over", "complete"):
        assert turn[name] == was[name]


async def read(folder, **changes):
    async with archive(folder, **changes) as kept:
        await until_kept(kept, "CA1")
        return [await kept.find(one["call_sid"]) for one in await kept.recent()]


def test_words_that_are_gone_are_nowhere_on_the_disk(db, tmp_path):
    """Though they were changed, moved from page to page, and are of calls among others.

    secure_delete alone leaves some: SQLite copies rows within pages when it splits them.
    """
    now, dice = time.time(), random.Random(1)
    calls = [(dice.randbytes(8).hex(), now - dice.choice([2, 0.1]) * HOUR_S) for _ in range(2000)]
    gone, last = [], {}
    db.execute("BEGIN")
    for sid, began in calls:
        row = (sid, began, began, began)
        db.execute("INSERT INTO calls VALUES (?, ?, '', ?, ?, '{}')", row)
    for _ in range(12_000):
        (sid, began), n, token = dice.choice(calls), dice.randrange(12), dice.randbytes(6).hex()
        row = (sid, began, "turn", n, f"{token} " * dice.choice([1, 5, 20, 100, 400]))
        db.execute("INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?, ?)", row)
        if began < now - HOUR_S:
            gone.append(token)
        else:
            last[sid, n] = token
    db.execute("COMMIT")
    swept(db, tmp_path)
    octets = (tmp_path / FILE).read_bytes() + (tmp_path / f"{FILE}-wal").read_bytes()
    there = {token.decode() for token in re.findall(rb"\b[0-9a-f]{12}\b", octets)}
    assert there.isdisjoint(gone)
    kept = db.execute("SELECT call_sid, n, substr(words, 1, 12) FROM words").fetchall()
    assert {(sid, n): token for sid, n, token in kept} == last


def test_words_are_not_left_in_the_log(db, tmp_path):
    fill(db, began := time.time() - 2 * HOUR_S)
    said = [f"secret{number:02}" for number in range(50)]
    for word in said:  # each in a place of the log of its own
        row = (f"CA{began}", began, "turn", 1, word)
        db.execute("INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?, ?)", row)
    assert on_disk(tmp_path, *said) == said
    swept(db, tmp_path)
    assert on_disk(tmp_path, *said) == []


async def test_words_are_nowhere_on_the_disk_while_the_server_that_wrote_them_runs(tmp_path):
    said = [f"secret{number:03}" for number in range(200)]
    async with archive(tmp_path, words_s=0.5) as kept:
        record = begin(kept)
        for word in said:
            say(record, f"{word} " * 50)
        await until(lambda: on_disk(tmp_path, *said, CALLER) == [*said, CALLER])
        record.end()
        await until(lambda: not on_disk(tmp_path, *said, CALLER))
        assert (await kept.find("CA1"))["turns"][0]["caller"] == ""


async def test_nobody_who_called_is_on_the_disk_after_an_hour(tmp_path):
    await calls_of(tmp_path, time.time() - 2 * HOUR_S)
    said = (CALLER, CALLED, "Noon.", "Hi.", "Call us.", "argument", "typed words", "late result")
    assert on_disk(tmp_path, *said) == list(said)
    async with archive(tmp_path):
        await until(lambda: not on_disk(tmp_path, *said, "quoted"))


async def test_words_of_a_call_under_way_are_not_due(tmp_path):
    async with archive(tmp_path, words_s=0.3) as kept:
        record = begin(kept, started_at=time.time() - HOUR_S)
        say(record)
        await until_swept(kept)
        assert (await kept.find("CA1"))["turns"][0]["heard"] == "Noon."
        record.begin(lambda: 0.0)
        record.end()
        await until(lambda: rows(tmp_path, "SELECT count(*) FROM words") == [(0,)])
        record.late_tools.append({"tool": "late result"})
        record.changed()  # what is told later goes later
        await until(lambda: not kept._pending)
        await until(lambda: rows(tmp_path, "SELECT count(*) FROM words") == [(0,)])


async def until_swept(kept, times: int = 2) -> None:
    for _ in range(times):
        was = kept._writer._sweep_at
        await until(lambda was=was: kept._writer._sweep_at > was)


async def test_without_retention_no_word_gets_to_the_disk(tmp_path):
    async with archive(tmp_path, words_s=0.0) as kept:
        record = begin(kept)
        say(record, "a secret")
        found = await until_kept(kept, "CA1")
        assert (found["caller"], found["called"]) == ("", "")
        await until(lambda: rows(tmp_path, "SELECT 1 FROM turns"))
        assert not on_disk(tmp_path, "a secret", CALLER)
        record.end()
    assert rows(tmp_path, "SELECT count(*) FROM words") == [(0,)]
    assert rows(tmp_path, "SELECT total_ms FROM turns") == [(610,)]


async def test_a_log_that_is_being_read_is_emptied_later(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "BUSY_S", 0.01)
    monkeypatch.setattr(writer.Writer.__init__, "__kwdefaults__", {"retry_s": 0.05})
    await calls_of(tmp_path, time.time() - 2 * HOUR_S, words="a secret")
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM words").fetchall()
        async with archive(tmp_path) as kept:
            await until(lambda: rows(tmp_path, "SELECT count(*) FROM words") == [(0,)])
            await until_swept(kept)
            assert on_disk(tmp_path, "a secret")
            reader.execute("COMMIT")
            await until(lambda: not on_disk(tmp_path, "a secret"))


async def test_calls_go_after_their_days(tmp_path):
    now = time.time()
    await calls_of(tmp_path, now - 31 * 86_400, now - 29 * 86_400)
    async with archive(tmp_path, words_s=1e12) as kept:
        await until(lambda: rows(tmp_path, "SELECT call_sid FROM calls") == [("CA1",)])
        assert await kept.find("CA0") is None
    for table in ("turns", "notes", "words"):
        assert rows(tmp_path, f"SELECT DISTINCT call_sid FROM {table}") == [("CA1",)]


def test_the_oldest_calls_make_room_and_the_file_shrinks(db, tmp_path):
    now = time.time()
    fill(db, *(now - age for age in range(2000)))
    before = (tmp_path / FILE).stat().st_size
    swept(db, tmp_path, max_octets=1 << 20)
    assert before > 3 << 20 and (tmp_path / FILE).stat().st_size <= 1 << 20
    assert db.execute("PRAGMA freelist_count").fetchone() == (0,)
    n_left, oldest = db.execute("SELECT count(*), min(started_at) FROM calls").fetchone()
    assert n_left > 100 and oldest == now - n_left + 1  # those that are left are the newest
    assert db.execute("SELECT count(DISTINCT started_at) FROM turns").fetchone() == (n_left,)


def fill(db, *started_at: float) -> None:
    with schema.transaction(db):
        for began in started_at:
            call = (f"CA{began}", began)
            db.execute("INSERT INTO calls VALUES (?, ?, '', ?, ?, '{}')", (*call, began, began))
            db.execute("INSERT INTO turns VALUES (?, ?, 1, 9, ?)", (*call, "f" * 1500))


def test_calls_under_way_make_no_room(db, tmp_path):
    fill(db, *range(1, 1000))
    db.execute("UPDATE calls SET ended_at = NULL, started_at = started_at")
    swept(db, tmp_path, max_octets=1 << 18, calls_s=1e12)
    assert db.execute("SELECT count(*) FROM calls").fetchone() == (999,)


def test_room_is_made_of_words_too(db, tmp_path):
    """Words fill a full file: making their table anew needs room that the limit does not give."""
    now = time.time()
    fill(db, *(now - age for age in range(200)))
    fields = "SELECT call_sid, started_at, 'turn', 1, ?"
    with schema.transaction(db):
        db.execute(f"INSERT INTO words {fields} FROM calls", ("w" * 5000,))
    schema.limit(db, 1)
    swept(db, tmp_path, max_octets=1 << 20)
    n_left = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    assert 50 <= n_left < 150
    assert db.execute("SELECT count(*) FROM words").fetchone() == (n_left,)
    assert (tmp_path / FILE).stat().st_size <= 1 << 20


def test_what_was_moved_aside_goes_as_words_do(db, tmp_path):
    old, new = tmp_path / f"{FILE}.broken-1", tmp_path / f"{FILE}.broken-2-wal"
    for file, age_s in ((old, 2 * HOUR_S), (new, 0.0)):
        file.write_text("words")
        os.utime(file, (time.time() - age_s,) * 2)
    swept(db, tmp_path)
    assert not old.exists() and new.exists()


async def test_the_id_of_a_deleted_call_goes_after_a_day(tmp_path, db):
    await calls_of(tmp_path, time.time())
    assert sweep.forget(db, "CA0")
    swept(db, tmp_path)
    assert db.execute("SELECT call_sid FROM calls").fetchall() == [("CA0",)]
    db.execute("UPDATE calls SET changed_at = changed_at - 86401")
    swept(db, tmp_path)
    assert db.execute("SELECT call_sid FROM calls").fetchall() == []


# Servers that were killed.


async def test_calls_of_a_server_that_was_killed_are_ended(tmp_path):
    dead, alive = archive(tmp_path), archive(tmp_path)
    async with alive:
        async with dead:
            mine, theirs = begin(alive, "CAmine"), begin(dead, "CAtheirs")
            say(mine), say(theirs)
            await until_kept(alive, "CAmine")
            await until_kept(alive, "CAtheirs")
            async with archive(tmp_path) as third:
                await until_swept(third)
            assert not (await alive.find("CAtheirs"))["ended"]
        # It has gone, and the call has not ended: so it was killed.
        async with archive(tmp_path) as third:
            await until(lambda: rows(tmp_path, "SELECT 1 FROM calls WHERE ended_at NOT NULL"))
            ended, live = await third.find("CAtheirs"), await third.find("CAmine")
    assert (ended["ended"], ended["reason"]) == (True, KILLED)
    assert 0 <= ended["duration_ms"] < 60_000
    assert ended["turns"] == theirs.as_json()["turns"]
    assert (live["ended"], live["reason"]) == (False, "")


async def test_words_of_a_killed_call_go_an_hour_after_its_last_change(tmp_path):
    async with archive(tmp_path) as kept:
        say(begin(kept))
    async with archive(tmp_path) as kept:
        await until(lambda: rows(tmp_path, "SELECT 1 FROM calls WHERE ended_at NOT NULL"))
        assert (await kept.find("CA1"))["caller"] == CALLER
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute(
            "UPDATE calls SET ended_at = NULL, owner = 'gone', changed_at = changed_at - 3601"
        )
    async with archive(tmp_path):
        await until(lambda: rows(tmp_path, "SELECT count(*) FROM words") == [(0,)])
