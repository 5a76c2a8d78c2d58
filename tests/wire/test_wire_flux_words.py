"""The words of a Flux message with their places."""

import json
from typing import Any

import pytest

from voice_ai.wire.flux_words import TimedWord, timed_words


def message(transcript: Any, words: Any) -> str:
    return json.dumps({"type": "TurnInfo", "transcript": transcript, "words": words})


HELLO = {"word": "hello", "confidence": 0.9, "start": 0.4, "end": 0.8}
THERE = {"word": "there", "confidence": 0.9, "start": 1, "end": 1.5}


@pytest.mark.parametrize("words", [None, []])
def test_no_words(words: Any) -> None:
    assert timed_words(message("", words)) == []


def test_a_message_without_the_fields() -> None:
    assert timed_words(b"{}") == []


@pytest.mark.parametrize(
    "odd",
    [
        "there",
        None,
        {"word": "there"},
        {"word": "there", "start": 1.0},
        {"word": 3, "start": 1.0, "end": 2.0},
        {"word": "there", "start": "1", "end": 2.0},
    ],
)
def test_one_word_without_a_place_and_none_has(odd: Any) -> None:
    assert timed_words(message("hello there", [HELLO, odd])) == []


def test_words_have_the_transcripts_text() -> None:
    assert timed_words(message("Hello, there.", [HELLO, THERE])) == [
        TimedWord("Hello,", 0.4, 0.8),
        TimedWord("there.", 1.0, 1.5),
    ]


@pytest.mark.parametrize("transcript", [None, "", "Hello", "Hello to you"])
def test_words_have_their_own_text_where_the_transcript_has_not_as_many(transcript: Any) -> None:
    timed = timed_words(message(transcript, [HELLO, THERE]))
    assert [word.text for word in timed] == ["hello", "there"]
