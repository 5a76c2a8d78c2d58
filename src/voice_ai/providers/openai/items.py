"""What was said on a call and its agent's tools, as items and tools of the Responses service."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from voice_ai.providers.protocols import ToolSpec
from voice_ai.turn.events import AgentSaid, CallerSaid, Said, ToolAnswered, ToolCalled

InputItem: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, int, str]

# The service refuses a context with a call that has no output, so a tool that was cut short gets
# this one.
NO_RESULT = "The tool was stopped before it gave a result."

# Keywords that strict mode takes. Source:
# https://platform.openai.com/docs/guides/structured-outputs, supported schemas.
STRICT_KEYWORDS = frozenset(
    "type properties required additionalProperties description title enum const items anyOf $ref"
    " $defs pattern format minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems"
    " maxItems".split()
)
# It wants to know each value's type; one of these tells it.
TYPED = frozenset({"type", "anyOf", "$ref"})


class Wanted(NamedTuple):
    """An item that the service's context should hold; `key` tells it from the call's others."""

    key: Key
    turn: int
    part: Said

    @property
    def item(self) -> InputItem:
        """Build it: a call's history is compared many times, and only what is new is sent."""
        match self.part:
            case CallerSaid(_, text):
                return message("user", text)
            case AgentSaid(_, text):
                return message("assistant", text)
            case ToolCalled() as asked:
                return _call(asked)
            case ToolAnswered(_, call_id, text):
                return {"type": "function_call_output", "call_id": call_id, "output": text}


def agent_key(turn: int) -> Key:
    """Return the key of what we said in a turn: whatever its text, there is one."""
    return ("agent", turn, "")


def called_key(call_id: str) -> Key:
    """Return the key of a tool's call."""
    return ("called", 0, call_id)


def answered_key(call_id: str) -> Key:
    """Return the key of a tool's output."""
    return ("answered", 0, call_id)


def wanted(said: Sequence[Said]) -> list[Wanted]:
    """Turn the history into items, in its order.

    Every call gets an output, and an output without its call is left out: the service refuses both.
    """
    called = {part.call_id for part in said if isinstance(part, ToolCalled)}
    answered = {part.call_id for part in said if isinstance(part, ToolAnswered)}
    items: list[Wanted] = []
    for part in said:
        turn = part.turn
        match part:  # without patterns for the fields, which make it twice as long
            case CallerSaid():
                items.append(Wanted(("caller", turn, part.text), turn, part))
            case AgentSaid():
                if part.text.strip():
                    items.append(Wanted(agent_key(turn), turn, part))
            case ToolCalled():
                items.append(Wanted(called_key(part.call_id), turn, part))
                if part.call_id not in answered:
                    items.append(no_result(turn, part.call_id))
            case ToolAnswered():
                if part.call_id in called:
                    items.append(Wanted(answered_key(part.call_id), turn, part))
    return items


def message(role: str, text: str) -> InputItem:
    """Build a message; the service takes what an assistant said as output text only."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def no_result(turn: int, call_id: str) -> Wanted:
    """Return the output of a tool that gave none."""
    return Wanted(answered_key(call_id), turn, ToolAnswered(turn, call_id, NO_RESULT))


def _call(part: ToolCalled) -> InputItem:
    return {
        "type": "function_call",
        "call_id": part.call_id,
        "name": part.name,
        "arguments": part.arguments,
    }


def flat_tools(specs: Iterable[ToolSpec]) -> list[InputItem]:
    """Build the service's tools: flat, as Responses wants them, strict where the schema allows."""
    return [
        {
            "type": "function",
            "name": spec.name,
            "description": spec.description,
            "parameters": dict(spec.parameters),
            "strict": allows_strict(spec.parameters),
        }
        for spec in specs
    ]


def allows_strict(schema: Mapping[str, Any]) -> bool:
    """Tell whether strict mode takes this schema: objects closed, all properties required."""
    if not STRICT_KEYWORDS.issuperset(schema) or schema.keys().isdisjoint(TYPED):
        return False
    properties: Mapping[str, Any] = schema.get("properties", {})
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(properties):
            return False
    inner = [*properties.values(), *schema.get("anyOf", ()), *schema.get("$defs", {}).values()]
    if "items" in schema:
        inner.append(schema["items"])
    return all(isinstance(one, Mapping) and allows_strict(one) for one in inner)
