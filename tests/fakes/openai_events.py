"""Events and answers of the Responses and Conversations services, in the service's order."""

import json

from fakes.openai_checks import JSON


def short(item: JSON) -> str:
    match item["type"]:
        case "message":
            return f"{item['role']}: {''.join(part.get('text', '') for part in item['content'])}"
        case "function_call":
            return f"call: {item['name']}"
        case "function_call_output":
            return f"output: {item['output']}"
        case kind:
            return str(kind)


def wants_obfuscation(body: JSON) -> bool:
    return (body.get("stream_options") or {}).get("include_obfuscation", True) is not False


def model_json(name: str) -> JSON:
    last_day = {"gpt-5-nano": "2026-12-11"}.get(name)
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "openai",
        "shutdown_date": last_day,
    }


def message_json(content: list[JSON]) -> JSON:
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def item_events(item: JSON, index: int, *, obfuscate: bool) -> list[JSON]:
    """The events of one output item, in the service's order."""
    at = {"output_index": index, "item_id": item["id"]}
    begun = {**item, "status": "in_progress"} if "status" in item else item
    inner: list[JSON] = []
    if item["type"] == "message":
        begun = {**begun, "content": []}
        inner = content_events(item["content"][0], {**at, "content_index": 0}, obfuscate=obfuscate)
    elif item["type"] == "function_call":
        begun = {**begun, "arguments": ""}
        name = "response.function_call_arguments"
        inner = [
            {"type": f"{name}.delta", **at, "delta": piece} for piece in pieces(item["arguments"])
        ]
        inner.append({"type": f"{name}.done", **at, "arguments": item["arguments"]})
    added = {"type": "response.output_item.added", "output_index": index, "item": begun}
    return [
        added,
        *inner,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def content_events(part: JSON, at: JSON, *, obfuscate: bool) -> list[JSON]:
    key = "refusal" if part["type"] == "refusal" else "text"
    name = "response.refusal" if key == "refusal" else "response.output_text"
    more: JSON = {} if key == "refusal" else {"logprobs": []}
    if obfuscate:
        more["obfuscation"] = "x" * 8
    deltas = [
        {"type": f"{name}.delta", **at, "delta": piece, **more} for piece in pieces(part[key])
    ]
    return [
        {"type": "response.content_part.added", **at, "part": {**part, key: ""}},
        *deltas,
        {"type": f"{name}.done", **at, key: part[key]},
        {"type": "response.content_part.done", **at, "part": part},
    ]


def pieces(text: str, n_chars: int = 4) -> list[str]:
    return [text[start : start + n_chars] for start in range(0, len(text), n_chars)]


def cut_item(item: JSON, n_pieces: int) -> JSON:
    """The item as it stands after so many deltas, when the response ends there."""
    if item["type"] != "message":
        return {
            **item,
            "arguments": "".join(pieces(item["arguments"])[:n_pieces]),
            "status": "incomplete",
        }
    part = item["content"][0]
    key = "refusal" if part["type"] == "refusal" else "text"
    content = [{**part, key: "".join(pieces(part[key])[:n_pieces])}]
    return {**item, "content": content, "status": "incomplete"}


def sse(event: JSON) -> bytes:
    if event["type"] == "malformed":
        return b"event: response.output_text.delta\ndata: {broken\n\n"
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def response_json(body: JSON, status: str, output: list[JSON]) -> JSON:
    answer = {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "status": status,
        "model": body["model"],
    }
    used = None if status == "in_progress" else usage_json(body, output)
    return {
        **answer,
        "error": None,
        "incomplete_details": None,
        "output": output,
        "usage": used,
    }


def usage_json(body: JSON, output: list[JSON]) -> JSON:
    """Four characters a token, of the request half from a cache."""
    n_read, n_written = len(json.dumps(body.get("input"))) // 4, len(json.dumps(output)) // 4
    return {
        "input_tokens": n_read,
        "input_tokens_details": {"cached_tokens": n_read // 2},
        "output_tokens": n_written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": n_read + n_written,
    }


def list_json(items: list[JSON], *, has_more: bool) -> JSON:
    ids = [item["id"] for item in items] or [None]
    return {
        "object": "list",
        "data": items,
        "first_id": ids[0],
        "last_id": ids[-1],
        "has_more": has_more,
    }
