"""Where a text goes on after a voice broke off."""

from hypothesis import given
from hypothesis import strategies as st

from voice_ai.providers.fallback.script import BARELY, CHARS_PER_MS, MAX_PIECES, Pace, Script

PER_MS = 16


def script(*pieces: str) -> Script:
    made = Script(PER_MS)
    for piece in pieces:
        made.add(piece)
    return made


def sound(n_chars: float, pace: Pace) -> int:
    """Octets that speak so many characters."""
    return round(n_chars / pace.chars_per_ms * PER_MS)


def test_an_empty_text() -> None:
    empty = script("", "")
    assert (empty.piece(0), empty.is_spoken, empty.resume(Pace())) == ("", True, 0)


def test_without_a_sound_it_goes_on_from_what_was_confirmed() -> None:
    text = script("One two. ", "Three.")
    text.confirm(9, Pace())
    assert (text.resume(Pace()), text.is_spoken) == (9, False)
    text.confirm(15, Pace())
    assert (text.resume(Pace()), text.is_spoken) == (15, True)


def test_audio_without_end_is_at_the_texts_end() -> None:
    text, pace = script("One two. "), Pace()
    text.n_octets = sound(999, pace)
    assert (text.resume(pace), text.is_spoken, text.n_octets) == (9, True, 0)
    assert round(text.total_ms) == round(999 / CHARS_PER_MS)


def test_a_word_that_was_cut_is_left_and_one_hardly_begun_is_said_again() -> None:
    pace = Pace()
    for n_chars, goes_on_at in ((0.5, 0), (1.5, 5), (3.9, 5), (4.2, 5), (5.9, 5), (7, 9)):
        text = script("Four five ")
        text.n_octets = sound(n_chars, pace)
        assert text.resume(pace) in ((goes_on_at, 10) if goes_on_at == 9 else (goes_on_at,))


def test_pieces_are_given_as_they_came_but_the_first() -> None:
    text, pace = script("One two. ", "Three. ", "Four."), Pace()
    text.n_octets = sound(4, pace)
    at, pieces = text.resume(pace), []
    while piece := text.piece(at):
        pieces.append(piece)
        at += len(piece)
    assert pieces == ["two. ", "Three. ", "Four."]


def test_many_pieces_become_few_enough_for_any_voice() -> None:
    text = script(*(f"{n} " for n in range(100)))
    at, pieces = text.resume(Pace()), []
    text.add("more ")
    while piece := text.piece(at):
        pieces.append(piece)
        at += len(piece)
    assert len(pieces) == MAX_PIECES + 1
    assert "".join(pieces) == text.text


def test_the_pace_is_learnt_and_a_short_word_tells_little() -> None:
    pace = Pace()
    pace.learn(4, 900)
    assert 0.75 * CHARS_PER_MS < pace.chars_per_ms < CHARS_PER_MS
    for nothing in ((0, 500), (5, 0)):
        before = pace.chars_per_ms
        pace.learn(*nothing)
        assert pace.chars_per_ms == before
    pace.learn(4000, 4000 / 0.02)
    assert abs(pace.chars_per_ms - 0.02) < 0.001


@given(
    st.lists(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_wherever_it_breaks_off_one_word_at_most_is_cut(
    clauses: list[list[str]], share: float
) -> None:
    text, pace = script(*(" ".join(words) + " " for words in clauses)), Pace()
    n_chars = share * len(text.text)
    text.n_octets = sound(n_chars, pace)
    at = text.resume(pace)
    assert at == 0 or text.text[at - 1] == " "
    left_out = text.text[int(n_chars) + 1 : at].split()
    again = text.text[at : int(n_chars)].split(" ")
    assert len(left_out) <= 1
    assert len(again) == 1 and len(again[0]) <= BARELY * 9 + 1
