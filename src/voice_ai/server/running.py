"""From start to stop: what the signals do, and what is told on the way."""

import asyncio
import importlib
import importlib.metadata
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import uvloop

from voice_ai.agent import Agent
from voice_ai.server.agents import load_agent
from voice_ai.server.app import App
from voice_ai.server.collector import Collector
from voice_ai.server.face import HERE_ONLY, Screen, facts
from voice_ai.server.outside import Outside, Wishes, open_outside
from voice_ai.server.settings import Settings
from voice_ai.server.supervisor import is_orphan

Tell = Callable[[str], None]

# File descriptors that are asked for; a thousand calls take some 4,000. macOS grants no more than
# 10,240 to a process whose hard limit is unlimited.
MAX_DESCRIPTORS: Final = 10_240
# Seconds after which a worker notices that its supervisor is gone.
ORPHAN_POLL_S: Final = 1.0


def serve(settings: Settings, wishes: Wishes = Wishes()) -> int:  # noqa: B008 (it is frozen)
    """Answer the phone by this process until a signal; returns the exit code.

    Raises:
        UsageError, PeerError: as `run`; or a wish cannot be fulfilled.
    """
    tell = Screen(sys.stdout)
    tell(f"voice_ai {importlib.metadata.version('voice_ai')}")
    agent = _load_agent(settings, wishes)
    _take_all_descriptors()
    with (
        open_outside(settings, wishes, tell) as outside,
        asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=settings.debug) as runner,
    ):
        runner.run(run(outside.settings, agent, tell, outside, reload=wishes.reload))
    return 0


async def run(
    settings: Settings,
    agent: Agent,
    tell: Tell,
    outside: Outside | None = None,
    *,
    reload: bool = False,
) -> None:
    """Serve until SIGTERM, and to the end of the calls under way; SIGINT ends these, too.

    So does SIGHUP, of a terminal that is closed, unless it is ignored (`nohup`). A second signal
    ends the process at once, but for a SIGINT that follows a SIGTERM. With `reload` the agent's
    file is watched for the calls to come.

    Raises:
        UsageError, ProviderError: the server cannot do its work, and says why.
    """
    outside = outside or Outside(settings)
    app = App(settings, agent)
    drain = asyncio.Event()
    _on_signals(app, drain, outside)
    try:
        async with AsyncExitStack() as stack, app.listen():
            tell(f"Listening on {app.url}, loading {app.face.providers}.")
            await app.load(stack)
            stack.enter_context(Collector(lambda: app.n_open))
            for fact in facts(settings, agent, app.url):
                tell(fact)
            here_only = "" if settings.public_url else f" {HERE_ONLY}"
            tell(f"Ready. The webhook for a Twilio number is {app.face.webhook}{here_only}")
            outside.ready()
            async with _reloading(app, settings, tell) if reload else AsyncExitStack():
                await _until(drain)
            tell("Draining: no new calls, those under way run to their end.")
            await app.drain()
    except asyncio.CancelledError:
        pass
    tell("Stopped.")


def _load_agent(settings: Settings, wishes: Wishes) -> Agent:
    # Of a module that is saved twice in a second, Python would take the first one's bytecode.
    sys.dont_write_bytecode |= wishes.reload
    return load_agent(settings.agent)


@asynccontextmanager
async def _reloading(app: App, settings: Settings, tell: Tell) -> AsyncIterator[None]:
    """Take the agent's file anew whenever it has changed, until the block ends."""
    module = importlib.import_module("voice_ai.server.reloading")
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(module.watch(settings.agent, app.renew, tell))
        yield
        watching.cancel()


def _take_all_descriptors() -> None:
    """Have as many connections as the system allows: a shell's first limit is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _on_signals(app: App, drain: asyncio.Event, outside: Outside) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, outside.last_signal)
        outside.leave()
        task.cancel()

    def leave() -> None:
        outside.leave()
        if drain.is_set() or not app.ready:
            stop()
        drain.set()

    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, leave)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop)


async def _until(drain: asyncio.Event) -> None:
    """Wait until we are told to drain, or nobody is left who could tell."""
    while not drain.is_set():
        try:
            async with asyncio.timeout(ORPHAN_POLL_S):
                await drain.wait()
        except TimeoutError:
            if is_orphan():
                drain.set()
