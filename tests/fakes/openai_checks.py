"""What the Responses and Conversations services refuse, as far as it is known: pure checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]

TOP_LEVEL_KEYS = frozenset(
    "background context_management conversation include input instructions max_output_tokens"
    " max_tool_calls metadata model parallel_tool_calls previous_response_id prompt"
    " prompt_cache_key prompt_cache_retention reasoning safety_identifier service_tier store stream"
    " stream_options temperature text tool_choice tools top_logprobs top_p truncation user".split()
)
# Which efforts a model takes. Source: the models' pages, openai-agents-python#2089 for 5.1 and
# BerriAI/litellm-docs#1173 for gpt-6-astra.
EFFORTS: dict[str, tuple[str, ...]] = {
    "gpt-5": ("minimal", "low", "medium", "high"),
    "gpt-5-mini": ("minimal", "low", "medium", "high"),
    "gpt-5-nano": ("minimal", "low", "medium", "high"),
    "gpt-5.1": ("none", "low", "medium", "high"),
    "gpt-5.6-luna": ("none", "low", "medium", "high", "xhigh", "max"),
    "gpt-6-luna": ("none", "low", "medium", "high", "xhigh", "max"),
    "gpt-6-astra": ("low", "medium", "high", "xhigh", "max"),
    "gpt-4.1-nano": (),
}
NO_SAMPLING = frozenset({"gpt-5", "gpt-5-mini", "gpt-5-nano"})
MAX_ITEMS = 20
TEXT_PARTS = {
    "user": "input_text",
    "system": "input_text",
    "developer": "input_text",
    "assistant": "output_text",
}


@dataclass
class Refusal(Exception):
    """An HTTP error as the service words it."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None


def need(condition: object, message: str, code: str | None, param: str | None) -> None:
    if not condition:
        raise Refusal(400, message, code, param)


def check_response_body(body: JSON) -> None:
    """Refuse a body of POST /responses for what can be seen in it alone."""
    for key in body:
        need(key in TOP_LEVEL_KEYS, f"Unknown parameter: '{key}'.", "unknown_parameter", key)
    model = body.get("model")
    need(
        model in EFFORTS,
        f"The requested model '{model}' does not exist.",
        "model_not_found",
        "model",
    )
    for key in ("temperature", "top_p"):
        refused = key in body and model in NO_SAMPLING
        need(
            not refused,
            f"Unsupported parameter: '{key}' is not supported with this model.",
            None,
            key,
        )
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None:
        taken = EFFORTS[str(model)]
        message = f"Unsupported value: '{effort}' is not supported with '{model}', only {taken}."
        need(effort in taken, message, "unsupported_value", "reasoning.effort")
    both = "conversation" in body and "previous_response_id" in body
    need(
        not both,
        "Mutually exclusive parameters.",
        "mutually_exclusive_parameters",
        "previous_response_id",
    )
    given = body.get("input") or "conversation" in body
    need(
        given,
        "One of 'input' or 'conversation' must be provided.",
        "missing_required_parameter",
        "input",
    )
    need(
        body.get("max_output_tokens", 16) >= 16,
        "Below minimum value 16.",
        "below_min",
        "max_output_tokens",
    )
    need(
        "stream_options" not in body or body.get("stream"),
        "Only with stream.",
        None,
        "stream_options",
    )
    for index, tool in enumerate(body.get("tools") or []):
        check_tool(tool, f"tools[{index}]")


def check_tool(tool: JSON, where: str) -> None:
    """Refuse a tool that is not flat, or strict without being closed."""
    need(tool.get("type") == "function", "Only functions here.", "invalid_value", f"{where}.type")
    need(
        "name" in tool,
        f"Missing required parameter: '{where}.name'.",
        "missing_required_parameter",
        f"{where}.name",
    )
    unknown = set(tool) - {"type", "name", "description", "parameters", "strict"}
    need(not unknown, f"Unknown parameter: {sorted(unknown)}.", "unknown_parameter", where)
    if tool.get("strict", True):
        check_strict(tool.get("parameters") or {}, where)


