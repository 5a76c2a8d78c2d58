"""The ledger: late calls, marks, the clock, words; and against a far end that really plays."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.turn.books import CHARS_PER_MS
from voice_ai.turn.playout import Heard, Playout

NOTHING = Heard("", 0.0, False)
TEXT = "We are open from nine to five on weekdays. "  # 43 characters


def begun(turn: int = 3, text: str = TEXT) -> Playout:
    playout = Playout()
    playout.begin(turn, 1000)
    playout.text(turn, text)
    return playout


# Before, after and beside a turn.


def test_before_the_first_turn() -> None:
    playout = Playout()
    assert playout.live == 0
    assert playout.sent(1, 20, 0) is None
    assert playout.finish(1) == "1:end"
    assert playout.echoed("1:end") is None
    assert playout.remaining_ms(1, 0) == 0
    assert playout.heard(1, 0) == NOTHING
    playout.clear(1, 0)
    playout.spoken_to(1, 5)
    playout.text(1, TEXT)
    assert playout.live == 0


def test_a_turn_without_audio() -> None:
    playout = begun()
    playout.spoken_to(3, 10)
    assert playout.heard(3, 9000) == NOTHING
    assert playout.remaining_ms(3, 9000) == 0
    assert playout.echoed(playout.finish(3)) == 3
    assert playout.heard(3, 9000) == Heard("", 0.0, True)


def test_a_turn_without_text() -> None:
    playout = begun(text="")
    playout.sent(3, 500, 1000)
    playout.spoken_to(3, 10)
    playout.finish(3)
    assert playout.heard(3, 9000) == Heard("", 500, False)


def test_no_audio_is_not_sent() -> None:
    playout = Playout(mark_every_ms=0)
    playout.begin(1, 0)
    assert playout.sent(1, 0, 0) is None
    assert playout.heard(1, 100) == NOTHING


def test_unknown_marks_are_ignored() -> None:
    playout = begun()
    playout.sent(3, 500, 1000)
    for name in ("", "3:400", "3:end", "2:500", "4:500", "hello", "3"):
        assert playout.echoed(name) is None
    assert playout.heard(3, 1000) == NOTHING


def test_an_earlier_turn_is_dead() -> None:
    playout = begun(3)
    last = [playout.sent(3, 500, 1000), playout.finish(3)]
    playout.begin(5, 2000)
    assert playout.live == 5
    assert playout.sent(3, 500, 2000) is None
    assert [playout.echoed(name or "") for name in last] == [None, None]
    playout.begin(3, 2000)
    playout.clear(3, 2000)
    playout.text(3, TEXT)
    assert playout.live == 5
    assert playout.heard(3, 9000) == playout.heard(5, 9000) == NOTHING
    assert playout.sent(5, 400, 2000) == "5:400"


def test_a_turn_begun_again_begins_anew() -> None:
    playout = begun(3)
    playout.sent(3, 500, 1000)
    playout.begin(3, 2000)
    assert playout.heard(3, 9000) == NOTHING


def test_nothing_moves_a_cleared_turn() -> None:
    playout = begun()
    assert playout.sent(3, 400, 1000) == "3:400"
    playout.clear(3, 1100)
    assert playout.echoed("3:400") is None
    assert playout.sent(3, 400, 1200) is None
    assert playout.finish(3) == "3:end"
    assert playout.echoed("3:end") is None
    playout.clear(3, 1300)
    assert playout.remaining_ms(3, 1300) == 0
    assert playout.heard(3, 9000).position_ms == 100
    assert playout.live == 3


def test_clear_at_the_very_moment_of_the_end() -> None:
    playout = begun()
    playout.sent(3, 400, 1000)
    end = playout.finish(3)
    playout.clear(3, 1400)
    assert playout.echoed(end) is None
    assert playout.heard(3, 1400) == Heard(TEXT.strip(), 400, False)


# Marks.


def test_a_mark_is_due_every_so_often() -> None:
    playout = begun()
    names = [playout.sent(3, 150, 1000) for _ in range(7)]
    assert names == [None, None, "3:450", None, None, "3:900", None]


def test_the_last_mark_says_the_turn_was_heard() -> None:
    playout = begun()
    name = playout.sent(3, 500, 1000)
    end = playout.finish(3)
    assert playout.echoed(name or "") is None
    assert playout.echoed(end) == 3
    assert playout.echoed(end) is None
    assert playout.heard(3, 1000) == Heard(TEXT.strip(), 500, True)


def test_a_turn_that_broke_off_is_never_complete() -> None:
    playout = begun()
    playout.sent(3, 500, 1000)
    assert playout.echoed(playout.finish(3, whole=False)) == 3
    heard = playout.heard(3, 1500)
    assert (heard.complete, heard.text) == (False, "We are")


def test_the_position_is_never_behind_a_mark() -> None:
    playout = begun()
    playout.sent(3, 400, 1000)
    playout.sent(3, 1000, 1000)
    assert playout.heard(3, 1100).position_ms == 100
    playout.echoed("3:400")
    assert playout.heard(3, 1100).position_ms == 400
    assert playout.heard(3, 1500).position_ms == 500
    assert playout.remaining_ms(3, 1500) == 900


# The clock.


def test_audio_plays_in_real_time_buffer_after_buffer() -> None:
    playout = begun()
    playout.sent(3, 300, 1000)
    playout.sent(3, 300, 1050)
    positions = [playout.heard(3, now).position_ms for now in (900, 1000, 1250, 1450, 1600, 9000)]
    assert positions == [0, 0, 250, 450, 600, 600]


def test_a_gap_in_what_was_sent_is_a_gap_in_what_is_heard() -> None:
    playout = begun()
    playout.sent(3, 300, 1000)
    playout.sent(3, 300, 2000)
    positions = [playout.heard(3, now).position_ms for now in (1250, 1300, 1900, 2000, 2100, 2400)]
    assert positions == [250, 300, 300, 300, 400, 600]


# Words.


def test_exact_points_and_lines_between() -> None:
    playout = begun()
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 11)  # "We are open"
    playout.sent(3, 3000, 1000)
    playout.spoken_to(3, 42)
    assert playout.heard(3, 2000).text == "We are open"
    assert playout.heard(3, 3500).text == "We are open from nine to"
    assert playout.heard(3, 5000).text == TEXT.strip()


def test_half_a_word_counts() -> None:
    playout = begun(text="abcd efgh")
    playout.sent(3, 900, 1000)
    playout.finish(3)
    texts = [playout.heard(3, 1000 + now).text for now in (199, 200, 699, 700)]
    assert texts == ["", "abcd", "abcd", "abcd efgh"]


def test_after_the_last_point_the_pace_goes_on() -> None:
    playout = begun()
    playout.sent(3, 1100, 1000)
    playout.spoken_to(3, 11)
    playout.sent(3, 1000, 1000)
    assert playout.heard(3, 1000 + 1600).text == "We are open from"
    assert playout.heard(3, 1000 + 2100).text == "We are open from nine"


def test_without_points_it_is_the_pace_of_speech_but_not_beyond_the_text() -> None:
    playout = begun()
    playout.sent(3, 10_000, 1000)
    n_chars = len("We are open")
    assert playout.heard(3, 1000 + n_chars / CHARS_PER_MS).text == "We are open"
    assert playout.heard(3, 11_000).text == TEXT.strip()


def test_a_point_is_corrected_by_a_later_one_at_the_same_place() -> None:
    playout = begun()
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 42)
    playout.spoken_to(3, 6)
    assert playout.heard(3, 2000).text == "We are"


def test_points_stay_within_the_text_and_in_order() -> None:
    playout = begun()
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 11)
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 2)
    assert playout.heard(3, 3000).text == "We are open"
    playout.spoken_to(3, 999)
    assert playout.heard(3, 3000).text == TEXT.strip()


def test_finish_does_not_overrule_an_exact_point() -> None:
    playout = begun()
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 11)
    playout.finish(3)
    assert playout.heard(3, 9000).text == "We are open"


# Against a far end.


@dataclass
class FarEnd:
    """Plays what arrives, one after another; each way takes `way_ms`. All times are exact."""

    way_ms: float
    played: list[tuple[float, float]] = field(default_factory=list)  # begin, length
    echoes: list[tuple[float, str]] = field(default_factory=list)

    def media(self, n_ms: float, sent_at: float) -> None:
        self.played.append((max(sent_at + self.way_ms, self.ends_at), n_ms))

    def mark(self, name: str | None, sent_at: float) -> None:
        if name:
            self.echoes.append((max(self.ends_at, sent_at + self.way_ms) + self.way_ms, name))

    @property
    def ends_at(self) -> float:
        return sum(self.played[-1]) if self.played else 0

    def position_ms(self, when: float) -> float:
        return sum(min(n_ms, max(0, when - begin)) for begin, n_ms in self.played)


# In eighths of ms, one octet of the line, sums of floats are exact.
EIGHTHS = st.integers(1, 8 * 900).map(lambda n: n / 8)
SENDS = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.0, 20.0, 700.0]), EIGHTHS), max_size=20)


@given(SENDS, st.integers(0, 400), st.integers(0, 6000))
def test_what_a_far_end_played_until_it_was_cleared(
    sends: list[tuple[float, float]], way_ms: int, cleared_at: int
) -> None:
    playout, far = Playout(), FarEnd(way_ms)
    playout.begin(3, 0)
    now = 0.0
    for wait_ms, n_ms in sends:
        now += wait_ms
        if now > cleared_at:
            break
        far.media(n_ms, now)
        far.mark(playout.sent(3, n_ms, now), now)
    for when, name in far.echoes:
        if when <= cleared_at:
            assert playout.echoed(name) is None
    playout.clear(3, cleared_at)
    for when, name in far.echoes:
        if when > cleared_at:
            assert playout.echoed(name) is None
    assert playout.heard(3, cleared_at).position_ms == far.position_ms(cleared_at + way_ms)


@given(SENDS, st.lists(st.integers(0, 500), min_size=1), st.data())
def test_heard_grows_and_stays_within_what_was_sent_and_the_time_that_went_by(
    sends: list[tuple[float, float]], steps: list[int], data: st.DataObject
) -> None:
    playout, far = Playout(), FarEnd(way_ms=0)
    playout.begin(3, 0)
    playout.text(3, TEXT * 9)
    now = position = sent = 0.0
    for n, step in enumerate(steps):
        now += step
        if n < len(sends):
            n_ms = sends[n][1]
            far.media(n_ms, now)
            far.mark(playout.sent(3, n_ms, now), now)
            sent += n_ms
        if data.draw(st.booleans()):
            for when, name in far.echoes:
                if when <= now:
                    playout.echoed(name)
        heard = playout.heard(3, now)
        assert position <= heard.position_ms <= min(sent, now)
        assert heard.position_ms + playout.remaining_ms(3, now) == pytest.approx(sent)
        assert (TEXT * 9).startswith(heard.text)
        position = heard.position_ms


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(0, 20_000))
def test_at_most_two_words_off_at_an_uneven_pace(lengths: list[int], at_ms: int) -> None:
    """A voice that takes 250 to 500 ms a word and tells exact points every five words."""
    words = ["x" * n for n in lengths]
    playout = begun(text="")
    ends, now = [], 0.0
    for n, word in enumerate(words, 1):
        playout.text(3, word + " ")
        n_ms = 250.0 if len(word) % 2 else 500.0
        playout.sent(3, n_ms, 1000)
        now += n_ms
        ends.append(now)
        if n % 5 == 0:
            playout.spoken_to(3, sum(lengths[:n]) + n)
    playout.finish(3)
    spoken = sum(end <= at_ms for end in ends)
    assert abs(len(playout.heard(3, 1000 + at_ms).text.split()) - spoken) <= 2
