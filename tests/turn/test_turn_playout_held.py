"""The ledger of turns that are held and go on, and of fillers; and against a far end that plays."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.turn.playout import Heard, Playout

NOTHING = Heard("", 0.0, False)
TEXT = "We are open from nine to five on weekdays. "  # 43 characters


def begun(turn: int = 3, text: str = TEXT) -> Playout:
    playout = Playout()
    playout.begin(turn, 1000)
    playout.text(turn, text)
    return playout


# Holding and resuming.


def held(at_ms: float, *, words: str = TEXT) -> Playout:
    """A turn of 4,300 ms, 10 characters a second, held when so much of it was heard."""
    playout = begun(text=words)
    playout.sent(3, 100 * len(words), 1000)
    playout.finish(3)
    playout.hold(3, 1000 + at_ms)
    return playout


def test_hold_tells_how_much_was_left() -> None:
    playout = begun()
    assert playout.hold(3, 1000) == 0
    playout = begun()
    playout.sent(3, 4000, 1000)
    assert playout.hold(2, 2500) == 0
    assert playout.hold(3, 2500) == 2500
    assert playout.hold(3, 2600) == 0


def test_a_held_turn_stands_still() -> None:
    playout = held(1450)
    for now in (2450, 2500, 99_000):
        assert playout.heard(3, now) == Heard("We are open from", 1450, False)
        assert playout.remaining_ms(3, now) == 0


@pytest.mark.parametrize(
    ("at_ms", "from_ms"),
    [
        (0, 0),
        (150, 0),  # in "We"
        (200, 200),  # at its very end
        (250, 200),  # between words
        (590, 200),  # at the end of "are", nearly
        (600, 600),
        (1450, 1100),  # in "from"
        (4150, 3200),  # in "weekdays."
        (4200, 4200),
        (4300, 4200),
    ],
)
def test_it_goes_on_with_the_word_that_was_cut(at_ms: float, from_ms: float) -> None:
    assert held(at_ms).resume(3) == pytest.approx(from_ms)


def test_what_is_heard_after_it_went_on() -> None:
    playout = held(1450)
    assert playout.resume(3) == pytest.approx(1100)
    assert playout.heard(3, 9000) == Heard("We are open from", 1450, False)
    assert playout.sent(3, 3200, 9000) == "3.1:4300"
    assert playout.heard(3, 9700).text == "We are open from"
    assert playout.remaining_ms(3, 9700) == pytest.approx(2500)
    assert playout.echoed(playout.finish(3)) == 3
    assert playout.heard(3, 9700) == Heard(TEXT.strip(), pytest.approx(4300), True)


def test_marks_of_before_say_nothing() -> None:
    playout = begun()
    before = [playout.sent(3, 400, 1000), playout.sent(3, 400, 1000), playout.finish(3)]
    playout.hold(3, 1030)
    assert [playout.echoed(name or "") for name in before] == [None] * 3
    assert playout.resume(3) == 0
    assert playout.sent(3, 400, 2000) == "3.1:400"
    assert [playout.echoed(name or "") for name in before] == [None] * 3
    assert playout.heard(3, 2050).position_ms == 50
    assert playout.echoed("3.1:400") is None
    assert playout.heard(3, 2050).position_ms == 400
    playout.hold(3, 2100)
    assert [playout.echoed(name or "") for name in before] == [None] * 3
    playout.resume(3)
    assert playout.finish(3) == "3.2:end"


def test_what_is_not_held_does_not_go_on() -> None:
    playout = begun()
    assert playout.resume(3) is None
    playout.sent(3, 400, 1000)
    assert playout.resume(3) is None
    playout.hold(3, 1100)
    assert playout.resume(2) is None
    assert playout.resume(3) == 0
    assert playout.resume(3) is None


def test_a_turn_that_was_cleared_is_not_held_and_does_not_go_on() -> None:
    playout = begun()
    playout.sent(3, 400, 1000)
    playout.clear(3, 1100)
    assert playout.hold(3, 1200) == 0
    assert playout.resume(3) is None
    playout = held(1450)
    playout.clear(3, 9000)
    assert playout.heard(3, 9000).position_ms == 1450
    assert playout.resume(3) is None


def test_a_held_turn_is_over_when_another_one_begins() -> None:
    playout = held(1450)
    playout.begin(5, 9000)
    assert playout.resume(3) is None
    assert playout.resume(5) is None


def test_text_and_exact_points_that_are_told_while_held_are_taken() -> None:
    playout = begun(text="We are open ")
    playout.sent(3, 1200, 1000)
    playout.hold(3, 1300)
    playout.text(3, "from nine")
    playout.spoken_to(3, 12)
    assert playout.sent(3, 400, 1350) is None
    assert playout.finish(3) == "3:end"
    assert playout.resume(3) == pytest.approx(200)
    # Sent again, piece by piece: what is told meanwhile is about all of it.
    playout.sent(3, 400, 2000)
    playout.spoken_to(3, 11)
    playout.sent(3, 600, 2000)
    playout.sent(3, 900, 2000)
    playout.finish(3)
    assert playout.heard(3, 2000 + 1000).text == "We are open"
    assert playout.heard(3, 2000 + 1900).text == "We are open from nine"


def test_other_turns_tell_nothing_to_a_held_one() -> None:
    playout = held(1450)
    playout.text(2, "never")
    playout.spoken_to(2, 3)
    playout.spoken_to(4, 3)
    assert playout.resume(3) == pytest.approx(1100)


# Fillers: sound before the turn's own.


def filled(at_ms: float | None = None) -> Playout:
    """A filler of 800 ms and then "abcd efgh" in 900 ms."""
    playout = begun(text="")
    playout.sent(3, 800, 1000)
    playout.spoken_to(3, 0)
    playout.text(3, "abcd efgh")
    playout.sent(3, 900, 1000)
    playout.finish(3)
    if at_ms is not None:
        playout.hold(3, 1000 + at_ms)
    return playout


def test_a_filler_is_no_word() -> None:
    texts = [filled().heard(3, 1000 + now).text for now in (799, 800, 999, 1000, 1500, 1700)]
    assert texts == ["", "", "", "abcd", "abcd efgh", "abcd efgh"]


def test_the_pace_after_a_filler_is_that_of_the_words() -> None:
    playout = begun(text="")
    playout.sent(3, 5000, 1000)
    playout.spoken_to(3, 0)
    playout.text(3, "abcd efgh ijkl mnop")
    playout.sent(3, 900, 1000)
    playout.spoken_to(3, 9)
    playout.sent(3, 1000, 1000)
    assert playout.heard(3, 7400).text == "abcd efgh ijkl"


@pytest.mark.parametrize(
    ("at_ms", "from_ms"), [(0, 0), (500, 0), (800, 800), (1100, 800), (1200, 1200), (1500, 1200)]
)
def test_a_filler_is_said_again_only_if_it_was_cut(at_ms: float, from_ms: float) -> None:
    assert filled(at_ms).resume(3) == pytest.approx(from_ms)


def test_a_second_filler() -> None:
    playout = begun(text="")
    for _ in range(2):
        playout.sent(3, 800, 1000)
        playout.spoken_to(3, 0)
    playout.text(3, "abcd")
    playout.sent(3, 400, 1000)
    playout.finish(3)
    assert playout.heard(3, 2790).text == ""
    assert playout.heard(3, 2800).text == "abcd"


# How far back it may still go.


def test_nothing_is_given_up_of_what_was_not_heard() -> None:
    playout = begun()
    assert playout.resumable_ms(3) == playout.resumable_ms(2) == 0
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 12)
    playout.sent(3, 1000, 1000)
    playout.spoken_to(3, 21)
    assert playout.resumable_ms(3) == 0


def test_what_was_heard_up_to_an_exact_point_that_stays_is_given_up() -> None:
    playout = begun()
    mark = playout.sent(3, 1200, 1000)
    playout.spoken_to(3, 12)
    assert mark is not None and playout.echoed(mark) is None
    assert playout.resumable_ms(3) == 0  # the point may yet be corrected
    playout.sent(3, 300, 1000)
    playout.spoken_to(3, 14)
    assert playout.resumable_ms(3) == pytest.approx(1100)  # "open" ends at 11
    playout.clear(3, 2400)
    playout.begin(4, 3000)
    assert playout.resumable_ms(3) == playout.resumable_ms(4) == 0


# Against a far end that really plays, with words whose times are known.


@dataclass
class Player:
    """A buffer that plays what arrives and is emptied by `clear`; each way takes `way_ms`."""

    way_ms: float
    played: list[list[float]] = field(default_factory=list)  # when, from which position, how much
    marks: list[tuple[float, str]] = field(default_factory=list)

    @property
    def ends_at(self) -> float:
        return self.played[-1][0] + self.played[-1][2] if self.played else 0.0

    def media(self, position_ms: float, n_ms: float, sent_at: float) -> None:
        self.played.append([max(sent_at + self.way_ms, self.ends_at), position_ms, n_ms])

    def mark(self, name: str | None, sent_at: float) -> None:
        if name:
            self.marks.append((max(self.ends_at, sent_at + self.way_ms) + self.way_ms, name))

    def clear(self, sent_at: float) -> None:
        at = sent_at + self.way_ms
        self.played = [[when, where, min(n, at - when)] for when, where, n in self.played]
        self.played = [piece for piece in self.played if piece[2] > 0]
        self.marks = [(min(when, at + self.way_ms), name) for when, name in self.marks]

    def position_ms(self, at: float) -> float:
        """How far the turn was played, at the most."""
        begun = [piece for piece in self.played if piece[0] < at]
        return max((where + min(n, at - when) for when, where, n in begun), default=0.0)

    def stretches(self) -> list[list[float]]:
        """What was played, from and to which position, without a break in the turn's audio."""
        joined: list[list[float]] = []
        for _, where, n_ms in self.played:
            if joined and joined[-1][1] == pytest.approx(where, abs=0.01):
                joined[-1][1] = where + n_ms
            else:
                joined.append([where, where + n_ms])
        return joined


