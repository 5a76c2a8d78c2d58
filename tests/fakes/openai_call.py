"""A call that talks to the adapter as a session does: what was said, and asking again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fakes.openai_api import FakeOpenAI
from voice_ai.providers.openai.model import OpenAILanguageModel
from voice_ai.providers.protocols import (
    CallInfo,
    Dialogue,
    ModelEvent,
    TextDelta,
    ToolRequested,
    ToolSpec,
)
from voice_ai.turn.events import AgentSaid, CallerSaid, Said, ToolAnswered, ToolCalled

INSTRUCTIONS = "You answer the phone."


def a_call() -> CallInfo:
    """One with all of its retries left."""
    return CallInfo("CA1")


class Talk:
    """The history of a call and its dialogue; turns are numbered as the machine does it."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.said: list[Said] = []
        self.turn = 0

    def caller(self, text: str) -> None:
        self.turn += 1
        self.said.append(CallerSaid(self.turn, text))
        self.turn += 1

    async def ask(self) -> tuple[str, list[ToolRequested]]:
        """Read a whole reply of this turn."""
        text, calls = "", []
        async with self.dialogue.reply(self.turn, tuple(self.said)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, ToolRequested):
                    calls.append(event)
        return text, calls

    async def cut_after(self, n_events: int) -> str:
        """Leave a reply early, as a barge-in does."""
        text = ""
        async with self.dialogue.reply(self.turn, tuple(self.said)) as events:
            for _ in range(n_events):
                event = await anext(events)
                text += event.text if isinstance(event, TextDelta) else ""
        return text

    def tool(self, request: ToolRequested, output: str) -> None:
        called = ToolCalled(self.turn, request.call_id, request.name, request.arguments)
        self.said += [called, ToolAnswered(self.turn, request.call_id, output)]

    async def heard(self, text: str, *, complete: bool = False) -> None:
        """The turn is over: keep what was heard of it, and settle."""
        if text:
            self.said.append(AgentSaid(self.turn, text, complete))
        await self.dialogue.settle(self.turn, tuple(self.said))

    async def exchange(self, text: str) -> str:
        """A whole turn of both sides, heard to its end."""
        self.caller(text)
        answer, _ = await self.ask()
        await self.heard(answer, complete=True)
        return answer


async def request_of(events: AsyncIterator[ModelEvent]) -> ToolRequested:
    """Return the first request for a tool, and leave the rest unread."""
    while True:
        event = await anext(events)
        if isinstance(event, ToolRequested):
            return event


@asynccontextmanager
async def talking(
    fake: FakeOpenAI, tools: Sequence[ToolSpec] = (), key: str = "sk-test", **settings: Any
) -> AsyncIterator[Talk]:
    """A call over the real SDK to a fake that is up."""
    settings.setdefault("model", "gpt-5-nano")
    async with (
        OpenAILanguageModel(key, fake.base_url, **settings) as llm,
        llm.open(a_call(), INSTRUCTIONS, tools) as dialogue,
    ):
        yield Talk(dialogue)
