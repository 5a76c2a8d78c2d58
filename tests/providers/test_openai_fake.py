"""The fake refuses what the service refuses, so that the adapter's tests mean something."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

from fakes.openai_api import FakeOpenAI, FunctionCall

SCRIPT = Path(__file__).resolve().parents[1] / "fakes" / "openai_api.py"
USER = {"role": "user", "content": "Hello."}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
FLAT = {"type": "function", "name": "f", "parameters": {}, "strict": False}
NESTED = {"type": "function", "function": {"name": "f", "parameters": {}}}


@asynccontextmanager
async def service(*answers, key="sk-test", **settings):
    async with FakeOpenAI(answers, **settings) as fake:
        async with openai.AsyncOpenAI(api_key=key, base_url=fake.base_url, max_retries=0) as client:
            yield fake, client


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"surprise": 1}, "surprise"),
        ({"model": "gpt-2"}, "model"),
        ({"temperature": 0.5}, "temperature"),
        ({"top_p": 0.5}, "top_p"),
        ({"reasoning": {"effort": "none"}}, "reasoning.effort"),
        ({"model": "gpt-5.6-luna", "reasoning": {"effort": "minimal"}}, "reasoning.effort"),
        ({"conversation": "c", "previous_response_id": "r"}, "previous_response_id"),
        ({"input": None}, "input"),
        ({"max_output_tokens": 8}, "max_output_tokens"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"tools": [NESTED]}, "tools[0].name"),
        ({"tools": [{**FLAT, "function": {}}]}, "tools[0]"),
        (
            {"tools": [{**FLAT, "strict": True, "parameters": {"type": "object"}}]},
            "tools[0].parameters",
        ),
        ({"input": [CALL]}, "input"),
        ({"input": [OUTPUT]}, "input"),
        ({"input": [CALL, OUTPUT, OUTPUT]}, "input"),
        ({"input": [{"type": "reasoning"}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "input[0].content",
        ),
        ({"input": [{**OUTPUT, "output": None}]}, "input[0].output"),
    ],
)
async def test_a_response_that_the_service_would_refuse(body, param):
    async with service() as (fake, client):
        request = {"model": "gpt-5-nano", "input": [USER], **body}
        with pytest.raises(openai.BadRequestError) as refused:
            await client.post("/responses", cast_to=object, body=request)
        assert refused.value.param == param
        assert len(fake.violations) == 1


@pytest.mark.parametrize("tools", [[], [FLAT]])
async def test_a_response_that_the_service_takes(tools):
    async with service("Good morning.") as (fake, client):
        answer = await client.responses.create(model="gpt-5-nano", input="Hello.", tools=tools)
        assert answer.output_text == "Good morning."
        assert fake.violations == []


async def test_a_wrong_key_is_refused():
    async with service(key="sk-other") as (_, client):
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


async def test_the_models_and_their_last_days():
    async with service() as (_, client):
        days = {model.id: model.shutdown_date for model in (await client.models.list()).data}
        assert days["gpt-5-nano"] == "2026-12-11"
        assert days["gpt-5.6-luna"] is None
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-2")


async def test_a_conversation_through_the_sdk():
    async with service() as (fake, client):
        conv = await client.conversations.create(items=[USER])
        kept = client.conversations.items
        added = await kept.create(conv.id, items=[{"role": "assistant", "content": "Hi."}])
        assert (await client.conversations.retrieve(conv.id)).id == conv.id
        newest = await kept.list(conv.id, limit=1)
        assert [item.id for item in newest.data] == [added.data[0].id]
        oldest_first = [item.role async for item in kept.list(conv.id, order="asc", limit=1)]
        assert oldest_first == ["user", "assistant"]
        one = await kept.retrieve(added.data[0].id, conversation_id=conv.id)
        await kept.delete(one.id, conversation_id=conv.id)
        assert fake.conversation.spoken == ["user: Hello."]
        assert (await client.conversations.delete(conv.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.conversations.retrieve(conv.id)


async def test_twenty_items_at_most():
    async with service() as (_, client):
        with pytest.raises(openai.BadRequestError, match="at most 20"):
            await client.conversations.create(items=[USER] * 21)
        conv = await client.conversations.create(items=[USER] * 20)
        with pytest.raises(openai.BadRequestError, match="at most 20"):
            await client.conversations.items.create(conv.id, items=[USER] * 21)
        with pytest.raises(openai.BadRequestError):
            await client.conversations.items.create(conv.id, items=[])


async def test_unknown_conversations_and_items_are_not_found():
    async with service() as (_, client):
        conv = await client.conversations.create()
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="gpt-5-nano", conversation="conv_0", input="Hello.")
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.delete("msg_0", conversation_id=conv.id)


async def test_a_call_wants_its_output_before_anything_else():
    async with service(FunctionCall("f")) as (_, client):
        conv = await client.conversations.create()
        ask = {"model": "gpt-5-nano", "conversation": conv.id}
        answer = await client.responses.create(**ask, input="Hello.")
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
            await client.responses.create(**ask, input="Hello?")
        output = {**OUTPUT, "call_id": answer.output[-1].call_id}
        await client.responses.create(**ask, input=[output])


async def test_reasoning_without_what_it_led_to_is_refused():
    async with service("One.", "Two.") as (fake, client):
        conv = await client.conversations.create()
        ask = {"model": "gpt-5-nano", "conversation": conv.id}
        answer = await client.responses.create(**ask, input="Hello.")
        await client.conversations.items.delete(answer.output[1].id, conversation_id=conv.id)
        with pytest.raises(openai.BadRequestError, match="required following item"):
            await client.responses.create(**ask, input="Hello?")
        assert len(fake.violations) == 1


async def test_a_conversation_in_use_is_locked():
    async with service(inter_token_s=60.0) as (fake, client):
        conv = await client.conversations.create()
        ask = {"model": "gpt-5-nano", "conversation": conv.id, "input": "Hello."}
        async with await client.responses.create(**ask, stream=True) as stream:
            await anext(stream)
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(**ask)
            assert refused.value.code == "conversation_locked"
        await fake.until(lambda: fake.n_aborted)
        assert fake.violations == []


async def test_the_order_of_events_is_the_services():
    async with service(FunctionCall("f", {"a": 1}, text="Well.")) as (_, client):
        stream = await client.responses.create(model="gpt-5-nano", input="Hello.", stream=True)
        async with stream:
            events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type.removeprefix("response.") for event in events]
        item = ["output_item.added", "output_item.done"]
        text = ["content_part.added", "output_text.delta", "output_text.delta"]
        call = ["function_call_arguments.delta", "function_call_arguments.delta"]
        assert kinds == [
            *["created", "in_progress", *item],
            *["output_item.added", *text, "output_text.done", "content_part.done"],
            *["output_item.done", "output_item.added", *call],
            *["function_call_arguments.done", "output_item.done", "completed"],
        ]


async def test_it_runs_alone():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(SCRIPT), "--port", str(port)]
    alone = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            line = await alone.stdout.readline()
        assert line.decode().strip() == f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1"
        base_url = line.decode().strip().partition("=")[2]
        async with openai.AsyncOpenAI(api_key="sk-any", base_url=base_url) as client:
            answer = await client.responses.create(model="gpt-5-nano", input="My name is Ann.")
        assert answer.output_text == "I heard: My name is Ann. Anything else?"
    finally:
        alone.terminate()
        await alone.communicate()
