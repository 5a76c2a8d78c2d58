"""An answer cut into pieces, whatever the deltas were."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voice_ai.errors import UsageError
from voice_ai.turn import sentences as module
from voice_ai.turn.sentences import SentenceStream


def cut(*deltas: str, language: str = "en", first: int | None = None) -> list[str]:
    """By sentences alone, unless a first clause is asked for."""
    stream = SentenceStream(language, first)
    out = [sentence for delta in deltas for sentence in stream.feed(delta)]
    return out + stream.finish()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n \n",
        "**",
        "``` ",
        "# ",
        "-",
        "...",
        "\u2014 !",
        "\U0001f600!",
        "| | |\n|---|",
        "---\n",
    ],
)
def test_nothing_to_say(text: str) -> None:
    assert cut(text) == cut(text, first=8) == []


def test_a_piece_with_nothing_to_say_is_not_given() -> None:
    assert cut("Yes. \u2014\n\n\U0001f600 No.") == ["Yes. ", "No."]
    assert cut("Yes, I can do that, \u2014", first=8) == ["Yes, I can do that, "]


def test_no_deltas() -> None:
    assert SentenceStream().finish() == []


def test_empty_deltas_between() -> None:
    assert cut("", "One", "", ". T", "", "wo") == ["One. ", "Two"]


@pytest.mark.parametrize("text", ["Hello", "Hello.", "Wait...", "a.m.", "No."])
def test_without_white_space_nothing_is_given_before_the_end(text: str) -> None:
    stream = SentenceStream()
    assert stream.feed(text) == []
    assert stream.finish() == [text]


def test_finish_gives_what_is_left_without_a_space() -> None:
    stream = SentenceStream()
    assert stream.feed("One. Two. And ") == ["One. ", "Two. "]
    assert stream.finish() == ["And"]
    assert cut("One. Two? ") == ["One. ", "Two? "]


@pytest.mark.parametrize("stop", [".", "!", "?"])
def test_a_sentence_is_given_at_the_white_space_after_it(stop: str) -> None:
    stream = SentenceStream()
    assert stream.feed(f"We are open{stop}") == []
    assert stream.feed(" ") == [f"We are open{stop} "]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith is in. ",
        "It is 3.5 km away. ",
        "From 9 a.m. to 6 p.m. we are open. ",
        "Take No. 5 there. ",
        "Mr. J. K. Rowling is out. ",
        "Ask e.g. the front desk. ",
        "Wait... what is it. ",
    ],
)
def test_no_cut_within(text: str) -> None:
    assert cut(text + "Next") == [text, "Next"]


def test_the_word_after_an_abbreviation_decides() -> None:
    stream = SentenceStream()
    assert stream.feed("We open at 9 a.m. ") == []
    assert stream.feed("The") == []
    assert stream.feed(" shop") == ["We open at 9 a.m. "]
    assert stream.finish() == ["The shop"]


def test_voices_join_texts_as_they_come() -> None:
    assert "".join(cut("Your number is 12345. Let me see.")) == "Your number is 12345. Let me see."


def test_white_space_becomes_one_space() -> None:
    assert cut(" We are\nopen \t today.\r\nCome   in. ") == ["We are open today. ", "Come in. "]


def test_marks_of_markdown_are_not_spoken() -> None:
    text = "# Our **hours**\nWe open at `nine`.\n\n- **Monday**\n* Tuesday\n\u2022 closed - sorry"
    assert cut(text) == [
        "Our hours. ",
        "We open at nine. ",
        "Monday. ",
        "Tuesday. ",
        "closed - sorry",
    ]


def test_a_sign_that_is_no_mark_stays() -> None:
    assert cut("It is -3, A* and C# too.") == ["It is -3, A and C# too."]


def test_a_star_is_a_key_but_behind_a_number() -> None:
    assert cut("Press * or #, 5 * 3") == ["Press star or pound, 5 times 3"]
    assert cut("so\n\n* 3") == ["so. ", "3"]


def test_a_number_of_a_list_is_no_sentence() -> None:
    assert cut("1. Come in. 2. Sit down.") == ["1. Come in. ", "2. Sit down."]


def test_a_blank_line_ends_a_sentence() -> None:
    assert cut("Our hours\n\nNine to five") == ["Our hours. ", "Nine to five"]
    assert cut("Our hours\n``` \nNine to five") == ["Our hours. ", "Nine to five"]


@pytest.mark.parametrize("end", [".", "!", "?", ":", ",", "\u2014", "...", '."', ".)"])
def test_what_ends_in_a_mark_gets_no_stop(end: str) -> None:
    assert cut(f"Our hours{end}\n\nNine") == [f"Our hours{end} ", "Nine"]


@pytest.mark.parametrize("end", ["5", "five", '"five"', "(five)", "5 percent"])
def test_what_ends_in_no_mark_gets_a_stop(end: str) -> None:
    assert cut(f"Our hours {end}\n\nNine") == [f"Our hours {end}. ", "Nine"]


def test_the_cells_of_a_table() -> None:
    text = "| Day | Hours |\n|-----|-------|\n| Mon | 9-5, |\n|Tue|closed|\nSo | what"
    assert cut(text) == ["Day, Hours. ", "Mon, 9-5, ", "Tue, closed. ", "So, what"]


def test_a_mark_behind_an_emoji_goes_to_the_word_before() -> None:
    assert cut("Thanks \U0001f600! So") == ["Thanks! ", "So"]
    assert cut("Thanks! \U0001f600! So") == ["Thanks! ", "So"]
    assert cut("Thanks\n\n\U0001f600, so") == ["Thanks. ", "so"]
    assert cut("\U0001f600, so") == ["so"]


def test_words_for_a_word_stand_together() -> None:
    assert cut("Write to a@b.org. So") == ["Write to a at b dot org. ", "So"]


def test_an_address_ends_a_sentence_in_any_delta() -> None:
    assert cut("See [our", " page](https://exam", "ple.org/a). **Tha", "nks**") == [
        "See our page. ",
        "Thanks",
    ]


def test_a_first_clause_of_too_few_words_is_refused() -> None:
    with pytest.raises(UsageError, match="of 2 words .* takes 3 or more"):
        SentenceStream(first_clause_words=2)


def test_the_first_clause_is_given_at_the_white_space_behind_it() -> None:
    stream = SentenceStream()
    assert stream.feed("Sure, we can do that,") == []
    assert stream.feed(" ") == ["Sure, we can do that, "]
    assert stream.feed("and we are glad to, as you know, ") == []
    assert stream.finish() == ["and we are glad to, as you know,"]


def test_the_first_clause_without_a_mark_takes_the_word_behind_it() -> None:
    stream = SentenceStream()
    assert stream.feed("I can book a nice table for you at") == []
    assert stream.feed(" seven ") == ["I can book a nice table for you "]
    assert stream.finish() == ["at seven"]


def test_a_sentence_that_ends_sooner_is_the_first_piece() -> None:
    assert cut("Sure. We can do that, and gladly.", first=8) == [
        "Sure. ",
        "We can do that, and gladly.",
    ]


def test_what_is_complete_anyway_is_not_cut() -> None:
    assert cut("I can book a nice table for you tonight. So", first=8) == [
        "I can book a nice table for you tonight. ",
        "So",
    ]


def test_a_first_clause_does_not_hide_what_the_sentence_was() -> None:
    """Neither is "5." a list's number here, nor "No." a word of its own."""
    assert cut("The number you want is, 5. Then", first=8) == [
        "The number you want is, ",
        "5. ",
        "Then",
    ]
    assert cut("You can take it or, say, No. 5 there.", first=8) == [
        "You can take it or, ",
        "say, No. 5 there.",
    ]


