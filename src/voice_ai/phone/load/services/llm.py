"""A fake of OpenAI's Responses and Conversations: it answers at a pace, and keeps what was said."""

import asyncio
from collections.abc import Sequence
from itertools import count
from time import monotonic
from typing import Any

import orjson
from aiohttp import web

from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.plan import Plan
from voice_ai.phone.load.services.script import Turn, answer, deltas, named
from voice_ai.phone.load.services.sse import Item, ending, opening, word

# A request is there in no time, and an answer is read as it comes: all is on loopback.
PEER_TIMEOUT_S = 10.0
PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}
SSE = {"Content-Type": "text/event-stream; charset=utf-8"}


class Llm:
    """The service.

    Args:
        plan: the answers' length and pace.
        measured: takes what happens.
    """

    def __init__(self, plan: Plan, measured: Measured) -> None:
        self._plan = plan
        self._measured = measured
        self._conversations: dict[str, list[Item]] = {}
        self._ids = count(1)

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        item = "/v1/conversations/{conv}/items"
        app.add_routes(
            [
                web.post("/v1/responses", self._respond),
                web.post("/v1/conversations", self._create),
                web.delete("/v1/conversations/{conv}", self._delete),
                web.post(item, self._add_items),
                web.get(item, self._list_items),
                web.delete(item + "/{item}", self._delete_item),
                web.get("/v1/models/{model}", self._model),
                web.route("*", "/{rest:.*}", self._unknown),
            ]
        )
        return app

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        at = monotonic()
        asked = _items(body.get("input"))
        turn = _turn(asked)
        self._measured.n_requests += 1
        self._measured.note(turn, "request", at)
        if turn is None:
            self._measured.violation("a response was asked for to text that names no turn")
        text = answer(turn, self._plan.reply_s)
        stream = web.StreamResponse(headers=SSE)
        message = self._numbered(_message(text))
        try:
            async with asyncio.timeout(PEER_TIMEOUT_S):
                await stream.prepare(request)
            await self._write(stream, str(body.get("model", "")), message, turn)
        except (ConnectionError, TimeoutError):
            return stream  # aborted, and nothing of it is kept
        kept = self._conversations.get(_conversation(body))
        if kept is not None:
            kept += [*map(self._numbered, asked), message]
        return stream

    async def _write(
        self, stream: web.StreamResponse, model: str, message: Item, turn: Turn | None
    ) -> None:
        """Write the answer's events, in one write what is due at once."""
        plan = self._plan
        due = opening(model, message["id"])
        pause_s = plan.llm_first_token_ms / 1000
        for delta in deltas(message["content"][0]["text"]):
            if pause_s:
                await _flush(stream, due)
                await asyncio.sleep(pause_s)
                due = b""
            self._measured.note(turn, "first_token", monotonic())
            due += word(message["id"], delta)
            pause_s = plan.llm_inter_token_ms / 1000
        await _flush(stream, due + ending(model, message))

    async def _create(self, request: web.Request) -> web.Response:
        body = await _body(request)
        conv_id = f"conv_{next(self._ids)}"
        self._conversations[conv_id] = [self._numbered(one) for one in _items(body.get("items"))]
        return _json({"id": conv_id, "object": "conversation", "created_at": 0, "metadata": {}})

    async def _delete(self, request: web.Request) -> web.Response:
        conv_id = request.match_info["conv"]
        if self._conversations.pop(conv_id, None) is None:
            return self._missing(request)
        return _json({"id": conv_id, "object": "conversation.deleted", "deleted": True})

    async def _add_items(self, request: web.Request) -> web.Response:
        body = await _body(request)
        kept = self._conversations.get(request.match_info["conv"])
        if kept is None:
            return self._missing(request)
        added = [self._numbered(one) for one in _items(body.get("items"))]
        kept += added
        return _page(added, has_more=False)

    async def _list_items(self, request: web.Request) -> web.Response:
        kept = self._conversations.get(request.match_info["conv"])
        if kept is None:
            return self._missing(request)
        items = kept if request.query.get("order") == "asc" else kept[::-1]
        ids = [one["id"] for one in items]
        after = request.query.get("after")
        start = ids.index(after) + 1 if after in ids else 0
        end = start + int(request.query.get("limit", "20"))
        return _page(items[start:end], has_more=end < len(items))

    async def _delete_item(self, request: web.Request) -> web.Response:
        conv_id = request.match_info["conv"]
        kept = self._conversations.get(conv_id, [])
        place = next(
            (i for i, one in enumerate(kept) if one["id"] == request.match_info["item"]), -1
        )
        if place < 0:
            return self._missing(request)
        del kept[place]
        return _json({"id": conv_id, "object": "conversation", "created_at": 0, "metadata": {}})

    async def _model(self, request: web.Request) -> web.Response:
        model = {"id": request.match_info["model"], "object": "model", "created": 0}
        return _json({**model, "owned_by": "load"})

    async def _unknown(self, request: web.Request) -> web.Response:
        return self._missing(request)

    def _missing(self, request: web.Request) -> web.Response:
        text = f"{request.method} {request.path}: not found"
        self._measured.violation(text)
        error = {"message": text, "type": "invalid_request_error", "code": None, "param": None}
        return _json({"error": error}, 404)

    def _numbered(self, item: Item) -> Item:
        return {**item, "id": f"{PREFIXES.get(item['type'], 'item')}_{next(self._ids)}"}


async def _flush(stream: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(PEER_TIMEOUT_S):
        await stream.write(data)


async def _body(request: web.Request) -> dict[str, Any]:
    """Read a body that is a JSON object; anything else is one without members."""
    async with asyncio.timeout(PEER_TIMEOUT_S):
        data = await request.read()
    body = orjson.loads(data or b"{}")
    return body if isinstance(body, dict) else {}


def _items(given: Any) -> list[Item]:
    """Return a request's items; a text is the user's message."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    items = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    return [{"type": "message", **one} for one in items]


def _turn(items: Sequence[Item]) -> Turn | None:
    """Return the turn that the newest message of the user names."""
    user = next((one for one in reversed(items) if one.get("role") == "user"), None)
    return None if user is None else named(_text(user.get("content")))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)


def _conversation(body: dict[str, Any]) -> str:
    """Return the id of a response's conversation; empty if it has none."""
    given = body.get("conversation")
    return str(given.get("id", "") if isinstance(given, dict) else given or "")


def _message(text: str) -> Item:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _page(items: list[Item], *, has_more: bool) -> web.Response:
    ids = [one["id"] for one in items] or [None]
    page = {"object": "list", "data": items, "first_id": ids[0], "last_id": ids[-1]}
    return _json({**page, "has_more": has_more})


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )
