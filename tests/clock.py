"""An event loop whose clock jumps to the next timer when nothing is ready.

A long call is tested in no time; `run(coroutine)` is the whole of it. Loopback sockets work, since
a peer in the same process is served before the clock moves; while a thread of the loop's executor
is at work the clock stands still and the loop waits for it. A peer in another process or a thread
of your own is not waited for. `patience_s` is how much real time without an event passes before
each jump, for kernels that deliver loopback packets late.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# A loop that waits for sockets alone is called stuck after this much real time.
STUCK_AFTER_S = 10.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop with its own clock, which starts at 0."""

    def __init__(self, patience_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.n_at_work = 0
        super().__init__(_JumpingSelector(self, patience_s))

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self.n_at_work += 1
        future.add_done_callback(self._rested)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self.n_at_work += 1
        await super().shutdown_default_executor(*args)

    def _rested(self, _: object) -> None:
        self.n_at_work -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the kernel without waiting; where nothing came, moves the clock to the next timer."""

    def __init__(self, loop: VirtualTimeLoop, patience_s: float) -> None:
        super().__init__()
        self._loop = loop
        self._patience_s = patience_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None or self._loop.n_at_work:
            events = super().select(STUCK_AFTER_S)
            if not events:
                raise TimeoutError(
                    f"nothing happened for {STUCK_AFTER_S} s of real time: the test is stuck"
                )
            return events
        if self._patience_s and (events := super().select(self._patience_s)):
            return events
        self._loop.now_s += timeout
        return []


def run(coroutine: Coroutine[Any, Any, T], *, patience_s: float = 0.0) -> T:
    """Run a coroutine to its end in virtual time and return its result."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience_s)) as runner:
        return runner.run(coroutine)