class Speech:
    """A turn spoken word by word, faster than it is heard, through a ledger to a player.

    A word takes 100 ms and 50 for each letter, more or less as `evenness` draws it; the voice
    tells exact points every `exact` words.
    """

    def __init__(
        self,
        lengths: list[int],
        way_ms: float,
        exact: int,
        evenness: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.words = ["x" * n for n in lengths]
        self.times_ms = [(100 + 50 * n) * evenness() for n in lengths]
        self.exact = exact
        self.playout, self.far = Playout(), Player(way_ms)
        self.now = self.sent_ms = self.given_up_ms = 0.0
        self.ends: list[float] = []
        self.playout.begin(3, 0)

    def say(self, n_words: int) -> None:
        first = len(self.ends)
        for word, n_ms in list(zip(self.words, self.times_ms, strict=True))[first:][:n_words]:
            self.playout.text(3, word + " ")
            self._put(self.sent_ms, n_ms)
            self.sent_ms += n_ms
            self.ends.append(self.sent_ms)
            if len(self.ends) % self.exact == 0:
                spoken = self.words[: len(self.ends)]
                self.playout.spoken_to(3, sum(map(len, spoken)) + len(spoken) - 1)

    def _put(self, position_ms: float, n_ms: float) -> None:
        self.far.media(position_ms, n_ms, self.now)
        self.far.mark(self.playout.sent(3, n_ms, self.now), self.now)

    def wait(self, ms: float) -> bool:
        """Let time go by; returns whether the last mark came back in it."""
        self.now += ms
        due = sorted(mark for mark in self.far.marks if mark[0] <= self.now)
        self.far.marks = [mark for mark in self.far.marks if mark[0] > self.now]
        is_over = any([self.playout.echoed(name) == 3 for _, name in due])
        self.given_up_ms = max(self.given_up_ms, self.playout.resumable_ms(3))
        return is_over

    def cough(self, ms: float) -> None:
        """Be held for so long, and go on."""
        left_ms = self.playout.hold(3, self.now)
        self.far.clear(self.now)
        self.check()
        self.wait(ms)
        self.check()
        position_ms = self.playout.resume(3)
        assert position_ms is not None and left_ms <= self.sent_ms - position_ms + 0.01
        # What was given up is not asked for, by less than the octets of a ms.
        assert position_ms >= self.given_up_ms - 0.01
        while position_ms < self.sent_ms:
            n_ms = min(400.0, self.sent_ms - position_ms)
            self._put(position_ms, n_ms)
            position_ms += n_ms

    def check(self) -> None:
        """The ledger knows how far the far end is, and which words that are."""
        heard = self.playout.heard(3, self.now)
        played_ms = self.far.position_ms(self.now + self.far.way_ms)
        assert heard.position_ms == pytest.approx(played_ms, abs=0.01)
        # A word was heard if half of it was.
        begins = [0.0, *self.ends[:-1]]
        n_words = sum((b + e) / 2 <= played_ms for b, e in zip(begins, self.ends, strict=False))
        assert abs(len(heard.text.split()) - n_words) <= (1 if self.exact == 1 else 2)

    def finish(self) -> None:
        self.say(len(self.words))
        self.far.mark(self.playout.finish(3), self.now)


Steps = list[tuple[str, int, int]]
WORDS = st.lists(st.integers(1, 12), min_size=1, max_size=30)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "wait", "wait", "cough"]), st.integers(1, 6), st.integers(0, 1500)
    ),
    max_size=12,
)


