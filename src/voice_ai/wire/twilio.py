"""Twilio Media Streams: its messages as dataclasses, both ways.

`parse_message` reads what Twilio sends and `media`, `mark` and `clear` build what it accepts, field
by field as documented. The second half is Twilio's own side, for the phone that plays it: builders
of what Twilio sends, and `parse_command`, which refuses what Twilio refuses and by its error
numbers.

Source: twilio.com/docs/voice/media-streams/websocket-messages; .../docs/api/errors/31924, 31950,
31951.
"""

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from voice_ai.errors import ProtocolError
from voice_ai.wire.twilio_fields import (
    came,
    json_object,
    kind,
    number_field,
    object_field,
    payload_field,
    text_field,
)

ENCODING = "audio/x-mulaw"
SAMPLE_RATE_HZ = 8000
CHANNELS = 1
DIGITS = frozenset("0123456789*#ABCD")

# RFC 6455 section 7.4.1.
UNSUPPORTED_DATA = 1003


@dataclass(frozen=True, slots=True)
class Connected:
    """The websocket is up; Twilio's first message."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins. `parameters` are the TwiML's `<Parameter>`s and may hold a secret."""

    stream_sid: str
    call_sid: str
    account_sid: str
    tracks: tuple[str, ...] = ("inbound",)
    encoding: str = ENCODING
    sample_rate_hz: int = SAMPLE_RATE_HZ
    channels: int = CHANNELS
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """A frame of the caller's voice: µ-law octets, never none; its time counts from the start."""

    stream_sid: str
    payload: bytes = field(repr=False)
    timestamp_ms: int
    chunk: int
    sequence_number: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key: 0-9, *, #, A-D."""

    stream_sid: str
    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    """All media before our mark of this name has been played, or was cleared."""

    stream_sid: str
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream ends: the caller hung up, or the call was redirected."""

    stream_sid: str
    call_sid: str


Message: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop


def parse_message(text: str | bytes) -> Message:
    """Read a message of Twilio's.

    Numbers are taken as strings of digits, as Twilio writes them, and as JSON numbers. Fields that
    we do not know are ignored. An empty payload is refused: it is no audio, and a recogniser takes
    it for the end.

    Raises:
        ProtocolError: the text is not such a message; it says which field, what came and what was
            needed, and never quotes a payload or a parameter. Its close code is 1007 for data that
            cannot be decoded, 1003 for another audio format, 1002 for the rest.
    """
    message = json_object(text)
    match message.get("event"):
        case "media":
            return _parse_media(message)
        case "mark":
            return Mark(
                text_field(message, "streamSid"),
                text_field(object_field(message, "mark"), "name", "mark."),
            )
        case "dtmf":
            return _parse_dtmf(message)
        case "start":
            return _parse_start(message)
        case "stop":
            return Stop(
                text_field(message, "streamSid"),
                text_field(object_field(message, "stop"), "callSid", "stop."),
            )
        case "connected":
            return Connected()
        case other:
            raise ProtocolError(
                f"unknown event {came(other)}; needed connected, start, media, mark, dtmf or stop"
            )


def _parse_media(message: dict[str, Any]) -> Media:
    body = object_field(message, "media")
    track = body.get("track", "inbound")
    if track != "inbound":
        raise ProtocolError(f"media.track is {came(track)}; needed 'inbound', the caller's voice")
    return Media(
        text_field(message, "streamSid"),
        payload_field(body),
        number_field(body, "timestamp", "media."),
        number_field(body, "chunk", "media."),
        number_field(message, "sequenceNumber"),
    )


def _parse_dtmf(message: dict[str, Any]) -> Dtmf:
    digit = text_field(object_field(message, "dtmf"), "digit", "dtmf.")
    if digit not in DIGITS:
        raise ProtocolError(f"dtmf.digit is {came(digit)}; needed one of 0-9, *, #, A-D")
    return Dtmf(text_field(message, "streamSid"), digit)


def _parse_start(message: dict[str, Any]) -> Start:
    body = object_field(message, "start")
    stream_sid = text_field(body, "streamSid", "start.")
    outer = message.get("streamSid", stream_sid)
    if outer != stream_sid:
        raise ProtocolError(f"start: streamSid is {came(outer)} outside, {came(stream_sid)} inside")
    form = object_field(body, "mediaFormat", "start.")
    encoding = text_field(form, "encoding", "mediaFormat.")
    rate_hz = number_field(form, "sampleRate", "mediaFormat.")
    channels = number_field(form, "channels", "mediaFormat.")
    if (encoding, rate_hz, channels) != (ENCODING, SAMPLE_RATE_HZ, CHANNELS):
        raise ProtocolError(
            f"start: the audio is {came(encoding)} at {rate_hz} Hz with {channels} channels; "
            f"needed {ENCODING} at {SAMPLE_RATE_HZ} Hz with {CHANNELS}",
            UNSUPPORTED_DATA,
        )
    return Start(
        stream_sid,
        text_field(body, "callSid", "start."),
        text_field(body, "accountSid", "start."),
        _tracks(body),
        parameters=_parameters(body),
    )


def _tracks(body: dict[str, Any]) -> tuple[str, ...]:
    tracks = body.get("tracks")
    if isinstance(tracks, list) and all(isinstance(track, str) for track in tracks):
        return tuple(tracks)
    raise ProtocolError(f"start.tracks: needed an array of strings, came {kind(tracks)}")


def _parameters(body: dict[str, Any]) -> dict[str, str]:
    parameters = body.get("customParameters", {})
    if not isinstance(parameters, dict):
        raise ProtocolError(f"start.customParameters: needed an object, came {kind(parameters)}")
    for name, value in parameters.items():
        if not isinstance(value, str):
            raise ProtocolError(
                f"start.customParameters {name[:40]!r}: needed a string, came {kind(value)}"
            )
    return parameters


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


# To Twilio: exactly the documented fields, since one more is refused (31951).


def media(stream_sid: str, payload: bytes) -> str:
    """Build audio to play: µ-law octets at 8 kHz without a header, any number from one."""
    audio = b2a_base64(payload, newline=False).decode("ascii")
    return f'{{"event":"media","streamSid":{_quoted(stream_sid)},"media":{{"payload":"{audio}"}}}}'


def mark(stream_sid: str, name: str) -> str:
    """Build a mark, which comes back when all media before it has been played."""
    return f'{{"event":"mark","streamSid":{_quoted(stream_sid)},"mark":{{"name":{_quoted(name)}}}}}'


def clear(stream_sid: str) -> str:
    """Build what empties the far end's buffer; its outstanding marks come back at once."""
    return f'{{"event":"clear","streamSid":{_quoted(stream_sid)}}}'


