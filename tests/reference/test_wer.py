import pytest

from reference.wer import word_errors


def test_nothing_said_and_nothing_heard_is_no_error():
    assert word_errors("", "") == (0, 0)


def test_every_word_heard_in_silence_is_one():
    assert word_errors("", "thank you") == (2, 0)


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("ten of clubs", "10 of clubs."),
        ("nine to six", "9 to 6"),
        ("forty-five pounds", "45 pounds"),
        ("twelve hundred", "12 hundred"),
        ("one thousand two hundred fifty", "1,250"),
        ("zero four", "04"),
        ("mister dashwood", "Mr. Dashwood"),
        ("an ill disposed man", "An ill-disposed man"),
        ("whats that", "What's that?"),
    ],
)
def test_the_same_words_written_in_another_way(reference, hypothesis):
    assert word_errors(reference, hypothesis)[0] == 0


@pytest.mark.parametrize(
    ("hypothesis", "errors"),
    [("ten of clothes", 1), ("ten clubs", 1), ("ten of the clubs", 1), ("", 3), ("five", 3)],
)
def test_a_word_replaced_dropped_or_added_counts_one(hypothesis, errors):
    assert word_errors("ten of clubs", hypothesis) == (errors, 3)
