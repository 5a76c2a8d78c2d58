"""Deepgram Flux (`/v2/listen`): what the service sends, as plain values.

What the client sends (`CloseStream`, `Configure`, audio) the SDK builds. Types, events and fields
that are not known here are let through or left out, so that an addition of the service's breaks no
call; a known message that lacks what its readers need is a ProtocolError. Error texts never carry a
transcript.
Source: developers.deepgram.com/docs/flux/state and the SDK's `listen/v2/types`.
"""

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from voice_ai.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Connected:
    """The service is ready; the request id is what its support asks for."""

    request_id: str


@dataclass(frozen=True, slots=True)
class TurnInfo:
    """The state of a turn.

    `event` is Update, StartOfTurn, EagerEndOfTurn, TurnResumed, EndOfTurn or newer. `turn_index`
    counts from 0. Times count from the stream's first audio: the window is what has been heard of
    this turn, `speech_end_s` is where its last word ends, None without words.
    """

    event: str
    turn_index: int
    window_start_s: float
    window_end_s: float
    transcript: str
    speech_end_s: float | None


@dataclass(frozen=True, slots=True)
class FluxWarning:
    """Something is amiss and the stream goes on."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class FluxError:
    """Something is amiss and the stream is over."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class FluxOther:
    """A message that nobody here acts upon, or of a type that is newer than this code."""

    kind: str


FluxMessage: TypeAlias = Connected | TurnInfo | FluxWarning | FluxError | FluxOther


# How the service writes an Update, and what of it tells that there was no word.
_UPDATE, _WORDLESS, _WINDOW_END = '"event":"Update"', '"transcript":""', '"audio_window_end":'
_SECONDS = re.compile(r"\d+(?:\.\d+)?(?=[,}])")


def silent_until_s(data: str) -> float | None:
    """Return where the window of an Update without a word ends, None for whatever else.

    Four come each second of a call, so nothing but this is read of them. One that is written in
    another way than the service's is left to `parse_flux`.

    Cost: 0.6 us, a sixth of the other.
    """
    if _WORDLESS not in data or _UPDATE not in data or not data.endswith("}"):
        return None
    at = data.find(_WINDOW_END)
    found = _SECONDS.match(data, at + len(_WINDOW_END)) if at >= 0 else None
    return float(found[0]) if found else None


def parse_flux(data: str | bytes) -> FluxMessage:
    """Read one text message of the service.

    Raises:
        ProtocolError: not a JSON object, or a TurnInfo without its event, turn, window, or readable
            words.

    Cost: 4 us for an Update of five words, where the SDK's own parse takes 100.
    """
    fields = _object(data)
    match fields.get("type"):
        case "TurnInfo":
            return _turn_info(fields)
        case "Connected":
            return Connected(_text(fields, "request_id"))
        case "Warning":
            return FluxWarning(_text(fields, "code"), _text(fields, "description"))
        case "Error":
            return FluxError(_text(fields, "code"), _text(fields, "description"))
        case other:
            return FluxOther(_shown(other))


def _object(data: str | bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = f"Flux sent {len(data)} characters that are not JSON: {error.msg}"
        raise ProtocolError(text, 1007) from error
    if not isinstance(fields, dict):
        raise ProtocolError(f"Flux sent a JSON {type(fields).__name__}, needed an object", 1007)
    return fields


def _turn_info(fields: dict[str, Any]) -> TurnInfo:
    return TurnInfo(
        _needed(fields, "event", str),
        _needed(fields, "turn_index", int),
        _needed(fields, "audio_window_start", float),
        _needed(fields, "audio_window_end", float),
        _maybe(fields, "transcript", str) or "",
        _speech_end_s(_maybe(fields, "words", list)),
    )


def _speech_end_s(words: list[Any] | None) -> float | None:
    """Return where the last word ends; the others are not looked at."""
    if not words:
        return None
    if not isinstance(words[-1], dict):
        kind = type(words[-1]).__name__
        raise ProtocolError(f"Flux sent a {kind} among the words, needed an object")
    return float(_needed(words[-1], "end", float))


def _text(fields: dict[str, Any], name: str) -> str:
    """Return a text that may be missing: nothing is decided by it."""
    value = fields.get(name)
    return "" if value is None else _shown(value)


def _shown(value: object) -> str:
    """Return a text, or what stands in its place; str() of deep nesting ends in RecursionError."""
    return type(value).__name__ if isinstance(value, dict | list) else str(value)


def _maybe(fields: dict[str, Any], name: str, kind: type) -> Any:
    return None if fields.get(name) is None else _needed(fields, name, kind)


def _needed(fields: dict[str, Any], name: str, kind: type) -> Any:
    """Return a field that must be there; for a float an integer will do, as some write 2.0 so."""
    value = fields.get(name)
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise ProtocolError(
        f"Flux sent a TurnInfo whose {name!r} is a {type(value).__name__}, needed {kind.__name__}"
    )
