"""Whom a reply asks, with no service and no clock but the breakers'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import ProviderError
from voice_ai.providers.breaker import MAX_FAILURES, OPEN_S, Breaker, Budget
from voice_ai.providers.fallback.route import MAX_WAIT_S, Member, Route
from voice_ai.providers.faults import Fault

GONE = ProviderError("llm", "gone")
FINAL = ProviderError("llm", "401", retryable=False)
REFUSED = ProviderError("llm", "no", retryable=False, kind="refused")


class World:
    """Some members, the call's budget, and what was reported."""

    def __init__(self, n_members: int = 2, n_retries: int = 10) -> None:
        self.now = 0.0
        self.members = [Member(f"m{n}", Breaker(lambda: self.now)) for n in range(n_members)]
        self.budget = Budget(n_retries)
        self.faults: list[Fault] = []

    def route(self) -> Route:
        return Route("CA1", "llm", self.members, self.budget, self.faults.append)

    def told(self) -> list[tuple[str, str]]:
        return [(fault.provider, fault.action) for fault in self.faults]

    def opened(self, *places: int) -> "World":
        for place in places:
            for _ in range(MAX_FAILURES):
                self.members[place].breaker.failed()
        return self


def ended(route: Route, error: ProviderError, *, given: bool = False) -> bool:
    with pytest.raises(ProviderError) as raised:
        route.failed(error, given=given)
    return raised.value is error


def test_the_first_is_asked_first() -> None:
    world = World()
    assert world.route().begin() == 0
    assert world.faults == []


def test_asked_again_once_and_then_the_next_and_nobody_twice() -> None:
    world = World(3)
    route = world.route()
    assert [route.begin(), *(route.failed(GONE, given=False) for _ in range(3))] == [0, 0, 1, 2]
    assert ended(route, GONE)
    told = [("m0", "retried"), ("m0", "fell back"), ("m1", "fell back"), ("m2", "gave up")]
    assert world.told() == told
    assert world.faults[0] == Fault("CA1", "llm", "m0", "gone", "retried")


def test_a_refused_key_is_not_asked_again_and_is_no_failure_of_the_service() -> None:
    world = World()
    for _ in range(MAX_FAILURES + 1):
        route = world.route()
        assert (route.begin(), route.failed(FINAL, given=False)) == (0, 1)
    assert {action for _, action in world.told()} == {"fell back"}


@pytest.mark.parametrize("kind", ["refused", "cut"])
def test_an_answer_that_is_no_good_is_an_answer(kind: str) -> None:
    world = World()
    route = world.route()
    route.begin()
    assert ended(route, ProviderError("llm", "no", kind=kind))  # type: ignore[arg-type]
    assert world.told() == [("m0", "gave up")]


def test_a_refusal_closes_the_breaker() -> None:
    world = World().opened(0)
    world.now = OPEN_S
    route = world.route()
    assert route.begin() == 0
    assert ended(route, REFUSED)
    assert [world.route().begin() for _ in range(2)] == [0, 0]


def test_what_is_out_is_not_begun_anew() -> None:
    world = World()
    route = world.route()
    route.begin()
    assert ended(route, GONE, given=True)
    assert world.told() == [("m0", "gave up")]


def test_answers_that_always_break_off_open_the_breaker_too() -> None:
    world = World()
    for _ in range(MAX_FAILURES):
        route = world.route()
        assert route.begin() == 0
        assert ended(route, GONE, given=True)
    assert world.route().begin() == 1


@pytest.mark.parametrize(("wait_s", "then"), [(MAX_WAIT_S, 0), (MAX_WAIT_S + 0.1, 1), (60.0, 1)])
def test_who_wants_to_be_left_alone_for_long_is(wait_s: float, then: int) -> None:
    route = World().route()
    route.begin()
    assert route.failed(ProviderError("llm", "429", retry_after_s=wait_s), given=False) == then


def test_a_spent_budget_falls_back_at_once() -> None:
    route = World(n_retries=0).route()
    assert (route.begin(), route.failed(GONE, given=False)) == (0, 1)


def test_a_retry_that_is_not_made_costs_nothing() -> None:
    world = World(n_retries=1)
    for error in (FINAL, ProviderError("llm", "429", retry_after_s=60)):
        route = world.route()
        assert (route.begin(), route.failed(error, given=False)) == (0, 1)
    assert world.budget.take()


def test_who_is_left_alone_is_skipped_and_nobody_asks_twice() -> None:
    world = World(3).opened(0, 2)
    route = world.route()
    assert route.begin() == 1
    assert route.failed(GONE, given=False) == 1
    assert ended(route, GONE)
    told = [("m0", "skipped"), ("m1", "retried"), ("m1", "gave up"), ("m2", "skipped")]
    assert world.told() == told


def test_nobody_is_asked_when_all_are_left_alone() -> None:
    world = World().opened(0, 1)
    with pytest.raises(ProviderError, match="nobody is asked"):
        world.route().begin()
    assert world.told() == [("m0", "skipped"), ("m1", "skipped")]


def test_no_retry_with_the_failure_that_opens_the_breaker() -> None:
    world = World()
    for _ in range(MAX_FAILURES - 1):
        world.members[0].breaker.failed()
    route = world.route()
    assert (route.begin(), route.failed(GONE, given=False)) == (0, 1)


def test_a_try_after_a_while_closes_it() -> None:
    world = World().opened(0)
    world.now = OPEN_S
    route = world.route()
    assert route.begin() == 0
    assert world.route().begin() == 1
    route.answered()
    assert world.route().begin() == 0


ERRORS = st.sampled_from([GONE, FINAL, ProviderError("llm", "429", retry_after_s=9), REFUSED])


@given(st.integers(1, 4), st.integers(0, 3), st.lists(st.tuples(ERRORS, st.booleans()), max_size=9))
def test_every_failure_is_told_once_and_every_way_ends(
    n_members: int, n_retries: int, failures: list[tuple[ProviderError, bool]]
) -> None:
    world = World(n_members, n_retries)
    route = world.route()
    asked, n_failed = [route.begin()], 0
    for error, is_given in failures:
        n_failed += 1
        try:
            asked.append(route.failed(error, given=is_given))
        except ProviderError:
            break
    assert len(world.faults) == n_failed
    assert asked == sorted(asked)
    assert len(asked) - len(set(asked)) <= min(1, n_retries)
    assert [action for _, action in world.told()].count("gave up") <= 1
