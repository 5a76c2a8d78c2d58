"""Strangers at a server in a process of its own, some hundreds; `make fuzz` has the many."""

import asyncio
import os
import random
from collections import Counter

import uvloop

from fuzz import fuzz_connections
from fuzz.fuzz_connections import Run, fuzz, keep, source
from fuzz.strangers import KINDS, TOKEN, script
from fuzz.watched import Log, Watched

N = int(os.environ.get("FUZZ_CONNECTIONS", "300"))
CALLS = int(os.environ.get("FUZZ_CALLS", "2"))


def test_a_script_is_decided_by_its_numbers_and_every_kind_comes():
    scripts = [script(3, number) for number in range(1500)]
    assert scripts == [script(3, number) for number in range(1500)]
    assert scripts[:50] != [script(4, number) for number in range(50)]
    assert set(KINDS) == {one.kind for one in scripts}


def test_only_calls_that_are_let_in_need_a_token():
    for number in range(1500):
        one = script(3, number)
        if one.kind == "let in":
            assert one.call_sid
            assert any(TOKEN.encode() in piece for piece in one.pieces)
        else:
            assert not one.call_sid


def test_each_stranger_has_an_address_of_its_own_on_this_machine():
    sources = Counter(source(number) for number in range(100_000))
    assert len(sources) == 100_000
    assert all(int(part) < 255 for one in list(sources)[::997] for part in one.split("."))


def test_a_fault_in_the_log_is_seen_and_what_follows_it_is_kept():
    log = Log()
    for line in ("Listening on http://127.0.0.1:1, loading", "a WARNING x"):
        log.take(line)
    assert (log.url, log.n_faults, log.faults) == ("http://127.0.0.1:1", 0, [])
    for line in ("x ERROR y: went wrong", "Traceback (most recent call last):", "  File"):
        log.take(line)
    assert (log.n_faults, len(log.faults)) == (2, 3)


def test_scripts_to_blame_are_kept(tmp_path):
    run = Run(seed=3, n=10)
    run.recent.extend(range(5))
    assert len(keep(run, tmp_path / "all")) == 5
    run.blamed.append(2)
    (file,) = keep(run, tmp_path / "one")
    assert file.name.startswith("connection.3.2.")
    assert file.read_bytes() == b"".join(script(3, 2).pieces)


def test_strangers_harm_neither_the_server_nor_its_calls(tmp_path):
    seed = random.randrange(10**6)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = runner.run(fuzz(tmp_path, Run(seed, N), CALLS))
    assert run.faults == [], f"seed {seed}"
    assert run.notes["answered"] > N // 5
    assert run.notes["frames of calls"] > 0 or not CALLS


def test_an_answer_that_blames_the_server_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_connections, "BLAMES", (b"HTTP/1.1 400 ",))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = runner.run(fuzz(tmp_path, Run(1, 100_000), 0, settle_s=0.1))
    assert any("an error of ours" in fault for fault in run.faults)
    assert run.done.total() < 100_000


def test_a_server_that_ends_is_told(tmp_path, monkeypatch):
    async def kill(server, n_files, within_s):
        server._process.kill()
        await server._process.wait()
        return 0

    monkeypatch.setattr(Watched, "settled", kill)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = runner.run(fuzz(tmp_path, Run(1, 100_000), 0))
    assert "the server ended" in run.faults
    assert run.done.total() < 100_000
