"""Twilio's messages, both ways: what is refused, then what is documented, then round trips."""

import json
from binascii import b2a_base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import ProtocolError
from voice_ai.wire import twilio

STREAM = "MZ" + "0" * 32
CALL = "CA" + "1" * 32
ACCOUNT = "AC" + "2" * 32

START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": ACCOUNT,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"k": "v"},
    },
    "streamSid": STREAM,
}
MEDIA = {
    "event": "media",
    "sequenceNumber": "3",
    "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "/////w=="},
    "streamSid": STREAM,
}
DTMF = {
    "event": "dtmf",
    "streamSid": STREAM,
    "sequenceNumber": "5",
    "dtmf": {"track": "inbound_track", "digit": "1"},
}
MARK = {"event": "mark", "sequenceNumber": "4", "streamSid": STREAM, "mark": {"name": "t1"}}
STOP = {
    "event": "stop",
    "streamSid": STREAM,
    "sequenceNumber": "5",
    "stop": {"accountSid": ACCOUNT, "callSid": CALL},
}


def changed(message, path, value):
    """Return the message's text with one field replaced, or removed where the value is `...`."""
    copy = json.loads(json.dumps(message))
    *outer, last = path.split(".")
    inner = copy
    for key in outer:
        inner = inner[key]
    inner[last] = value
    if value is ...:
        del inner[last]
    return json.dumps(copy)


def refused(text):
    with pytest.raises(ProtocolError) as caught:
        twilio.parse_message(text)
    return caught.value


@pytest.mark.parametrize(
    "text", ["", b"", "{", "nul", b"\xff", '{"event":"\\ud800"}', "[" * 5000, "\ud800"]
)
def test_what_is_not_json_is_refused_without_quoting_it(text):
    error = refused(text)
    assert error.close_code == 1007
    assert f"a message of {len(text)} characters is not JSON" in str(error)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[]", "an array"),
        ("1", "a number"),
        ('"start"', "a string"),
        ("null", "nothing"),
        ("true", "a boolean"),
    ],
)
def test_what_is_no_object_is_refused(text, kind):
    assert str(refused(text)) == f"needed a JSON object, came {kind}"


@pytest.mark.parametrize("event", [..., None, 1, [], {}, "", "clear", "Start", "x" * 1000])
def test_an_unknown_event_is_refused_briefly(event):
    error = refused(changed(STOP, "event", event))
    assert "unknown event" in str(error)
    assert "needed connected, start, media, mark, dtmf or stop" in str(error)
    assert len(str(error)) < 150
    assert error.close_code == 1002


REQUIRED = [
    (START, "start", "an object"),
    (START, "start.streamSid", "a string"),
    (START, "start.callSid", "a string"),
    (START, "start.accountSid", "a string"),
    (START, "start.tracks", "an array of strings"),
    (START, "start.mediaFormat", "an object"),
    (START, "start.mediaFormat.encoding", "a string"),
    (START, "start.mediaFormat.sampleRate", "a whole number"),
    (START, "start.mediaFormat.channels", "a whole number"),
    (MEDIA, "media", "an object"),
    (MEDIA, "streamSid", "a string"),
    (MEDIA, "sequenceNumber", "a whole number"),
    (MEDIA, "media.chunk", "a whole number"),
    (MEDIA, "media.timestamp", "a whole number"),
    (MEDIA, "media.payload", "a string"),
    (DTMF, "dtmf", "an object"),
    (DTMF, "dtmf.digit", "a string"),
    (DTMF, "streamSid", "a string"),
    (MARK, "mark", "an object"),
    (MARK, "mark.name", "a string"),
    (MARK, "streamSid", "a string"),
    (STOP, "stop", "an object"),
    (STOP, "stop.callSid", "a string"),
    (STOP, "streamSid", "a string"),
]


@pytest.mark.parametrize(("message", "path", "needed"), REQUIRED)
@pytest.mark.parametrize("value", [..., None, True, [1]])
def test_a_missing_or_wrong_field_is_named(message, path, needed, value):
    error = refused(changed(message, path, value))
    assert path.split(".")[-1] in str(error)
    assert f"needed {needed}" in str(error)


@pytest.mark.parametrize("value", ["", "-1", "1.0", " 1", "٣", "9" * 19, -1, 1.5, 10**30, True])
def test_a_number_is_digits(value):
    assert "media.chunk: needed a whole number from 0" in str(
        refused(changed(MEDIA, "media.chunk", value))
    )


