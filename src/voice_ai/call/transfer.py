"""Putting a caller through to somebody else: after our last word, by who carries the call."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from voice_ai.call.built_in import Transfer, Wishes
from voice_ai.call.record import CallRecord
from voice_ai.call.tools import LATE
from voice_ai.errors import VoiceAIError
from voice_ai.providers.protocols import CallInfo, ToolRequested
from voice_ai.turn.events import CallerGone, Event, SpeakAsked

logger = logging.getLogger(__name__)

FAILED = "It did not work: the caller could not be put through to {to}, and is still here."
WITHDRAWN = "The caller spoke before you had finished, so they were not put through to {to}."

NOT_PRESSED = "The other side spoke meanwhile: the keys were not all heard."


class TransferError(VoiceAIError):
    """A call could not be put through; it goes on."""


class CallControl(Protocol):
    """What can be done to a call beside its line, by who carries it."""

    @property
    def briefs(self) -> bool:
        """Whether the one called can be told something before the caller is connected."""

    async def transfer(self, call: CallInfo, number: str, briefing: str) -> None:
        """Connect the caller to this number; the line ends then.

        Raises:
            TransferError: it could not be done; nothing has changed.
        """


class Switchboard:
    """Puts one call through.

    Args:
        record: of the call.
        control: who carries it, if anybody can do this.
        keep: writes a call of a tool and its answer into the history.
        tell: takes what comes of it.
    """

    def __init__(
        self,
        record: CallRecord,
        control: CallControl | None,
        keep: Callable[[int, ToolRequested, str], None],
        tell: Callable[[Event], None],
    ) -> None:
        self._record = record
        self._control = control
        self._keep = keep
        self._tell = tell

    def withdraw(self, turn: int, wishes: Wishes) -> None:
        """Take wishes back: the caller spoke before they had heard all that goes with them."""
        if wishes.transfer:
            to = wishes.transfer.label
            self._answer(turn, wishes.transfer.request, WITHDRAWN.format(to=to))
        if wishes.pressed:
            self._answer(turn, wishes.pressed, NOT_PRESSED)

    async def put_through(self, turn: int, transfer: Transfer) -> None:
        """Ask for it, and tell how it went: the caller has gone, or we speak about the failure."""
        call, to = self._record.call, transfer.label
        logger.info("call %s: putting it through to %r", call.call_sid, to)
        try:
            if self._control is None:
                raise TransferError("nobody carries it")
            await self._control.transfer(call, transfer.number, transfer.briefing)
        except TransferError as error:
            logger.warning("call %s: not put through to %r: %s", call.call_sid, to, error)
            self._answer(turn, transfer.request, FAILED.format(to=to))
            self._tell(SpeakAsked(turn))
        except asyncio.CancelledError:
            # Its line ended first, as that of a call that is put through does, or the caller left.
            self._record.reason = f"ended while it was put through to {to}"
            raise
        else:
            self._tell(CallerGone(f"put through to {to}"))

    def _answer(self, turn: int, request: ToolRequested, text: str) -> None:
        """Tell the model what became of it, by a call of its own: the first has its answer."""
        self._keep(turn, replace(request, call_id=request.call_id + LATE), text)