def test_a_pause_gives_all_and_begins_anew() -> None:
    stream = SentenceStream()
    assert stream.pause() == []
    assert stream.feed("Sure, I can do that, one moment.") == ["Sure, I can do that, "]
    assert stream.pause() == ["one moment. "]
    assert stream.feed("- So, it is done, and ") == ["So, it is done, "]
    assert stream.finish() == ["and"]


def test_the_text_around_a_pause_does_not_run_together() -> None:
    stream = SentenceStream()
    stream.feed("Let me see")
    assert stream.pause() == ["Let me see "]
    stream.feed("It is")
    assert stream.finish() == ["It is"]


@pytest.mark.parametrize(
    ("text", "pieces", "is_whole"),
    [
        ("", [], True),
        ("No sen", [], True),
        ("One. Two", ["One. "], True),
        ("One. Two.", ["One. ", "Two. "], True),
        ("Open at 9 a.m.", ["Open at 9 a.m. "], True),
        ("Open at 9 a.m. Tod", ["Open at 9 a.m. "], True),
        ("It is 3.5", [], True),
        ("As far as I can see, there is", ["As far as I can see, "], False),
        ("As far as I can see, there is.", ["As far as I can see, ", "there is. "], True),
        ("As far as I can see, there is. So", ["As far as I can see, ", "there is. "], True),
    ],
)
def test_a_text_that_breaks_off_ends_at_its_last_sentence(
    text: str, pieces: list[str], is_whole: bool
) -> None:
    stream = SentenceStream(first_clause_words=5)
    assert stream.feed(text) + stream.cut() == pieces
    assert stream.is_whole is is_whole


