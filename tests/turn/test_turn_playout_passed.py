"""Audio and marks that were sent past the ledger: it asks before it is told or judges anything."""

import pytest

from voice_ai.turn.playout import Ahead, Passed, Playout


class Way:
    """Sends without telling, and says so when it is asked."""

    def __init__(self) -> None:
        self.passed = Passed()
        self.n_asked = 0

    def __call__(self) -> Passed:
        self.n_asked += 1
        passed, self.passed = self.passed, Passed()
        return passed


@pytest.fixture
def way() -> Way:
    return Way()


@pytest.fixture
def playout(way: Way) -> Playout:
    made = Playout()
    made.begin(3, 1000.0, way)
    return made


def test_nothing_is_ahead_of_nothing(playout: Playout) -> None:
    assert playout.ahead(3) is None
    assert playout.ahead(2) is None


def test_where_the_books_are_is_told(playout: Playout) -> None:
    playout.sent(3, 100.0, 1000.0)
    playout.sent(3, 350.0, 1010.0)
    assert playout.ahead(3) == Ahead(1450.0, "3", 450.0, 850.0, 400.0)


def test_of_a_turn_that_was_cleared_nothing_may_be_sent(playout: Playout) -> None:
    playout.sent(3, 100.0, 1000.0)
    playout.clear(3, 1050.0)
    assert playout.ahead(3) is None


def test_what_passed_is_counted_when_it_is_asked_for(playout: Playout, way: Way) -> None:
    playout.sent(3, 100.0, 1000.0)
    way.passed = Passed([(1050.0, 200.0), (1400.0, 50.0)])
    assert playout.remaining_ms(3, 1410.0) == 40.0
    assert playout.remaining_ms(3, 1410.0) == 40.0


def test_marks_that_passed_come_back(playout: Playout, way: Way) -> None:
    playout.sent(3, 100.0, 1000.0)
    way.passed = Passed([(1050.0, 400.0)], [("3:400", 400.0)])
    assert playout.echoed("3:400") is None
    assert playout.heard(3, 1000.0).position_ms == 400.0
    n_asked = way.n_asked
    way.passed = Passed([(1050.0, 400.0)], [("3:800", 800.0)])
    assert playout.sent(3, 20.0, 1060.0) is None
    assert playout.echoed("3:800") is None
    assert way.n_asked == n_asked + 1
    assert playout.heard(3, 1000.0).position_ms == 800.0


def test_what_passes_behind_a_clear_is_not_heard(playout: Playout, way: Way) -> None:
    playout.sent(3, 100.0, 1000.0)
    playout.clear(3, 1050.0)
    way.passed = Passed([(1060.0, 200.0)], [("3:300", 300.0)])
    assert playout.heard(3, 2000.0).position_ms == 50.0
    assert playout.echoed("3:300") is None


def test_the_turn_before_is_asked_no_more(playout: Playout, way: Way) -> None:
    playout.begin(4, 2000.0)
    way.passed = Passed([(2000.0, 200.0)])
    assert playout.remaining_ms(4, 2000.0) == 0.0
    assert way.n_asked == 0


def test_where_a_mark_is_can_be_asked_before_it_is_taken(playout: Playout, way: Way) -> None:
    playout.sent(3, 100.0, 1000.0)
    assert playout.mark_ms("3:400") is None
    way.passed = Passed([(1050.0, 400.0)], [("3:400", 400.0)])
    assert [playout.mark_ms("3:400") for _ in range(2)] == [400.0, 400.0]
    playout.echoed("3:400")
    assert playout.mark_ms("3:400") is None
    playout.finish(3)
    playout.clear(3, 1100.0)
    assert playout.mark_ms("3:end") is None
