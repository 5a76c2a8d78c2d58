"""The call's history at the service: what is sent, what a barge-in leaves, and how it is mended."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from fakes.openai_api import FakeOpenAI, FunctionCall
from fakes.openai_call import INSTRUCTIONS, Talk, a_call, request_of, talking
from voice_ai.errors import ProviderError
from voice_ai.providers.openai import conversation, service, stream
from voice_ai.providers.openai.items import NO_RESULT
from voice_ai.providers.openai.model import OpenAILanguageModel
from voice_ai.providers.protocols import ToolRequested
from voice_ai.turn.events import AgentSaid, CallerSaid, ToolAnswered, ToolCalled

LONG = "Once upon a time there was a phone that nobody answered."
TIMES = FunctionCall("opening_hours", {"day": "Monday"})


@pytest.fixture
def impatient(monkeypatch):
    """Wait a millisecond for a locked conversation, three times."""
    monkeypatch.setattr(service, "LOCKED_WAITS_S", (0.001,) * 3)
    monkeypatch.setattr(conversation, "LOCKED_WAITS_S", (0.001,) * 3)


def spoken_input(body):
    return [
        item.get("output") or "".join(part["text"] for part in item["content"])
        for item in body["input"]
    ]


# Nothing, or nothing yet.


async def test_a_call_without_a_reply_leaves_no_conversation_behind():
    async with FakeOpenAI() as fake:
        async with talking(fake):
            await fake.until(lambda: fake.conversations)
        assert fake.conversation.deleted
        assert fake.requests == []


async def test_entering_a_call_does_not_wait_for_the_conversation():
    async with FakeOpenAI() as fake, talking(fake):
        assert fake.operations == []


async def test_settling_before_anything_was_said_asks_nothing():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.heard("Hello!", complete=True)
        await fake.until(lambda: fake.conversations)
        assert fake.operations == ["conversations.create"]


async def test_a_conversation_can_be_left_at_the_service():
    async with FakeOpenAI() as fake:
        async with talking(fake, delete_after_call=False) as talk:
            await talk.exchange("Hello.")
        assert not fake.conversation.deleted


async def test_an_end_that_the_service_does_not_answer_is_still_an_end():
    async with FakeOpenAI() as fake:
        fake.fail("status", at="conversations.delete", status=400)
        async with talking(fake) as talk:
            await talk.exchange("Hello.")
        assert not fake.conversation.deleted


# What is sent.


async def test_each_reply_sends_only_what_the_service_does_not_have():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        talk.said.append(AgentSaid(0, "Shop, hello.", True))
        assert await talk.exchange("Are you open?") == "I heard: Are you open. Anything else?"
        await talk.exchange("Thanks.")
        first, second = fake.requests
        assert spoken_input(first) == ["Shop, hello.", "Are you open?"]
        assert spoken_input(second) == ["Thanks."]
        assert first["conversation"] == second["conversation"] == fake.conversation.id
        assert first["instructions"] == second["instructions"] == "You answer the phone."
        assert fake.violations == []


async def test_a_turn_heard_to_its_end_needs_no_request_to_settle():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.exchange("Hello.")
        assert fake.operations == ["conversations.create", "responses.create"]


async def test_the_first_reply_waits_for_the_conversation_and_asks_for_one_only():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.exchange("Hello.")
        assert len(fake.conversations) == 1


async def test_a_conversation_that_could_not_be_created_is_created_by_the_reply():
    async with FakeOpenAI() as fake:
        fake.fail("status", at="conversations.create", status=400)
        async with talking(fake) as talk:
            await fake.until(lambda: fake.operations)
            assert await talk.exchange("Hello.") == "I heard: Hello. Anything else?"


async def test_a_conversation_that_takes_too_long_is_created_by_the_reply(monkeypatch):
    async with FakeOpenAI() as fake:
        async with OpenAILanguageModel("sk-test", fake.base_url, model="gpt-5-nano") as llm:
            async with llm.open(a_call(), INSTRUCTIONS, []) as dialogue:
                await Talk(dialogue).exchange("The connection is up.")
            monkeypatch.setattr(conversation, "BEGIN_S", 0.2)
            fake.fail("mute", at="conversations.create")
            async with llm.open(a_call(), INSTRUCTIONS, []) as dialogue:
                await fake.until(lambda: fake.operations.count("conversations.create") == 2)
                assert await Talk(dialogue).exchange("Hi.") == "I heard: Hi. Anything else?"


async def test_the_outputs_of_tools_are_sent_exactly_once():
    async with FakeOpenAI([TIMES, "At nine.", "Bye."]) as fake, talking(fake) as talk:
        talk.caller("When do you open on Monday?")
        text, [request] = await talk.ask()
        assert (text, request.name, request.arguments) == ("", TIMES.name, '{"day": "Monday"}')
        talk.tool(request, "09:00")
        assert await talk.ask() == ("At nine.", [])
        await talk.heard("At nine.", complete=True)
        await talk.exchange("Thanks.")
        assert [spoken_input(body) for body in fake.requests[1:]] == [["09:00"], ["Thanks."]]
        assert fake.violations == []


TWO = (TIMES, FunctionCall("free_chairs", {}))


@pytest.mark.parametrize("history", ["conversation", "local"])
@pytest.mark.parametrize("side_by_side", [True, False])
async def test_several_calls_in_one_response_are_answered_together(history, side_by_side):
    async with FakeOpenAI([TWO, "At nine.", "Bye."]) as fake:
        async with talking(fake, history=history) as talk:
            talk.caller("When do you open on Monday, and is there a chair?")
            _, [first, second] = await talk.ask()
            if side_by_side:
                called = [ToolCalled(2, one.call_id, one.name, "{}") for one in (first, second)]
                talk.said += [*called, ToolAnswered(2, second.call_id, "two")]
                talk.said.append(ToolAnswered(2, first.call_id, "09:00"))
            else:
                talk.tool(first, "09:00")
                talk.tool(second, "two")
            assert await talk.ask() == ("At nine.", [])
            await talk.heard("At nine.", complete=True)
            assert await talk.exchange("Thanks.") == "Bye."
            assert fake.violations == []
            assert len(fake.conversations) == (history == "conversation")


@pytest.mark.parametrize("history", ["conversation", "local"])
async def test_a_result_that_comes_after_a_barge_in_is_a_call_of_its_own(history):
    async with FakeOpenAI([TIMES, "Yes?", "At nine."]) as fake:
        async with talking(fake, history=history) as talk:
            talk.caller("When do you open?")
            _, [request] = await talk.ask()
            talk.tool(request, "It goes on.")
            await talk.heard("")
            assert await talk.exchange("Wait.") == "Yes?"
            talk.tool(replace(request, call_id=f"{request.call_id}_late"), "09:00")
            assert await talk.exchange("And now?") == "At nine."
            outputs = [item["output"] for item in fake.requests[-1]["input"] if "output" in item]
            assert outputs[-1] == "09:00"
            assert len(fake.conversations) == (history == "conversation")
            assert fake.violations == []


@pytest.mark.parametrize("answered", [0, 1])
async def test_each_orphan_of_several_calls_gets_an_output(answered):
    async with FakeOpenAI([TWO, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("When do you open?")
        _, requests = await talk.ask()
        for request in requests[:answered]:
            talk.tool(request, "09:00")
        await talk.heard("")
        assert await talk.exchange("Never mind.") == "Yes?"
        outputs = ["09:00"] * answered + [NO_RESULT] * (2 - answered)
        assert sorted(spoken_input(fake.requests[1])[:-1]) == sorted(outputs)
        assert fake.violations == []


@pytest.mark.parametrize("leaves", ["nothing", "finished_items", "everything"])
async def test_several_calls_whose_response_broke_off_are_answered(leaves, monkeypatch):
    monkeypatch.setattr(stream, "DRAIN_S", 0.01)
    async with FakeOpenAI([TWO, "At nine."], abort_leaves=leaves) as fake:
        async with talking(fake) as talk:
            talk.caller("When do you open on Monday?")
            fake.fail("cut", after_deltas=99)
            requests = []
            with suppress(ProviderError):
                async with talk.dialogue.reply(talk.turn, tuple(talk.said)) as events:
                    async for event in events:
                        if isinstance(event, ToolRequested):
                            requests.append(event)
            await fake.until(lambda: fake.n_aborted)
            for request in requests:
                talk.tool(request, "09:00")
            assert len(requests) == 2
            assert await talk.ask() == ("At nine.", [])
            await talk.heard("At nine.", complete=True)
            spoken = fake.conversation.spoken
            assert sorted(spoken[1:-1]) == [
                "call: free_chairs",
                "call: opening_hours",
                "output: 09:00",
                "output: 09:00",
            ]
            assert fake.violations == []


async def test_a_tool_request_left_at_once_is_kept_by_the_service():
    async with FakeOpenAI([TIMES, "At nine."], inter_token_s=0.001) as fake:
        async with talking(fake) as talk:
            talk.caller("When do you open on Monday?")
            async with talk.dialogue.reply(talk.turn, tuple(talk.said)) as events:
                request = await request_of(events)
            talk.tool(request, "09:00")
            assert await talk.ask() == ("At nine.", [])
            assert fake.n_aborted == 0
            assert len(fake.conversations) == 1


@pytest.mark.parametrize("kind", ["cut", "stall", "end"])
@pytest.mark.parametrize("leaves", ["nothing", "finished_items", "everything"])
async def test_a_tool_request_whose_response_broke_off_is_answered(kind, leaves, monkeypatch):
    monkeypatch.setattr(stream, "DRAIN_S", 0.01)
    async with FakeOpenAI([TIMES, "At nine."], abort_leaves=leaves) as fake:
        async with talking(fake) as talk:
            talk.caller("When do you open on Monday?")
            fake.fail(kind, after_deltas=99)
            async with talk.dialogue.reply(talk.turn, tuple(talk.said)) as events:
                request = await request_of(events)
            await fake.until(lambda: fake.n_aborted)
            talk.tool(request, "09:00")
            assert await talk.ask() == ("At nine.", [])
            await talk.heard("At nine.", complete=True)
            assert fake.conversation.spoken == [
                "user: When do you open on Monday?",
                "call: opening_hours",
                "output: 09:00",
                "assistant: At nine.",
            ]
            assert fake.violations == []


async def test_a_call_of_a_cancelled_turn_gets_an_output_with_the_next_reply():
    async with FakeOpenAI([TIMES, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("When do you open?")
        await talk.ask()
        await talk.heard("")
        assert await talk.exchange("Never mind.") == "Yes?"
        assert spoken_input(fake.requests[1]) == [NO_RESULT, "Never mind."]
        assert fake.violations == []


# A barge-in into a reply that is complete at the service.


async def test_of_a_reply_cut_short_only_what_was_heard_stays():
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        await talk.heard("Once upon")
        assert fake.conversation.spoken == ["user: Tell me a story.", "assistant: Once upon"]
        await talk.exchange("Stop.")
        assert fake.conversation.spoken[2:] == ["user: Stop.", "assistant: Yes?"]
        assert fake.violations == []


async def test_of_a_reply_that_was_not_heard_nothing_stays_and_its_reasoning_goes_too():
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        await talk.heard("")
        assert [item["type"] for item in fake.conversation.items] == ["message"]
        await talk.exchange("Stop.")
        assert fake.violations == []


async def test_an_item_that_is_gone_already_need_not_be_deleted():
    async with FakeOpenAI([LONG]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        fake.conversation.items.pop()
        await talk.heard("Once upon")
        assert fake.conversation.spoken == ["user: Tell me a story.", "assistant: Once upon"]
        assert len(fake.conversations) == 1


async def test_text_before_a_tool_and_after_it_is_cut_as_one():
    answers = [FunctionCall("look", {}, text="One moment."), LONG, "Yes?"]
    async with FakeOpenAI(answers) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        text, [request] = await talk.ask()
        assert text == "One moment."
        talk.tool(request, "a story")
        await talk.ask()
        await talk.heard("One moment. Once")
        await talk.exchange("Stop.")
        assert fake.conversation.spoken == [
            "user: Tell me a story.",
            "call: look",
            "output: a story",
            "assistant: One moment. Once",
            "user: Stop.",
            "assistant: Yes?",
        ]
        assert fake.violations == []


async def test_a_reply_settles_what_nobody_has_settled():
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        talk.said.append(AgentSaid(talk.turn, "Once upon", False))
        await talk.exchange("Stop.")
        assert fake.conversation.spoken == [
            "user: Tell me a story.",
            "assistant: Once upon",
            "user: Stop.",
            "assistant: Yes?",
        ]
        assert fake.violations == []


async def test_a_reply_waits_for_a_settle_in_progress():
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        async with asyncio.TaskGroup() as group:
            group.create_task(talk.heard("Once upon"))
            await fake.until(lambda: "items.delete" in fake.operations)
            talk.caller("Stop.")
            await talk.ask()
        assert fake.conversation.spoken[1:3] == ["assistant: Once upon", "user: Stop."]
        assert fake.operations.index("items.create") < len(fake.operations) - 1


async def test_a_settle_that_comes_after_the_next_reply_changes_nothing():
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        talk.said.append(AgentSaid(talk.turn, "Once upon", False))
        before = (talk.turn, tuple(talk.said))
        talk.caller("Stop.")
        await talk.ask()
        n_operations = len(fake.operations)
        await talk.dialogue.settle(*before)
        assert len(fake.operations) == n_operations


# A barge-in into a reply that is still being written.


@pytest.mark.parametrize("linger", [0, 2])
@pytest.mark.parametrize("leaves", ["nothing", "finished_items", "everything"])
@pytest.mark.parametrize("heard", ["", "Once"])
@pytest.mark.parametrize("settled", [True, False])
async def test_whatever_an_abort_leaves_is_mended(leaves, heard, linger, settled, impatient):
    async with (
        FakeOpenAI(
            [LONG, "Yes?"], inter_token_s=0.0005, abort_leaves=leaves, linger=linger
        ) as fake,
        talking(fake) as talk,
    ):
        await talk_and_cut(fake, talk)
        if settled:
            await talk.heard(heard)
        elif heard:
            talk.said.append(AgentSaid(talk.turn, heard, False))
        talk.caller("Stop.")
        assert await talk.ask() == ("Yes?", [])
        n_listed = fake.operations.count("items.list")
        await talk.heard("Yes?", complete=True)
        assert fake.operations.count("items.list") == n_listed
        expected = ["user: Tell me a story.", *([f"assistant: {heard}"] if heard else [])]
        assert fake.conversation.spoken == [*expected, "user: Stop.", "assistant: Yes?"]
        assert len(fake.conversations) == 1
        assert fake.violations == []


async def talk_and_cut(fake, talk):
    fake.inter_token_s, normal = 60.0, fake.inter_token_s
    talk.caller("Tell me a story.")
    assert await talk.cut_after(1) == "Once"
    await fake.until(lambda: fake.n_aborted)
    fake.inter_token_s = normal


async def test_leaving_a_reply_early_ends_its_connection():
    async with FakeOpenAI([LONG]) as fake, talking(fake) as talk:
        await talk_and_cut(fake, talk)
        assert fake.n_aborted == 1


async def test_cancelling_a_reply_that_waits_for_its_first_word_ends_its_connection():
    async with FakeOpenAI([LONG], first_token_s=60.0) as fake, talking(fake) as talk:
        talk.caller("Hello.")
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(talk.ask())
            await fake.until(lambda: fake.requests)
            asking.cancel()
        await fake.until(lambda: fake.n_aborted)


async def test_an_earlier_turn_is_not_touched_by_mending():
    async with FakeOpenAI(["First.", LONG, "Yes?"], abort_leaves="everything") as fake:
        async with talking(fake) as talk:
            await talk.exchange("One.")
            kept = list(fake.conversation.items)
            await talk_and_cut(fake, talk)
            await talk.heard("Once")
            assert fake.conversation.items[: len(kept)] == kept
            assert fake.conversation.spoken[2:] == ["user: Tell me a story.", "assistant: Once"]


async def test_an_orphan_call_of_an_aborted_reply_is_removed():
    answers = [FunctionCall("look", {"what": "it"}, text="One moment."), "Yes?"]
    async with FakeOpenAI(answers, abort_leaves="everything") as fake, talking(fake) as talk:
        fake.inter_token_s = 60.0
        talk.caller("Look it up.")
        await talk.cut_after(1)
        await fake.until(lambda: fake.n_aborted)
        fake.inter_token_s = 0.0
        await talk.heard("")
        assert fake.conversation.spoken == ["user: Look it up."]
        await talk.exchange("Stop.")
        assert fake.violations == []


async def test_a_long_tail_is_listed_page_by_page(monkeypatch):
    monkeypatch.setattr(service, "PAGE", 2)
    async with FakeOpenAI(["First.", LONG, "Yes?"], abort_leaves="everything") as fake:
        async with talking(fake) as talk:
            await talk.exchange("One.")
            await talk_and_cut(fake, talk)
            await talk.heard("Once")
            assert fake.conversation.spoken[2:] == ["user: Tell me a story.", "assistant: Once"]
            assert fake.operations.count("items.list") > 2


# When the conversation cannot be saved.


@pytest.mark.parametrize("operation", ["items.delete", "items.create"])
async def test_a_refused_change_begins_a_new_conversation_from_the_mirror(operation):
    async with FakeOpenAI([LONG, "Yes?"]) as fake:
        async with talking(fake) as talk:
            talk.caller("Tell me a story.")
            await talk.ask()
            fake.fail("status", at=operation, status=400, code=None)
            await talk.heard("Once upon")
            assert len(fake.conversations) == 2
            assert fake.conversation.spoken == ["user: Tell me a story.", "assistant: Once upon"]
            assert await talk.exchange("Stop.") == "Yes?"
            assert spoken_input(fake.requests[-1]) == ["Stop."]
        assert [kept.deleted for kept in fake.conversations.values()] == [True, True]


@pytest.mark.parametrize("heard", ["", "Once upon"])
async def test_a_delete_that_is_refused_because_reasoning_stays_begins_a_new_conversation(heard):
    async with FakeOpenAI([LONG, LONG, "Yes?"], guards_reasoning=True) as fake:
        async with talking(fake) as talk:
            for number in (1, 2):
                talk.caller("Tell me a story.")
                await talk.ask()
                await talk.heard(heard)
                assert len(fake.conversations) == number + 1
            told = ["user: Tell me a story.", *([f"assistant: {heard}"] if heard else [])]
            assert fake.conversation.spoken == told * 2
            assert await talk.exchange("Stop.") == "Yes?"
            assert spoken_input(fake.requests[-1]) == ["Stop."]
        assert all(kept.deleted for kept in fake.conversations.values())


@pytest.mark.parametrize("heard", ["", "Once upon"])
async def test_a_conversation_that_is_gone_at_a_barge_in_is_replaced(heard):
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        fake.conversation.deleted = True
        await talk.heard(heard)
        assert await talk.exchange("Stop.") == "Yes?"
        told = ["user: Tell me a story.", *([f"assistant: {heard}"] if heard else [])]
        assert fake.conversation.spoken == [*told, "user: Stop.", "assistant: Yes?"]
        assert len(fake.conversations) == 2


async def test_tools_and_their_outputs_are_in_the_mirror():
    async with FakeOpenAI([TIMES, LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("When do you open on Monday?")
        _, [request] = await talk.ask()
        talk.tool(request, "09:00")
        await talk.ask()
        fake.fail("status", at="items.delete", status=400, code=None)
        await talk.heard("Once upon")
        assert fake.conversation.spoken == [
            "user: When do you open on Monday?",
            "call: opening_hours",
            "output: 09:00",
            "assistant: Once upon",
        ]
        assert await talk.exchange("Stop.") == "Yes?"
        assert fake.violations == []


async def test_a_conversation_that_refuses_again_and_again_does_not_end_the_call():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.exchange("One.")
        for _ in range(2):
            fake.fail("status", status=400, code=None, param="input")
        talk.caller("Two.")
        with pytest.raises(ProviderError) as refused:
            await talk.ask()
        assert not refused.value.retryable
        await talk.heard("")
        assert await talk.exchange("Three.") == "I heard: Three. Anything else?"
        spoken = fake.conversation.spoken
        assert [line for line in spoken if line.startswith("user")] == [
            "user: One.",
            "user: Two.",
            "user: Three.",
        ]
        assert fake.violations == []


@pytest.mark.parametrize("operation", ["items.delete", "items.list"])
async def test_a_record_that_a_reply_cannot_mend_is_replaced(operation):
    async with FakeOpenAI([LONG, "Yes?"], abort_leaves="everything") as fake:
        async with talking(fake) as talk:
            await talk_and_cut(fake, talk)
            talk.said.append(AgentSaid(talk.turn, "Once", False))
            fake.fail("status", at=operation, status=400, code=None)
            assert await talk.exchange("Stop.") == "Yes?"
            assert spoken_input(fake.requests[-1]) == ["Tell me a story.", "Once", "Stop."]
            assert fake.violations == []


@pytest.mark.parametrize(("name", "number"), [("MAX_ROUNDS", 1), ("MAX_PAGES", 1)])
async def test_a_record_that_takes_too_much_mending_is_replaced(name, number, monkeypatch):
    monkeypatch.setattr(conversation, name, number)
    monkeypatch.setattr(service, "PAGE", 1)
    async with FakeOpenAI([LONG], abort_leaves="everything") as fake, talking(fake) as talk:
        await talk_and_cut(fake, talk)
        await talk.heard("Once")
        assert len(fake.conversations) == 2
        assert fake.conversation.spoken == ["user: Tell me a story.", "assistant: Once"]


async def test_a_history_of_more_than_twenty_items_is_rebuilt_in_batches():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        for number in range(12):
            await talk.exchange(f"Number {number}.")
        talk.caller("The last.")
        await talk.ask()
        fake.fail("status", at="items.delete", status=400, code=None)
        await talk.heard("I heard")
        assert len(fake.conversation.spoken) == 26
        assert fake.conversation.spoken[-1] == "assistant: I heard"
        assert fake.violations == []


async def test_a_settle_that_fails_altogether_is_made_good_by_the_next_reply():
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        fake.fail("status", at="items.delete", status=400, code=None)
        fake.fail("status", at="conversations.create", status=400, code=None)
        await talk.heard("Once upon")
        await talk.exchange("Stop.")
        assert spoken_input(fake.requests[-1]) == ["Tell me a story.", "Once upon", "Stop."]
        assert fake.violations == []


async def test_a_settle_that_takes_too_long_is_given_up_and_made_good(monkeypatch):
    monkeypatch.setattr(conversation, "SETTLE_S", 0.0)
    async with FakeOpenAI([LONG, "Yes?"]) as fake, talking(fake) as talk:
        talk.caller("Tell me a story.")
        await talk.ask()
        await talk.heard("Once upon")
        await talk.exchange("Stop.")
        assert fake.conversation.spoken[:2] == ["user: Tell me a story.", "assistant: Once upon"]


async def test_a_conversation_that_is_gone_is_replaced():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.exchange("One.")
        fake.conversation.deleted = True
        assert await talk.exchange("Two.") == "I heard: Two. Anything else?"
        assert len(fake.conversations) == 2
        assert len(spoken_input(fake.requests[-1])) == 3


async def test_a_conversation_that_changed_under_us_is_replaced():
    async with FakeOpenAI(["First.", LONG, "Yes?"], abort_leaves="everything") as fake:
        async with talking(fake) as talk:
            await talk.exchange("One.")
            await talk_and_cut(fake, talk)
            fake.conversation.items.clear()
            await talk.heard("Once")
            assert fake.conversation.spoken == [
                "user: One.",
                "assistant: First.",
                "user: Tell me a story.",
                "assistant: Once",
            ]


async def test_words_that_were_taken_back_begin_a_new_conversation():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        talk.caller("I want")
        await talk.ask()
        talk.said[:] = [CallerSaid(1, "I want a table.")]
        talk.turn = 4
        await talk.ask()
        assert len(fake.conversations) == 2
        assert fake.conversation.spoken[0] == "user: I want a table."


async def test_asking_again_without_anything_new_sends_the_history_to_a_new_conversation():
    async with FakeOpenAI() as fake, talking(fake) as talk:
        talk.caller("Hello.")
        await talk.ask()
        assert (await talk.ask())[0] == "I heard: Hello. Anything else?"
        assert fake.violations == []


# A busy conversation.


async def test_a_locked_conversation_is_waited_for(impatient):
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.exchange("One.")
        fake.conversation.locks_left = 3
        await talk.exchange("Two.")
        assert fake.operations.count("responses.create") == 5
        assert len(fake.conversations) == 1


async def test_a_conversation_that_stays_locked_is_replaced(impatient):
    async with FakeOpenAI() as fake, talking(fake) as talk:
        await talk.exchange("One.")
        fake.conversation.locks_left = 100
        assert await talk.exchange("Two.") == "I heard: Two. Anything else?"
        assert len(fake.conversations) == 2


async def test_a_reply_does_not_wait_for_ever_for_another(monkeypatch):
    async with FakeOpenAI(first_token_s=60.0) as fake, talking(fake) as talk:
        talk.caller("Hello.")
        async with talk.dialogue.reply(talk.turn, tuple(talk.said)):
            monkeypatch.setattr(conversation, "PREPARE_S", 0.01)
            with pytest.raises(ProviderError, match="busy"):
                await talk.ask()
