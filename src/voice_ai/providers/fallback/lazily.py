"""A context of a call's that is entered when it is first needed, and left with the call."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from voice_ai.errors import ProviderError

T = TypeVar("T")


class Lazily(Generic[T]):
    """Enters and leaves it in a task of its own, since who needs it first may end before the call.

    Args:
        group: as long as the call.
        opening: makes the context; again, if entering it has failed.
    """

    def __init__(
        self, group: asyncio.TaskGroup, opening: Callable[[], AbstractAsyncContextManager[T]]
    ) -> None:
        self._group = group
        self._opening = opening
        self._entered: asyncio.Future[T] | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    @property
    def opened(self) -> T | None:
        """What it gave, if it is entered."""
        entered = self._entered
        if entered is None or not entered.done() or entered.exception() is not None:
            return None
        return entered.result()

    def begin(self) -> None:
        """Begin to enter it, ahead of its first use."""
        entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._entered = entered
        self._task = self._group.create_task(self._hold(entered))

    async def get(self) -> T:
        """Return what it gives, once it is entered.

        Raises:
            ProviderError: it cannot be entered; the next one to ask tries again.
        """
        if self._entered is None or (self._entered.done() and self.opened is None):
            self.begin()
        assert self._entered is not None
        return await asyncio.shield(self._entered)

    def leave(self) -> None:
        """Have it left; the group waits for that."""
        self._over.set()
        if self._task is not None and self.opened is None:
            self._task.cancel()

    async def _hold(self, entered: asyncio.Future[T]) -> None:
        try:
            async with self._opening() as given:
                entered.set_result(given)
                await self._over.wait()
        except ProviderError as error:
            if not entered.done():
                entered.set_exception(error)
                entered.exception()  # seen: perhaps nobody asks any more
