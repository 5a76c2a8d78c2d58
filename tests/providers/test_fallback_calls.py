"""A language model made of two over whole calls: what each knows, breakers, interruptions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from fakes.openai_call import INSTRUCTIONS, Talk, a_call
from fakes.openai_two import on_virtual_time, world
from voice_ai.errors import ProviderError
from voice_ai.providers.breaker import MAX_FAILURES, MAX_RETRIES, OPEN_S
from voice_ai.providers.fallback.leaving import LEAVE_S
from voice_ai.providers.fallback.model import FIRST_TOKEN_S, STALL_S, ResilientLanguageModel
from voice_ai.providers.openai.model import OpenAILanguageModel
from voice_ai.providers.protocols import CallInfo, LanguageModel, TextDelta


@pytest.fixture(params=["conversation", "local"])
def history(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# What the models know of each other's answers.


@on_virtual_time
async def test_the_first_hears_what_the_second_said(history: str) -> None:
    async with world("Back again.", history=history) as it:
        for _ in range(2):
            it.first.fail("status", status=503)
        assert await it.talk.exchange("Hello.") == "The second."
        assert await it.talk.exchange("Who is there?") == "Back again."
        said = [
            "user: Hello.",
            "assistant: The second.",
            "user: Who is there?",
            "assistant: Back again.",
        ]
        if history == "conversation":
            assert it.first.conversation.spoken == said
        else:
            sent = it.first.requests[-1]["input"]
            assert [f"{one['role']}: {one['content'][0]['text']}" for one in sent] == said[:-1]


@on_virtual_time
async def test_the_second_is_told_all_that_was_said_and_keeps_its_dialogue(history: str) -> None:
    async with world("Good morning.", history=history) as it:
        await it.talk.exchange("Hello.")
        for _ in range(4):
            it.first.fail("status", status=503)
        for text in ("Again.", "And again."):
            assert await it.ask(text) == "The second."
            await it.talk.heard("The second.", complete=True)
        sent = it.second.requests[-1]["input"]
        texts = [one["content"][0]["text"] for one in sent]
        assert texts == ["Hello.", "Good morning.", "Again.", "The second.", "And again."]


# Models that cannot be opened.


class Unopened:
    """A model whose calls cannot be opened, for a while."""

    def __init__(self, model: LanguageModel, n_failures: int) -> None:
        self.model = model
        self.n_failures = n_failures

    @asynccontextmanager
    async def open(self, call: CallInfo, instructions: str, tools: Any) -> AsyncIterator[Any]:
        if self.n_failures:
            self.n_failures -= 1
            raise ProviderError("llm", "no")
        async with self.model.open(call, instructions, tools) as dialogue:
            yield dialogue


@pytest.mark.parametrize(("n_failures", "answer"), [(1, "One."), (2, "The second.")])
@on_virtual_time
async def test_a_model_that_cannot_be_opened_is_opened_again(n_failures: int, answer: str) -> None:
    async with world("One.") as it:
        unopened = Unopened(it.llm._models[0], n_failures)
        llm = ResilientLanguageModel([("a", unopened), ("b", it.llm._models[1])])
        async with llm.open(a_call(), INSTRUCTIONS, []) as dialogue:
            it.talk = Talk(dialogue)
            assert await it.talk.exchange("Hello.") == answer


@on_virtual_time
async def test_an_error_inside_a_call_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with world() as it:
            await it.talk.exchange("Hello.")
            raise LookupError("mine")


# Breakers and budgets.


@on_virtual_time
async def test_a_model_that_is_down_is_left_alone_by_all_calls_until_it_is_back() -> None:
    async with world("Back again.", "Still here.", history="local") as it:
        for _ in range(MAX_FAILURES):
            it.first.fail("status", status=503)
        n_asked = []
        for n in range(5):
            async with it.llm.open(CallInfo(f"CA{n}"), INSTRUCTIONS, []) as dialogue:
                it.talk = Talk(dialogue)
                assert await it.ask() == "The second."
            n_asked.append(it.first.operations.count("responses.create"))
        assert n_asked == [2, 4, 5, 5, 5]
        assert it.told()[4:] == [("first", "fell back"), ("first", "skipped"), ("first", "skipped")]
        assert it.faults[-1].call_sid == "CA4"
        await asyncio.sleep(OPEN_S)
        async with it.llm.open(a_call(), INSTRUCTIONS, []) as dialogue:
            it.talk = Talk(dialogue)
            assert [await it.ask() for _ in range(2)] == ["Back again.", "Still here."]


@on_virtual_time
async def test_a_call_has_so_many_retries_and_no_more() -> None:
    async with world(history="local") as it:
        for _ in range(MAX_RETRIES):
            it.first.fail("status", status=503)
            assert (await it.ask()).startswith("I heard")
        it.first.fail("status", status=503)
        assert await it.ask() == "The second."


@on_virtual_time
async def test_an_answer_that_is_interrupted_is_a_success() -> None:
    async with world(history="local") as it:
        for _ in range(3):
            for _ in range(2):
                it.first.fail("status", status=503)
            await it.ask()
            it.talk.caller("Hello?")
            assert await it.talk.cut_after(1) != ""
        assert ("first", "skipped") not in it.told()


# The caller interrupts.

PHASES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "the first word": [("first", {"kind": "mute"})],
    "the first word of a stream": [("first", {"kind": "stall"})],
    "the next word": [("first", {"kind": "stall", "after_deltas": 2})],
    "the retry": [("first", {"kind": "cut"}), ("first", {"kind": "mute"})],
    "a pause before the retry": [
        ("first", {"kind": "status", "status": 429, "retry_after": "0.5"})
    ],
    "the second": [
        ("first", {"kind": "cut"}),
        ("first", {"kind": "cut"}),
        ("second", {"kind": "mute"}),
    ],
    "the second's next word": [
        ("first", {"kind": "cut"}),
        ("first", {"kind": "cut"}),
        ("second", {"kind": "stall", "after_deltas": 1}),
    ],
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("over", [False, True], ids=["the call goes on", "the call is over"])
@on_virtual_time
async def test_an_interruption_leaves_nothing_open(phase: str, over: bool, history: str) -> None:
    async with world(history=history) as it:
        for who, failure in PHASES[phase]:
            getattr(it, who).fail(**failure)
        it.talk.caller("Hello.")
        async with asyncio.TaskGroup() as group:
            reply = group.create_task(it.talk.ask())
            await asyncio.sleep(0.3)
            reply.cancel()
            began = it.loop.time()
            await asyncio.wait([reply])
        assert reply.cancelled()
        assert it.loop.time() - began < 0.1
        for fake in (it.first, it.second):
            await fake.until(lambda fake=fake: fake.n_under_way == 0)
        if not over:
            await it.talk.heard("")
            assert await it.talk.exchange("Again.") == "I heard: Again. Anything else?"


class Sticky:
    """A dialogue whose reply is not left by itself."""

    @asynccontextmanager
    async def reply(self, turn: int, said: Any) -> AsyncIterator[Any]:
        async def events() -> AsyncIterator[TextDelta]:
            yield TextDelta("Hello.")
            await asyncio.Event().wait()

        try:
            yield events()
        finally:
            await asyncio.Event().wait()

    async def settle(self, turn: int, said: Any) -> None:
        pass

    @asynccontextmanager
    async def open(self, call: CallInfo, instructions: str, tools: Any) -> AsyncIterator[Any]:
        yield self


@on_virtual_time
async def test_a_reply_that_cannot_be_left_is_left_within_a_second() -> None:
    loop = asyncio.get_running_loop()
    async with ResilientLanguageModel([("sticky", Sticky())]).open(a_call(), "", []) as dialogue:
        talk = Talk(dialogue)
        talk.caller("Hello.")
        with pytest.raises(ProviderError, match="did not go on within 2 s"):
            await talk.ask()
        assert loop.time() == pytest.approx(STALL_S + LEAVE_S, abs=0.01)
        async with asyncio.TaskGroup() as group:
            reply = group.create_task(talk.ask())
            await asyncio.sleep(0.1)
            reply.cancel()
        assert reply.cancelled()
        assert loop.time() == pytest.approx(STALL_S + 2 * LEAVE_S + 0.1, abs=0.01)


@pytest.mark.parametrize("reads", [False, True])
@on_virtual_time
async def test_a_peer_that_never_answers_is_left_within_a_second(reads: bool, history: str) -> None:
    writers = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError):
            while reads and await reader.read(1000):
                pass

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings: Any = {"model": "gpt-5-nano", "history": history}
        async with OpenAILanguageModel("sk", f"http://127.0.0.1:{port}/v1", **settings) as model:
            llm, loop = ResilientLanguageModel([("silent", model)]), asyncio.get_running_loop()
            async with llm.open(a_call(), INSTRUCTIONS, []) as dialogue:
                talk = Talk(dialogue)
                talk.caller("Hello.")
                with pytest.raises(ProviderError, match="did not begin within 4 s"):
                    await talk.ask()
                left = loop.time()
                assert left < 2 * FIRST_TOKEN_S + 0.1
            assert loop.time() - left <= 1.0
        assert loop.time() - left <= 1.1
        for writer in writers:
            writer.close()
