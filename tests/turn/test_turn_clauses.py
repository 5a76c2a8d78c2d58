"""How much of an answer can be spoken before its first sentence is finished."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.turn.clauses import LEAST, clause_end


def ends(text: str, following: str | None = None, language: str = "en", most: int = 8) -> str:
    words = text.split()
    return " ".join(words[: clause_end(words, following, language, most)])


@pytest.mark.parametrize("following", [None, "word", "Word", "5", "\u2014"])
@pytest.mark.parametrize("text", ["", "Yes,", "Well, yes,", "One two three", "\u2014", "- -"])
def test_too_short_to_cut(text: str, following: str | None) -> None:
    assert ends(text, following) == ""


@pytest.mark.parametrize("mark", [",", ";", ":", " \u2014", " \u2013", " -", ",\u201d", ",)", ',"'])
def test_a_mark_behind_three_words(mark: str) -> None:
    text = f"We can do that{mark}"
    assert ends(text, "so") == text
    assert ends(text, "Anna") == text
    assert ends(text, "5") == text


@pytest.mark.parametrize("mark", [",", ";", ":", ",\u201d"])
def test_a_mark_behind_a_word_in_small_letters_needs_no_next_word(mark: str) -> None:
    assert ends(f"We can do that{mark}") == f"We can do that{mark}"


@pytest.mark.parametrize(
    "text",
    [
        "We are in Paris,",  # France
        "It was March 3,",  # 2026
        "It costs about 5,",  # 6 or 7
        "It is two, three,",  # four
        "We are at 12 baker street,",  # London
        "See you at 9 a.m.,",
        "Come by at five o'clock,",
    ],
)
def test_a_mark_that_needs_the_next_word(text: str) -> None:
    assert ends(text) == ""


@pytest.mark.parametrize(
    ("text", "within", "behind"),
    [
        ("We are in Paris,", "France", "so"),
        ("We are in Paris,", "5", "I"),
        ("It was on March 3,", "2026", "and"),
        ("It was on Monday,", "March", "I'm"),
        ("It costs about 5,", "6", "or"),
        ("It is two, three,", "four", "and"),
        ("We are at 12 baker street,", "London", "around"),
        ("We are at 12 baker street,", "apartment", "so"),
        ("Please call 415-555-0134,", "extension", "or"),
        ("Ask for Smith,", "John", "please"),
        ("We have this \u2014", "...", "if"),
    ],
)
def test_the_next_word_decides(text: str, within: str, behind: str) -> None:
    assert ends(text, within) == ""
    assert ends(text, behind) == text


@pytest.mark.parametrize("following", ["the", "The", "5"])
def test_never_at_a_mark_behind_an_abbreviation(following: str) -> None:
    assert ends("Our fruit, e.g.,", following) == ""


def test_the_last_place_before_a_phrase() -> None:
    eight = "I can book a table for you at"
    assert ends(eight, "our") == "I can book a table for you"
    assert ends("I can book you a very nice table", "for") == "I can book you a very nice table"


def test_fewer_words_than_asked_for_are_not_cut() -> None:
    assert ends("I can book a table for you", "at") == ""
    assert ends("I can book a table for you", "at", most=7) == "I can book a table for you"
    assert ends("I can book", "at", most=3) == ""


def test_without_a_phrase_more_words_are_awaited() -> None:
    words = "Small green birds sing loud clear happy morning songs every single bright day".split()
    for n_words in range(8, 12):
        assert ends(" ".join(words[:n_words]), words[n_words]) == ""
    assert ends(" ".join(words[:12]), words[12]) == " ".join(words[:12])


def test_at_last_still_not_behind_a_word_that_leans() -> None:
    words = "Small green birds sing loud clear happy morning songs near some of the my your the"
    assert ends(words, "big") == "Small green birds sing loud clear happy morning songs near"
    assert ends("the " * 30, "big") == ""


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("the", "dog"),
        ("of", "it"),
        ("my", "to"),
        ("at", "noon"),
        ("and", "from"),
        ("room", "5"),
        ("5", "for"),
        ("$5", "for"),
        ("five", "to"),
        ("twenty-five", "to"),
        ("Dr.", "for"),
        ("(Dr.)", "for"),
        ("noon", "p.m"),
        ("Harbour", "Street"),
        ("calm", "\u2014"),
        ("...", "for"),
    ],
)
def test_no_cut_between(before: str, behind: str) -> None:
    text = "the " * 12 + before
    assert ends(text, behind) == ""
    assert ends(f"{text} {behind}", "the") in ("", f"{text} {behind}")


def test_a_capital_before_small_letters_is_no_name() -> None:
    assert ends("the " * 12 + "Monday", "for") != ""
    assert ends("the " * 12 + "Monday", "I") != ""


def test_a_mark_where_no_clause_ends_is_no_place_later() -> None:
    text = "the the we are at 12 baker street, london"
    assert ends(text, "for") == text
    assert ends("the the we are at 12 Baker Street, London the", "Park") == ""


@pytest.mark.parametrize(
    ("language", "text", "following", "piece"),
    [
        (
            "de",
            "Ich habe da noch einen freien Termin f\u00fcr",
            "Sie",
            "Ich habe da noch einen freien Termin",
        ),
        ("de", "Sie k\u00f6nnen uns gern um f\u00fcnf Uhr", "anrufen", ""),
        ("de", "Das geht sehr gut,", "aber", "Das geht sehr gut,"),
        (
            "es",
            "Tenemos una mesa libre para usted a las",
            "ocho",
            "Tenemos una mesa libre para usted",
        ),
        ("es", "Son las treinta", "y", ""),
    ],
)
def test_other_languages(language: str, text: str, following: str, piece: str) -> None:
    assert ends(text, following, language) == piece


def test_a_language_that_is_not_known_is_cut_at_marks() -> None:
    assert ends("Jag kan boka ett bord till dig i morgon kv\u00e4ll", "om", "sv") == ""
    assert ends("Det kan jag g\u00f6ra,", None, "sv") == "Det kan jag g\u00f6ra,"
    assert ends("Vi ses klockan 5,", "6", "sv") == ""


WORDS = st.sampled_from(
    "we can book the table for of and 5 five $3 March 3, Street, London, Dr. p.m. e.g., - \u2014 "
    "... that, Anna my I (so) \u201cyes,\u201d twenty-one it".split()
)


@given(st.lists(WORDS, max_size=20), st.none() | WORDS, st.integers(3, 12))
def test_a_clause_is_long_enough_and_no_number_is_parted(
    words: list[str], following: str | None, most: int
) -> None:
    end = clause_end(words, following, "en", most)
    assert end == 0 or 3 <= end <= len(words)
    rest = [*words[end:], *([following] if following else [])]
    if end and rest:
        numbers = ("5", "five", "$3", "3,", "twenty-one")
        assert words[end - 1] not in ("the", "for", "of", "and", "my", "I", "Dr.", "e.g.,", "...")
        assert not (words[end - 1] in numbers and rest[0] in numbers)
    if end and not words[end - 1].endswith((",", "-", "\u2014", ",\u201d")):
        assert end >= LEAST
