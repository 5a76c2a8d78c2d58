"""A language model made of two, each over the real SDK to a fake, in a call; on virtual time."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

import clock
from fakes.openai_api import FakeOpenAI
from fakes.openai_call import INSTRUCTIONS, Talk, a_call
from voice_ai.errors import ProviderError
from voice_ai.providers.fallback.model import ResilientLanguageModel
from voice_ai.providers.faults import Fault
from voice_ai.providers.openai.model import OpenAILanguageModel
from voice_ai.providers.protocols import LanguageModel, ToolSpec

HOURS = ToolSpec("opening_hours", "Say when we are open.", {"type": "object", "properties": {}})


def on_virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        clock.run(test(*args, **kwargs))  # type: ignore[arg-type]

    return run


class World:
    """Two services, the model made of them, and a call."""

    first: FakeOpenAI
    second: FakeOpenAI
    llm: ResilientLanguageModel
    talk: Talk

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.loop = asyncio.get_running_loop()
        self.began = 0.0

    def told(self) -> list[tuple[str, str]]:
        return [(fault.provider, fault.action) for fault in self.faults]

    async def ask(self, text: str = "Hello.") -> str:
        """Ask in a task of its own, as a call does for each reply."""
        self.talk.caller(text)
        self.began = self.loop.time()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(self.talk.ask())
        return asked.result()[0]

    async def fails(self, text: str = "Hello.") -> ProviderError:
        with pytest.raises(ExceptionGroup) as raised:
            await self.ask(text)
        [error] = raised.value.exceptions
        assert isinstance(error, ProviderError) and error.stage == "llm"
        return error

    def took(self, s: float) -> bool:
        return self.loop.time() - self.began == pytest.approx(s, abs=0.05)


@asynccontextmanager
async def world(
    *answers: Any, history: Any = "conversation", only: bool = False, **settings: Any
) -> AsyncIterator[World]:
    made = World()
    async with AsyncExitStack() as stack:
        made.first = await stack.enter_async_context(FakeOpenAI(answers))
        made.second = await stack.enter_async_context(FakeOpenAI(lambda _: "The second."))
        models: list[tuple[str, LanguageModel]] = []
        for fake in (made.first, made.second)[: 1 if only else 2]:
            model = OpenAILanguageModel(
                settings.get("key", "sk-test") if fake is made.first else "sk-test",
                fake.base_url,
                model="gpt-5-nano",
                history=history if fake is made.first else "local",
            )
            name = "first" if fake is made.first else "second"
            models.append((name, await stack.enter_async_context(model)))
        made.llm = ResilientLanguageModel(models, report=made.faults.append, clock=made.loop.time)
        async with made.llm.open(a_call(), INSTRUCTIONS, [HOURS]) as dialogue:
            made.talk = Talk(dialogue)
            yield made
            left = made.loop.time()
        assert made.loop.time() - left < 1.0
        assert settings or made.first.violations == made.second.violations == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
