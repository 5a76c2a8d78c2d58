"""Threads for work that takes the processor, so that the event loop never does it.

The models release the GIL while they compute; the Python between their calls is a few milliseconds.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from voice_ai.errors import ProviderError, Stage

P = ParamSpec("P")
T = TypeVar("T")

# Jobs waiting or running. A stream has one or two at a time, so two cores' worth of calls (8) stay
# far below; beyond it every answer would come seconds late, and failing at once is better.
MAX_JOBS = 64

# The longest job, recognising a minute of speech, takes some 2 s; the rest is waiting for a thread.
PATIENCE_S = 15.0


class Workers:
    """A few threads for one stage; jobs run in the order they came. Closing joins the threads."""

    def __init__(self, stage: Stage, name: str, n_threads: int) -> None:
        self._stage: Stage = stage
        self._name = name
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix=f"voice-ai-{name}")
        self._room = BoundedSemaphore(MAX_JOBS)

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Put a job in the queue.

        Raises:
            ProviderError: the queue is full, or the workers are closed.
        """
        if not self._room.acquire(blocking=False):
            raise ProviderError(self._stage, f"{self._name}: {MAX_JOBS} jobs wait already")
        try:
            job = self._threads.submit(work, *args, **kwargs)
        except RuntimeError as error:  # what an executor says after its shutdown
            self._room.release()
            raise ProviderError(self._stage, f"{self._name}: {error}", retryable=False) from error
        job.add_done_callback(lambda _: self._room.release())
        return job

    async def result(self, job: Future[T]) -> T:
        """Wait for a job. Leaving early takes it out of the queue; a running one runs to its end.

        Raises:
            ProviderError: the job failed, was not done in time, or was dropped by `close`.
        """
        waited = asyncio.wrap_future(job)
        try:
            await asyncio.wait((waited,), timeout=PATIENCE_S)
            if not waited.done():
                raise ProviderError(self._stage, f"{self._name}: nothing after {PATIENCE_S:g} s")
            if waited.cancelled():
                raise ProviderError(self._stage, f"{self._name}: closed", retryable=False)
        finally:
            waited.cancel()
        return self._taken(waited)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a job and wait for it; raises as `submit` and `result` do."""
        return await self.result(self.submit(work, *args, **kwargs))

    def close(self) -> None:
        """Drop what waits, finish what runs, join the threads: blocks for one job. Idempotent."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _taken(self, done: asyncio.Future[T]) -> T:
        error = done.exception()
        if error is None:
            return done.result()
        if isinstance(error, ProviderError):
            raise error
        raise ProviderError(
            self._stage, f"{self._name}: {type(error).__name__}: {error}"
        ) from error
