"""What may be wrong with the archive's file, and what becomes of calls then: they go on."""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from archived import archive, begin, hold, rows, say, until, until_kept
from serving import serving
from voice_ai.phone import place_call
from voice_ai.server.archive import schema, writer
from voice_ai.server.archive.schema import FILE, VERSION

V1 = Path(__file__).parents[1] / "data" / "archive_v1.sql"
COLUMNS = "SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Faults are over sooner than in life."""
    monkeypatch.setattr(writer.Writer.__init__, "__kwdefaults__", {"retry_s": 0.02})
    monkeypatch.setattr(schema, "BUSY_S", 0.05)


def told(caplog, words: str) -> list[str]:
    return [one.getMessage() for one in caplog.records if words in one.getMessage()]


async def until_tried_again(kept) -> None:
    """Until the file has failed a few times more."""
    tried = 0
    was = kept._writer._open

    def counting():
        nonlocal tried
        tried += 1
        return was()

    kept._writer._open = counting
    await until(lambda: tried >= 5)
    kept._writer._open = was


@pytest.mark.parametrize("there", [b"", b"this is no database, " * 999, os.urandom(5000)])
async def test_a_file_that_is_no_database(tmp_path, caplog, there):
    (tmp_path / FILE).write_bytes(there)
    async with archive(tmp_path) as kept:
        record = begin(kept)
        say(record)
        await until_kept(kept, "CA1")
    moved = [one for one in tmp_path.glob(f"{FILE}.broken-*") if one.suffix != ".lock"]
    assert [one.read_bytes() for one in moved] == ([there] if there else [])
    assert len(told(caplog, "moved to")) == len(moved)
    assert rows(tmp_path, "SELECT count(*) FROM turns") == [(1,)]


async def test_a_file_that_is_corrupt_in_the_middle(tmp_path, caplog):
    await hold(tmp_path, 200)
    file = tmp_path / FILE
    octets = bytearray(file.read_bytes())
    octets[4096:] = os.urandom(len(octets) - 4096)  # the schema's own page is whole
    file.write_bytes(octets)
    async with archive(tmp_path) as kept:
        record = begin(kept, "CAnew")
        say(record)
        await until(lambda: rows_or_none(tmp_path))
        record.end()
    [moved] = tmp_path.glob(f"{FILE}.broken-*")
    assert moved.read_bytes() == bytes(octets)
    assert len(told(caplog, "moved to")) >= 1
    async with archive(tmp_path) as kept:
        assert [one["call_sid"] for one in await kept.recent()] == ["CAnew"]


def rows_or_none(folder: Path):
    try:
        return rows(folder, "SELECT 1 FROM turns WHERE call_sid = 'CAnew'")
    except sqlite3.DatabaseError:
        return None


async def test_a_file_that_is_deleted_under_a_call(tmp_path):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        say(record)
        await until_kept(kept, "CA1")
        for file in tmp_path.glob(f"{FILE}*"):
            file.unlink()
        say(record, "Another one.")
        assert (await until_kept(kept, "CA1"))["caller"]  # though the call itself did not change
        record.end()
    assert rows(tmp_path, "SELECT n FROM turns") == [(2,)]


