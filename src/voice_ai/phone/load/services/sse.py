"""The events of one answer of the Responses service, in its order, as they go over the wire.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from typing import Any, TypeAlias

import orjson

Item: TypeAlias = dict[str, Any]


def opening(model: str, item_id: str) -> bytes:
    """Return what comes before the first word."""
    response = _response(model, "in_progress", [])
    begun = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    return b"".join(
        [
            _event("response.created", response=response),
            _event("response.in_progress", response=response),
            _event("response.output_item.added", output_index=0, item={**begun, "content": []}),
            _event("response.content_part.added", **_at(item_id), part=part),
        ]
    )


def word(item_id: str, delta: str) -> bytes:
    """Return one delta."""
    return _event("response.output_text.delta", **_at(item_id), delta=delta, logprobs=[])


def ending(model: str, item: Item) -> bytes:
    """Return what comes after the last word."""
    (part,) = item["content"]
    at = _at(item["id"])
    done = {**at, "text": part["text"], "logprobs": []}
    return b"".join(
        [
            _event("response.output_text.done", **done),
            _event("response.content_part.done", **at, part=part),
            _event("response.output_item.done", output_index=0, item=item),
            _event("response.completed", response=_response(model, "completed", [item])),
        ]
    )


def _at(item_id: str) -> Item:
    return {"item_id": item_id, "output_index": 0, "content_index": 0}


def _event(kind: str, **members: Any) -> bytes:
    # The numbers of the service's events are read by none of its clients, ours nor its own SDK.
    data = orjson.dumps({"type": kind, "sequence_number": 0, **members})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _response(model: str, status: str, output: list[Item]) -> Item:
    return {
        "id": "resp_load",
        "object": "response",
        "created_at": 0,
        "status": status,
        "model": model,
        "error": None,
        "incomplete_details": None,
        "output": output,
    }
