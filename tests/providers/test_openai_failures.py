"""What the service can do to a reply, and the ProviderError that comes of it."""

import asyncio
import math
import traceback

import pytest

from fakes.openai_api import FakeOpenAI, FunctionCall, Refused
from fakes.openai_call import INSTRUCTIONS, Talk, a_call, talking
from voice_ai.errors import ProviderError
from voice_ai.providers.openai.model import OpenAILanguageModel


@pytest.fixture(params=["conversation", "local"])
def history(request):
    return request.param


async def failure_of(talk):
    with pytest.raises(ProviderError) as raised:
        await talk.ask()
    assert raised.value.stage == "llm"
    return raised.value


@pytest.fixture
def told_to_fail(history):
    """Ask a service that was told to fail, return the error, and see that the call recovers."""

    async def ask(kind, answers=("Hello there.", "Fine."), **details):
        async with FakeOpenAI(answers) as fake, talking(fake, history=history) as talk:
            talk.caller("Hello.")
            fake.fail(kind, **details)
            error = await failure_of(talk)
            await talk.heard("")
            talk.caller("Again.")
            assert (await talk.ask())[0] != ""
            assert fake.violations == []
            if history == "conversation":
                asked = [line for line in fake.conversation.spoken if line.startswith("user")]
                assert asked == ["user: Hello.", "user: Again."]
            return error

    return ask


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_what_we_asked_wrongly_is_not_worth_asking_again(told_to_fail, status):
    error = await told_to_fail("status", status=status, code="model_not_found", param="model")
    assert not error.retryable
    assert str(error) == f"OpenAI answered {status}, code model_not_found, param model"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_what_may_pass_is_told_at_once(told_to_fail, status):
    error = await told_to_fail("status", status=status, code=None, retry_after="0.25")
    assert error.retryable
    assert str(error) == f"OpenAI answered {status}"
    assert error.retry_after_s == 0.25


@pytest.mark.parametrize(
    ("told", "retry_after_s"),
    [(None, 0.0), ("60", 60.0), ("-1", 0.0), ("Mon, 23 Nov 2026 12:00:00 GMT", math.inf)],
)
async def test_a_service_that_wants_us_to_come_back_later(history, told, retry_after_s):
    async with FakeOpenAI() as fake, talking(fake, history=history) as talk:
        fake.fail("status", status=429, code="rate_limit_exceeded", retry_after=told)
        talk.caller("Hello.")
        error = await failure_of(talk)
        assert error.retryable
        assert error.retry_after_s == retry_after_s


async def test_an_empty_purse_does_not_fill_up(told_to_fail):
    error = await told_to_fail("status", status=429, code="insufficient_quota")
    assert not error.retryable


async def test_a_wrong_key_is_not_retryable_and_never_told(history, caplog):
    async with FakeOpenAI() as fake, talking(fake, key="sk-secret", history=history) as talk:
        talk.caller("Hello.")
        error = await failure_of(talk)
        assert not error.retryable
        assert str(error) == "OpenAI answered 401, code invalid_api_key"
        assert "sk-secret" not in "".join(traceback.format_exception(error))
        await talk.heard("")
        assert "sk-secret" not in caplog.text


async def test_nobody_there(history):
    async with FakeOpenAI() as fake:
        pass
    settings = {"model": "gpt-5-nano", "history": history}
    async with (
        OpenAILanguageModel("sk-test", fake.base_url, **settings) as llm,
        llm.open(a_call(), INSTRUCTIONS, []) as dialogue,
    ):
        talk = Talk(dialogue)
        talk.caller("Hello.")
        error = await failure_of(talk)
        assert error.retryable
        assert str(error).startswith("the connection to OpenAI failed: ")