async def test_a_file_of_a_later_version_is_not_touched(tmp_path, caplog):
    await hold(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = (tmp_path / FILE).read_bytes()
    async with archive(tmp_path) as kept:
        record = begin(kept, "CAnew")
        await until(lambda: not kept.keeps)
        for _ in range(50):
            say(record)
        assert len(kept._pending) <= 1
        assert (await kept.recent(), await kept.find("CA0")) == ([], None)
        assert not await kept.forget("CA0")
    assert (tmp_path / FILE).read_bytes() == before
    assert told(caplog, "no calls are kept") and len(caplog.records) == 1


async def test_a_new_server_migrates_the_file_while_an_old_one_drains(tmp_path, caplog):
    async with archive(tmp_path) as kept:
        record = begin(kept)
        await until_kept(kept, "CA1")
        with closing(sqlite3.connect(tmp_path / FILE)) as db:
            db.execute(f"PRAGMA user_version={VERSION + 1}")
        say(record)
        await until(lambda: not kept.keeps)
    assert rows(tmp_path, "SELECT count(*) FROM turns") == [(0,)]


async def test_a_file_that_somebody_has_locked(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with archive(tmp_path) as kept:
        record = begin(kept)
        await until_kept(kept, "CA1")
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(5):
                say(record)
                await until_tried_again(kept)
            assert len(told(caplog, "not kept for now")) == 1
            other.execute("ROLLBACK")
        await until(lambda: rows(tmp_path, "SELECT count(*) FROM turns") == [(5,)])
        await until(lambda: told(caplog, "kept again"))
    assert len(told(caplog, "not kept for now")) == len(told(caplog, "kept again")) == 1
    assert kept.n_lost == 0


async def test_a_lock_that_outlasts_the_server_keeps_it_no_longer_than_that(tmp_path):
    async with archive(tmp_path) as kept:
        begin(kept)
        await until_kept(kept, "CA1")
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        begin(kept, "CA2")
    other.close()
    assert rows(tmp_path, "SELECT call_sid FROM calls") == [("CA1",)]


async def test_a_file_that_is_full_of_calls_under_way(tmp_path, caplog):
    """As a disk is: SQLite's limit fails in the same way, with SQLITE_FULL."""
    async with archive(tmp_path, max_octets=1 << 18) as kept:
        first = begin(kept)
        await until_kept(kept, "CA1")
        records = [begin(kept, f"CA{number}") for number in range(2, 60)]
        for record in records:
            say(record, "words " * 2000)
        await until(lambda: told(caplog, "not kept for now"))
        for _ in range(5):
            say(first)
            await until_tried_again(kept)
        assert len(told(caplog, "not kept for now")) == 1
        assert (tmp_path / FILE).stat().st_size <= 1 << 18
        for record in [first, *records]:  # calls that are over make room
            record.end()
        await until(lambda: not kept._writer._fault)
    assert len(told(caplog, "not kept for now")) == 1


async def test_a_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    async with archive(tmp_path / "file" / "data") as kept:
        record = begin(kept)
        for _ in range(5):
            say(record)
            await until_tried_again(kept)
        assert (await kept.recent(), await kept.find("CA1")) == ([], None)
    assert len(told(caplog, "not kept for now")) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable to root")
async def test_a_folder_that_is_read_only(tmp_path, caplog):
    await hold(tmp_path)
    tmp_path.chmod(0o500)
    try:
        async with archive(tmp_path) as kept:
            record = begin(kept, "CA2")
            for _ in range(5):
                say(record)
                await until_tried_again(kept)
    finally:
        tmp_path.chmod(0o700)
    assert len(told(caplog, "not kept for now")) == 1


async def test_words_that_cannot_be_written_do_not_stay_in_memory(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    async with archive(tmp_path / "file" / "data", words_s=0.1) as kept:
        say(begin(kept))
        await until(lambda: kept.n_lost >= 2)
        await until(lambda: len(kept._pending) == 0)
        await until(lambda: told(caplog, "are lost"))
        for _ in range(3):
            say(begin(kept, "CA2"))
            await until_tried_again(kept)
    assert len(told(caplog, "are lost")) == 1


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_server_keeps_the_calls_that_it_has_had(tmp_path, keeps):
    folder = tmp_path / "data"
    async with serving(keep_calls=keeps, data_dir=folder) as world:
        result = await place_call(world.plan("Hello?"))
    if keeps:
        assert rows(folder, "SELECT call_sid FROM calls") == [(result.call_sid,)]
    assert folder.exists() == keeps


# Versions.


async def test_every_version_before_becomes_the_present_one(tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.executescript(V1.read_text())

    async with archive(tmp_path) as kept:
        await until(lambda: rows(tmp_path, "SELECT 1 FROM sqlite_schema WHERE name = 'notes'"))
        old = await until_kept(kept, "CA1")
        new = begin(kept, "CA2")
        new.note("key", "5")
        new.end()
    assert old["turns"][0]["caller"] == "How late is it?"
    assert (old["caller"], old["notes"]) == ("+15550100001", [])
    assert old.keys() == new.as_json().keys()
    assert old["turns"][0].keys() == {*"n at_ms caller reply heard over complete".split()} | {
        "latency_ms",
        "moments_ms",
    }
    assert rows(tmp_path, "PRAGMA user_version") == [(VERSION,)]
    fresh = tmp_path / "fresh"
    await hold(fresh)
    assert rows(tmp_path, COLUMNS) == rows(fresh, COLUMNS)


def test_a_step_that_fails_leaves_the_version_before(tmp_path, monkeypatch):
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.executescript(V1.read_text())
    broken = (*schema.STEPS[:-1], ("CREATE TABLE half (a)", "CREATE TABLE calls (a)"))
    monkeypatch.setattr(schema, "STEPS", broken)
    with pytest.raises(sqlite3.OperationalError):
        schema.open_file(tmp_path / FILE, 1 << 20)
    assert rows(tmp_path, "PRAGMA user_version") == [(1,)]
    assert rows(tmp_path, "SELECT 1 FROM sqlite_schema WHERE name = 'half'") == []


def test_a_file_that_never_gave_pages_back_learns_to(tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.executescript(V1.read_text().replace("PRAGMA auto_vacuum=INCREMENTAL;", ""))
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    with closing(schema.open_file(tmp_path / FILE, 1 << 20)) as db:
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert db.execute("SELECT call_sid FROM calls").fetchall() == [("CA1",)]


def test_how_the_file_is_opened(tmp_path):
    with closing(schema.open_file(tmp_path / FILE, 1 << 20)) as db:
        names = ("journal_mode", "synchronous", "secure_delete", "auto_vacuum", "max_page_count")
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert found == ["wal", 1, 1, 2, 256]
