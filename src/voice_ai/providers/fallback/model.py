"""A language model made of several: asked again once, then the next one, before the first word."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Final, TypeAlias

from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.breaker import Breaker
from voice_ai.providers.fallback.lazily import Lazily
from voice_ai.providers.fallback.leaving import Promptly
from voice_ai.providers.fallback.route import Member, Route
from voice_ai.providers.faults import Report, log_fault
from voice_ai.providers.protocols import (
    CallInfo,
    Dialogue,
    LanguageModel,
    ModelEvent,
    TextDelta,
    ToolSpec,
    Writing,
)
from voice_ai.turn.events import CallerSaid, Said

# A model's first word commonly takes 0.5-2 s. Three such waits (asked, asked again, the next one)
# end before the machine gives a reply up after 15 s (turn/rules.py).
FIRST_TOKEN_S: Final = 4.0
# Words come 20 and more a second, so one that is so late does not come. A short sentence may be all
# that the voice had to say, and nobody shall then hear nothing for more than 2.5 s. Behind a
# text's end the model may think of a tool, as it does before the first word, and for as long.
STALL_S: Final = 2.0

Events: TypeAlias = AsyncGenerator[ModelEvent, None]


class ResilientLanguageModel:
    """A LanguageModel that answers as long as one of its models does.

    Before the first event of an answer a failure is retried once, if that can help; then the next
    model is asked, which is told all that was said. Afterwards a failure is the answer's: what was
    said cannot be begun anew. A model that keeps failing is left alone for a while, by all calls.

    Args:
        models: their names, for faults, and the models; first choice first. They are entered by
            whoever made them.
        report: told of every fault, with what was done.
        clock: seconds, monotonic; for the breakers.
        first_token_s: how long a model may take to begin.
        stall_s: how long it may pause behind a word.

    Raises:
        UsageError: there are no models.
    """

    def __init__(
        self,
        models: Sequence[tuple[str, LanguageModel]],
        *,
        report: Report = log_fault,
        clock: Callable[[], float] = time.monotonic,
        first_token_s: float = FIRST_TOKEN_S,
        stall_s: float = STALL_S,
    ) -> None:
        if not models:
            raise UsageError("no language model was given, needed one or more")
        self._models = [model for _, model in models]
        self._members = [Member(name, Breaker(clock)) for name, _ in models]
        self._report = report
        self._deadlines = (first_token_s, stall_s)

    @asynccontextmanager
    async def open(
        self, call: CallInfo, instructions: str, tools: Sequence[ToolSpec]
    ) -> AsyncIterator[Dialogue]:
        """Enter one call; the first model's side of it at once, another's when it is needed."""
        group = await asyncio.TaskGroup().__aenter__()
        opened = [
            Lazily(group, partial(model.open, call, instructions, tools)) for model in self._models
        ]
        opened[0].begin()
        try:
            yield ResilientDialogue(
                opened,
                lambda: Route(call.call_sid, "llm", self._members, call.budget, self._report),
                self._deadlines,
            )
        finally:
            for one in opened:
                one.leave()
            # Without the call's own error, which shall come out as it is and not in a group.
            await group.__aexit__(None, None, None)


class ResilientDialogue:
    """One call's dialogues with the models."""

    def __init__(
        self,
        opened: Sequence[Lazily[Dialogue]],
        route: Callable[[], Route],
        deadlines: tuple[float, float],
    ) -> None:
        self._opened = opened
        self._route = route
        self._first_token_s, self._stall_s = deadlines

    @asynccontextmanager
    async def reply(self, turn: int, said: Sequence[Said]) -> AsyncIterator[Events]:
        """Ask for the next thing to say, of whoever answers."""
        async with aclosing(self._events(turn, said)) as events:
            yield events

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        """Settle every dialogue that was opened, side by side."""
        async with asyncio.TaskGroup() as group:
            for one in self._opened:
                if one.opened is not None:
                    group.create_task(one.opened.settle(turn, said))

    async def _events(self, turn: int, said: Sequence[Said]) -> Events:
        route = self._route()
        asked: int | None = route.begin()
        while asked is not None:
            given = failed = False
            try:
                async with aclosing(self._ask(self._opened[asked], turn, said)) as events:
                    async for event in events:
                        given = True
                        yield event
                asked = None
                if not given and _is_due(said):
                    raise ProviderError("llm", "the answer is empty")
            except ProviderError as error:
                failed = True
                again, asked = asked, route.failed(error, given=given)
                if again == asked:
                    await asyncio.sleep(error.retry_after_s)
            finally:
                # Also if the caller has interrupted it.
                if given and not failed:
                    route.answered()

    async def _ask(self, opened: Lazily[Dialogue], turn: int, said: Sequence[Said]) -> Events:
        """Yield one model's answer; every wait for it has an end."""
        async with AsyncExitStack() as stack:
            async with _within(self._first_token_s, "the answer did not begin"):
                dialogue = await opened.get()
                events = aiter(
                    await stack.enter_async_context(Promptly(dialogue.reply(turn, said)))
                )
                event = await anext(events, None)
            while event is not None:
                if not isinstance(event, Writing):
                    yield event
                limit_s = self._stall_s if isinstance(event, TextDelta) else self._first_token_s
                async with _within(limit_s, "the answer did not go on"):
                    event = await anext(events, None)


def _is_due(said: Sequence[Said]) -> bool:
    """Whether silence is no answer: to a tool's result it may be one."""
    return bool(said) and isinstance(said[-1], CallerSaid)


@asynccontextmanager
async def _within(limit_s: float, late: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError:
        raise ProviderError("llm", f"{late} within {limit_s:g} s") from None
