"""Media messages and base64 in plain Python: slow, obvious, by the definitions.

What `MediaReader` takes is defined twice: there by a scanner of characters, here by Python's JSON
reader and what then has to hold.
"""

import json
import re
import struct
from base64 import b64encode
from binascii import a2b_base64
from typing import Any, NamedTuple

MAX_PAYLOAD_OCTETS = 65536
MAX_DIGITS = 18

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?")
_PLAIN = re.compile(r"[\t\n\r -\[\]-~]*")
_DIGITS = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}")
_OWN = {"event", "sequenceNumber", "media", "streamSid"}
_BODY = {"track", "chunk", "timestamp", "payload"}


class Taken(NamedTuple):
    """What a plain message says."""

    payload: bytes
    timestamp_ms: int
    chunk: int
    sequence_number: int


class _Pairs(list[tuple[str, Any]]):
    """An object's fields in their order, with all that come twice."""


class _Whole(str):
    """A number as it was written."""


class _NotPlain(ValueError):
    pass


def base64_decode(text: bytes | str) -> bytes | None:
    """Decode padded base64; None for any other text."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if not _BASE64.fullmatch(text):
        return None
    return a2b_base64(text, strict_mode=True)


def _whole(text: str) -> _Whole:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise _NotPlain
    return _Whole(text)


def _refuse(text: str) -> None:
    raise _NotPlain


def _fields(value: object, known: set[str]) -> dict[str, Any]:
    """Return an object's fields; those that are not known hold simple values."""
    if not isinstance(value, _Pairs):
        raise _NotPlain
    fields: dict[str, Any] = {}
    for key, item in value:
        if key not in known:
            if isinstance(item, list):
                raise _NotPlain
        elif key in fields:
            raise _NotPlain
        else:
            fields[key] = item
    return fields


def _number(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise _NotPlain


def _is_text(value: object, text: str) -> bool:
    return type(value) is str and value == text


def _taken(text: str, stream_sid: str) -> Taken:
    whole = json.loads(
        text,
        object_pairs_hook=_Pairs,
        parse_int=_whole,
        parse_float=_refuse,
        parse_constant=_refuse,
    )
    own = _fields(whole, _OWN)
    body = _fields(own["media"], _BODY)
    if not _is_text(own["event"], "media") or not _is_text(own["streamSid"], stream_sid):
        raise _NotPlain
    if not _is_text(body.get("track", "inbound"), "inbound") or type(body["payload"]) is not str:
        raise _NotPlain
    payload = base64_decode(body["payload"])
    if not payload or len(payload) > MAX_PAYLOAD_OCTETS:
        raise _NotPlain
    numbers = (body["timestamp"], body["chunk"], own["sequenceNumber"])
    return Taken(payload, *map(_number, numbers))


def read(message: str | bytes, stream_sid: str) -> Taken | None:
    """Return what a plain message of this stream says; None for any other."""
    try:
        text = message.decode("ascii") if isinstance(message, bytes) else message
        return _taken(text, stream_sid) if _PLAIN.fullmatch(text) else None
    except (KeyError, ValueError, RecursionError):
        return None


def message(stream_sid: str, payload: bytes) -> bytes:
    """Build a media message to Twilio."""
    fields = {
        "event": "media",
        "streamSid": stream_sid,
        "media": {"payload": b64encode(payload).decode()},
    }
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def frame(text: bytes) -> bytes:
    """Put a server's websocket header before a text (RFC 6455 section 5.2)."""
    if len(text) < 126:
        return struct.pack("!BB", 0x81, len(text)) + text
    return struct.pack("!BBH", 0x81, 126, len(text)) + text