def spoken(lengths: list[int], way_ms: int, steps: Steps, exact: int) -> Speech:
    speech = Speech(lengths, way_ms, exact)
    for step, n_words, ms in steps:
        match step:
            case "say":
                speech.say(n_words)
            case "wait":
                assert not speech.wait(ms)
                speech.check()
            case "cough" if speech.ends:
                speech.cough(ms)
    return speech


@given(WORDS, st.integers(0, 300), STEPS, st.integers(0, 12_000), st.sampled_from([1, 5]))
def test_the_words_of_before_a_barge_in_however_often_it_was_held(
    lengths: list[int], way_ms: int, steps: Steps, at_ms: int, exact: int
) -> None:
    speech = spoken(lengths, way_ms, steps, exact)
    speech.finish()
    speech.wait(at_ms)
    speech.playout.clear(3, speech.now)
    speech.far.clear(speech.now)
    speech.check()
    assert not speech.wait(9_000)
    speech.check()


@given(WORDS, st.integers(0, 300), STEPS, st.sampled_from([1, 5]))
def test_nothing_is_left_out_and_no_whole_word_is_said_twice(
    lengths: list[int], way_ms: int, steps: Steps, exact: int
) -> None:
    speech = spoken(lengths, way_ms, steps, exact)
    speech.finish()
    assert speech.wait(99_000)
    text = " ".join(speech.words)
    assert speech.playout.heard(3, speech.now) == Heard(text, pytest.approx(speech.sent_ms), True)
    stretches = speech.far.stretches()
    assert stretches[0][0] == 0
    for (_, before), (begin, _) in pairwise(stretches):
        assert begin <= before + 0.01
    assert stretches[-1][1] == pytest.approx(speech.sent_ms)
    if exact == 1:
        for begin, end in pairwise([0.0, *speech.ends]):
            whole = [it for it in stretches if it[0] <= begin + 0.01 and end - 0.01 <= it[1]]
            assert len(whole) == 1


def test_two_hundred_barge_ins_at_random_moments() -> None:
    dice = random.Random(4)
    for _ in range(200):
        lengths = [dice.choice([1, 2, 3, 3, 4, 4, 5, 6, 7, 9]) for _ in range(40)]
        speech = Speech(lengths, dice.randrange(200), 8, lambda: dice.uniform(0.7, 1.4))
        for _ in range(dice.randrange(4)):
            speech.say(dice.randrange(1, 14))
            speech.wait(dice.uniform(0, 4_000))
            speech.cough(dice.uniform(0, 1_200))
        speech.finish()
        speech.wait(dice.uniform(0, speech.sent_ms))
        speech.playout.clear(3, speech.now)
        speech.far.clear(speech.now)
        speech.check()
