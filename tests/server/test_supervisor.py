"""What a supervisor does to processes that end while it does it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from voice_ai.server.supervisor import send_signal


@pytest.fixture
async def watched_by_the_loop() -> AsyncIterator[None]:
    """Have exit codes read by the loop, as Python 3.12 does: nobody reads them before it turns."""
    if sys.version_info >= (3, 12):
        yield
        return
    kept = asyncio.get_child_watcher()
    with asyncio.PidfdChildWatcher() as watcher:
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
        yield
        asyncio.set_child_watcher(kept)


async def test_a_signal_to_a_process_that_has_just_ended_leaves_its_exit_code(
    watched_by_the_loop: None,
) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(7)")
    # Ended, and the loop does not know.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    send_signal(process, signal.SIGTERM)
    assert await process.wait() == 7
    send_signal(process, signal.SIGTERM)  # and none is sent to a process that has been waited for