# Twilio's side.


def connected() -> str:
    """Build Twilio's first message."""
    return '{"event":"connected","protocol":"Call","version":"1.0.0"}'


def start(
    stream_sid: str,
    call_sid: str,
    account_sid: str,
    parameters: Mapping[str, str] | None = None,
    *,
    sequence_number: int = 1,
) -> str:
    """Build the stream's beginning; `parameters` are the `<Parameter>`s of the TwiML."""
    body = {
        "accountSid": account_sid,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": ENCODING, "sampleRate": SAMPLE_RATE_HZ, "channels": CHANNELS},
        "customParameters": dict(parameters or {}),
    }
    return _numbered("start", sequence_number, stream_sid, body)


def caller_media(
    stream_sid: str, sequence_number: int, chunk: int, timestamp_ms: int, payload: bytes
) -> str:
    """Build a frame of the caller's voice: 160 octets, 20 ms, with Twilio."""
    audio = b2a_base64(payload, newline=False).decode("ascii")
    return (
        f'{{"event":"media","sequenceNumber":"{sequence_number}","media":{{"track":"inbound",'
        f'"chunk":"{chunk}","timestamp":"{timestamp_ms}","payload":"{audio}"}},'
        f'"streamSid":{_quoted(stream_sid)}}}'
    )


