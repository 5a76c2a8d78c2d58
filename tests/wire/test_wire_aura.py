import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import ProtocolError
from voice_ai.wire.aura import (
    AuraError,
    AuraOther,
    AuraWarning,
    Cleared,
    Flushed,
    Metadata,
    parse_aura,
    speak,
)


@pytest.mark.parametrize("text", ["", "Hello. ", 'He said "no".\n', "Größe \U0001f600"])
def test_a_request_to_speak_is_json_of_the_text(text: str) -> None:
    assert json.loads(speak(text)) == {"type": "Speak", "text": text}


@pytest.mark.parametrize("data", ["", "{", "hello", b"\xff\xfe"])
def test_what_is_not_json_is_refused_by_its_length(data: str | bytes) -> None:
    with pytest.raises(ProtocolError, match=f"{len(data)} characters that are not JSON") as caught:
        parse_aura(data)
    assert caught.value.close_code == 1007


@pytest.mark.parametrize(("data", "kind"), [("[]", "list"), ("null", "NoneType"), ("7", "int")])
def test_what_is_no_object_is_refused(data: str, kind: str) -> None:
    with pytest.raises(ProtocolError, match=f"JSON {kind}, needed an object"):
        parse_aura(data)


def test_unknown_types_are_let_through() -> None:
    assert parse_aura('{"type":"Sung","key":"C"}') == AuraOther("Sung")
    assert parse_aura("{}") == AuraOther("None")


@pytest.mark.parametrize("deep", ["[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000])
def test_what_is_nested_deeper_than_python_shows_is_let_through(deep: str) -> None:
    kind = "list" if deep[0] == "[" else "dict"
    assert parse_aura(f'{{"type":{deep}}}') == AuraOther(kind)
    assert parse_aura(f'{{"type":"Error","code":{deep},"description":7}}') == AuraError(kind, "7")


def test_metadata() -> None:
    data = (
        '{"type":"Metadata","request_id":"7c","model_name":"aura-2-thalia-en",'
        '"model_version":"2025-04-07.0","model_uuid":"0f"}'
    )
    assert parse_aura(data) == Metadata("7c")


def test_flushed_and_cleared_are_told_apart() -> None:
    """The SDK makes both SpeakV1Flushed."""
    assert parse_aura('{"type":"Flushed","sequence_id":0}') == Flushed()
    assert parse_aura('{"type":"Cleared","sequence_id":0}') == Cleared()
    assert Flushed() != Cleared()


def test_a_warning_with_and_without_a_code() -> None:
    assert parse_aura('{"type":"Warning","description":"d","code":"c"}') == AuraWarning("c", "d")
    assert parse_aura('{"type":"Warning","description":"d"}') == AuraWarning("", "d")


def test_error() -> None:
    assert parse_aura('{"type":"Error","code":"NET-0000","description":"d"}') == AuraError(
        "NET-0000", "d"
    )


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_object_is_read(fields: dict[str, object]) -> None:
    parse_aura(json.dumps(fields))
