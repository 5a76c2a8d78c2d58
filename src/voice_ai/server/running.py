"""From start to stop: what the signals do, and what is told on the way."""

import asyncio
import importlib.metadata
import resource
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import uvloop

from voice_ai.agent import Agent
from voice_ai.server.agents import load_agent
from voice_ai.server.app import App
from voice_ai.server.settings import Settings
from voice_ai.server.supervisor import is_orphan

Tell = Callable[[str], None]

# File descriptors that are asked for; a thousand calls take some 4,000. macOS grants no more than
# 10,240 to a process whose hard limit is unlimited.
MAX_DESCRIPTORS: Final = 10_240
# Seconds after which a worker notices that its supervisor is gone.
ORPHAN_POLL_S: Final = 1.0


def serve(settings: Settings) -> int:
    """Answer the phone by this process until a signal; returns the exit code.

    Raises:
        UsageError, ProviderError: as `run`.
    """
    print(f"voice_ai {importlib.metadata.version('voice_ai')}", flush=True)
    agent = load_agent(settings.agent)
    _take_all_descriptors()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=settings.debug) as runner:
        runner.run(run(settings, agent, lambda line: print(line, flush=True)))
    return 0


async def run(settings: Settings, agent: Agent, tell: Tell) -> None:
    """Serve until SIGTERM, and to the end of the calls under way; SIGINT ends these, too.

    A second signal ends the process at once, but for a SIGINT that follows a SIGTERM.

    Raises:
        UsageError, ProviderError: the server cannot do its work, and says why.
    """
    app = App(settings, agent)
    drain = asyncio.Event()
    _on_signals(app, drain)
    try:
        async with AsyncExitStack() as stack, app.listen():
            tell(f"Listening on {app.url}, loading {app.face.providers}.")
            await app.load(stack)
            tell(f"Ready. The webhook for a Twilio number is {app.face.webhook}")
            await _until(drain)
            tell("Draining: no new calls, those under way run to their end.")
            await app.drain()
    except asyncio.CancelledError:
        pass
    tell("Stopped.")


def _take_all_descriptors() -> None:
    """Have as many connections as the system allows: a shell's first limit is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _on_signals(app: App, drain: asyncio.Event) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # a second one is the kernel's to execute
        task.cancel()

    def leave() -> None:
        if drain.is_set() or not app.ready:
            stop()
        drain.set()

    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, leave)


async def _until(drain: asyncio.Event) -> None:
    """Wait until we are told to drain, or nobody is left who could tell."""
    while not drain.is_set():
        try:
            async with asyncio.timeout(ORPHAN_POLL_S):
                await drain.wait()
        except TimeoutError:
            if is_orphan():
                drain.set()
