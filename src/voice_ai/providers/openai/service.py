"""What a call asks of OpenAI, over the SDK's client; we read the answers; it builds no objects.

A response is asked for of the HTTP client under the SDK, the same pool of connections: the SDK's
own way to it takes 0.64 ms of processor time a request, this one 0.24 (medians of 400).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import httpx2
import openai
import orjson

from voice_ai.providers.openai.failures import is_locked
from voice_ai.providers.openai.items import InputItem
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.wire.responses import Item, ItemsPage, parse_id, parse_items

# The most items of one request. Source: openai/types/conversations, "up to 20 items at a time".
MAX_ITEMS = 20
# The most items of one listed page. Source: openai/types/conversations/item_list_params.py
PAGE = 100
# The service says "retry in a few seconds"; the abort of a response is usually noticed within 50
# ms.
LOCKED_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)

STREAMED = {"stream": True, "stream_options": {"include_obfuscation": False}}
# What the SDK raises for a status. Source: openai/_client.py, _make_status_error.
STATUS_ERRORS: Mapping[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}
# Bodies go as `extra_body`, which the SDK sends as it is. It would walk any other argument along
# its type hints: 0.8 ms for one message, 20 ms for forty.

T = TypeVar("T")


class Service:
    """OpenAI's Responses and Conversations over one client; raises the SDK's errors as they are.

    `http` is what the client was made with.
    """

    def __init__(
        self, client: openai.AsyncOpenAI, http: httpx2.AsyncClient, stall_s: float
    ) -> None:
        self._client = client
        self._http = http
        self._stall_s = stall_s
        self._responses = httpx2.URL(str(client.base_url)).join("responses")
        told = {**client.default_headers, **client.auth_headers, "Accept": "text/event-stream"}
        # Some are there to say that there is no such header.
        self._headers = httpx2.Headers({k: v for k, v in told.items() if isinstance(v, str)})
        timeout = client.timeout
        assert isinstance(timeout, httpx2.Timeout), "as model.py makes it"
        self._extensions = {"timeout": timeout.as_dict()}

    async def respond(self, stack: AsyncExitStack, body: dict[str, Any]) -> AnswerStream:
        """Ask for a response, closed with the stack."""
        request = httpx2.Request(
            "POST",
            self._responses,
            headers=self._headers,
            content=orjson.dumps({**body, **STREAMED}),
            extensions=self._extensions,
        )
        async with asyncio.timeout(self._stall_s):
            response = await self._http.send(request, stream=True)
            stack.push_async_callback(response.aclose)
            if not response.is_success:
                await response.aread()
                raise status_error(response)
        return AnswerStream(response.aiter_bytes(), self._stall_s)

    async def touch(self, model: str) -> None:
        """Ask for next to nothing, so that a connection stands when a reply needs one."""
        await self._client.models.with_raw_response.retrieve(model)

    async def create_conversation(self, items: Sequence[InputItem]) -> str:
        """Begin a conversation with these items, in batches if they are many; return its id."""
        create: Any = self._client.conversations.with_raw_response.create
        answer = await create(extra_body={"items": list(items[:MAX_ITEMS])})
        conv_id = parse_id(answer.content)
        await self.add_items(conv_id, items[MAX_ITEMS:])
        return conv_id

    async def add_items(self, conv_id: str, items: Sequence[InputItem]) -> list[Item]:
        """Append items to a conversation; return them with their ids."""
        create: Any = self._client.conversations.items.with_raw_response.create
        added: list[Item] = []
        for start in range(0, len(items), MAX_ITEMS):
            body = {"items": list(items[start : start + MAX_ITEMS])}
            answer = await patiently(partial(create, conv_id, items=(), extra_body=body))
            added.extend(parse_items(answer.content).items)
        return added

    async def newest_items(self, conv_id: str, after: str | None = None) -> ItemsPage:
        """Return a page of a conversation, newest items first, from the one after the cursor."""
        options = {} if after is None else {"after": after}
        items: Any = self._client.conversations.items.with_raw_response
        answer = await items.list(conv_id, order="desc", limit=PAGE, **options)
        return parse_items(answer.content)

    async def delete_item(self, conv_id: str, item_id: str) -> None:
        """Take an item out of a conversation; one that is gone already is fine."""
        delete: Any = self._client.conversations.items.with_raw_response.delete
        try:
            await patiently(lambda: delete(item_id, conversation_id=conv_id))
        except openai.NotFoundError:
            return

    async def delete_conversation(self, conv_id: str) -> None:
        """Delete a conversation."""
        delete: Any = self._client.conversations.with_raw_response.delete
        await patiently(lambda: delete(conv_id))


def status_error(response: httpx2.Response) -> openai.APIStatusError:
    """Make the error that the SDK would raise for this answer, which has been read."""
    status = response.status_code
    kind = openai.InternalServerError if status >= 500 else openai.APIStatusError
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        body = body.get("error", body)
    return STATUS_ERRORS.get(status, kind)(f"status {status}", response=response, body=body)


async def patiently(request: Callable[[], Awaitable[T]]) -> T:
    """Make a request again while the conversation is busy; the SDK does not, since it is a 400."""
    for wait_s in LOCKED_WAITS_S:
        try:
            return await request()
        except openai.BadRequestError as error:
            if not is_locked(error):
                raise
        await asyncio.sleep(wait_s)
    return await request()
