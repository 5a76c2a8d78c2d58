"""What Twilio's JSON messages are made of, checked: each function returns a value or says why not.

An error names the field, what came and what was needed, and never quotes a payload.
"""

from binascii import a2b_base64
from typing import Any

import orjson

from voice_ai.errors import ProtocolError

# RFC 6455 section 7.4.1.
INVALID_DATA = 1007

# A number of more digits than this is no counter of Twilio's; int() is quadratic in them.
MAX_DIGITS = 18

_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "nothing",
}


def kind(value: object) -> str:
    """Name the JSON type of a value; a missing field's is nothing."""
    return _KINDS.get(type(value), "a number")


def came(value: object) -> str:
    """Show a string that is no secret, shortened; of anything else only what it is."""
    return repr(value[:40]) if isinstance(value, str) else kind(value)


def json_object(text: str | bytes) -> dict[str, Any]:
    """Read a message as a JSON object; what cannot be decoded is refused with close code 1007."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        why = f"a message of {len(text)} characters is not JSON: {error.msg}"
        raise ProtocolError(why, INVALID_DATA) from None
    if not isinstance(message, dict):
        raise ProtocolError(f"needed a JSON object, came {kind(message)}")
    return message


def object_field(fields: dict[str, Any], key: str, where: str = "") -> dict[str, Any]:
    """Return the object in a field; `where` is the field's prefix for an error."""
    value = fields.get(key)
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}{key}: needed an object, came {kind(value)}")
    return value


def text_field(fields: dict[str, Any], key: str, where: str = "") -> str:
    """Return the string in a field."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f"{where}{key}: needed a string, came {kind(value)}")
    return value


def number_field(fields: dict[str, Any], key: str, where: str = "") -> int:
    """Return a whole number from 0, written as a string of digits or as a JSON number."""
    value = fields.get(key)
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and len(value) <= MAX_DIGITS:
        if value.isascii() and value.isdecimal():
            return int(value)
    raise ProtocolError(f"{where}{key}: needed a whole number from 0, came {came(value)}")


def payload_field(body: dict[str, Any]) -> bytes:
    """Return the audio of a `media` object: base64 of at least one octet."""
    text = text_field(body, "payload", "media.")
    try:
        payload = a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, or characters beyond ASCII
        why = f"media.payload: {len(text)} characters that are not base64"
        raise ProtocolError(why, INVALID_DATA) from None
    if not payload:
        raise ProtocolError("media.payload: needed at least one octet of audio, came none")
    return payload
