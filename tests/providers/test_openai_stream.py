"""One response's byte stream, in whatever chunks it comes."""

import json

import pytest

from voice_ai.errors import ProviderError
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.providers.protocols import TextDelta, TextEnded, ToolRequested

CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}


def sse(kind, **fields):
    return b"data: " + json.dumps({"type": kind, **fields}).encode() + b"\n\n"


HELLO = sse("response.output_text.delta", delta="Hello.")
DONE = sse("response.output_item.done", item=CALL)
COMPLETED = sse("response.completed")


def answer(*chunks):
    async def read():
        for chunk in chunks:
            yield chunk

    return AnswerStream(read(), stall_s=5.0)


async def test_an_empty_body_is_no_answer():
    with pytest.raises(ProviderError, match="ended the stream"):
        await anext(answer())


async def test_a_response_may_say_nothing():
    stream = answer(COMPLETED)
    assert [event async for event in stream] == []
    assert stream.ending == "completed"


async def test_the_end_is_repeated_to_who_asks_again():
    stream = answer(HELLO + COMPLETED)
    assert [event async for event in stream] == [TextDelta("Hello.")]
    assert [event async for event in stream] == []


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
async def test_chunks_do_not_matter(size):
    body = sse("response.created") + HELLO + DONE + COMPLETED
    stream = answer(*(body[at : at + size] for at in range(0, len(body), size)))
    events = [event async for event in stream]
    assert events == [TextDelta("Hello."), ToolRequested("call_1", "f", "{}")]
    assert [item.id for item in stream.items] == ["fc_1"]


def message(status):
    return sse("response.output_item.done", item={"id": "m", "type": "message", "status": status})


async def test_the_end_of_a_text_is_told_before_that_of_the_response():
    stream = answer(HELLO, message("completed"), DONE, COMPLETED)
    events = [event async for event in stream]
    assert events == [TextDelta("Hello."), TextEnded(), ToolRequested("call_1", "f", "{}")]


@pytest.mark.parametrize("body", [[HELLO, message("incomplete")], [message("completed")]])
async def test_a_text_that_was_cut_or_is_not_there_has_no_end(body):
    stream = answer(*body, COMPLETED)
    assert TextEnded() not in [event async for event in stream]


async def test_what_came_with_the_last_word_read_is_noted_when_left():
    stream = answer(HELLO + DONE + COMPLETED)
    await anext(stream)
    await stream.finish()
    assert (stream.ending, [item.id for item in stream.items]) == ("completed", ["fc_1"])


async def test_a_failure_that_nobody_asked_for_is_noted_and_not_raised():
    stream = answer(HELLO + sse("error", code="server_error", message="Sorry."))
    await anext(stream)
    await stream.finish()
    assert stream.ending == "failed"


async def test_leaving_in_the_middle_reads_nothing_more():
    stream = answer(HELLO, COMPLETED)
    await anext(stream)
    await stream.finish()
    assert stream.ending is None


async def test_leaving_at_a_tool_request_reads_to_the_end():
    stream = answer(DONE, COMPLETED, b": the end\n\n")
    await anext(stream)
    await stream.finish()
    assert stream.ending == "completed"


async def test_leaving_at_a_tool_request_outlives_a_broken_rest():
    stream = answer(DONE, b"data: {broken\n\n")
    await anext(stream)
    await stream.finish()
    assert stream.ending is None
