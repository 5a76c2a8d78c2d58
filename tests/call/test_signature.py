"""What the model is told of a tool's parameters, and what it may send for them."""

import datetime
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from voice_ai.agent import Tool, tool
from voice_ai.call.signature import Signature, split_docstring
from voice_ai.errors import UsageError
from voice_ai.providers.openai.items import allows_strict


class Part(enum.Enum):
    MORNING = "morning"
    EVENING = "evening"


@dataclass
class Guest:
    name: str
    age: int


class Table(BaseModel):
    seats: int = 2


def nothing() -> None:
    """Do nothing."""


def book(
    day: datetime.date,
    part: Part,
    guests: list[Guest],
    schema: str,
    model_config: Literal["a", "b"] = "a",
    seats: Annotated[int, Field(ge=1)] = 2,
    note: str | None = None,
) -> str:
    """Book a table.

    Ask for the name first.

    Args:
        day: the day,
            not today.
        part (Part): part of the day: either.
        schema: as drawn.
        seats: how many.

    Returns:
        What was booked.
    """
    return note or ""


BOOK = Signature(tool(book))
ARGUMENTS = (
    '{"day":"2026-12-24","part":"evening","guests":[{"name":"Ann","age":7}],"schema":"round"%s}'
)


# What the model is told.


def test_no_parameters():
    assert Signature(tool(nothing)).description == "Do nothing."
    assert Signature(tool(nothing)).schema == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_the_docstring_without_its_arguments_is_the_description():
    expected = "Book a table.\n\nAsk for the name first.\n\nReturns:\n    What was booked."
    assert BOOK.description == expected


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("", ("", {})),
        ("Args:", ("Args:", {})),
        ("Args:\n", ("Args:\n", {})),
        ("Say Args:\n    day: x", ("Say Args:\n    day: x", {})),
        (
            "Say.\nArgs:\n  a: one\n  b(int):two\n    more\n",
            ("Say.", {"a": "one", "b": "two more"}),
        ),
        ("Say.\n\nArgs:\n  a: x: y\nMore.", ("Say.\n\nMore.", {"a": "x: y"})),
    ],
)
def test_docstrings(text, split):
    assert split_docstring(text) == split


def test_every_parameter_is_required_and_one_with_a_default_may_be_null():
    properties = BOOK.schema["properties"]
    assert BOOK.schema["required"] == list(properties)
    assert properties["day"] == {
        "type": "string",
        "format": "date",
        "description": "the day, not today.",
    }
    assert properties["part"] == {
        "anyOf": [{"$ref": "#/$defs/Part"}],
        "description": "part of the day: either.",
    }
    assert properties["seats"] == {
        "anyOf": [{"minimum": 1, "type": "integer"}, {"type": "null"}],
        "description": "how many. Default: 2",
    }
    assert properties["model_config"]["description"] == 'Default: "a"'
    assert properties["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_a_schema_is_strict():
    assert allows_strict(BOOK.schema)
    assert BOOK.schema["$defs"]["Guest"]["additionalProperties"] is False


def test_a_schema_that_cannot_be_strict_is_one_all_the_same():
    def look(anything, table: Table, sizes: dict[str, int]):
        """Look."""

    schema = Signature(tool(look)).schema
    assert not allows_strict(schema)
    assert schema["required"] == ["anything", "table", "sizes"]


def callback(then: Callable[[], None]) -> None:
    """Take what no JSON is."""


def unknown(of: "Nobody") -> None:  # noqa: F821
    """Name what is not there."""


class Odd:
    pass


def odd(of: Odd) -> None:
    """Take an object of another kind."""


@pytest.mark.parametrize("function", [callback, unknown, odd])
def test_parameters_that_no_model_can_be_told_of(function):
    with pytest.raises(UsageError, match=f"tool {function.__name__!r} has parameters that"):
        Signature(Tool(function))


# What it may send.


def test_no_arguments_are_none():
    assert Signature(tool(nothing)).read("") == Signature(tool(nothing)).read("{}") == {}


def test_arguments_are_of_the_annotated_kinds():
    assert BOOK.read(ARGUMENTS % "") == {
        "day": datetime.date(2026, 12, 24),
        "part": Part.EVENING,
        "guests": [Guest("Ann", 7)],
        "schema": "round",
    }
    assert BOOK.read(ARGUMENTS % ',"model_config":"b","seats":4')["model_config"] == "b"


def test_null_is_the_default_but_for_a_parameter_without_one():
    assert "seats" not in BOOK.read(ARGUMENTS % ',"seats":null')

    def take(of: Any):
        """Take anything."""

    assert Signature(tool(take)).read('{"of":null}') == {"of": None}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{", "1 wrong: JSON: Invalid JSON"),
        ("[]", "1 wrong: JSON: Input should be an object"),
        (ARGUMENTS % ',"seats":"many"', "1 wrong: seats: Input should be a valid integer"),
        (ARGUMENTS % ',"p0":"2026-01-01"', "1 wrong: p0: Extra inputs are not permitted"),
        ("{}", "4 wrong: day: Field required; part: Field required; guests"),
        ('{"a":1,"b":2,"c":3}', "7 wrong: "),
    ],
)
def test_arguments_that_do_not_fit(arguments, told):
    with pytest.raises(ValueError, match="^" + told) as refused:
        BOOK.read(arguments)
    assert str(refused.value).count(";") < 5
