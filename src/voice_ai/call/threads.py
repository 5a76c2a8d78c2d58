"""Plain functions of an agent's author in threads of their own, which end whenever they end."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

# A function that hangs holds its thread for good: beyond this many, tools are refused, calls go on.
MAX_THREADS = 64

_free = threading.BoundedSemaphore(MAX_THREADS)


async def in_thread(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Run a function in a thread, and return what it returns or raise what it raises.

    Not on the loop's own threads: dialling looks names up on those, and six functions that hang
    would stop it. Cancelling leaves the thread behind; it does not keep the process alive.

    Raises:
        RuntimeError: too many are running already.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()
    if not _free.acquire(blocking=False):
        raise RuntimeError(f"{MAX_THREADS} threads are running tools, no more are started")

    def run() -> None:
        try:
            tell = partial(_return, done, context.run(partial(function, **arguments)))
        except BaseException as error:  # its author's code, and the thread's edge
            tell = partial(_raise, done, error)
        finally:
            _free.release()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, name="tool", daemon=True).start()
    return await done


def _return(done: asyncio.Future[Any], result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _raise(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        if not isinstance(error, Exception) or isinstance(error, StopIteration):
            error = RuntimeError(f"a tool raised {type(error).__name__}")
        done.set_exception(error)
