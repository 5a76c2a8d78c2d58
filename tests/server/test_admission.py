import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.server.admission import Admission, Tokens


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_nothing_redeems_before_anything_was_issued():
    tokens = Tokens()
    assert not tokens.redeem("", "CA1") and not tokens.redeem("x", "") and len(tokens) == 0


def test_a_token_is_used_once(clock):
    tokens = Tokens(clock=clock)
    token = tokens.issue("CA1")
    assert tokens.redeem(token, "CA1") and not tokens.redeem(token, "CA1") and len(tokens) == 0


def test_a_token_is_of_its_call(clock):
    tokens = Tokens(clock=clock)
    one, other = tokens.issue("CA1"), tokens.issue("CA2")
    assert not tokens.redeem(one, "CA2") and not tokens.redeem(one, "CA3")
    assert tokens.redeem(one, "CA1") and tokens.redeem(other, "CA2")


@pytest.mark.parametrize("wrong", ["", "x", "ä", "\ud800", "token " * 1000])
def test_a_wrong_token_is_refused_and_uses_up_nothing(wrong, clock):
    tokens = Tokens(clock=clock)
    right = tokens.issue("CA1")
    assert not tokens.redeem(wrong, "CA1") and tokens.redeem(right, "CA1")


def test_a_token_lasts_a_minute(clock):
    tokens = Tokens(clock=clock)
    early, late = tokens.issue("CA1"), tokens.issue("CA2")
    clock.now = 59.9
    assert tokens.redeem(early, "CA1")
    clock.now = 60.0
    assert not tokens.redeem(late, "CA2") and len(tokens) == 0


def test_a_repeated_webhook_replaces_the_token_and_begins_its_minute_anew(clock):
    tokens = Tokens(clock=clock)
    first = tokens.issue("CA1")
    tokens.issue("CA2")
    clock.now = 30.0
    second = tokens.issue("CA1")
    clock.now = 70.0
    assert first != second and not tokens.redeem(first, "CA1") and tokens.redeem(second, "CA1")


def test_the_store_is_bounded_and_forgets_the_oldest(clock):
    tokens = Tokens(clock=clock, limit=2)
    issued = {sid: tokens.issue(sid) for sid in ("CA1", "CA2", "CA3")}
    assert len(tokens) == 2
    assert [tokens.redeem(token, sid) for sid, token in issued.items()] == [False, True, True]


def test_what_has_expired_makes_room_first(clock):
    tokens = Tokens(clock=clock, limit=2)
    tokens.issue("CA1")
    clock.now = 30.0
    kept = tokens.issue("CA2")
    clock.now = 61.0
    tokens.issue("CA3")
    assert len(tokens) == 2 and tokens.redeem(kept, "CA2")


def test_tokens_are_long_and_different():
    tokens = Tokens()
    issued = {tokens.issue(f"CA{i}") for i in range(100)}
    assert len(issued) == 100 and min(map(len, issued)) >= 43


def test_no_place_at_all():
    admission = Admission(0)
    assert admission.full and not admission.admit("CA1") and not admission.begin("CA1")


def test_releasing_what_has_no_place_is_nothing():
    admission = Admission(1)
    admission.release("CA1")
    assert len(admission) == 0 and not admission.full


def test_places_are_taken_and_given_back(clock):
    admission = Admission(2, clock=clock)
    assert admission.admit("CA1") and admission.admit("CA2") and not admission.admit("CA3")
    admission.release("CA1")
    assert admission.admit("CA3") and admission.full and admission.n_calls == 0


def test_a_call_has_one_place_however_often_it_asks(clock):
    admission = Admission(1, clock=clock)
    assert admission.admit("CA1") and admission.admit("CA1") and len(admission) == 1
    assert admission.begin("CA1") and admission.admit("CA1") and len(admission) == 1


def test_a_held_place_is_given_back_when_no_stream_comes(clock):
    admission = Admission(1, clock=clock)
    assert admission.admit("CA1")
    clock.now = 59.9
    assert not admission.admit("CA2")
    clock.now = 60.0
    assert admission.admit("CA2")


def test_a_call_that_has_begun_keeps_its_place_until_it_is_released(clock):
    admission = Admission(1, clock=clock)
    assert admission.admit("CA1") and admission.begin("CA1") and admission.n_calls == 1
    clock.now = 3600.0
    assert not admission.admit("CA2")
    admission.release("CA1")
    admission.release("CA1")
    assert admission.admit("CA2") and admission.n_calls == 0


def test_a_call_begins_once(clock):
    admission = Admission(2, clock=clock)
    assert admission.begin("CA1") and not admission.begin("CA1")


def test_a_hold_that_ran_out_is_renewed_only_if_there_is_a_place(clock):
    admission = Admission(1, clock=clock)
    assert admission.admit("CA1")
    clock.now = 61.0
    assert admission.admit("CA2") and not admission.begin("CA1") and admission.begin("CA2")


def test_who_has_a_place_keeps_it_when_no_new_calls_are_taken(clock):
    draining = []
    admission = Admission(3, clock=clock, takes_new=lambda: not draining)
    assert admission.admit("CA1") and admission.admit("CA2") and admission.begin("CA2")
    draining.append(True)
    assert not admission.admit("CA3") and not admission.begin("CA3")
    assert admission.admit("CA1") and admission.begin("CA1") and admission.admit("CA2")
    clock.now = 61.0
    admission.release("CA1")
    assert not admission.admit("CA1")


def test_a_hold_that_ran_out_is_a_new_call(clock):
    draining = []
    admission = Admission(3, clock=clock, takes_new=lambda: not draining)
    assert admission.admit("CA1")
    draining.append(True)
    clock.now = 60.0
    assert not admission.begin("CA1")


SIDS = st.sampled_from(["CA1", "CA2", "CA3", "CA4"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["admit", "begin", "release", "wait"]), SIDS), max_size=40
)


@given(st.integers(0, 3), STEPS)
def test_never_more_calls_than_places(limit, steps):
    clock = Clock()
    admission = Admission(limit, clock=clock)
    for step, call_sid in steps:
        if step == "wait":
            clock.now += 25.0
        else:
            getattr(admission, step)(call_sid)
        assert admission.n_calls <= len(admission) <= limit
    for call_sid in ("CA1", "CA2", "CA3", "CA4"):
        admission.release(call_sid)
    assert len(admission) == 0
