"""A call whose history is kept here: all of it goes with every request, nothing is stored."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from voice_ai.providers.cost import Cost
from voice_ai.providers.openai.failures import SERVICE_ERRORS, as_provider_error, reported
from voice_ai.providers.openai.items import flat_tools, wanted
from voice_ai.providers.openai.service import Service
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.providers.protocols import ToolSpec
from voice_ai.turn.events import Said

# Off the critical path: a reply that comes meanwhile dials for itself.
DIAL_S = 5.0

log = logging.getLogger(__name__)


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
            body |= {"tools": flat_tools(tools), "parallel_tool_calls": True}
        return body


class LocalDialogue:
    """A call's side of the model: no lock, no orphan call, nothing to mend after a barge-in."""

    def __init__(self, service: Service, body: dict[str, Any], cost: Cost) -> None:
        self._service = service
        self._body = body
        self._cost = cost
        self._has_hung_up = False

    async def begin(self) -> None:
        """Dial ahead of the first reply, which does it itself if this fails."""
        try:
            async with asyncio.timeout(DIAL_S):
                await self._service.touch(self._body["model"])
        except SERVICE_ERRORS as error:
            log.debug("no connection ahead of a reply: %s", as_provider_error(error))

    @asynccontextmanager
    async def reply(self, turn: int, said: Sequence[Said]) -> AsyncIterator[AnswerStream]:
        """Ask for the next thing to say after all that was said."""
        body = {**self._body, "input": [one.item for one in wanted(said)], "store": False}
        self._has_hung_up = True
        async with AsyncExitStack() as stack:
            with reported():
                stream = await self._service.respond(stack, body)
            try:
                yield stream
                await stream.finish()
            finally:
                stream.tell(self._cost.of(self._body["model"]))
            self._has_hung_up = stream.ending is None

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        """Dial anew if the reply was aborted: that closed its connection. There is no record."""
        if self._has_hung_up:
            self._has_hung_up = False
            await self.begin()