def check_strict(schema: JSON, where: str) -> None:
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        need(
            closed,
            "'additionalProperties' must be false.",
            "invalid_function_parameters",
            f"{where}.parameters",
        )
        named = sorted(schema.get("properties", {})) == sorted(schema.get("required", []))
        need(
            named,
            "'required' must name every property.",
            "invalid_function_parameters",
            f"{where}.parameters",
        )
    for inner in schema.get("properties", {}).values():
        check_strict(inner, where)


def input_items(given: str | list[JSON]) -> list[JSON]:
    """Return the items of an `input`, checked, each as the service keeps it but for its id."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    return [kept_item(item, f"input[{index}]") for index, item in enumerate(given)]


def kept_item(item: JSON, where: str) -> JSON:
    kind = item.get("type", "message")
    if kind == "message":
        return kept_message(item, where)
    keys = {
        "function_call": {"call_id", "name", "arguments"},
        "function_call_output": {"call_id", "output"},
    }.get(kind)
    need(keys is not None, f"Invalid value: '{kind}'.", "invalid_value", f"{where}.type")
    assert keys is not None
    for key in keys:
        need(
            isinstance(item.get(key), str),
            f"Missing '{where}.{key}'.",
            "missing_required_parameter",
            f"{where}.{key}",
        )
    unknown = set(item) - keys - {"type", "id", "status"}
    need(not unknown, f"Unknown parameter: {sorted(unknown)}.", "unknown_parameter", where)
    return {**item, "status": "completed"}


def kept_message(item: JSON, where: str) -> JSON:
    role = item.get("role")
    need(role in TEXT_PARTS, f"Invalid value: '{role}'.", "invalid_value", f"{where}.role")
    part_type = TEXT_PARTS[str(role)]
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": part_type, "text": content}]
    need(
        isinstance(content, list) and content,
        "Content is needed.",
        "missing_required_parameter",
        f"{where}.content",
    )
    assert isinstance(content, list)
    for part in content:
        need(
            part.get("type") == part_type,
            f"Invalid value: {part.get('type')!r}.",
            "invalid_value",
            f"{where}.content",
        )
        need(
            isinstance(part.get("text"), str), "Text is needed.", "invalid_type", f"{where}.content"
        )
    return {"type": "message", "role": role, "status": "completed", "content": content}


def check_context(items: Sequence[JSON]) -> None:
    """Refuse calls and outputs that do not pair, and reasoning without what it led to."""
    called = [item["call_id"] for item in items if item["type"] == "function_call"]
    answered = [item["call_id"] for item in items if item["type"] == "function_call_output"]
    for call_id in called:
        need(
            call_id in answered, f"No tool output found for function call {call_id}.", None, "input"
        )
    for call_id in answered:
        message = f"No tool call found for function call output with call_id {call_id}."
        need(call_id in called, message, None, "input")
        need(answered.count(call_id) == 1, f"Duplicate tool output for {call_id}.", None, "input")
    for item, following in zip(items, [*items[1:], {}], strict=True):
        alone = item["type"] == "reasoning" and (
            following.get("type"),
            following.get("role", "assistant"),
        ) not in (
            ("message", "assistant"),
            ("function_call", "assistant"),
        )
        message = (
            f"Item '{item.get('id')}' of type 'reasoning' without its required following item."
        )
        need(not alone, message, None, "input")


def check_items_body(body: JSON, *, required: bool) -> list[JSON]:
    """Return the items of a body of the Conversations service, checked."""
    items = body.get("items")
    need(
        items or not required,
        "Missing required parameter: 'items'.",
        "missing_required_parameter",
        "items",
    )
    items = items or []
    need(
        len(items) <= MAX_ITEMS, f"Expected at most {MAX_ITEMS}.", "array_above_max_length", "items"
    )
    return [kept_item(item, f"items[{index}]") for index, item in enumerate(items)]