def test_numbers_may_be_json_numbers():
    assert twilio.parse_message(changed(MEDIA, "media.timestamp", 5)).timestamp_ms == 5
    start = twilio.parse_message(changed(START, "start.mediaFormat.sampleRate", "8000"))
    assert start.sample_rate_hz == 8000


@pytest.mark.parametrize("payload", ["*", "AA", "AAA", "AAAA\n", "ÄÄÄÄ", "AA==AA==", "🙂"])
def test_what_is_not_base64_is_refused_without_quoting_it(payload):
    error = refused(changed(MEDIA, "media.payload", payload))
    assert str(error) == f"media.payload: {len(payload)} characters that are not base64"
    assert error.close_code == 1007


def test_an_empty_payload_is_refused():
    assert "at least one octet" in str(refused(changed(MEDIA, "media.payload", "")))


def test_the_other_track_is_refused():
    assert "'outbound'; needed 'inbound'" in str(refused(changed(MEDIA, "media.track", "outbound")))


@pytest.mark.parametrize("digit", ["", "12", "a", "E", "x" * 99])
def test_a_digit_is_a_key_of_a_phone(digit):
    assert "needed one of 0-9, *, #, A-D" in str(refused(changed(DTMF, "dtmf.digit", digit)))


@pytest.mark.parametrize(
    ("path", "value"),
    [("encoding", "audio/L16"), ("sampleRate", 16000), ("channels", 2)],
)
def test_another_media_format_is_refused(path, value):
    error = refused(changed(START, f"start.mediaFormat.{path}", value))
    assert str(value) in str(error)
    assert "needed audio/x-mulaw at 8000 Hz with 1" in str(error)
    assert error.close_code == 1003


def test_two_stream_ids_in_one_start_are_refused():
    assert "outside" in str(refused(changed(START, "streamSid", "MZother")))
    assert twilio.parse_message(changed(START, "streamSid", ...)).stream_sid == STREAM


@pytest.mark.parametrize("value", [None, [], "k=v", {"k": 1}, {"k": None}])
def test_parameters_are_strings_and_never_quoted(value):
    assert "start.customParameters" in str(refused(changed(START, "start.customParameters", value)))


def test_a_start_without_parameters_has_none():
    assert twilio.parse_message(changed(START, "start.customParameters", ...)).parameters == {}


def test_the_documented_messages_are_read():
    def parsed(message):
        return twilio.parse_message(json.dumps(message).encode())

    assert twilio.parse_message(twilio.connected()) == twilio.Connected()
    assert parsed(START) == twilio.Start(
        STREAM, CALL, ACCOUNT, ("inbound",), "audio/x-mulaw", 8000, 1, {"k": "v"}
    )
    assert parsed(MEDIA) == twilio.Media(STREAM, b"\xff" * 4, 5, 1, 3)
    assert parsed(DTMF) == twilio.Dtmf(STREAM, "1")
    assert parsed(MARK) == twilio.Mark(STREAM, "t1")
    assert parsed(STOP) == twilio.Stop(STREAM, CALL)


def test_neither_parameters_nor_payload_show_in_a_log():
    assert "secret" not in repr(twilio.Start(STREAM, CALL, ACCOUNT, parameters={"token": "secret"}))
    assert "secret" not in repr(twilio.Media(STREAM, b"secret", 0, 1, 1))


def test_what_is_sent_to_twilio_has_exactly_the_documented_fields():
    assert json.loads(twilio.media(STREAM, b"\xff" * 4)) == {
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": "/////w=="},
    }
    assert json.loads(twilio.mark(STREAM, 'a"b\\')) == {
        "event": "mark",
        "streamSid": STREAM,
        "mark": {"name": 'a"b\\'},
    }
    assert json.loads(twilio.clear(STREAM)) == {"event": "clear", "streamSid": STREAM}


def test_what_twilio_sends_is_built_as_documented():
    assert json.loads(twilio.connected()) == {
        "event": "connected",
        "protocol": "Call",
        "version": "1.0.0",
    }
    assert json.loads(twilio.start(STREAM, CALL, ACCOUNT, {"k": "v"})) == START
    assert json.loads(twilio.caller_media(STREAM, 3, 1, 5, b"\xff" * 4)) == MEDIA
    assert json.loads(twilio.dtmf(STREAM, 5, "1")) == DTMF
    assert json.loads(twilio.mark_echo(STREAM, 4, "t1")) == MARK
    assert json.loads(twilio.stop(STREAM, 5, ACCOUNT, CALL)) == STOP


