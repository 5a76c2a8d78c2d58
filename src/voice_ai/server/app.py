"""The composition root: one port, its routes, and what serves the calls behind it."""

import asyncio
import importlib
import importlib.metadata
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import uvloop

from voice_ai.agent import Agent
from voice_ai.call.services import Services
from voice_ai.errors import ProviderError
from voice_ai.server.admission import Admission, Tokens
from voice_ai.server.agents import load_agent
from voice_ai.server.browser import check_browser
from voice_ai.server.calls import Calls
from voice_ai.server.front import Front
from voice_ai.server.front import serve as listen
from voice_ai.server.http import Routes
from voice_ai.server.metrics import Metrics
from voice_ai.server.pages import Face, Pages
from voice_ai.server.providers import capacity, describe, open_services
from voice_ai.server.readiness import Readiness
from voice_ai.server.settings import Settings
from voice_ai.server.webhook import STREAM_PATH, Webhook, local_url

if TYPE_CHECKING:
    from voice_ai.server.carrier import Carrier

BROWSER_PATH = "/ws/browser"

logger = logging.getLogger(__name__)

# Seconds until a service that cannot be reached at start-up is tried again; the last one repeats.
RETRY_AFTER_S = (1.0, 2.0, 5.0, 15.0)
# Seconds that a webhook waits for a server that is still loading; Twilio itself waits 15.
WEBHOOK_PATIENCE_S = 8.0


class App:
    """A server: `listen` opens its port at once, `load` gets it what calls are served with."""

    def __init__(self, settings: Settings, agent: Agent) -> None:
        """Put the parts together; nothing listens and nothing is loaded yet."""
        self.url = ""
        self._settings = settings
        self._agent = agent
        self._providers = describe(settings, agent)
        self._readiness: Readiness[Services] = Readiness()
        self._admission = Admission(0)  # until there is something to serve a call with
        self._metrics = Metrics()
        self._webhook = Webhook(
            Tokens(),
            self._admission,
            public_url=settings.public_url,
            auth_token=settings.twilio_auth_token,
            metrics=self._metrics,
            until_ready=lambda: self._readiness.get(WEBHOOK_PATIENCE_S),
        )
        self._calls = Calls(self._readiness, self._webhook, self._admission, self._metrics)
        self._carrier: Carrier | None = None

    @property
    def face(self) -> Face:
        """What the server tells of itself; known once it listens."""
        base = self._settings.public_url or self.url
        return Face(f"{base}/incoming-call", self._providers)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[None]:
        """Listen on the port of the settings; calls find all lines busy until `load` is through.

        Raises:
            UsageError: the port cannot be listened on.
        """
        routes = Routes()
        incoming_call = self._webhook.incoming_call
        routes.add("/incoming-call", GET=incoming_call, POST=incoming_call)
        routes.add_websocket(
            STREAM_PATH, self._calls.serve_twilio, check=self._webhook.check_stream
        )
        routes.add_websocket(BROWSER_PATH, self._calls.serve_browser, check=check_browser)
        async with listen(Front(routes), self._settings.host, self._settings.port) as bound:
            self.url = local_url(bound.host, bound.port)
            self._webhook.bind(bound.host, bound.port)
            async with self._open_carrier() as self._carrier:
                self._add_pages(routes)
                try:
                    yield
                finally:  # before the front closes: a call that it ends then knows why
                    self._stop()

    def _add_pages(self, routes: Routes) -> None:
        pages = Pages(self.face, self._calls, self._readiness, self._metrics)
        outbound = self._carrier.outbound if self._carrier else None
        pages.add_to(routes, outbound.place if outbound else None)
        if self._carrier:
            self._carrier.add_to(routes)

    @asynccontextmanager
    async def _open_carrier(self) -> AsyncIterator["Carrier | None"]:
        """Open the way to Twilio, if its credentials are known."""
        settings = self._settings
        if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
            yield None
            return
        module = await asyncio.to_thread(importlib.import_module, "voice_ai.server.carrier")
        async with module.open_carrier(
            settings, self._agent, self._webhook, self._admission, self._calls
        ) as carrier:
            yield carrier

    async def load(self, stack: AsyncExitStack) -> None:
        """Load what serves the calls, for as long as the stack; a service out of reach is awaited.

        Raises:
            UsageError, ProviderError: it cannot be had, and trying again will not help.
        """
        self._readiness.unset(f"loading {self._providers}")
        await asyncio.to_thread(self._webhook.warm_up)
        attempt = 0
        while True:
            try:
                control = self._carrier.transfers if self._carrier else None
                opening = open_services(self._settings, self._agent, control)
                services = await stack.enter_async_context(opening)
                break
            except ProviderError as error:
                if not error.retryable:
                    raise
                wait_s = RETRY_AFTER_S[min(attempt, len(RETRY_AFTER_S) - 1)]
                self._readiness.unset(f"{error.stage} cannot be had: {error}")
                logger.warning("%s; next try in %g s", self._readiness.waiting_for, wait_s)
            attempt += 1
            await asyncio.sleep(wait_s)
        self._readiness.set(services)
        self._admission.limit = capacity(self._settings)

    def _stop(self) -> None:
        self._admission.limit = 0
        self._readiness.unset("stopping")


def serve(settings: Settings) -> int:
    """Answer the phone until a signal; returns the exit code.

    Raises:
        UsageError, ProviderError: as `run`.
    """
    agent = load_agent(settings.agent)
    print(f"voice_ai {importlib.metadata.version('voice_ai')}", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=settings.debug) as runner:
        runner.run(run(settings, agent, lambda line: print(line, flush=True)))
    return 0


async def run(settings: Settings, agent: Agent, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; a second signal ends the process at once.

    Raises:
        UsageError, ProviderError: the server cannot do its work, and says why.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    assert task is not None

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    app = App(settings, agent)
    try:
        async with AsyncExitStack() as stack, app.listen():
            tell(f"Listening on {app.url}, loading {app.face.providers}.")
            await app.load(stack)
            tell(f"Ready. The webhook for a Twilio number is {app.face.webhook}")
            await loop.create_future()
    except asyncio.CancelledError:
        tell("Stopped.")
