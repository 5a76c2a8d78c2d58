"""One round through the SDK without a network: the first call shall not pay its lazy imports.

They cost 130 ms at the first conversation and 250 ms at the first stream, and seconds on a busy
machine.
"""

from contextlib import AsyncExitStack

import httpx2
import openai

from voice_ai.providers.openai.items import message
from voice_ai.providers.openai.service import Service

ITEM = b'{"id":"msg_0","type":"message","role":"user","content":[]}'
ITEMS = b'{"data":[' + ITEM + b'],"has_more":false,"last_id":"msg_0"}'
STREAM = b'data: {"type":"response.completed"}\n\n'


async def warm_sdk() -> None:
    """Make each kind of request once, of a client whose transport answers from memory."""
    http_client = openai.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(_answer))
    async with openai.AsyncOpenAI(
        api_key="none",
        base_url="http://localhost/v1",
        http_client=http_client,
        max_retries=0,
        timeout=httpx2.Timeout(1.0),
    ) as client:
        service = Service(client, http_client, stall_s=1.0)
        conv_id = await service.create_conversation([message("user", "Hello.")])
        await service.add_items(conv_id, [message("assistant", "Hello.")])
        await service.newest_items(conv_id)
        await service.delete_item(conv_id, "msg_0")
        async with AsyncExitStack() as stack:
            body = {"model": "none", "conversation": conv_id, "input": [message("user", "Hello.")]}
            stream = await service.respond(stack, body)
            async for _ in stream:
                pass
        await service.delete_conversation(conv_id)


def _answer(request: httpx2.Request) -> httpx2.Response:
    if request.url.path.endswith("/responses"):
        return httpx2.Response(200, content=STREAM, headers={"Content-Type": "text/event-stream"})
    if request.url.path.endswith("/items"):
        return httpx2.Response(200, content=ITEMS, headers={"Content-Type": "application/json"})
    return httpx2.Response(
        200, content=b'{"id":"conv_0"}', headers={"Content-Type": "application/json"}
    )
