"""Whether the server takes calls yet: it listens at once, and loads meanwhile."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Readiness(Generic[T]):
    """Holds what calls are served with, once it is there."""

    def __init__(self) -> None:
        self.waiting_for = "starting"
        self._value: T | None = None
        self._leaving = False
        self._there = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether new calls are taken."""
        return self._value is not None and not self._leaving

    @property
    def serving(self) -> bool:
        """Whether there is something to serve calls with, be it only those that are let in."""
        return self._value is not None

    def leave(self, waiting_for: str) -> None:
        """Tell that no new calls are taken; those that are let in are served."""
        self._leaving = True
        self.waiting_for = waiting_for

    def set(self, value: T) -> None:
        """Take calls from now on, with this."""
        self._value = value
        self.waiting_for = ""
        self._there.set()

    def unset(self, waiting_for: str) -> None:
        """Take no calls from now on, for this reason."""
        self._value = None
        self.waiting_for = waiting_for
        self._there.clear()

    async def get(self, within_s: float) -> T | None:
        """Wait until calls are taken; None if that took longer."""
        try:
            async with asyncio.timeout(within_s):
                await self._there.wait()
        except TimeoutError:
            return None
        return self._value
