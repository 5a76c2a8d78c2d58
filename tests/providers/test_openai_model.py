"""The adapter's life, its requests, and its one client."""

import asyncio
import subprocess
import sys
from contextlib import suppress

import pytest

import clock
from fakes.openai_api import FakeOpenAI, FunctionCall
from fakes.openai_call import INSTRUCTIONS, a_call, talking
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.openai.model import VERIFY_S, OpenAILanguageModel
from voice_ai.providers.protocols import (
    Dialogue,
    LanguageModel,
    TextDelta,
    TextEnded,
    ToolRequested,
    ToolSpec,
)
from voice_ai.turn.events import AgentSaid, CallerSaid, ToolAnswered, ToolCalled

DAY = {
    "type": "object",
    "properties": {"day": {"type": "string"}},
    "required": ["day"],
    "additionalProperties": False,
}
HOURS = ToolSpec("opening_hours", "Say when we are open.", DAY)


@pytest.mark.parametrize("key, model", [("", "gpt-5-nano"), ("sk-test", "")])
def test_an_empty_key_or_model_is_refused(key, model):
    with pytest.raises(UsageError, match="is empty"):
        OpenAILanguageModel(key, model=model)


@pytest.mark.parametrize("key", ["sk-t\u00e9st", "sk-test\n"])
def test_a_key_that_no_header_carries_is_refused_and_not_told(key):
    with pytest.raises(UsageError, match="characters") as refused:
        OpenAILanguageModel(key, model="gpt-5-nano")
    assert key not in str(refused.value)


def test_an_unknown_history_is_refused():
    with pytest.raises(UsageError, match="unknown history 'elsewhere'"):
        OpenAILanguageModel("sk-test", model="gpt-5-nano", history="elsewhere")


async def test_a_call_cannot_be_opened_before_the_model_is_entered():
    llm = OpenAILanguageModel("sk-test", model="gpt-5-nano")
    with pytest.raises(UsageError, match="enter the language model"):
        async with llm.open(a_call(), INSTRUCTIONS, []):
            pass


async def test_it_is_entered_and_left_without_a_network():
    async with OpenAILanguageModel("sk-test", "http://127.0.0.1:9/v1", model="gpt-5-nano"):
        pass


async def test_warming_up_asks_the_service_nothing():
    async with FakeOpenAI() as fake:
        async with OpenAILanguageModel("sk-test", fake.base_url, model="gpt-5-nano") as llm:
            await llm.warm()
        assert fake.operations == []


@pytest.mark.parametrize(
    ("key", "model", "told"),
    [
        ("sk-other", "gpt-5-nano", "OpenAI answered 401, code invalid_api_key"),
        ("sk-test", "gpt-2", "OpenAI answered 404, code model_not_found, param model"),
    ],
)
async def test_a_refused_key_or_model_is_found_before_a_call(key, model, told):
    async with FakeOpenAI() as fake, OpenAILanguageModel(key, fake.base_url, model=model) as llm:
        with pytest.raises(ProviderError) as refused:
            await llm.verify()
        assert (str(refused.value), refused.value.retryable) == (told, False)


def test_a_server_that_trickles_is_not_verified_for_ever():
    async def trickle(reader, writer):
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(1.0)

    async def main():
        async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
            base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            async with OpenAILanguageModel("sk-test", base_url, model="m") as llm:
                with pytest.raises(ProviderError, match="did not answer in time") as raised:
                    await llm.verify()
            assert raised.value.retryable
            return asyncio.get_running_loop().time()

    assert clock.run(main()) < VERIFY_S + 0.1


async def test_a_server_that_lists_no_models_passes():
    async with (
        FakeOpenAI() as fake,
        OpenAILanguageModel("sk-test", fake.base_url, model="m") as llm,
    ):
        fake.fail("status", at="models.retrieve", status=404, code=None)
        await llm.verify()


async def test_a_key_and_a_model_that_are_known_pass():
    async with FakeOpenAI() as fake:
        async with OpenAILanguageModel("sk-test", fake.base_url, model="gpt-5-nano") as llm:
            await llm.verify()
        assert fake.operations == ["models.retrieve"]


def test_the_shutdown_table_needs_no_sdk():
    code = "import sys, voice_ai.providers.openai.shutdown; assert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def test_an_error_inside_a_call_comes_out_as_it_is():
    async with FakeOpenAI() as fake:
        with pytest.raises(LookupError, match="mine"):
            async with talking(fake):
                raise LookupError("mine")


async def test_it_is_a_language_model_with_dialogues():
    async with FakeOpenAI() as fake:
        async with OpenAILanguageModel("sk-test", fake.base_url, model="gpt-5-nano") as entered:
            llm: LanguageModel = entered
            async with llm.open(a_call(), INSTRUCTIONS, []) as opened:
                dialogue: Dialogue = opened
                await dialogue.settle(1, [])


# What is asked for.


@pytest.mark.parametrize("history", ["conversation", "local"])
async def test_a_request_carries_what_was_set_and_nothing_more(history):
    async with FakeOpenAI() as fake, talking(fake, history=history) as talk:
        await talk.exchange("Hello.")
        [body] = fake.requests
        kept = {"conversation"} if history == "conversation" else {"store"}
        usual = {"model", "instructions", "input", "stream", "stream_options"}
        assert set(body) == usual | kept
        assert body["model"] == "gpt-5-nano"
        assert body["stream_options"] == {"include_obfuscation": False}
        assert fake.violations == []


