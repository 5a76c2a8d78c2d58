"""Who may ask how often, and who has to go: all of it told the time."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.server.limits import LOOPBACK, Crowd, Rate, Refused, Throttle, client_of

FOREVER = Rate(1e9, 1e9)


def test_the_first_request_of_all_is_answered() -> None:
    assert Throttle(Rate(1, 1), Rate(1, 1)).refuse("", 0.0) is None


def test_a_burst_then_a_pace() -> None:
    throttle = Throttle(Rate(2, 5), FOREVER)
    assert [throttle.refuse("a", 100.0) for _ in range(5)] == [None] * 5
    assert throttle.refuse("a", 100.0) == Refused(429, 0.5)
    assert throttle.refuse("a", 100.25) == Refused(429, 0.25)
    assert throttle.refuse("a", 100.5) is None
    assert throttle.refuse("b", 100.5) is None
    assert [throttle.refuse("a", 200.0) for _ in range(6)][-1] == Refused(429, 0.5)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    throttle = Throttle(Rate(1, 1), FOREVER)
    assert throttle.refuse("a", 100.0) is None
    assert throttle.refuse("a", 50.0) == Refused(429, 1.0)


def test_all_together_have_a_bound_of_their_own_which_who_is_refused_does_not_use_up() -> None:
    throttle = Throttle(Rate(1, 1), Rate(1, 3))
    assert throttle.refuse("a", 0.0) is None
    for _ in range(10):
        assert throttle.refuse("a", 0.0) == Refused(429, 1.0)
    assert throttle.refuse("b", 0.0) is None
    assert throttle.refuse("c", 0.0) is None
    assert throttle.refuse("d", 0.0) == Refused(503, 1.0)


def test_the_clients_remembered_are_bounded() -> None:
    throttle = Throttle(Rate(1, 1), FOREVER, max_clients=10)
    for n in range(1000):
        assert throttle.refuse(str(n), 0.0) is None
    assert len(throttle) == 10
    assert throttle.refuse("999", 0.0) == Refused(429, 1.0)


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5))
def test_nobody_gets_more_than_the_burst_and_the_pace(pauses: list[float], burst: int) -> None:
    throttle, now, n_answered = Throttle(Rate(1, burst), FOREVER), 0.0, 0
    for pause in pauses:
        now += pause
        refused = throttle.refuse("a", now)
        n_answered += refused is None
        if refused:
            assert 0 < refused.wait_s <= 1
            assert throttle.refuse("a", now + refused.wait_s + 1e-9) is None
            n_answered, now = n_answered + 1, now + refused.wait_s + 1e-9
        assert n_answered <= burst + now + 1e-6


def test_whoever_has_waited_longest_goes_for_the_next() -> None:
    crowd: Crowd[int] = Crowd(3, 3)
    assert [crowd.enter(who, "") for who in (1, 2, 3)] == [None] * 3
    assert crowd.enter(4, "") == 1
    assert crowd.enter(2, "") is None  # again, so it has not waited long
    assert (crowd.enter(5, ""), crowd.enter(6, "")) == (3, 4)
    crowd.leave(2)
    crowd.leave(2)
    assert crowd.enter(7, "") is None and len(crowd) == 3


def test_a_client_with_many_pushes_out_its_own() -> None:
    crowd: Crowd[int] = Crowd(100, 2)
    crowd.enter(0, "other")
    assert [crowd.enter(who, "mine") for who in (1, 2, 3, 4)] == [None, None, 1, 2]
    assert len(crowd) == 3


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.sampled_from(["", "a", "b"]))),
)
def test_a_crowd_keeps_its_bounds_and_forgets_who_leaves(steps) -> None:
    crowd: Crowd[int] = Crowd(5, 2)
    waiting: dict[int, str] = {}
    for enters, who, client in steps:
        if enters:
            gone = crowd.enter(who, client)
            waiting.pop(who, None)
            if gone is not None:
                del waiting[gone]
            waiting[who] = client
        else:
            crowd.leave(who)
            waiting.pop(who, None)
        assert len(crowd) == len(waiting) <= 5
        assert all(list(waiting.values()).count(name) <= 2 for name in ("a", "b"))
    for who in list(waiting):
        crowd.leave(who)
    assert not crowd._of_client


PROXIES = (*LOOPBACK, ipaddress.ip_network("10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "", ""),
        ("::1", "", ""),
        ("10.1.2.3", "", ""),
        ("", "", "unknown"),
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # its own word
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first is its own word
        ("127.0.0.1", "203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("127.0.0.1", "10.9.9.9", "127.0.0.1"),
        ("127.0.0.1", "rubbish", "unknown"),
        ("127.0.0.1", ",", "127.0.0.1"),
        ("::ffff:127.0.0.1", "", ""),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("2001:db8:0:1::9", "", "2001:db8:0:1::/64"),
        ("127.0.0.1", "[2001:db8:0:1::7]:443", "2001:db8:0:1::/64"),
    ],
)
def test_who_asks(peer: str, forwarded: str, client: str) -> None:
    assert client_of(peer, forwarded, PROXIES) == client
