"""What may not be read is not, and the rest is as it was."""

import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import ProtocolError
from voice_ai.server.logs import CleanFormatter
from voice_ai.server.redaction import Redaction, masked, unquoted

SECRET = "s3cret/+ word"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8000",
        "192.168.100.200 took 0.123456789 s",
        "call CA00000000000000000000000000000001: begun",
        "process 12345-0a1b2c3d.lock",
        "outbound-123456789012abcdef",
        "turn 3: 20 ms after 12345678 octets",
        "a token of ours",
    ],
)
def test_what_is_nobodys_stays(text: str) -> None:
    assert Redaction([SECRET, "", "abc"])(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("to +4915112345634.", "to +49*********34."),
        ("to +49 151 123-456 34", "to +49*********34"),
        ("to (+1 (555) 010-0001)", "to (+15*******01)"),
        ("04930901820", "04*******20"),
        ("card 4111 1111 1111 1111!", "card 41************11!"),
        ("card '4111-1111-1111-1111'", "card '41************11'"),
        ("key sk-proj-abc_def-12345678", "key sk-***"),
        ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer ***"),
        ("Authorization: Token 0123456789abcdef0123", "Authorization: Token ***"),
        (f"{SECRET}{SECRET}", "******"),
        ("a=s3cret%2F%2B%20word&b=s3cret%2F%2B+word", "a=***&b=***"),
        ("Basic QUM6czNjcmV0Lysgd29yZA==", "Basic ***"),
        ("QUM6czNjcmV0Lysgd29yZA==", "***"),
        ("czNjcmV0Lysgd29yZA==", "***"),
    ],
)
def test_what_is_somebodys_goes(text: str, clean: str) -> None:
    assert Redaction([SECRET], [("AC", SECRET)])(text) == clean


@given(st.text(), st.text(st.characters(exclude_categories=["Cs"]), min_size=4), st.text())
def test_no_secret_survives(before: str, secret: str, after: str) -> None:
    assert secret not in Redaction([secret])(f"{before}{secret}{after}") or secret in "***"


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_no_number_survives(number: str) -> None:
    clean = Redaction()(f"call from {number}: begun")
    assert clean == f"call from {masked(number)}: begun" and number[3:-2] not in clean


def test_what_is_quoted_goes_and_apostrophes_stay() -> None:
    text = "event 'a \\' b' or \"it's\"; needed b'x', the caller's voice"
    assert unquoted(text) == "event '...' or '...'; needed '...', the caller's voice"


def formatted(record: logging.LogRecord, with_texts: bool = False) -> str:
    formatter = CleanFormatter(Redaction([SECRET]), with_texts=with_texts)
    return formatter.format(record).partition(": ")[2]


def record(message: str, *args: object, name: str = "voice_ai.x", error: bool = False):
    info = sys.exc_info() if error else None
    return logging.LogRecord(name, logging.INFO, "x.py", 1, message, args, info)


def test_arguments_are_cleaned_and_the_record_is_left_to_others() -> None:
    made = record("%s called %s", SECRET, "+15550100001")
    assert formatted(made) == "*** called +15*******01"
    assert made.args == (SECRET, "+15550100001")


def test_of_an_exception_its_kind_and_place_are_told_and_of_ours_the_text() -> None:
    try:
        try:
            raise KeyError("the caller's words")
        except KeyError as error:
            raise ProtocolError("unknown event 'words'; needed media") from error
    except ProtocolError:
        made = record("it failed", error=True)
    logging.Formatter().format(made)  # another one, which leaves the whole text in the record
    told = formatted(made)
    assert "words" not in told and "test_of_an_exception" in told
    assert "builtins.KeyError" in told
    assert "voice_ai.errors.ProtocolError: unknown event '...'; needed media" in told
    assert "the caller's words" in formatted(made, with_texts=True)


def test_a_group_tells_all_that_is_in_it() -> None:
    try:
        raise ExceptionGroup(
            "words", [ValueError("words"), ExceptionGroup("w", [OSError("words")])]
        )
    except ExceptionGroup:
        told = formatted(record("it failed", error=True))
    assert "words" not in told and "builtins.ValueError" in told and "builtins.OSError" in told


def test_what_a_task_gave_back_is_not_told() -> None:
    text = "Executing <Task finished name='T' result='words' created at x> took 0.2 seconds"
    assert "words" not in formatted(record(text, name="asyncio"))
    assert "words" in formatted(record(text, name="asyncio"), with_texts=True)
