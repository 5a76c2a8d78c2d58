"""Which lag of a recogniser's is a reason to leave it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.providers.deepgram.flux_lag import CHANGE_MS, MESSAGES, Lag


def fed(lags_ms: list[float], lag: Lag | None = None) -> list[bool]:
    lag = lag or Lag()
    return [lag.grows(behind_ms) for behind_ms in lags_ms]


def test_a_single_late_message_is_none() -> None:
    assert fed([5000.0]) == [False]


@pytest.mark.parametrize(
    "lags_ms",
    [
        [1200.0] * 20,  # a long way off
        [1200.0, 1280.0, 1120.0, 1200.0] * 5,  # as audio goes out in messages
        [3000.0, 2700.0, 2400.0, 4200.0, 3900.0, 3600.0, 3300.0],  # held up, and catching up
    ],
)
def test_one_that_does_not_get_worse_is_none(lags_ms: list[float]) -> None:
    assert not any(fed(lags_ms))


def test_one_that_grows_is() -> None:
    grows = fed([1000.0 + 80 * n for n in range(6)])
    assert grows == [False] * (MESSAGES - 1) + [True] * 3


def test_one_that_grows_slowly_is_one_day() -> None:
    grows = fed([1000.0 + n for n in range(300)])
    assert grows.index(True) == CHANGE_MS


def test_one_that_ended_begins_anew() -> None:
    lag = Lag()
    fed([1000.0, 1100.0, 1200.0], lag)
    lag.ends()
    assert not any(fed([1300.0, 1400.0, 1500.0], lag))


@given(st.lists(st.floats(1000, 10_000), max_size=MESSAGES - 1))
def test_it_takes_a_few_messages(lags_ms: list[float]) -> None:
    assert not any(fed(lags_ms))
