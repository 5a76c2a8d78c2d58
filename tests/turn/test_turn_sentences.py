"""An answer cut into sentences, whatever the deltas were."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voice_ai.turn import sentences as module
from voice_ai.turn.sentences import SentenceStream


def cut(*deltas: str, language: str = "en") -> list[str]:
    stream = SentenceStream(language)
    out = [sentence for delta in deltas for sentence in stream.feed(delta)]
    return out + stream.finish()


@pytest.mark.parametrize("text", ["", " ", "\n \n", "**", "``` ", "# ", "-"])
def test_nothing_to_say(text: str) -> None:
    assert cut(text) == []


def test_no_deltas() -> None:
    assert SentenceStream().finish() == []


def test_empty_deltas_between() -> None:
    assert cut("", "One", "", ". T", "", "wo") == ["One. ", "Two"]


@pytest.mark.parametrize("text", ["Hello", "Hello.", "...", "a.m.", "No."])
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
        "Our hours ",
        "We open at nine. ",
        "Monday ",
        "Tuesday ",
        "closed - sorry",
    ]


def test_a_sign_that_is_no_mark_stays() -> None:
    assert cut("It is #5 and -3, 5 * 3 and C# too.") == ["It is #5 and -3, 5 * 3 and C# too."]


def test_a_number_of_a_list_is_no_sentence() -> None:
    assert cut("1. Come in. 2. Sit down.") == ["1. Come in. ", "2. Sit down."]


def test_a_blank_line_ends_a_sentence() -> None:
    assert cut("Our hours\n\nNine to five") == ["Our hours ", "Nine to five"]
    assert cut("Our hours\n``` \nNine to five") == ["Our hours ", "Nine to five"]


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
    "We are open. Dr. Smith 9 a.m. to No. 5 1. 2. 3.5 km! Really?! ... \u2026 (He left.) "
    '"Yes." **bold** `code` # - * \u2022 U.S. etc. The end\u3002 \u00e9t\u00e9. *'.split()
)
GAPS = st.sampled_from([" ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", ""])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=30).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
) | st.text(max_size=60)


@given(TEXTS, st.data())
@example("We are open. The shop", None)
def test_any_cutting_gives_the_same_sentences(text: str, data: st.DataObject | None) -> None:
    whole = cut(text)
    assert cut(*text) == whole
    if data and text:
        at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
        edges = zip([0, *at], [*at, len(text)], strict=True)
        assert cut(*(text[start:end] for start, end in edges)) == whole


@given(TEXTS)
def test_joined_it_is_the_text_without_marks(text: str) -> None:
    line_marks = re.compile(r"(#{1,6}|[-*\u2022])")
    words = []
    for line in text.split("\n"):
        spoken = [word for part in line.split() if (word := re.sub(r"\*\*|`+", "", part))]
        words += spoken[1:] if spoken and line_marks.fullmatch(spoken[0]) else spoken
    assert "".join(cut(text)).rstrip() == " ".join(words)


@given(TEXTS)
def test_every_sentence_ends_in_one_space_and_has_text(text: str) -> None:
    sentences = cut(text)
    for sentence in sentences[:-1]:
        assert sentence.strip() + " " == sentence
    for sentence in sentences[-1:]:
        assert sentence.strip() == sentence.removesuffix(" ") != ""
