"""What processes that share a port know together is what one knows of itself."""

import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import UsageError
from voice_ai.server import shared as module
from voice_ai.server.admission import Admission, Tokens
from voice_ai.server.shared import Shared, SharedAdmission, SharedTokens

SIDS = ["CA1", "CA2", "CA3", "CA4"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "begin", "release", "wait", "drain"]), st.sampled_from(SIDS)
    ),
    max_size=40,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared"


def test_nothing_is_there_before_anything_was_given(folder: Path) -> None:
    with Shared(8000, parent=folder) as shared:
        admission = SharedAdmission(shared, 0)
        admission.release("CA1")
        assert not admission.admit("CA1")
        assert not admission.begin("CA1")
        assert not SharedTokens(shared).redeem("", "CA1")
        assert not shared.others_take_calls()
        assert shared.others() == []


def test_a_token_of_one_is_used_once_by_another(folder: Path) -> None:
    clock = Clock()
    with Shared(8000, parent=folder) as one, Shared(8000, parent=folder) as other:
        token = SharedTokens(one, clock=clock).issue("CA1")
        tokens = SharedTokens(other, clock=clock)
        assert not tokens.redeem(token, "CA2")
        assert not tokens.redeem("\ud800", "CA1")
        assert tokens.redeem(token, "CA1")
        assert not tokens.redeem(token, "CA1")
        assert not SharedTokens(one, clock=clock).redeem(token, "CA1")
        late = SharedTokens(one, clock=clock).issue("CA1")
        clock.now = 60.0
        assert not tokens.redeem(late, "CA1")


def test_a_repeated_webhook_replaces_the_token(folder: Path) -> None:
    with Shared(8000, parent=folder) as one:
        tokens = SharedTokens(one)
        first, second = tokens.issue("CA1"), tokens.issue("CA1")
        assert not tokens.redeem(first, "CA1")
        assert tokens.redeem(second, "CA1")


def test_another_port_is_another_server(folder: Path) -> None:
    with Shared(8000, parent=folder) as one, Shared(8001, parent=folder) as other:
        assert SharedAdmission(one, 1).admit("CA1")
        assert SharedAdmission(other, 1).admit("CA2")


def test_who_takes_calls(folder: Path) -> None:
    with Shared(8000, parent=folder) as one, Shared(8000, parent=folder) as other:
        one.take_calls(True)
        assert not one.others_take_calls()
        assert other.others_take_calls()
        assert other.others() == [one.owner]
        one.take_calls(False)
        assert not other.others_take_calls()


def test_a_process_that_ends_gives_its_calls_back_and_no_hold(folder: Path) -> None:
    with Shared(8000, parent=folder) as one:
        with Shared(8000, parent=folder) as other:
            assert SharedAdmission(other, 2).begin("CA1")
            assert SharedAdmission(other, 2).admit("CA2")
            assert not SharedAdmission(one, 2).admit("CA3")
        assert SharedAdmission(one, 2).admit("CA3")
        assert not SharedAdmission(one, 2).admit("CA4")  # CA2's stream may come to us


def _die_with_a_call(folder: Path) -> None:
    shared = Shared(8000, parent=folder).__enter__()
    shared.take_calls(True)
    assert SharedAdmission(shared, 2).begin("CA1")
    os._exit(9)


def test_the_call_of_a_process_that_was_killed_is_given_back_when_it_is_missed(
    folder: Path,
) -> None:
    with Shared(8000, parent=folder) as shared:
        process = multiprocessing.get_context("spawn").Process(
            target=_die_with_a_call, args=(folder,)
        )
        process.start()
        process.join()
        assert process.exitcode == 9
        admission = SharedAdmission(shared, 1)
        assert not shared.others_take_calls()
        assert admission.admit("CA2")
        assert not admission.admit("CA3")


def test_what_servers_left_that_are_gone_is_forgotten(folder: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_with_a_call, args=(folder,))
    process.start()
    process.join()
    with Shared(8000, parent=folder) as shared:
        with shared.transaction() as db:
            assert db.execute("SELECT * FROM places").fetchall() == []


def test_a_transaction_that_fails_leaves_nothing(folder: Path) -> None:
    with Shared(8000, parent=folder) as shared:
        with pytest.raises(sqlite3.OperationalError), shared.transaction() as db:
            db.execute("INSERT INTO places VALUES ('CA1', NULL, 'x')")
            db.execute("no such thing")
        assert SharedAdmission(shared, 1).admit("CA2")


def test_a_folder_that_others_may_look_into_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    assert Shared(8000).directory.parent.stat().st_mode & 0o077 == 0
    (tmp_path / f"voice_ai-{os.getuid()}").chmod(0o755)
    with pytest.raises(UsageError, match="not a folder of ours alone"):
        Shared(8000)


@given(limit=st.integers(0, 3), steps=STEPS, random=st.randoms(use_true_random=False))
def test_two_processes_admit_as_one_would(limit, steps, random, tmp_path_factory):
    clock, draining = Clock(), set()
    given = {"takes_new": lambda: not draining, "clock": clock}
    oracle = Admission(limit, **given)
    folder = tmp_path_factory.mktemp("shared")
    with Shared(8000, parent=folder) as one, Shared(8000, parent=folder) as other:
        ends = [SharedAdmission(one, limit, **given), SharedAdmission(other, limit, **given)]
        began: dict[str, int] = {}
        for step, call_sid in steps:
            if step == "wait":
                clock.now += 25.0
                continue
            if step == "drain":
                draining.symmetric_difference_update({1})
                continue
            # A call's stream ends where it began.
            at = began.pop(call_sid, 0) if step == "release" else random.randrange(2)
            answer = getattr(ends[at], step)(call_sid)
            assert answer == getattr(oracle, step)(call_sid), (step, call_sid)
            if step == "begin" and answer:
                began[call_sid] = at


def test_tokens_are_as_those_of_one_process(folder: Path) -> None:
    with Shared(8000, parent=folder) as shared:
        token = SharedTokens(shared).issue("CA1")
        assert len(token) == len(Tokens().issue("CA1"))