def test_another_language() -> None:
    assert cut("Das gilt z.B. heute. Gut.", language="de") == ["Das gilt z.B. heute. ", "Gut."]


def test_sentencex_is_shown_a_bounded_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the cost linear: no look is longer than so many words, and few words need one."""
    shown = []

    def segment(language: str, text: str) -> list[str]:
        shown.append(len(text.split()))
        return list(genuine(language, text))

    genuine = module.segment
    monkeypatch.setattr(module, "segment", segment)
    assert cut("Mr. " * 2000) == [("Mr. " * 2000).rstrip()]
    assert max(shown) == module._WORDS_BACK + 1
    assert len(shown) <= 4 * 2000
    shown.clear()
    assert cut("Mr. " + "Smith " * 2000) == ["Mr. " + ("Smith " * 2000).rstrip()]
    assert len(shown) <= 4


def test_what_was_given_is_dropped() -> None:
    stream = SentenceStream()
    for _ in range(100):
        assert stream.feed("We are open. ") == ["We are open. "]
        assert stream._sentence == stream._word == []


WORDS = st.sampled_from(
    "We are open. Dr. Smith 9 a.m. to No. 5 1. 2. 3.5 km! Really?! ... \u2026 (He left.) for the, "
    '"Yes." **bold** `code` # - * \u2022 U.S. etc. The end\u3002 \u00e9t\u00e9. *so* | [a b](c) '
    "``` > 1) yes, a@b.org. 5% \U0001f600! --- _ \u2014".split()
)
GAPS = st.sampled_from([" ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", ""])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=30).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
) | st.text(max_size=60)
FIRST = st.none() | st.integers(3, 12)


@given(TEXTS, FIRST, st.data())
@example("We are open. The shop", None, None)
def test_any_cutting_gives_the_same_pieces(
    text: str, first: int | None, data: st.DataObject | None
) -> None:
    whole = cut(text, first=first)
    assert cut(*text, first=first) == whole
    if data and text:
        at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
        edges = zip([0, *at], [*at, len(text)], strict=True)
        assert cut(*(text[start:end] for start, end in edges), first=first) == whole


@given(TEXTS, st.integers(3, 12))
def test_a_first_clause_changes_no_word(text: str, first: int) -> None:
    def words(pieces: list[str]) -> list[str]:
        return [word for word in "".join(pieces).split() if any(map(str.isalnum, word))]

    assert words(cut(text, first=first)) == words(cut(text))


PROSE = st.lists(
    st.sampled_from(
        "We are open, Dr. Smith: 9 a.m. to No. 5 3.5 (He left.) the yes; $5 5:30 I'm".split()
    ),
    max_size=30,
)


@given(PROSE, st.sampled_from([" ", "  ", "\n", "\t"]), FIRST)
def test_joined_it_is_the_text(words: list[str], gap: str, first: int | None) -> None:
    assert "".join(cut(gap.join(words), first=first)).rstrip() == " ".join(words)


@given(TEXTS, FIRST)
def test_every_piece_ends_in_one_space_and_has_text(text: str, first: int | None) -> None:
    pieces = cut(text, first=first)
    for piece in pieces:
        assert any(map(str.isalnum, piece))
        assert not re.search(r"[`[\]|]|\s\s|^\s", piece)
    assert all(piece.endswith(" ") for piece in pieces[:-1])