async def test_settings_reach_the_service():
    settings = {"reasoning_effort": "minimal", "verbosity": "low", "max_output_tokens": 300}
    async with FakeOpenAI() as fake, talking(fake, [HOURS], **settings) as talk:
        await talk.exchange("Hello.")
        [body] = fake.requests
        assert body["reasoning"] == {"effort": "minimal"}
        assert body["text"] == {"verbosity": "low"}
        assert body["max_output_tokens"] == 300
        assert body["parallel_tool_calls"] is True
        [tool] = body["tools"]
        assert tool == {
            "type": "function",
            "name": "opening_hours",
            "description": "Say when we are open.",
            "parameters": DAY,
            "strict": True,
        }
        assert fake.violations == []


async def test_a_model_without_reasoning_answers_too():
    async with FakeOpenAI() as fake, talking(fake, model="gpt-4.1-nano") as talk:
        assert await talk.exchange("Hello.") == "I heard: Hello. Anything else?"


async def test_text_comes_as_it_is_written():
    async with FakeOpenAI(["Good morning!"]) as fake, talking(fake) as talk:
        talk.caller("Hello.")
        async with talk.dialogue.reply(talk.turn, tuple(talk.said)) as events:
            told = [event async for event in events]
        deltas = [TextDelta("Good"), TextDelta(" mor"), TextDelta("ning"), TextDelta("!")]
        assert told == [*deltas, TextEnded()]


async def test_a_tool_request_follows_the_text_before_it():
    answer = FunctionCall("opening_hours", {"day": "Monday"}, text="One moment.")
    async with FakeOpenAI([answer]) as fake, talking(fake, [HOURS]) as talk:
        talk.caller("When are you open?")
        text, [request] = await talk.ask()
        assert text == "One moment."
        assert request == ToolRequested(request.call_id, "opening_hours", '{"day": "Monday"}')


# The history kept here.


async def test_local_history_sends_all_of_it_and_stores_nothing():
    async with FakeOpenAI() as fake, talking(fake, history="local") as talk:
        talk.said.append(AgentSaid(0, "Shop, hello.", True))
        await talk.exchange("One.")
        talk.caller("Two.")
        await talk.ask()
        roles = [(item["role"], item["content"][0]["text"]) for item in fake.requests[-1]["input"]]
        assert roles == [
            ("assistant", "Shop, hello."),
            ("user", "One."),
            ("assistant", "I heard: One. Anything else?"),
            ("user", "Two."),
        ]
        assert all(body["store"] is False for body in fake.requests)
        assert set(fake.operations) <= {"models.retrieve", "responses.create"}
        assert fake.violations == []


async def test_local_history_pairs_every_call_with_an_output():
    async with FakeOpenAI() as fake, talking(fake, history="local") as talk:
        talk.caller("When are you open?")
        talk.said.append(ToolCalled(2, "call_1", "opening_hours", "{}"))
        talk.said.append(ToolCalled(2, "call_2", "opening_hours", "{}"))
        talk.said.append(ToolAnswered(2, "call_2", "09:00"))
        talk.said.append(ToolAnswered(2, "call_0", "lost"))
        await talk.ask()
        outputs = [item for item in fake.requests[0]["input"] if "output" in item]
        assert [item["call_id"] for item in outputs] == ["call_1", "call_2"]
        assert outputs[1]["output"] == "09:00"
        assert fake.violations == []


async def test_leaving_a_local_reply_early_ends_its_connection():
    async with FakeOpenAI(inter_token_s=60.0) as fake, talking(fake, history="local") as talk:
        talk.caller("Hello.")
        await talk.cut_after(1)
        await fake.until(lambda: fake.n_aborted)


# Connections. A reply that comes before the first dialling is done does not wait for it.


@pytest.mark.parametrize(("history", "most"), [("conversation", 1), ("local", 2)])
async def test_whole_replies_and_their_settling_use_one_connection(history, most):
    async with FakeOpenAI() as fake, talking(fake, history=history) as talk:
        for text in ("One.", "Two.", "Three.", "Four."):
            talk.caller(text)
            await talk.ask()
            await talk.heard("I heard")
        assert fake.n_connections <= most


async def test_calls_share_one_client():
    async with FakeOpenAI() as fake:
        async with OpenAILanguageModel(
            "sk-test", fake.base_url, model="gpt-5-nano", history="conversation"
        ) as llm:
            for _ in range(3):
                async with llm.open(a_call(), INSTRUCTIONS, []) as dialogue:
                    async with dialogue.reply(2, [CallerSaid(1, "Hello.")]) as events:
                        with pytest.raises(StopAsyncIteration):
                            while True:
                                await anext(events)
        assert fake.n_connections == 1


async def test_local_history_dials_before_anything_is_asked_and_anew_after_an_abort():
    async with FakeOpenAI(["Story.", "Yes?"]) as fake, talking(fake, history="local") as talk:
        await fake.until(lambda: fake.operations == ["models.retrieve"])
        fake.inter_token_s = 60.0
        talk.caller("Tell me a story.")
        await talk.cut_after(1)
        fake.inter_token_s = 0.0
        await talk.heard("")
        await talk.heard("")
        assert fake.operations == ["models.retrieve", "responses.create", "models.retrieve"]
        n_connections = fake.n_connections
        assert await talk.exchange("Stop.") == "Yes?"
        assert fake.n_connections == n_connections


async def test_local_history_does_without_a_connection_ahead():
    async with FakeOpenAI() as fake:
        fake.fail("status", at="models.retrieve", status=404, code=None)
        async with talking(fake, history="local") as talk:
            await fake.until(lambda: fake.operations)
            assert await talk.exchange("Hello.") == "I heard: Hello. Anything else?"
