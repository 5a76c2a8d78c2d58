"""OpenAI's Responses and Conversations on loopback: strict, and able to fail when told.

`python tests/fakes/openai_api.py --port 9102` serves alone; it answers "I heard: <text>. Anything
else?".
"""

import argparse
import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.moments import Moments
from fakes.openai_checks import (
    EFFORTS,
    JSON,
    Refusal,
    check_context,
    check_items_body,
    check_response_body,
    input_items,
)
from fakes.openai_events import (
    cut_item,
    item_events,
    list_json,
    message_json,
    model_json,
    response_json,
    short,
    sse,
    wants_obfuscation,
)


@dataclass(frozen=True)
class FunctionCall:
    """An answer that calls a function, after some text if there is any."""

    name: str
    arguments: JSON | str = "{}"
    text: str = ""


@dataclass(frozen=True)
class Refused:
    """An answer in which the model refuses."""

    text: str = "I cannot help with that."


Answer = str | FunctionCall | Refused | tuple[FunctionCall, ...]
Answers = Callable[[list[JSON]], Answer] | Sequence[Answer] | None
AbortLeaves = Literal["nothing", "finished_items", "everything"]
FailureKind = Literal[
    "status", "error", "failed", "incomplete", "cut", "malformed", "stall", "mute", "late", "end"
]

STREAM_FAILURES: tuple[FailureKind, ...] = (
    "error", "failed", "incomplete", "cut", "malformed", "stall", "end",
)  # fmt: skip


@dataclass
class Failure:
    """What shall go wrong, at which operation; a stream's failures after so many deltas.

    With fewer deltas than that, a stream fails where its end would stand. `mute` does not answer at
    all, `stall` falls silent, `cut` drops the connection, `end` ends the stream in good order;
    `late` thinks for `late_s` and then does its work. A `live` one befalls a stream that is under
    way, too. One that `lasts` befalls all requests.
    """

    kind: FailureKind
    at: str = "responses.create"  # or another operation, or "any"
    status: int = 500
    code: str | None = "server_error"
    param: str | None = None
    reason: str = "max_output_tokens"
    retry_after: str | None = None
    after_deltas: int = 0
    late_s: float = 0.0
    live: bool = False
    lasts: bool = False


@dataclass
class Conversation:
    id: str
    items: list[JSON] = field(default_factory=list)
    busy: bool = False
    deleted: bool = False
    locks_left: int = 0
    late: list[JSON] = field(default_factory=list)

    def unlock_a_little(self) -> None:
        """Count one refused request; what an abort leaves is written when the lock ends."""
        self.locks_left = max(0, self.locks_left - 1)
        if not self.locks_left:
            self.items += self.late
            self.late = []

    @property
    def spoken(self) -> list[str]:
        """The items in short: `user: ...`, `assistant: ...`, `call: ...`, `output: ...`."""
        return [short(item) for item in self.items if item["type"] != "reasoning"]


class Cut(Exception):
    """End the connection without an end of the stream."""


def echo(context: list[JSON]) -> Answer:
    last = context[-1] if context else {"type": "function_call_output", "output": ""}
    heard = short(last).partition(": ")[2].rstrip(" .?!")
    return f"I heard: {heard}. Anything else?"


