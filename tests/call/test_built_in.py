"""The built-in tools: what the model is told of them, and which wishes can come true."""

import pytest

from voice_ai.agent import tool
from voice_ai.call.built_in import (
    ENDS,
    HANG_UP,
    MAX_BRIEFING_CHARS,
    MAX_KEYS,
    NAMES,
    PRESSED,
    SEND_DIGITS,
    TRANSFER,
    BuiltIn,
    Transfer,
    Wishes,
)
from voice_ai.call.tools import ToolBox
from voice_ai.errors import UsageError
from voice_ai.providers.protocols import ToolRequested

DESK = {"front desk": "+15550100009", "sales": "+15550100008"}


def asked(name: str, arguments: str = "{}") -> ToolRequested:
    return ToolRequested("c1", name, arguments)


def taken(name: str, arguments: str, built_in: BuiltIn | None = None) -> tuple[str, Wishes]:
    wishes = Wishes()
    given = built_in or BuiltIn(DESK, briefs=True, sends_digits=True)
    return given.take(asked(name, arguments), wishes), wishes


def test_nobody_is_put_through_and_no_key_is_pressed_unless_the_agent_may() -> None:
    bare = BuiltIn()
    assert bare.specs == (HANG_UP,)
    assert not bare.has(asked(TRANSFER))
    assert not bare.has(asked("send_digits"))


@pytest.mark.parametrize("name", NAMES)
def test_their_names_are_taken_also_when_they_are_not_offered(name: str) -> None:
    def own() -> None:
        """Do it."""

    own.__name__ = name
    with pytest.raises(UsageError, match=f"cannot be called '{name}', which is built in"):
        ToolBox([tool(own)])


def test_the_model_sees_names_and_no_numbers() -> None:
    _, spec, digits = BuiltIn(DESK, briefs=True, sends_digits=True).specs
    assert spec.parameters["properties"]["to"] == {"type": "string", "enum": [*DESK]}
    assert spec.parameters["required"] == ["to", "briefing"]
    assert spec.parameters["additionalProperties"] is False
    assert "+1555" not in str(spec)
    assert digits == SEND_DIGITS
    _, spec = BuiltIn(DESK).specs
    assert spec.parameters["required"] == ["to"]


@pytest.mark.parametrize(
    "arguments", ["", "{}", '{"to":null}', '{"to":"+15550100009"}', '{"to":["front desk"]}']
)
def test_somebody_who_is_not_in_the_list(arguments: str) -> None:
    answer, wishes = taken(TRANSFER, arguments)
    assert answer == "Nobody of that name can be reached. Those who can: front desk, sales."
    assert wishes == Wishes()


@pytest.mark.parametrize("name", [TRANSFER, "send_digits"])
@pytest.mark.parametrize("arguments", ["[]", "1", '"x"', '{"to":', "\x00"])
def test_arguments_that_are_none(name: str, arguments: str) -> None:
    answer, wishes = taken(name, arguments)
    assert answer.startswith("The arguments ")
    assert wishes == Wishes()


@pytest.mark.parametrize("digits", ["null", "12", '""', '"1 2"', '"x"', '"+1"', '"a"'])
def test_keys_that_there_are_not(digits: str) -> None:
    answer, wishes = taken("send_digits", f'{{"digits":{digits}}}')
    assert answer.startswith("The arguments do not fit: digits are of 0123456789*#ABCD")
    assert not wishes.digits


def test_more_keys_than_anybody_presses() -> None:
    assert taken("send_digits", f'{{"digits":"{"1" * MAX_KEYS}"}}')[0] == PRESSED
    answer, wishes = taken("send_digits", f'{{"digits":"{"1" * (MAX_KEYS + 1)}"}}')
    assert answer == f"At most {MAX_KEYS} keys are pressed at once."
    assert not wishes.digits


def test_wishes() -> None:
    wishes, built_in = Wishes(), BuiltIn(DESK, briefs=True, sends_digits=True)
    assert built_in.take(asked("hang_up", "nonsense"), wishes) == ENDS
    assert built_in.take(asked("send_digits", '{"digits":"1*"}'), wishes) == PRESSED
    last = asked("send_digits", '{"digits":"#"}')
    assert built_in.take(last, wishes) == PRESSED
    request = asked(TRANSFER, '{"to":"sales","briefing":"Mr  Smith\\nwants a bicycle."}')
    assert "put through to sales" in built_in.take(request, wishes)
    transfer = Transfer(request, "sales", "+15550100008", "Mr Smith wants a bicycle.")
    assert wishes == Wishes(True, transfer, "1*#", last)


def test_a_briefing_that_would_go_on_and_on() -> None:
    _, wishes = taken(TRANSFER, f'{{"to":"sales","briefing":"{"word " * 500}"}}')
    assert wishes.transfer and len(wishes.transfer.briefing) == MAX_BRIEFING_CHARS
