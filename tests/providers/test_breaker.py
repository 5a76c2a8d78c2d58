"""When a failing provider is left alone, and when it is asked again."""

import pytest

from voice_ai.providers.breaker import MAX_FAILURES, OPEN_S, Breaker, Budget


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broken(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(MAX_FAILURES):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_a_new_one_lets_everything_pass(clock: Clock) -> None:
    breaker = Breaker(clock)
    assert all(breaker.allows() for _ in range(100))


def test_failures_that_are_not_in_a_row_do_not_count(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(MAX_FAILURES):
        for _ in range(MAX_FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.allows()


def test_failures_in_a_row_open_it(clock: Clock, broken: Breaker) -> None:
    assert not broken.allows()
    clock.now += OPEN_S - 0.001
    assert not broken.allows()


def test_after_a_while_one_request_tries(clock: Clock, broken: Breaker) -> None:
    clock.now += OPEN_S
    assert [broken.allows() for _ in range(3)] == [True, False, False]
    broken.succeeded()
    assert all(broken.allows() for _ in range(3))


def test_a_try_that_fails_leaves_it_open(clock: Clock, broken: Breaker) -> None:
    clock.now += OPEN_S
    assert broken.allows()
    clock.now += 4.0
    broken.failed()
    clock.now += OPEN_S - 0.001
    assert not broken.allows()
    clock.now += 0.001
    assert broken.allows()


def test_a_try_that_nobody_tells_of_is_followed_by_another(clock: Clock, broken: Breaker) -> None:
    """A caller hung up in the middle of it."""
    clock.now += OPEN_S
    assert broken.allows()
    clock.now += OPEN_S
    assert broken.allows()


def test_requests_that_were_under_way_do_not_keep_it_open_for_longer_than_they_fail(
    clock: Clock, broken: Breaker
) -> None:
    clock.now += 4.0
    broken.failed()
    clock.now += OPEN_S
    assert broken.allows()


@pytest.mark.parametrize("n_retries", [0, 1, 10])
def test_a_budget_is_spent_once(n_retries: int) -> None:
    budget = Budget(n_retries)
    assert [budget.take() for _ in range(n_retries + 2)] == [True] * n_retries + [False] * 2