def dtmf(stream_sid: str, sequence_number: int, digit: str) -> str:
    """Build a pressed key."""
    return _numbered(
        "dtmf", sequence_number, stream_sid, {"track": "inbound_track", "digit": digit}
    )


def mark_echo(stream_sid: str, sequence_number: int, name: str) -> str:
    """Build the answer to a mark of the server's."""
    return _numbered("mark", sequence_number, stream_sid, {"name": name})


def stop(stream_sid: str, sequence_number: int, account_sid: str, call_sid: str) -> str:
    """Build the stream's end."""
    return _numbered(
        "stop", sequence_number, stream_sid, {"accountSid": account_sid, "callSid": call_sid}
    )


def _numbered(event: str, sequence_number: int, stream_sid: str, body: Mapping[str, object]) -> str:
    message = {
        "event": event,
        "sequenceNumber": str(sequence_number),
        event: body,
        "streamSid": stream_sid,
    }
    return orjson.dumps(message).decode()


@dataclass(frozen=True, slots=True)
class PlayMedia:
    """Append these µ-law octets to the buffer that the caller hears."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendMark:
    """Send the mark back once what is in the buffer has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearBuffer:
    """Empty the buffer and send the marks in it back at once."""


Command: TypeAlias = PlayMedia | SendMark | ClearBuffer

_FIELDS = {
    "media": {"event", "streamSid", "media"},
    "mark": {"event", "streamSid", "mark"},
    "clear": {"event", "streamSid"},
}
# Audio that begins like one of these is a file with its header, which Twilio would play as noise.
_FILE_HEADERS = (b"RIFF", b"OggS", b"fLaC", b"ID3", b".snd")


def parse_command(text: str | bytes, stream_sid: str) -> Command:
    """Read a message to Twilio as strictly as Twilio does.

    Raises:
        ProtocolError: Twilio would refuse it; the text begins with Twilio's error number: 31950 for
            a binary frame, 31924 for a payload that is no raw audio, 31951 for bad JSON, an unknown
            event, a missing, wrong or extra field and another stream's id.
    """
    if isinstance(text, bytes):
        raise ProtocolError(
            f"31950: a binary frame of {len(text)} octets; needed text", UNSUPPORTED_DATA
        )
    try:
        message = json_object(text)
        event = text_field(message, "event")
        _check_fields(message, _FIELDS.get(event), event)
        if message["streamSid"] != stream_sid:
            raise ProtocolError(
                f"streamSid is {came(message['streamSid'])}; needed {came(stream_sid)}"
            )
        if event == "clear":
            return ClearBuffer()
        body = object_field(message, event)
        _check_fields(body, {"payload"} if event == "media" else {"name"}, event)
        if event == "mark":
            return SendMark(text_field(body, "name", "mark."))
    except ProtocolError as error:
        raise ProtocolError(f"31951: {error}", error.close_code) from None
    return PlayMedia(_raw_audio(body))


def _check_fields(fields: dict[str, Any], needed: set[str] | None, event: str) -> None:
    if needed is None:
        raise ProtocolError(f"unknown event {came(event)}; needed media, mark or clear")
    if fields.keys() != needed:
        missing = sorted(needed - fields.keys())
        extra = [name[:40] for name in sorted(fields.keys() - needed)][:5]
        raise ProtocolError(f"{event}: missing fields {missing}, extra fields {extra}")


def _raw_audio(body: dict[str, Any]) -> bytes:
    try:
        payload = payload_field(body)
    except ProtocolError as error:
        raise ProtocolError(f"31924: {error}", error.close_code) from None
    if payload.startswith(_FILE_HEADERS):
        raise ProtocolError(
            f"31924: media.payload begins with the header of a file, {payload[:4]!r}"
        )
    return payload