class FakeOpenAI:
    """`async with FakeOpenAI(answers) as fake`, then `fake.base_url`.

    Args:
        answers: what the model says: a function of the context's items, or a list taken in order
            (then the echo).
        api_key: the only key that is let in; None takes any.
        first_token_s, inter_token_s: how long the model thinks before its first delta and between
            two.
        abort_leaves: what is kept of a response whose stream the client has dropped.
        linger: how many requests still meet `conversation_locked` after such an abort.
        guards_reasoning: refuse to delete what a reasoning item that stays has led to.

    `moments` tells when each answer was asked for, and when each of its texts, as far as it then
    went, was sent.
    """

    def __init__(
        self,
        answers: Answers = None,
        *,
        api_key: str | None = "sk-test",
        first_token_s: float = 0.0,
        inter_token_s: float = 0.0,
        abort_leaves: AbortLeaves = "nothing",
        linger: int = 0,
        guards_reasoning: bool = False,
        port: int = 0,
    ) -> None:
        self.api_key = api_key
        self.first_token_s = first_token_s
        self.inter_token_s = inter_token_s
        self.inter_item_s = 0.0  # how long the model thinks behind a text
        self.abort_leaves: AbortLeaves = abort_leaves
        self.linger = linger
        self.guards_reasoning = guards_reasoning
        self.requests: list[JSON] = []
        self.usages: list[JSON] = []  # what was told of each response that came to its end
        self.operations: list[str] = []
        self.violations: list[str] = []
        self.conversations: dict[str, Conversation] = {}
        self.n_connections = 0
        self.n_aborted = 0
        self.n_under_way = 0
        self.n_struck = 0  # requests that were told to fail
        self.moments = Moments()
        self._failures: deque[Failure] = deque()
        self._answer: Callable[[list[JSON]], Answer] = (
            answers if callable(answers) else self._next_answer
        )
        self._answers: deque[Answer] = deque(answers if isinstance(answers, Sequence) else ())
        self._ids = count(1)
        self._ports: set[tuple[str, int]] = set()
        self._changed = asyncio.Event()
        self._port = port

    def fail(self, kind: FailureKind, **details: Any) -> None:
        """Let the next request of an operation (`at`, else a response) fail; several queue up."""
        self._failures.append(Failure(kind, **details))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def conversation(self) -> Conversation:
        """The newest conversation that has not been deleted, else the newest."""
        live = [kept for kept in self.conversations.values() if not kept.deleted]
        return (live or list(self.conversations.values()))[-1]

    async def until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Wait for something to have happened at the service."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> "FakeOpenAI":
        app = web.Application(middlewares=[self._door])
        app.add_routes(
            [
                web.get("/v1/models", self._models, name="models.list"),
                web.get("/v1/models/{model}", self._model, name="models.retrieve"),
                web.post("/v1/responses", self._responses, name="responses.create"),
                web.post("/v1/conversations", self._create, name="conversations.create"),
                web.get("/v1/conversations/{conv}", self._retrieve, name="conversations.retrieve"),
                web.delete("/v1/conversations/{conv}", self._delete, name="conversations.delete"),
                web.post("/v1/conversations/{conv}/items", self._add_items, name="items.create"),
                web.get("/v1/conversations/{conv}/items", self._list_items, name="items.list"),
                web.get(
                    "/v1/conversations/{conv}/items/{item}", self._get_item, name="items.retrieve"
                ),
                web.delete(
                    "/v1/conversations/{conv}/items/{item}", self._delete_item, name="items.delete"
                ),
            ]
        )
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    # The door: who may in, and what is told to fail.

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        operation = str(request.match_info.route.name)
        self.operations.append(operation)
        self._ports.add(
            request.transport.get_extra_info("peername") if request.transport else ("", 0)
        )
        self.n_connections = len(self._ports)
        self.n_under_way += 1
        try:
            self._check_key(request)
            if (failure := self._take(operation, "status")) is not None:
                return refused(
                    failure.status,
                    "Told to fail.",
                    failure.code,
                    failure.param,
                    failure.retry_after,
                )
            if self._take(operation, "mute") is not None:
                await asyncio.Event().wait()
            if (failure := self._take(operation, "late")) is not None:
                await asyncio.sleep(failure.late_s)
            answer: web.StreamResponse = await handler(request)
            return answer
        except Refusal as refusal:
            if refusal.code != "conversation_locked":
                self.violations.append(
                    f"{operation}: {refusal.status} {refusal.param}: {refusal.message}"
                )
            return refused(refusal.status, refusal.message, refusal.code, refusal.param)
        finally:
            self.n_under_way -= 1
            self._changed.set()

    def _check_key(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key or self.api_key not in (None, key):
            raise Refusal(401, f"Incorrect API key provided: {key}.", "invalid_api_key")

    def _take(self, operation: str, *kinds: FailureKind, is_live: bool = False) -> Failure | None:
        for failure in self._failures:
            if is_live and not failure.live:
                continue
            if failure.at in (operation, "any") and failure.kind in kinds:
                self.n_struck += 1
                if not failure.lasts:
                    self._failures.remove(failure)
                return failure
        return None

    def _conversation_of(self, conv_id: str, *, writes: bool) -> Conversation:
        kept = self.conversations.get(conv_id)
        if kept is None or kept.deleted:
            raise Refusal(404, f"Conversation with id '{conv_id}' not found.", None, "conversation")
        if writes and (kept.busy or kept.locks_left):
            kept.unlock_a_little()
            message = (
                "Another process is currently operating on this conversation. "
                "Please retry in a few seconds."
            )
            raise Refusal(400, message, "conversation_locked", "conversation")
        return kept

    def _numbered(self, item: JSON) -> JSON:
        prefix = {"message": "msg", "reasoning": "rs", "function_call": "fc"}.get(
            item["type"], "fco"
        )
        return {**item, "id": f"{prefix}_{next(self._ids)}"}

    # Conversations.

    async def _models(self, request: web.Request) -> web.Response:
        models = [model_json(name) for name in EFFORTS]
        return web.json_response({"object": "list", "data": models})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if name not in EFFORTS:
            message = f"The model '{name}' does not exist."
            raise Refusal(404, message, "model_not_found", "model")
        return web.json_response(model_json(name))

    async def _create(self, request: web.Request) -> web.Response:
        items = check_items_body(await body_of(request), required=False)
        kept = Conversation(f"conv_{next(self._ids)}", [self._numbered(item) for item in items])
        self.conversations[kept.id] = kept
        return web.json_response(conversation_json(kept))

    async def _retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(
            conversation_json(self._conversation_of(request.match_info["conv"], writes=False))
        )

    async def _delete(self, request: web.Request) -> web.Response:
        kept = self._conversation_of(request.match_info["conv"], writes=True)
        kept.deleted = True
        return web.json_response({"id": kept.id, "object": "conversation.deleted", "deleted": True})

    async def _add_items(self, request: web.Request) -> web.Response:
        items = check_items_body(await body_of(request), required=True)
        kept = self._conversation_of(request.match_info["conv"], writes=True)
        added = [self._numbered(item) for item in items]
        kept.items += added
        return web.json_response(list_json(added, has_more=False))

    async def _list_items(self, request: web.Request) -> web.Response:
        kept = self._conversation_of(request.match_info["conv"], writes=False)
        limit = int(request.query.get("limit", "20"))
        if not 1 <= limit <= 100:
            raise Refusal(400, f"Invalid limit {limit}.", "invalid_value", "limit")
        items = list(kept.items) if request.query.get("order") == "asc" else kept.items[::-1]
        if after := request.query.get("after"):
            ids = [item["id"] for item in items]
            if after not in ids:
                raise Refusal(404, f"Item '{after}' not found.", None, "after")
            items = items[ids.index(after) + 1 :]
        return web.json_response(list_json(items[:limit], has_more=len(items) > limit))

    async def _get_item(self, request: web.Request) -> web.Response:
        kept = self._conversation_of(request.match_info["conv"], writes=False)
        return web.json_response(item_of(kept, request.match_info["item"]))

    async def _delete_item(self, request: web.Request) -> web.Response:
        kept = self._conversation_of(request.match_info["conv"], writes=True)
        item = item_of(kept, request.match_info["item"])
        before = kept.items[kept.items.index(item) - 1]
        if self.guards_reasoning and item is not before and before["type"] == "reasoning":
            message = f"Item '{item['id']}' is required by the reasoning item '{before['id']}'."
            raise Refusal(400, message, None, "item_id")
        kept.items.remove(item)
        return web.json_response(conversation_json(kept))

    # Responses.

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        self.requests.append(body)
        self._changed.set()
        check_response_body(body)
        asked = input_items(body.get("input") or [])
        conv_id = body.get("conversation")
        conv_id = conv_id["id"] if isinstance(conv_id, dict) else conv_id
        kept = self._conversation_of(conv_id, writes=True) if conv_id else Conversation("none")
        asked = [self._numbered(item) for item in asked]
        context = [*kept.items, *asked]
        check_context(context)
        if context:
            self.moments.note("asked", short(context[-1]))
        output = self._output(body["model"], self._answer(context))
        if not body.get("stream"):
            kept.items += [*asked, *output]
            return web.json_response(response_json(body, "completed", output))
        return await self._stream(request, body, kept, asked, output)

    async def _stream(
        self,
        request: web.Request,
        body: JSON,
        kept: Conversation,
        asked: list[JSON],
        output: list[JSON],
    ) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await stream.prepare(request)
        finished: list[JSON] = []
        kept.busy = True
        ending, text = "aborted", ""
        try:
            async for event in self._events(body, output, finished):
                if event["type"] == "response.output_text.delta":
                    text += event["delta"]
                    self.moments.note("wrote", text)
                    self.moments.note("began", short(asked[-1]) if asked else "")
                await stream.write(sse(event))
                ending = event["type"]
            return stream
        except Cut:
            if request.transport is not None:
                request.transport.close()
            return stream
        finally:
            self._keep(kept, asked, finished, output, ending)

    def _keep(
        self,
        kept: Conversation,
        asked: list[JSON],
        finished: list[JSON],
        output: list[JSON],
        ending: str,
    ) -> None:
        """Write into the conversation what this ending leaves there."""
        kept.busy = False
        if ending in ("response.completed", "response.incomplete"):
            kept.items += [*asked, *finished]
        elif ending not in ("response.failed", "error"):
            self.n_aborted += 1
            leaves = {
                "nothing": [],
                "finished_items": [*asked, *finished],
                "everything": [*asked, *output],
            }
            kept.locks_left = self.linger
            kept.late = leaves[self.abort_leaves]
            if not self.linger:
                kept.unlock_a_little()
        self._changed.set()

    async def _events(
        self, body: JSON, output: list[JSON], finished: list[JSON]
    ) -> AsyncIterator[JSON]:
        numbers = count()
        async for event in self._bare_events(body, output, finished):
            if used := event.get("response", {}).get("usage"):
                self.usages.append(used)
            yield {**event, "sequence_number": next(numbers)}

    async def _bare_events(
        self, body: JSON, output: list[JSON], finished: list[JSON]
    ) -> AsyncIterator[JSON]:
        failure = self._take("responses.create", *STREAM_FAILURES)
        n_left = failure.after_deltas if failure is not None else -1
        yield {"type": "response.created", "response": response_json(body, "in_progress", [])}
        yield {"type": "response.in_progress", "response": response_json(body, "in_progress", [])}
        await asyncio.sleep(self.first_token_s)
        for index, item in enumerate(output):
            parts = item_events(item, index, obfuscate=wants_obfuscation(body))
            for event in parts:
                if event["type"].endswith(".delta"):
                    if failure is None:
                        failure = self._take("responses.create", *STREAM_FAILURES, is_live=True)
                        n_left = failure.after_deltas if failure is not None else -1
                    if failure is not None and n_left == 0:
                        async for last in self._fail(body, failure, finished, item):
                            yield last
                        return
                    n_left -= 1
                yield event
                if event["type"] == "response.output_item.done":
                    finished.append(item)
                    if item["type"] == "message" and self.inter_item_s:
                        await asyncio.sleep(self.inter_item_s)
                elif event["type"].endswith(".delta") and self.inter_token_s:
                    await asyncio.sleep(self.inter_token_s)
        if failure is not None:
            async for last in self._fail(body, failure, finished, output[-1]):
                yield last
            return
        yield {"type": "response.completed", "response": response_json(body, "completed", output)}

    async def _fail(
        self, body: JSON, failure: Failure, finished: list[JSON], item: JSON
    ) -> AsyncIterator[JSON]:
        match failure.kind:
            case "error":
                yield {
                    "type": "error",
                    "code": failure.code,
                    "message": "Told to fail.",
                    "param": failure.param,
                }
            case "failed":
                error = {"code": failure.code, "message": "Told to fail."}
                yield {
                    "type": "response.failed",
                    "response": {**response_json(body, "failed", []), "error": error},
                }
            case "incomplete":
                if failure.after_deltas and item not in finished:
                    finished.append(cut_item(item, failure.after_deltas))
                    yield {
                        "type": "response.output_item.done",
                        "output_index": len(finished) - 1,
                        "item": finished[-1],
                    }
                response = response_json(body, "incomplete", finished)
                response["incomplete_details"] = {"reason": failure.reason}
                yield {"type": "response.incomplete", "response": response}
            case "malformed":
                yield {"type": "malformed"}
                raise Cut
            case "end":
                return
            case "stall":
                await asyncio.Event().wait()
            case _:
                raise Cut

    def _next_answer(self, context: list[JSON]) -> Answer:
        return self._answers.popleft() if self._answers else echo(context)

    def _output(self, model: str, answer: Answer) -> list[JSON]:
        items: list[JSON] = []
        if model.startswith("gpt-5"):
            items.append({"type": "reasoning", "summary": []})
        calls = (answer,) if isinstance(answer, FunctionCall) else answer
        if not isinstance(calls, tuple):
            calls = ()
        if isinstance(answer, Refused):
            items.append(message_json([{"type": "refusal", "refusal": answer.text}]))
        elif text := answer if isinstance(answer, str) else "".join(call.text for call in calls):
            items.append(
                message_json(
                    [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
                )
            )
        items += [call_json(call, f"call_{next(self._ids)}") for call in calls]
        return [self._numbered(item) for item in items]


def call_json(call: FunctionCall, call_id: str) -> JSON:
    given = call.arguments
    arguments = given if isinstance(given, str) else json.dumps(given)
    item = {"type": "function_call", "name": call.name, "arguments": arguments}
    return {**item, "status": "completed", "call_id": call_id}


def conversation_json(kept: Conversation) -> JSON:
    return {"id": kept.id, "object": "conversation", "created_at": 0, "metadata": {}}


def item_of(kept: Conversation, item_id: str) -> JSON:
    for item in kept.items:
        if item["id"] == item_id:
            return item
    raise Refusal(404, f"Item with id '{item_id}' not found.", None, "item_id")


async def body_of(request: web.Request) -> JSON:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as error:
        raise Refusal(400, f"Not JSON: {error}", "invalid_json") from error
    if not isinstance(body, dict):
        raise Refusal(400, "An object is needed.", "invalid_type")
    return body


def refused(
    status: int, message: str, code: str | None, param: str | None, retry_after: str | None = None
) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": param}
    headers = {"Retry-After": retry_after} if retry_after is not None else {}
    return web.json_response({"error": error}, status=status, headers=headers)


async def serve(port: int, first_token_s: float, inter_token_s: float) -> None:
    fake = FakeOpenAI(
        api_key=None, first_token_s=first_token_s, inter_token_s=inter_token_s, port=port
    )
    async with fake:
        print(f"OPENAI_BASE_URL={fake.base_url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=9102)
    options.add_argument("--first-token-ms", type=float, default=0.0)
    options.add_argument("--inter-token-ms", type=float, default=0.0)
    given = options.parse_args()
    try:
        asyncio.run(serve(given.port, given.first_token_ms / 1000, given.inter_token_ms / 1000))
    except KeyboardInterrupt:
        pass
