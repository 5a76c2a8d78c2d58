from hypothesis import given
from hypothesis import strategies as st

from voice_ai.providers.local.endpointing import (
    HOP_MS,
    Began,
    Ended,
    Endpointer,
    Paused,
    Resumed,
)

SILENCE_HOPS = 16  # 512 ms: the first whole number of hops that is 500 ms or more
EARLY_HOPS = 8


def told(*stretches: tuple[float, int], endpointer: Endpointer | None = None) -> list:
    judge = endpointer or Endpointer()
    hops = [probability for probability, n_hops in stretches for _ in range(n_hops)]
    return [heard for hop in hops if (heard := judge.push(hop)) is not None]


def test_silence_is_nothing():
    assert told((0.0, 1000)) == []


def test_a_click_of_two_hops_is_no_turn():
    assert told((0.0, 5), (1.0, 2), (0.0, 100)) == []


def test_clicks_that_are_far_apart_do_not_add_up():
    assert told(*[(1.0, 1), (0.0, 3)] * 20) == []


def test_what_is_just_at_the_threshold_is_no_speech():
    assert told((0.5, 50)) == []


def test_a_turn_that_begins_with_the_stream():
    assert told((1.0, 3)) == [Began(0)]


def test_three_of_four_hops_begin_a_turn_at_the_first_of_them():
    assert told((0.0, 10), (1.0, 1), (0.0, 1), (1.0, 2)) == [Began(10)]


def test_a_turn_is_paused_and_then_over():
    first, end = 10, 30
    decided = end + SILENCE_HOPS
    assert told((0.0, first), (1.0, 20), (0.0, 100)) == [
        Began(first),
        Paused(first, end),
        Ended(first, end, decided),
    ]


def test_half_silent_hops_keep_a_turn_open_that_they_could_not_begin():
    assert told((0.4, 100)) == []
    assert told((1.0, 5), (0.4, 100)) == [Began(0)]


def test_a_pause_that_is_none():
    assert told((1.0, 10), (0.0, EARLY_HOPS), (1.0, 10), (0.0, SILENCE_HOPS)) == [
        Began(0),
        Paused(0, 10),
        Resumed(),
        Paused(0, 28),
        Ended(0, 28, 28 + SILENCE_HOPS),
    ]


def test_speech_one_hop_before_the_end_resumes_the_turn():
    heard = told((1.0, 10), (0.0, SILENCE_HOPS - 1), (1.0, 1))
    assert heard == [Began(0), Paused(0, 10), Resumed()]


def test_no_early_pause_when_none_is_wanted():
    judge = Endpointer(silence_ms=500, early_ms=500)
    assert told((1.0, 10), (0.0, 20), endpointer=judge) == [Began(0), Ended(0, 10, 26)]


def test_a_noise_that_never_stops_is_cut():
    judge = Endpointer(max_turn_ms=3200)
    assert told((1.0, 150), endpointer=judge) == [
        Began(0),
        Ended(0, 100, 100),
        Began(100),
    ]


@given(st.lists(st.floats(0, 1), max_size=400))
def test_any_probabilities_make_turns_that_follow_each_other(probabilities):
    judge = Endpointer(max_turn_ms=2000)
    open_since, paused, last_end = None, False, 0
    for n_hops, probability in enumerate(probabilities, 1):
        match judge.push(probability):
            case Began(first):
                assert open_since is None and last_end <= first < n_hops
                open_since = first
            case Paused(first, end):
                assert open_since == first < end < n_hops and not paused
                paused = True
            case Resumed():
                assert paused
                paused = False
            case Ended(first, end, decided):
                assert open_since == first < end <= decided == n_hops
                assert (decided - first) * HOP_MS <= 2000 + HOP_MS
                open_since, paused, last_end = None, False, end
        assert judge.speaking == (open_since is not None)
