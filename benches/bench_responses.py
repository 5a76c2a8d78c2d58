"""A streamed answer asked for and read: by us, against the openai SDK's own ways and SSE readers.

The body is one answer as the service writes it: reasoning, a message of 60 deltas, the end; every
event comes in a chunk of its own, as on the wire. `stream` reads it through httpx2's response, as
the adapter does; `events` splits and parses alone; both are told by the event. `request` asks, by a
transport that answers from memory, with a history of 40 messages. The last test prints minima and
ratios.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import openai
import orjson
import pytest
from httpx2._sse import _SSEParser
from openai._streaming import SSEDecoder
from openai.types.responses import ResponseStreamEvent

from voice_ai.providers.openai.items import message
from voice_ai.providers.openai.service import Service
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.wire.responses import EventSplitter, parse_event

N_DELTAS = 60
N_MESSAGES = 40
MINIMA: dict[str, float] = {}


def recorded() -> list[bytes]:
    """Build one answer's events in the service's order, with all fields that it sends."""
    reasoning = {"id": f"rs_{'0a' * 25}", "type": "reasoning", "summary": []}
    message = {"id": f"msg_{'0b' * 25}", "type": "message", "role": "assistant"}
    text = "We are open. " * (N_DELTAS // 3)
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    whole = {**message, "status": "completed", "content": [{**part, "text": text}]}
    at = {"item_id": message["id"], "output_index": 1, "content_index": 0}
    response = {
        "id": f"resp_{'0c' * 25}",
        "object": "response",
        "created_at": 1764000000,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": "You answer the phone of a dental practice. " * 20,
        "model": "gpt-5-nano-2025-08-07",
        "output": [],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
    }
    ended = {**response, "status": "completed", "output": [reasoning, whole]}
    deltas = [
        {"type": "response.output_text.delta", **at, "delta": word, "logprobs": []}
        for word in ["We", " are", " open. "] * (N_DELTAS // 3)
    ]
    added, done = "response.output_item.added", "response.output_item.done"
    begun = {**message, "status": "in_progress", "content": []}
    events = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        {"type": added, "output_index": 0, "item": reasoning},
        {"type": done, "output_index": 0, "item": reasoning},
        {"type": added, "output_index": 1, "item": begun},
        {"type": "response.content_part.added", **at, "part": part},
        *deltas,
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": {**part, "text": text}},
        {"type": done, "output_index": 1, "item": whole},
        {"type": "response.completed", "response": ended},
    ]
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n".encode()
        for n, event in enumerate(events)
    ]


CHUNKS = recorded()


class Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk


def answer() -> httpx2.Response:
    request = httpx2.Request("POST", "http://localhost/v1/responses")
    return httpx2.Response(200, stream=Body(), request=request)


def timed(benchmark, group: str, name: str, read, n: int = len(CHUNKS)) -> None:
    benchmark.group = f"{group}, {n} at a time"
    benchmark(read)
    MINIMA[name] = benchmark.stats.stats.min / n


async def read_ours() -> int:
    return sum([1 async for _ in AnswerStream(answer().aiter_bytes(), stall_s=5.0)])


async def read_sdk(client: openai.AsyncOpenAI) -> int:
    stream = openai.AsyncStream(cast_to=ResponseStreamEvent, response=answer(), client=client)
    return sum([1 async for event in stream if event.type == "response.output_text.delta"])


def test_stream_ours(benchmark):
    with asyncio.Runner() as runner:
        assert runner.run(read_ours()) == N_DELTAS
        timed(benchmark, "stream", "stream, ours", lambda: runner.run(read_ours()))


def test_stream_sdk_objects(benchmark):
    client = openai.AsyncOpenAI(api_key="none")
    with asyncio.Runner() as runner:
        assert runner.run(read_sdk(client)) == N_DELTAS
        timed(benchmark, "stream", "stream, SDK objects", lambda: runner.run(read_sdk(client)))
        runner.run(client.close())


def test_events_ours(benchmark):
    def read() -> int:
        splitter = EventSplitter()
        return sum(1 for chunk in CHUNKS for data in splitter.feed(chunk) if parse_event(data))

    assert N_DELTAS < read() < len(CHUNKS)
    timed(benchmark, "events", "events, ours", read)


def test_events_sdk_decoder(benchmark):
    def read() -> int:
        return sum(1 for event in SSEDecoder().iter_bytes(iter(CHUNKS)) if parse_event(event.data))

    assert read() == len(CHUNKS)
    timed(benchmark, "events", "events, SDK SSE decoder", read)


def test_events_httpx2_decoder(benchmark):
    def read() -> int:
        parser = _SSEParser()
        events = (event for chunk in CHUNKS for event in parser.decode(chunk.decode()))
        return sum(1 for event in events if parse_event(event.data))

    assert read() == len(CHUNKS)
    timed(benchmark, "events", "events, httpx2 SSE decoder", read)


def test_events_json_alone(benchmark):
    """The floor: what orjson takes for the same events."""
    bodies = [chunk.partition(b"data: ")[2] for chunk in CHUNKS]
    timed(benchmark, "events", "events, orjson alone", lambda: [orjson.loads(b) for b in bodies])


def memory_client() -> openai.AsyncOpenAI:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=b""))
    http_client = openai.DefaultAsyncHttpxClient(transport=transport)
    return openai.AsyncOpenAI(api_key="none", http_client=http_client)


BODY = {
    "model": "gpt-5-nano",
    "instructions": "You answer the phone of a dental practice. " * 20,
    "input": [message(("user", "assistant")[n % 2], "We are open.") for n in range(N_MESSAGES)],
    "store": False,
}


async def ask_ours(client: openai.AsyncOpenAI) -> None:
    async with AsyncExitStack() as stack:
        await Service(client, stall_s=5.0).respond(stack, BODY)


async def ask_by_arguments(client: openai.AsyncOpenAI) -> None:
    async with client.responses.with_streaming_response.create(**BODY, stream=True):
        pass


@pytest.mark.parametrize(
    ("name", "ask"), [("ours", ask_ours), ("SDK by arguments", ask_by_arguments)]
)
def test_request(benchmark, name, ask):
    client = memory_client()
    with asyncio.Runner() as runner:
        timed(benchmark, "request", f"request, {name}", lambda: runner.run(ask(client)), 1)
        runner.run(client.close())


def test_print_the_ratios(capsys):
    with capsys.disabled():
        for name, least in MINIMA.items():
            of = MINIMA[name.partition(",")[0] + ", ours"]
            print(f"\n{name}: {least * 1e6:.2f} µs, {least / of:.1f} of ours", end="")
        print()