COMMANDS = {
    "media": {"event": "media", "streamSid": STREAM, "media": {"payload": "/////w=="}},
    "mark": {"event": "mark", "streamSid": STREAM, "mark": {"name": "t1"}},
    "clear": {"event": "clear", "streamSid": STREAM},
}


def refused_command(text):
    with pytest.raises(ProtocolError) as caught:
        twilio.parse_command(text, STREAM)
    return str(caught.value)


def test_twilio_refuses_binary():
    assert refused_command(b"{}") == "31950: a binary frame of 2 octets; needed text"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"event":1}', '{"event":"pause","streamSid":"MZ"}']
)
def test_twilio_refuses_what_is_no_command(text):
    assert refused_command(text).startswith("31951: ")


@pytest.mark.parametrize("event", COMMANDS)
@pytest.mark.parametrize(
    ("path", "value"),
    [("streamSid", "MZother"), ("streamSid", ...), ("streamSid", 1), ("extra", 1)],
)
def test_twilio_refuses_missing_extra_and_foreign_fields(event, path, value):
    error = refused_command(changed(COMMANDS[event], path, value))
    assert error.startswith("31951: ")
    assert path in error


@pytest.mark.parametrize(
    ("event", "path", "value"),
    [
        ("media", "media", []),
        ("media", "media.track", "outbound"),
        ("media", "media.payload", ...),
        ("mark", "mark", "t1"),
        ("mark", "mark.name", 1),
        ("mark", "mark.extra", 1),
    ],
)
def test_twilio_refuses_wrong_bodies(event, path, value):
    assert refused_command(changed(COMMANDS[event], path, value)).startswith("31951: ")


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "*",
        1,
        *(b2a_base64(head + b"1234", newline=False).decode() for head in (b"RIFF", b"ID3")),
    ],
)
def test_twilio_refuses_what_is_no_raw_audio(payload):
    assert refused_command(changed(COMMANDS["media"], "media.payload", payload)).startswith(
        "31924: "
    )


sids = st.text(st.characters(codec="utf-8"), max_size=40)
numbers = st.integers(0, 10**15)
audio = st.binary(min_size=1, max_size=700)


@given(sids, sids, sids, st.dictionaries(sids, sids, max_size=3))
def test_start_survives_the_wire(stream, call, account, parameters):
    text = twilio.start(stream, call, account, parameters)
    assert twilio.parse_message(text) == twilio.Start(stream, call, account, parameters=parameters)


@given(sids, numbers, numbers, numbers, audio)
def test_media_survives_the_wire(stream, sequence_number, chunk, timestamp_ms, payload):
    text = twilio.caller_media(stream, sequence_number, chunk, timestamp_ms, payload)
    assert twilio.parse_message(text) == twilio.Media(
        stream, payload, timestamp_ms, chunk, sequence_number
    )


@given(sids, numbers, sids, st.sampled_from(sorted(twilio.DIGITS)))
def test_the_small_messages_survive_the_wire(stream, number, name, digit):
    parse = twilio.parse_message
    assert parse(twilio.mark_echo(stream, number, name)) == twilio.Mark(stream, name)
    assert parse(twilio.dtmf(stream, number, digit)) == twilio.Dtmf(stream, digit)
    assert parse(twilio.stop(stream, number, "AC", name)) == twilio.Stop(stream, name)


@given(
    sids, sids, audio.filter(lambda octets: not octets.startswith((b"R", b"O", b"f", b"I", b".")))
)
def test_commands_survive_the_wire(stream, name, payload):
    parse = twilio.parse_command
    assert parse(twilio.media(stream, payload), stream) == twilio.PlayMedia(payload)
    assert parse(twilio.mark(stream, name), stream) == twilio.SendMark(name)
    assert parse(twilio.clear(stream), stream) == twilio.ClearBuffer()


@given(st.text(st.characters()) | st.binary())
def test_nothing_but_a_protocol_error_comes_of_noise(noise):
    for parse in (twilio.parse_message, lambda text: twilio.parse_command(text, STREAM)):
        try:
            parse(noise)
        except ProtocolError as error:
            assert str(error)