@pytest.mark.parametrize("answer", [b"", b"What is that?\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_somebody_there_who_does_not_speak_http(history, answer):
    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        settings = {"model": "gpt-5-nano", "history": history}
        async with (
            OpenAILanguageModel("sk-test", base_url, **settings) as llm,
            llm.open(a_call(), INSTRUCTIONS, []) as dialogue,
        ):
            talk = Talk(dialogue)
            talk.caller("Hello.")
            error = await failure_of(talk)
    assert error.retryable
    assert str(error).startswith("the connection to OpenAI failed: ")


async def test_an_error_event(told_to_fail):
    error = await told_to_fail("error", code="server_error", param="input")
    assert error.retryable
    assert str(error) == "OpenAI failed the response (code server_error, param input)"


async def test_an_error_event_without_a_code(told_to_fail):
    error = await told_to_fail("error", code=None, after_deltas=1)
    assert str(error) == "OpenAI failed the response"


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("server_error", True), ("rate_limit_exceeded", True), ("invalid_prompt", False)],
)
async def test_a_failed_response(told_to_fail, code, retryable):
    error = await told_to_fail("failed", code=code)
    assert error.retryable is retryable
    assert str(error) == f"OpenAI failed the response (code {code})"


@pytest.mark.parametrize(
    ("reason", "kind"), [("max_output_tokens", "failed"), ("content_filter", "refused")]
)
async def test_an_empty_answer_that_was_cut_is_an_error(told_to_fail, reason, kind):
    error = await told_to_fail("incomplete", reason=reason)
    assert (error.retryable, error.kind) == (False, kind)
    assert str(error) == f"the answer is empty: {reason}"


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
async def test_an_answer_that_was_cut_after_some_text_says_so(history, reason):
    async with FakeOpenAI(["Good morning!", "Yes?"]) as fake:
        async with talking(fake, history=history) as talk:
            fake.fail("incomplete", reason=reason, after_deltas=2)
            talk.caller("Hello.")
            error = await failure_of(talk)
            assert not error.retryable
            assert str(error) == f"the answer was cut: {reason}"
            await talk.heard("Good")
            await talk.exchange("Pardon?")
            assert fake.violations == []
            if history == "conversation":
                heard = ["user: Hello.", "assistant: Good", "user: Pardon?", "assistant: Yes?"]
                assert fake.conversation.spoken == heard


async def test_a_tool_call_that_was_cut_is_not_run(told_to_fail):
    answers = [FunctionCall("opening_hours", {"day": "Monday"}), "Fine."]
    error = await told_to_fail("incomplete", answers, after_deltas=2)
    assert str(error) == "the answer is empty: max_output_tokens"


async def test_a_refusal(history):
    async with FakeOpenAI([Refused("No."), "Fine."]) as fake:
        async with talking(fake, history=history) as talk:
            talk.caller("Help me to do wrong.")
            error = await failure_of(talk)
            assert (error.retryable, error.kind) == (False, "refused")
            assert str(error) == "the model refused to answer"
            await talk.heard("")
            assert await talk.exchange("Sorry.") == "Fine."
            assert fake.violations == []


@pytest.mark.parametrize("after_deltas", [0, 2])
async def test_a_connection_cut_in_the_middle(told_to_fail, after_deltas):
    error = await told_to_fail("cut", after_deltas=after_deltas)
    assert error.retryable


@pytest.mark.parametrize("after_deltas", [0, 2, 99])
async def test_a_stream_that_ends_before_its_response(told_to_fail, after_deltas):
    error = await told_to_fail("end", after_deltas=after_deltas)
    assert error.retryable
    assert str(error) == "OpenAI ended the stream before the response"


async def test_an_event_that_cannot_be_read(told_to_fail):
    error = await told_to_fail("malformed", after_deltas=1)
    assert error.retryable
    assert str(error).startswith("OpenAI sent what cannot be read: ")


@pytest.mark.parametrize("after_deltas", [0, 2])
async def test_a_service_that_falls_silent(history, after_deltas):
    async with FakeOpenAI() as fake, talking(fake, history=history, timeout_s=1.0) as talk:
        fake.fail("stall", after_deltas=after_deltas)
        talk.caller("Hello.")
        error = await failure_of(talk)
        assert error.retryable
        assert str(error) == "OpenAI did not answer in time"
        await fake.until(lambda: fake.n_aborted)


async def test_a_service_that_does_not_even_begin(history):
    async with FakeOpenAI() as fake, talking(fake, history=history, timeout_s=0.3) as talk:
        fake.fail("mute")
        talk.caller("Hello.")
        error = await failure_of(talk)
        assert error.retryable
        assert str(error) == "OpenAI did not answer in time"
        await talk.heard("")
        assert await talk.exchange("Again.") == "I heard: Again. Anything else?"
