"""A call whose history is kept here: all of it goes with every request, nothing is stored."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from voice_ai.providers.openai.failures import reported
from voice_ai.providers.openai.items import flat_tools, wanted
from voice_ai.providers.openai.service import Service
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.providers.protocols import ToolSpec
from voice_ai.turn.events import Said


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """How the model shall answer; what is None is left to the service.

    There is no temperature: gpt-5-nano refuses one, and its successors take only 1.
    """

    model: str
    reasoning_effort: str | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None

    def body(self, instructions: str, tools: Sequence[ToolSpec]) -> dict[str, Any]:
        """Build what every request of a call carries; the service keeps none of it for the next."""
        body: dict[str, Any] = {"model": self.model, "instructions": instructions}
        if self.reasoning_effort is not None:
            body["reasoning"] = {"effort": self.reasoning_effort}
        if self.verbosity is not None:
            body["text"] = {"verbosity": self.verbosity}
        if self.max_output_tokens is not None:
            body["max_output_tokens"] = self.max_output_tokens
        if tools:
            body |= {"tools": flat_tools(tools), "parallel_tool_calls": False}
        return body


class LocalDialogue:
    """A call's side of the model: no lock, no orphan call, nothing to mend after a barge-in."""

    def __init__(self, service: Service, body: dict[str, Any]) -> None:
        self._service = service
        self._body = body

    @asynccontextmanager
    async def reply(self, turn: int, said: Sequence[Said]) -> AsyncIterator[AnswerStream]:
        """Ask for the next thing to say after all that was said."""
        body = {**self._body, "input": [one.item for one in wanted(said)], "store": False}
        async with AsyncExitStack() as stack:
            with reported():
                stream, _ = await self._service.respond(stack, body)
            yield stream
            await stream.finish()

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        """Do nothing: the service keeps no record."""
