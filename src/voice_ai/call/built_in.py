"""What every agent's model may ask of the call itself: to end it, to put it through, to press keys.

None of it happens at once. A wish is noted while the reply is made, and comes true once the caller
has heard the reply.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from voice_ai.call.dtmf import KEYS
from voice_ai.providers.protocols import ToolRequested, ToolSpec

# What is said to the one called, in characters: about half a minute, and the caller waits.
MAX_BRIEFING_CHARS: Final = 500
MAX_KEYS: Final = 32


def _spec(name: str, description: str, **properties: dict[str, Any]) -> ToolSpec:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ToolSpec(name, description, {**schema, "additionalProperties": False})


HANG_UP = _spec(
    "hang_up", "End the phone call, once the caller is done or says goodbye. Say goodbye first."
)
SEND_DIGITS = _spec(
    "send_digits",
    "Press keys on the telephone, for a machine at the other end that asks for them. "
    "They are pressed after what you say with this; then you listen.",
    digits={"type": "string", "description": f"The keys, in order, each one of {KEYS}"},
)
TRANSFER: Final = "transfer_call"
NAMES: Final = (HANG_UP.name, SEND_DIGITS.name, TRANSFER)

ENDS = "The call ends once you have been heard."
PRESSED = "The keys are pressed once you have been heard."
PUT_THROUGH = "The caller is put through to {to} once you have been heard. Tell them so."


@dataclass(frozen=True, slots=True)
class Transfer:
    """Whom the caller is put through to, and what they are told first; `request` asked for it."""

    request: ToolRequested
    label: str
    number: str
    briefing: str = ""


@dataclass(slots=True)
class Wishes:
    """What a reply asks of the call, once it has been heard; `pressed` asked for the last keys."""

    hang_up: bool = False
    transfer: Transfer | None = None
    digits: str = ""
    pressed: ToolRequested | None = None


class BuiltIn:
    """The built-in tools that one agent has, and what they take.

    Args:
        transfers: numbers by the labels that the model sees; with none, nobody is put through.
        briefs: whether the model may have the one called told something.
        sends_digits: whether the model may press keys.
    """

    def __init__(
        self,
        transfers: Mapping[str, str] | None = None,
        *,
        briefs: bool = False,
        sends_digits: bool = False,
    ) -> None:
        self._transfers = dict(transfers or {})
        specs = [HANG_UP]
        if self._transfers:
            specs.append(_transfer_spec(list(self._transfers), briefs))
        if sends_digits:
            specs.append(SEND_DIGITS)
        self.specs = tuple(specs)
        self._names = {spec.name for spec in specs}

    def has(self, request: ToolRequested) -> bool:
        """Whether this is one of ours."""
        return request.name in self._names

    def take(self, request: ToolRequested, wishes: Wishes) -> str:
        """Note a wish; returns the answer for the model, who is told when it cannot be."""
        if request.name == HANG_UP.name:
            wishes.hang_up = True
            return ENDS
        try:
            given = orjson.loads(request.arguments or "{}")
        except orjson.JSONDecodeError as error:
            return f"The arguments are not JSON: {error}"
        if not isinstance(given, dict):
            return "The arguments do not fit: needed an object."
        if request.name == TRANSFER:
            return self._transfer(request, given, wishes)
        return _press(request, given, wishes)

    def _transfer(self, request: ToolRequested, given: dict[str, Any], wishes: Wishes) -> str:
        label, briefing = given.get("to"), given.get("briefing") or ""
        if not isinstance(label, str) or label not in self._transfers:
            known = ", ".join(self._transfers)
            return f"Nobody of that name can be reached. Those who can: {known}."
        told = " ".join(str(briefing).split())[:MAX_BRIEFING_CHARS]
        wishes.transfer = Transfer(request, label, self._transfers[label], told)
        return PUT_THROUGH.format(to=label)


def _press(request: ToolRequested, given: dict[str, Any], wishes: Wishes) -> str:
    digits = given.get("digits")
    if not isinstance(digits, str) or not digits or not set(digits) <= set(KEYS):
        return f"The arguments do not fit: digits are of {KEYS}, at least one."
    if len(wishes.digits) + len(digits) > MAX_KEYS:
        return f"At most {MAX_KEYS} keys are pressed at once."
    wishes.digits += digits
    wishes.pressed = request
    return PRESSED


def _transfer_spec(labels: list[str], briefs: bool) -> ToolSpec:
    properties: dict[str, dict[str, Any]] = {"to": {"type": "string", "enum": labels}}
    if briefs:
        properties["briefing"] = {
            "type": ["string", "null"],
            "description": "What they are told before they are connected: who calls, and why. "
            "One sentence; the caller does not hear it.",
        }
    return _spec(
        TRANSFER,
        "Put the caller through to somebody, when they ask for it or you cannot help. "
        "Tell the caller first.",
        **properties,
    )
