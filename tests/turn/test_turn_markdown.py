"""Markdown's marks taken off, word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.turn.markdown import Markdown, Plain


def plain(text: str) -> list[Plain]:
    markdown, out = Markdown(), []
    for n_line, line in enumerate(text.split("\n")):
        out += [
            markdown.plain(word, 1 if n_line and not i else 0)
            for i, word in enumerate(line.split(" "))
        ]
    return out


def texts(text: str) -> list[str]:
    return [word.text for word in plain(text) if word.text]


@pytest.mark.parametrize(
    "word",
    ["**", "***", "__", "```", "~~", "[", "]", "[]", "![", "[]()", "<br>", "|", "[1]", "\\", ">"],
)
def test_nothing_but_marks(word: str) -> None:
    assert texts(f"so {word}")[1:] in ([], [" "], ["\\"], [">"])


@pytest.mark.parametrize(
    "word", ["", "word", "5", "-5", "C#", "a-b", "it's", "(so)", "...", "3*4", "a_b"]
)
def test_a_word_without_marks_stays(word: str) -> None:
    assert Markdown().plain("so").text == "so"
    assert Markdown().plain(word) == Plain(word)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("**bold**", "bold"),
        ("**Note:**", "Note:"),
        ("*so*,", "so,"),
        ("(***so***)", "(so)"),
        ("_so_", "so"),
        ("__init__", "init"),
        ("snake_case", "snake_case"),
        ("un**believ**able", "unbelievable"),
        ("~~old~~", "old"),
        ("~5", "~5"),
        ("`code`", "code"),
        ("2**3", "2**3"),
        ("price*", "price"),
        ("*", "*"),
        ("(*),", "(*),"),
        ("[here](https://example.org/a_(b))!", "here!"),
        ("![logo](logo.png)", "logo"),
        ("Wow![1]", "Wow!"),
        ("[here][1].", "here."),
        ("here[^2],", "here,"),
        ("here\u30104:0\u2020source\u3011.", "here."),
        ("here\ue200cite\ue202turn0\ue201.", "here."),
        ("[1](https://example.org)", ""),
        ("<https://example.org>", "https://example.org"),
        ("<a.b@example.org>.", "a.b@example.org."),
        ("one<br/>two", "one two"),
        ("<b>so</b>", " so "),
        ("5<6", "5<6"),
        ("Q&amp;A", "Q&A"),
        ("R&D", "R&D"),
        ("1\\.", "1."),
        ("\\$5", "$5"),
        ("\\#5", "#5"),
    ],
)
def test_a_word_within_a_line(word: str, text: str) -> None:
    markdown = Markdown()
    markdown.plain("so")
    assert markdown.plain(word) == Plain(text)


@pytest.mark.parametrize(
    "mark",
    ["#", "######", "-", "*", "+", "\u2022", "---", "===", "***", "___", "```", "```python", "~~~"],
)
def test_a_mark_before_a_line_begins_a_sentence_and_its_end_ends_one(mark: str) -> None:
    assert plain(f"so\n{mark} One two\nnext") == [
        Plain("so"),
        Plain("", True),
        Plain("One"),
        Plain("two"),
        Plain("next", True),
    ]


@pytest.mark.parametrize("mark", ["1.", "12)", "a)", "(b)", "1\ufe0f\u20e3", "\u2705"])
def test_the_number_of_an_item_stays_and_so_does_an_emoji(mark: str) -> None:
    assert plain(f"so\n{mark} One\nnext") == [
        Plain("so"),
        Plain(mark, True),
        Plain("One"),
        Plain("next", True),
    ]


def test_marks_before_a_line_may_be_several() -> None:
    assert texts("> - [x] 1. One\n> - [ ] 2. Two\n\u2022Three") == [
        "1.",
        "One",
        "2.",
        "Two",
        "Three",
    ]


def test_a_quotation_goes_on_behind_a_line_feed() -> None:
    assert plain("> One\n> two\n>three") == [
        Plain(""),
        Plain("One"),
        Plain(""),
        Plain("two"),
        Plain("three"),
    ]


def test_a_mark_within_a_line_is_none() -> None:
    assert texts("it is - so # far + 1. ok") == "it is - so # far + 1. ok".split()
    assert not any(word.ends_sentence for word in plain("it is - so # far + 1. ok"))


def test_a_blank_line_ends_a_sentence() -> None:
    markdown = Markdown()
    markdown.plain("One")
    assert markdown.plain("two", 1) == Plain("two")
    assert markdown.plain("three", 2) == Plain("three", True)


def test_the_rows_of_a_table() -> None:
    assert plain("| Day | Hours|\n|---|:-:|\n|Mon|9-5|\nnext") == [
        Plain("", True, True),
        Plain("Day", False, True),
        Plain("", False, True),
        Plain("Hours", False, True),
        Plain("", True),
        Plain("Mon, 9-5", True, True),
        Plain("next", True),
    ]


def test_the_rule_of_a_table() -> None:
    assert texts("| Day | Hours |\n| --- | :-: |\n| Mon | - |") == ["Day", "Hours", "Mon"]
    assert texts("wait --- so") == ["wait", "---", "so"]


def test_the_end_of_a_cell_is_told_with_the_next_word() -> None:
    assert plain("| Mon| Tue") == [
        Plain("", True, True),
        Plain("Mon", False, True),
        Plain("Tue", False, True),
    ]


@pytest.mark.parametrize("mark", ["|", "\u2022", "\u00b7"])
def test_a_mark_between_phrases(mark: str) -> None:
    assert plain(f"Mon {mark} Tue")[1] == Plain("", False, True)


def test_the_title_of_a_link_is_not_said() -> None:
    assert texts('See [our page](https://example.org "Our hours"), please') == [
        "See",
        "our",
        "page",
        ",",
        "please",
    ]


def test_a_link_that_is_not_closed_takes_nothing_along() -> None:
    assert texts("See [it](https://example.org and so") == ["See", "it", "and", "so"]
    assert texts("See [it](https://example.org 'Our\nhours and so") == [
        "See",
        "it",
        "hours",
        "and",
        "so",
    ]


LINES = st.lists(
    st.sampled_from(
        "so **so** _so_ `so` # - * 1. | |so| [so](so) [so](so 'so' so) > ~~so~~ \\*".split()
    ),
    min_size=1,
).map(" ".join)


@given(st.lists(LINES).map("\n".join))
def test_no_word_is_lost_and_no_mark_is_left(text: str) -> None:
    said = " ".join(texts(text))
    assert not set("`[]~\\") & set(said)
    assert said.count("so") <= text.count("so")
    assert said.count("so") >= text.count(" so ")


@given(st.text(max_size=30), st.integers(0, 3))
def test_any_word_will_do(word: str, n_newlines: int) -> None:
    assert isinstance(Markdown().plain(word, n_newlines), Plain)
