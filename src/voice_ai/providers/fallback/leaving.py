"""Leaving what a provider has opened within a time, however broken it is."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Generic, TypeVar

# As providers/protocols.py has it for whole calls; a reply is commonly left in a millisecond.
LEAVE_S: Final = 1.0

T = TypeVar("T", covariant=True)

logger = logging.getLogger(__name__)


class Promptly(Generic[T]):
    """A context that is left within LEAVE_S; what it has not closed by then is cancelled."""

    def __init__(self, context: AbstractAsyncContextManager[T]) -> None:
        self._context = context

    async def __aenter__(self) -> T:
        """Enter it; how long that takes is the caller's concern."""
        return await self._context.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Leave it; what made us leave is not lost if that takes too long."""
        try:
            async with asyncio.timeout(LEAVE_S):
                return await self._context.__aexit__(kind, error, trace)
        except TimeoutError:
            logger.warning("a reply was not left within %g s", LEAVE_S)
            return None
