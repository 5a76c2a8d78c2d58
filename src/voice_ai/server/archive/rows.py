"""A call's JSON in two parts: facts, which stay, and words, which are forgotten sooner. Pure."""

from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from voice_ai.providers.cost import Cost
from voice_ai.server.redaction import unquoted

Kind: TypeAlias = Literal["call", "turn", "note"]

# What people, models and providers have said, and who called whom; and what stands for it later.
BLANK: Final[dict[Kind, dict[str, Any]]] = {
    "call": {
        "caller": "",
        "called": "",
        "partial": "",
        "greeting": "",
        "voicemail": "",
        "late_tools": [],
    },
    "turn": {"caller": "", "reply": "", "heard": ""},
    "note": {"detail": ""},
}
# What calls did not have when earlier versions of this program kept them.
LATER: Final[dict[Kind, dict[str, Any]]] = {"call": {"cost": Cost().as_json()}}
# Notes whose very text is the caller's: words, and keys, which may be a card's number.
CALLERS_NOTES: Final = frozenset({"typed", "key"})


class Key(NamedTuple):
    """Which part of which call; `n` counts its turns or notes from 1, and is 0 for the call itself.

    A CallSid alone is no key: a caller who was put through in vain comes back under the same one.
    """

    kind: Kind
    call_sid: str
    started_at: float
    n: int = 0


class Row(NamedTuple):
    """A part of a call as it was at a moment of the monotonic clock."""

    key: Key
    value: dict[str, Any]
    at_s: float


def split(kind: Kind, value: dict[str, Any]) -> tuple[str, str]:
    """Return facts and words of a part, both as JSON.

    Raises:
        TypeError: it is not JSON (a lone surrogate).
    """
    blank = BLANK[kind]
    words = {name: value[name] for name in blank}
    facts = {name: field for name, field in value.items() if name not in blank}
    if kind == "call":  # the reason quotes strangers and providers at times
        facts["reason"] = unquoted(value["reason"])
        if facts["reason"] != value["reason"]:
            words["reason"] = value["reason"]
    elif kind == "note" and value["kind"] in CALLERS_NOTES:
        words["text"], facts["text"] = value["text"], ""
    return orjson.dumps(facts).decode(), orjson.dumps(words).decode()


def join(kind: Kind, facts: str, words: str | None) -> dict[str, Any]:
    """Return the part again; blank where its words are gone."""
    said = orjson.loads(words) if words else {}
    return {**BLANK[kind], **LATER.get(kind, {}), **orjson.loads(facts), **said}
