"""A call whose history is kept at the service, in a conversation reconciled with what was heard."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import openai

from voice_ai.errors import ProtocolError, ProviderError
from voice_ai.providers.openai.failures import (
    SERVICE_ERRORS,
    as_provider_error,
    is_about_record,
    is_locked,
    reported,
)
from voice_ai.providers.openai.items import Wanted, wanted
from voice_ai.providers.openai.record import Record
from voice_ai.providers.openai.service import LOCKED_WAITS_S, Service
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import Said
from voice_ai.wire.responses import Item

# A reply that waits longer than this for a settle, or for its own preparation, is too late to be
# said.
PREPARE_S = 10.0
# A first reply waits for this; one that comes later creates the conversation itself.
BEGIN_S = 5.0
# Off the critical path, but a reply waits for it: shorter than what a reply waits.
SETTLE_S = 8.0
# A call's end does not wait longer than this for its conversation to be deleted.
FORGET_S = 1.0
# Listing, mending, listing again: what an abort left may still arrive while we look.
MAX_ROUNDS = 5
# Items after the last one known: one turn's, a few; more than this many pages is not our
# conversation.
MAX_PAGES = 5

log = logging.getLogger(__name__)


class ConversationDialogue:
    """A call's conversation. One request at a time: the service locks it, and so do we."""

    def __init__(self, service: Service, body: dict[str, Any], call: CallInfo) -> None:
        self._service = service
        self._body = body
        self._call_sid = call.call_sid
        self._cost = call.cost
        self._conv_id: str | None = None
        self._left: list[str] = []
        self._record = Record()
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """Create the conversation ahead of the first reply, which does it itself if this fails."""
        async with self._lock:
            try:
                if self._conv_id is None:
                    async with asyncio.timeout(BEGIN_S):
                        await self._restart([])
            except SERVICE_ERRORS as error:
                log.warning(
                    "call %s: no conversation yet: %s", self._call_sid, as_provider_error(error)
                )

    async def forget(self) -> None:
        """Delete the call's conversations, as far as the service does it at once."""
        try:
            async with asyncio.timeout(FORGET_S), self._lock:
                if self._conv_id is not None:
                    self._left.append(self._conv_id)
                while self._left:
                    await self._service.delete_conversation(self._left.pop())
        except SERVICE_ERRORS as error:
            log.warning(
                "call %s: a conversation was not deleted: %s",
                self._call_sid,
                as_provider_error(error),
            )

    @asynccontextmanager
    async def reply(self, turn: int, said: Sequence[Said]) -> AsyncIterator[AnswerStream]:
        """Ask for the next thing to say; only what the conversation lacks is sent."""
        async with self._alone(), AsyncExitStack() as stack:
            with reported():
                stream, asked = await self._ask(stack, turn, said)
            try:
                yield stream
                await stream.finish()
            finally:
                stream.tell(self._cost.of(self._body["model"]))
                if stream.ending == "completed":
                    self._record.keep_response(turn, asked, stream.items)

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        """Make the conversation hold what was heard of the turns up to this one."""
        try:
            async with asyncio.timeout(SETTLE_S), self._lock:
                await self._settle(turn, said)
        except SERVICE_ERRORS as error:
            log.warning(
                "call %s: turn %d is not settled: %s",
                self._call_sid,
                turn,
                as_provider_error(error),
            )

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait for whoever works on the conversation, not for ever."""
        try:
            async with asyncio.timeout(PREPARE_S):
                await self._lock.acquire()
        except TimeoutError as error:
            raise ProviderError(
                "llm", f"the conversation was busy for {PREPARE_S:.0f} s"
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    async def _prepare(self, turn: int, said: Sequence[Said]) -> list[Wanted]:
        """Bring the conversation up to this turn and return what to send; it is never nothing."""
        limit = turn if turn in self._record.uncertain else turn - 1
        if self._conv_id is not None and self._record.unsettled:
            try:
                await self._agree(limit, said, lambda: wanted(said)[:-1], append=False)
            except SERVICE_ERRORS as error:
                self._lose(error)
        items = wanted(said)
        asked = self._record.missing(items)
        if self._conv_id is None or not asked or self._record.contradicts(turn, items):
            await self._restart([])
            asked = self._record.missing(items)
        return asked

    async def _ask(
        self, stack: AsyncExitStack, turn: int, said: Sequence[Said]
    ) -> tuple[AnswerStream, list[Wanted]]:
        """Ask for the response, in a new conversation if the service refuses this one.

        While it is locked by an earlier response, what that leaves may still arrive: look again.
        Also return what was sent.
        """
        for wait_s in (*LOCKED_WAITS_S, None):
            try:
                return await self._prepare_and_respond(stack, turn, said)
            except openai.APIStatusError as error:
                if not is_about_record(error):
                    raise
                if wait_s is None or not is_locked(error):
                    self._lose(error)
                    break
            await asyncio.sleep(wait_s)
        return await self._prepare_and_respond(stack, turn, said)

    async def _prepare_and_respond(
        self, stack: AsyncExitStack, turn: int, said: Sequence[Said]
    ) -> tuple[AnswerStream, list[Wanted]]:
        async with asyncio.timeout(PREPARE_S):
            asked = await self._prepare(turn, said)
        body = {**self._body, "conversation": self._conv_id, "input": [one.item for one in asked]}
        known = turn not in self._record.uncertain
        self._record.begin(turn)
        try:
            stream = await self._service.respond(stack, body)
        except openai.APIStatusError as error:
            if known and error.status_code < 500:
                self._record.refused(turn)
            raise
        self._record.accepted(turn)
        return stream, asked

    async def _settle(self, turn: int, said: Sequence[Said]) -> None:
        if self._conv_id is None:
            return

        def until() -> list[Wanted]:
            return [one for one in wanted(said) if one.turn <= turn]

        try:
            await self._agree(turn, said, until, append=True)
        except SERVICE_ERRORS as error:
            self._lose(error)
            await self._restart(until())

    async def _agree(
        self,
        limit: int,
        said: Sequence[Said],
        expected: Callable[[], list[Wanted]],
        *,
        append: bool,
    ) -> None:
        """Settle every turn of ours up to the limit; `expected` is asked where one is uncertain.

        Without `append`, the caller is to send what is missing; an uncertain turn stays so until
        the service has accepted that.
        """
        for turn in sorted(turn for turn in self._record.unsettled if turn <= limit):
            unheard = self._record.unheard(turn, said)
            uncertain = turn in self._record.uncertain
            if unheard:
                self._record.uncertain.add(turn)
                await self._delete(unheard)
                self._record.drop(unheard)
            if uncertain:
                await self._mend(expected(), append=append)
            elif unheard and append:
                await self._append(self._record.missing(wanted(said), turn))
            if append or not uncertain:
                self._record.settled(turn)

    async def _mend(self, expected: Sequence[Wanted], *, append: bool) -> None:
        """List what an abort has left and change it until it is what we expect."""
        anchor = self._record.anchor
        for _ in range(MAX_ROUNDS):
            plan = self._record.align(anchor, await self._tail(anchor), expected)
            await self._delete(plan.delete)
            if append:
                await self._append(plan.append)
            if not plan.delete and not (append and plan.append):
                return
        raise ProtocolError(f"the conversation changed under us {MAX_ROUNDS} times")

    async def _tail(self, anchor: str | None) -> list[Item]:
        """Return the items after the anchor, oldest first."""
        newest: list[Item] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._service.newest_items(self._conv_of(), cursor)
            for item in page.items:
                if item.id == anchor:
                    return newest[::-1]
                newest.append(item)
            if not page.has_more:
                break
            cursor = page.last_id
        else:
            raise ProtocolError(f"more than {MAX_PAGES} pages of items that are not ours")
        if anchor is not None:
            raise ProtocolError(f"item {anchor} is not in the conversation any more")
        return newest[::-1]

    async def _delete(self, item_ids: Sequence[str]) -> None:
        for item_id in item_ids:
            await self._service.delete_item(self._conv_of(), item_id)

    async def _append(self, items: Sequence[Wanted]) -> None:
        if items:
            added = await self._service.add_items(self._conv_of(), [one.item for one in items])
            if len(added) != len(items):
                raise ProtocolError(f"{len(items)} items were sent, {len(added)} were kept")
            self._record.keep_added(items, added)

    def _conv_of(self) -> str:
        if self._conv_id is None:
            raise ProtocolError("there is no conversation")
        return self._conv_id

    def _lose(self, error: Exception) -> None:
        """Give the conversation up; the next one begins from the mirror."""
        log.warning(
            "call %s: the conversation is given up: %s", self._call_sid, as_provider_error(error)
        )
        if self._conv_id is not None:
            self._left.append(self._conv_id)
            self._conv_id = None

    async def _restart(self, kept: Sequence[Wanted]) -> None:
        """Begin a new conversation that holds these items."""
        if self._conv_id is not None:
            self._left.append(self._conv_id)
            self._conv_id = None
        self._record = Record(kept)
        self._conv_id = await self._service.create_conversation([one.item for one in kept])
