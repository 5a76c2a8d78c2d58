import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import ProtocolError
from voice_ai.wire.flux import (
    Connected,
    FluxError,
    FluxOther,
    FluxWarning,
    TurnInfo,
    parse_flux,
    silent_until_s,
)

END_OF_TURN = b"""{"type":"TurnInfo","request_id":"5a2c","sequence_id":7,"event":"EndOfTurn",
 "turn_index":0,"audio_window_start":0.0,"audio_window_end":1.84,"transcript":"Hello there.",
 "words":[{"word":"Hello","confidence":0.98,"start":0.4,"end":0.8},
          {"word":"there.","confidence":0.97,"start":0.8,"end":1.5}],
 "end_of_turn_confidence":0.87,"trigger":"model"}"""
UPDATE = {
    "type": "TurnInfo",
    "event": "Update",
    "turn_index": 3,
    "audio_window_start": 9,
    "audio_window_end": 9.25,
    "transcript": "",
    "words": [],
}


def turn_info(**changes: object) -> str:
    return json.dumps(UPDATE | changes)


@pytest.mark.parametrize("data", ["", "{", "hello", b"\xff\xfe", "{'type': 'Connected'}"])
def test_what_is_not_json_is_refused_by_its_length(data: str | bytes) -> None:
    with pytest.raises(ProtocolError, match=f"{len(data)} characters that are not JSON") as caught:
        parse_flux(data)
    assert caught.value.close_code == 1007


@pytest.mark.parametrize(("data", "kind"), [("[]", "list"), ("null", "NoneType"), ("7", "int")])
def test_what_is_no_object_is_refused(data: str, kind: str) -> None:
    with pytest.raises(ProtocolError, match=f"JSON {kind}, needed an object"):
        parse_flux(data)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"event": None}, "'event' is a NoneType, needed str"),
        ({"turn_index": "0"}, "'turn_index' is a str, needed int"),
        ({"turn_index": True}, "'turn_index' is a bool, needed int"),
        ({"turn_index": 1.0}, "'turn_index' is a float, needed int"),
        ({"audio_window_end": None}, "'audio_window_end' is a NoneType, needed float"),
        ({"audio_window_start": "x"}, "'audio_window_start' is a str, needed float"),
        ({"transcript": 5}, "'transcript' is a int, needed str"),
        ({"words": {"a": 1}}, "'words' is a dict, needed list"),
        ({"words": ["hello"]}, "a str among the words, needed an object"),
        (
            {"words": [{"word": "hello", "end": 1.5}, {"word": "you"}]},
            "'end' is a NoneType, needed float",
        ),
    ],
)
def test_a_broken_turn_info_is_refused_by_its_field(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ProtocolError, match=told):
        parse_flux(turn_info(**changes))


def test_no_error_quotes_what_was_said() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_flux(turn_info(transcript="my card is 4111", words="my card is 4111"))
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize("kind", ["ConfigureSuccess", "ConfigureFailure", "Brand New", None, 7])
def test_what_nobody_acts_upon_is_let_through(kind: object) -> None:
    assert parse_flux(json.dumps({"type": kind, "more": [1]})) == FluxOther(str(kind))


def test_a_message_without_a_type_is_let_through() -> None:
    assert parse_flux("{}") == FluxOther("None")


@pytest.mark.parametrize("deep", ["[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000])
def test_what_is_nested_deeper_than_python_shows_is_let_through(deep: str) -> None:
    kind = "list" if deep[0] == "[" else "dict"
    assert parse_flux(f'{{"type":{deep}}}') == FluxOther(kind)
    assert parse_flux(f'{{"type":"Error","code":{deep},"description":7}}') == FluxError(kind, "7")


def test_missing_words_and_transcript_are_none() -> None:
    assert parse_flux(turn_info(words=None, transcript=None)) == TurnInfo(
        "Update", 3, 9, 9.25, "", None
    )


def test_an_event_that_is_newer_than_this_code_is_let_through() -> None:
    message = parse_flux(turn_info(event="TurnPondered", mood="calm"))
    assert isinstance(message, TurnInfo) and message.event == "TurnPondered"


def test_end_of_turn() -> None:
    assert parse_flux(END_OF_TURN) == TurnInfo(
        event="EndOfTurn",
        turn_index=0,
        window_start_s=0.0,
        window_end_s=1.84,
        transcript="Hello there.",
        speech_end_s=1.5,
    )


def test_connected() -> None:
    data = '{"type":"Connected","request_id":"5a2c","sequence_id":0}'
    assert parse_flux(data) == Connected("5a2c")


def test_warning() -> None:
    data = '{"type":"Warning","request_id":"5a2c","sequence_id":9,"code":"SLOW","description":"d"}'
    assert parse_flux(data) == FluxWarning("SLOW", "d")


def test_error_even_without_a_description() -> None:
    data = '{"type":"Error","sequence_id":10,"code":"INTERNAL_SERVER_ERROR"}'
    assert parse_flux(data) == FluxError("INTERNAL_SERVER_ERROR", "")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(
    SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=3), SCALARS),
    st.sampled_from(sorted(UPDATE)),
)
def test_whatever_stands_in_a_field_it_is_read_or_refused(value: object, name: str) -> None:
    try:
        parse_flux(json.dumps(UPDATE | {name: value}))
    except ProtocolError as error:
        assert "needed" in str(error) or "not JSON" in str(error)


# An Update of a silence, read in passing.

SILENT = (
    '{"type":"TurnInfo","request_id":"r","sequence_id":7,"event":"Update","turn_index":0,'
    '"audio_window_start":0.0,"audio_window_end":%s,"transcript":%s,"words":[]}'
)


@pytest.mark.parametrize("seconds", ["1.84", "0", "12", "3600.25"])
def test_an_update_of_silence_says_how_far_it_heard(seconds: str) -> None:
    data = SILENT % (seconds, '""')
    assert silent_until_s(data) == float(seconds)
    info = parse_flux(data)
    assert isinstance(info, TurnInfo)
    assert info.window_end_s == float(seconds)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        SILENT % ("1.0", '"Hello"'),
        SILENT.replace("Update", "EndOfTurn") % ("1.0", '""'),
        SILENT.replace("audio_window_end", "window_end") % ("1.0", '""'),
        SILENT % ("-1.0", '""'),
        SILENT % ("null", '""'),
        SILENT % ("1e3", '""'),
        SILENT % ('"1.0"', '""'),
        (SILENT % ("1.0", '""')).replace(":", ": "),
        (SILENT % ("1.0", '""'))[:-1],
        '"transcript":"" "event":"Update" "audio_window_end":1.0',
    ],
)
def test_whatever_else_is_left_to_the_parser(data: str) -> None:
    assert silent_until_s(data) is None
