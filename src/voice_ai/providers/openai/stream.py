"""One response of the model's, read from its byte stream as text and tool requests."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Literal

from voice_ai.errors import ProviderError
from voice_ai.providers.cost import Tokens
from voice_ai.providers.openai.failures import SERVICE_ERRORS, as_provider_error, stream_failed
from voice_ai.providers.protocols import ModelEvent, TextDelta, TextEnded, ToolRequested, Writing
from voice_ai.wire.responses import (
    ArgumentsDelta,
    Completed,
    EventSplitter,
    Failed,
    Incomplete,
    Item,
    OutputItemDone,
    OutputTextDelta,
    RefusalDelta,
    ResponseEvent,
    Usage,
    parse_event,
)

# The service ends its body right after the last event; reading to that end gives the connection
# back to the pool.
DRAIN_S = 0.5

Ending = Literal["completed", "incomplete", "failed"]


class AnswerStream:
    """Iterates the model's events of one response; ends with it, or raises ProviderError.

    `items` are the output items that were finished, `ending` how the response ended (None: not
    seen), `usage` what it used; its end tells that.
    """

    def __init__(self, chunks: AsyncIterator[bytes], stall_s: float) -> None:
        self.items: list[Item] = []
        self.ending: Ending | None = None
        self.usage = Usage()
        self._chunks = chunks
        self._stall_s = stall_s
        self._splitter = EventSplitter()
        # Events of the last chunk that nobody has asked for: at most one chunk's.
        self._pending: deque[ResponseEvent] = deque()
        self._has_text = False
        self._asked_tool = False
        self._refused = False

    def __aiter__(self) -> AsyncIterator[ModelEvent]:
        """Iterate over the rest of the response."""
        return self

    async def __anext__(self) -> ModelEvent:
        """Return the next text or tool request."""
        while True:
            while self._pending:
                if (event := self._take(self._pending.popleft())) is not None:
                    return event
            if self.ending is not None:
                raise StopAsyncIteration
            if not await self._read():
                raise ProviderError("llm", "OpenAI ended the stream before the response")

    async def finish(self) -> None:
        """Read to the end of the body after an end or a tool request, so that the service keeps it.

        Never raises; what could not be read leaves `ending` None. Anything else is an abort and
        reads nothing.
        """
        self.catch_up()
        if self.ending is None and not self._asked_tool:
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                while await self._read():
                    self.catch_up()
        except ProviderError:
            return
        except TimeoutError:
            return

    def catch_up(self) -> None:
        """Take note of the events that nobody has asked for."""
        while self._pending:
            try:
                self._take(self._pending.popleft())
            except ProviderError:
                continue

    def tell(self, tokens: Tokens) -> None:
        """Add what the response used, as far as that is known, to what its model has."""
        self.catch_up()
        tokens.input_tokens += self.usage.input_tokens
        tokens.cached_tokens += self.usage.cached_tokens
        tokens.output_tokens += self.usage.output_tokens

    async def _read(self) -> bool:
        """Read one chunk's events; False at the end of the body."""
        try:
            async with asyncio.timeout(self._stall_s):
                chunk = await anext(self._chunks, None)
            if chunk is None:
                return False
            self._pending.extend(parse_event(data) for data in self._splitter.feed(chunk))
        except SERVICE_ERRORS as error:
            raise as_provider_error(error) from None
        return True

    def _take(self, event: ResponseEvent) -> ModelEvent | None:
        match event:
            case OutputTextDelta(delta):
                self._has_text = True
                return TextDelta(delta)
            case ArgumentsDelta():
                return Writing()
            case RefusalDelta():
                self._refused = True
                return Writing()
            case OutputItemDone(item):
                return self._take_item(item)
            case Completed() | Incomplete():
                self._end(event)
            case Failed(code, _, param):
                self.ending = "failed"
                raise stream_failed(code, param)
            case _:
                pass
        return None

    def _take_item(self, item: Item) -> ModelEvent | None:
        self.items.append(item)
        if item.status == "incomplete":
            return None
        if item.kind == "message" and self._has_text:
            return TextEnded()
        if item.kind != "function_call":
            return None
        self._asked_tool = True
        return ToolRequested(item.call_id, item.name, item.arguments)

    def _end(self, event: Completed | Incomplete) -> None:
        self.ending = "completed" if isinstance(event, Completed) else "incomplete"
        self.usage = event.usage
        if self._refused:
            raise _refusal("the model refused to answer")
        if isinstance(event, Incomplete) and not self._asked_tool:
            reason = event.reason or "incomplete"
            if self._has_text:
                raise ProviderError("llm", f"the answer was cut: {reason}", retryable=False)
            if reason == "content_filter":
                raise _refusal("the answer is empty: content_filter")
            raise ProviderError("llm", f"the answer is empty: {reason}", retryable=False)


def _refusal(what: str) -> ProviderError:
    return ProviderError("llm", what, retryable=False, kind="refused")
