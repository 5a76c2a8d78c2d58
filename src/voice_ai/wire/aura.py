"""Deepgram Aura (`/v1/speak`): what the service sends as text beside its audio, as plain values;
and the two requests of every sentence, as octets.

Clear and Close the SDK builds, and would these, in 60 us each. Its parse of what comes back is not
used, since it makes Cleared, Error and unknown messages all SpeakV1Flushed. Unknown types are let
through.
Source: developers.deepgram.com/docs/tts-websocket, /tts-ws-flush and /tts-ws-clear.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from voice_ai.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Metadata:
    """The service is ready; the request id is what its support asks for."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """All text before the oldest unanswered Flush has been spoken: its audio came before this."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """All text and audio before the Clear is gone; audio after this belongs to newer text."""


@dataclass(frozen=True, slots=True)
class AuraWarning:
    """A request was ignored, such as a Flush beyond 20 in 60 s, and the socket goes on."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class AuraError:
    """A request failed and the socket is about to close."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class AuraOther:
    """A message of a type that is newer than this code."""

    kind: str


AuraMessage: TypeAlias = Metadata | Flushed | Cleared | AuraWarning | AuraError | AuraOther


# Have all text spoken that was given.
FLUSH: Final = b'{"type":"Flush"}'


def speak(text: str) -> bytes:
    """Build the request to speak a text."""
    return orjson.dumps({"type": "Speak", "text": text})


def parse_aura(data: str | bytes) -> AuraMessage:
    """Read one text message of the service.

    Raises:
        ProtocolError: not a JSON object.
    """
    fields = _object(data)
    match fields.get("type"):
        case "Flushed":
            return Flushed()
        case "Cleared":
            return Cleared()
        case "Metadata":
            return Metadata(_text(fields, "request_id"))
        case "Warning":
            return AuraWarning(_text(fields, "code"), _text(fields, "description"))
        case "Error":
            return AuraError(_text(fields, "code"), _text(fields, "description"))
        case other:
            return AuraOther(_shown(other))


def _object(data: str | bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = f"Aura sent {len(data)} characters that are not JSON: {error.msg}"
        raise ProtocolError(text, 1007) from error
    if not isinstance(fields, dict):
        raise ProtocolError(f"Aura sent a JSON {type(fields).__name__}, needed an object", 1007)
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    """Return a text that may be missing: nothing is decided by it."""
    value = fields.get(name)
    return "" if value is None else _shown(value)


def _shown(value: object) -> str:
    """Return a text, or what stands in its place; str() of deep nesting ends in RecursionError."""
    return type(value).__name__ if isinstance(value, dict | list) else str(value)
