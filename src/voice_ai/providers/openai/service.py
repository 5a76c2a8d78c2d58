"""What a call asks of OpenAI, through the SDK; we read the answers; it builds no objects."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import openai

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
# Bodies go as `extra_body`, which the SDK sends as it is. It would walk any other argument along
# its type hints: 0.8 ms for one message, 20 ms for forty.

T = TypeVar("T")


class Service:
    """OpenAI's Responses and Conversations over one client; raises the SDK's errors as they are."""

    def __init__(self, client: openai.AsyncOpenAI, stall_s: float) -> None:
        self._client = client
        self._stall_s = stall_s

    async def respond(
        self, stack: AsyncExitStack, body: dict[str, Any]
    ) -> tuple[AnswerStream, bool]:
        """Ask for a response, closed with the stack; also tell whether the SDK had to ask twice."""
        create: Any = self._client.responses.with_streaming_response.create
        # Twice, for the SDK asks again once; unbounded, it would wait out a Retry-After of 60 s.
        async with asyncio.timeout(2 * self._stall_s):
            response = await stack.enter_async_context(
                create(stream=True, extra_body={**body, **STREAMED})
            )
        return AnswerStream(response.iter_bytes(), self._stall_s), response.retries_taken > 0

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
