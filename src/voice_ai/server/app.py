"""The composition root: one port, its routes, and what serves the calls behind it."""

import asyncio
import importlib
import logging
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from voice_ai.agent import Agent
from voice_ai.call.services import Services
from voice_ai.errors import ProviderError
from voice_ai.server.admission import Admission, Places, Tokens, TokenStore
from voice_ai.server.archive import Archive, open_archive
from voice_ai.server.assets import Assets, read_assets
from voice_ai.server.calls import Calls, Privacy
from voice_ai.server.console import Console, Keys
from voice_ai.server.cpu import CpuMeter
from voice_ai.server.forgetting import Forgetting
from voice_ai.server.front import Front, Limits
from voice_ai.server.front import serve as listen
from voice_ai.server.http import Routes
from voice_ai.server.kept import Wanted
from voice_ai.server.lag import LagMeter
from voice_ai.server.limits import Rate
from voice_ai.server.logs import redaction
from voice_ai.server.media import MediaConnection
from voice_ai.server.metrics import Metrics
from voice_ai.server.pages import Face, Pages
from voice_ai.server.providers import capacity, describe, open_services, renew
from voice_ai.server.readiness import Readiness
from voice_ai.server.recording_page import RecordingPage
from voice_ai.server.recordings import FOLDER
from voice_ai.server.settings import Settings
from voice_ai.server.shared import Shared, SharedAdmission, SharedTokens
from voice_ai.server.siblings import Siblings
from voice_ai.server.tls import open_tls
from voice_ai.server.tracing import open_tracing
from voice_ai.server.webhook import STREAM_PATH, WEBHOOK_PATH, Busy, Webhook, local_url

if TYPE_CHECKING:
    from voice_ai.server.carrier import Carrier

BROWSER_PATH = "/ws/browser"

logger = logging.getLogger(__name__)

# Seconds until a service that cannot be reached at start-up is tried again; the last one repeats.
RETRY_AFTER_S = (1.0, 2.0, 5.0, 15.0)
# Seconds that a webhook waits for a server that is still loading; Twilio itself waits 15.
WEBHOOK_PATIENCE_S = 8.0
# Seconds that calls have for their goodbye, after which they are closed.
GOODBYE_S: Final = 15.0
# A client that has asked nothing for so many seconds may ask for all of them at once.
BURST_S: Final = 5.0
# Of the file descriptors that we may have, connections that wait take one in so many at most: a
# call takes four.
WAITING_SHARE: Final = 4
# How often a server that drains looks whether its calls are over: nobody waits for its end.
DRAIN_POLL_S: Final = 0.1


class App:
    """A server: `listen` opens its port at once, `load` gets it what calls are served with."""

    def __init__(self, settings: Settings, agent: Agent) -> None:
        """Put the parts together; nothing listens and nothing is loaded yet."""
        self.url = ""
        self._settings = settings
        self._agent = agent
        self._providers = describe(settings, agent)
        self._readiness: Readiness[Services] = Readiness()
        self._metrics = Metrics()
        self._cpu = CpuMeter(settings.max_cpu_percent)
        self._shared = Shared(settings.port) if settings.shares_port else None
        self._siblings = Siblings(self._shared)
        # No places until there is something to serve a call with.
        self._admission: Places = Admission(0, takes_new=self._takes_new)
        tokens: TokenStore = Tokens()
        if self._shared:
            self._admission = SharedAdmission(self._shared, 0, takes_new=self._takes_new)
            tokens = SharedTokens(self._shared)
        self._webhook = Webhook(
            tokens,
            self._admission,
            public_url=settings.public_url,
            auth_token=settings.twilio_auth_token,
            metrics=self._metrics,
            until_ready=lambda: self._readiness.get(WEBHOOK_PATIENCE_S),
            busy=Busy(settings.busy_sentence, settings.busy_redirect_url),
        )
        privacy = Privacy(settings.transcript_retention_s, settings.log_transcripts)
        self._archive: Archive | None = None
        self._calls = Calls(self._readiness, self._webhook, self._admission, self._metrics, privacy)
        self._reports = (self._metrics.provider_fault, self._calls.fault)
        self._metrics.watch_places(lambda: (self._admission.limit, len(self._admission)))
        self._clean = redaction(settings)
        self._console = Console(
            Keys(
                password=settings.console_password,
                metrics_token=settings.metrics_token,
                public_url=settings.public_url,
                is_secure=settings.is_secure,
                proxies=settings.trusted_proxies,
            )
        )
        self._carrier: Carrier | None = None
        self._listening = True
        self._stack: AsyncExitStack | None = None  # what serves the calls is in it
        self._pages: Pages
        self._bound: listen

    @property
    def face(self) -> Face:
        """What the server tells of itself; known once it listens."""
        base = self._settings.public_url or self.url
        return Face(
            f"{base}{WEBHOOK_PATH}",
            self._providers,
            agent=self._settings.agent or "",
            recording=self._settings.record,
            keeps_calls=self._settings.keep_calls,
            retention_s=self._settings.transcript_retention_s,
        )

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[None]:
        """Listen on the port of the settings; calls find all lines busy until `load` is through.

        A port that is shared with other processes is listened on only then.

        Raises:
            UsageError: the port cannot be listened on, or the certificate not be used.
        """
        routes = Routes()
        self._add_calls(routes)
        Assets(await asyncio.to_thread(read_assets), self._console).add_to(routes)
        settings = self._settings
        front = Front(routes, limits(settings), settings.trusted_proxies)
        tls = open_tls(settings.tls_cert, settings.tls_key)
        self._bound = listen(
            front, settings.host, settings.port, reuse_port=settings.shares_port, tls=tls
        )
        with self._shared or nullcontext():
            async with (
                open_archive(settings) as self._archive,
                self._bound,
                self._open_carrier() as self._carrier,
            ):
                if archive := self._archive:
                    self._calls.watched_by.append(lambda _: archive)
                host, port, is_secure = self._bound.host, self._bound.port, tls is not None
                self.url = local_url(host, port, is_secure=is_secure)
                self._webhook.bind(host, port, is_secure=is_secure)
                self._add_pages(routes)
                async with self._siblings.answering(self._answer):
                    try:
                        yield
                    finally:  # before the front closes: a call that it ends then knows why
                        self._stop()

    def _add_calls(self, routes: Routes) -> None:
        """Add Twilio's way in and a browser's; some write the paths with a slash at the end."""
        webhook, incoming_call = self._webhook, self._webhook.incoming_call
        for slash in ("", "/"):
            routes.add(
                f"{WEBHOOK_PATH}{slash}",
                vouches=webhook.vouches,
                GET=incoming_call,
                POST=incoming_call,
            )
            routes.add_websocket(
                f"{STREAM_PATH}{slash}",
                self._calls.serve_twilio,
                check=webhook.check_stream,
                connection=MediaConnection,
                vouches=webhook.vouches,
            )
        check = self._console.refuse_browser
        routes.add_websocket(BROWSER_PATH, self._calls.serve_browser, check=check)

    def _add_pages(self, routes: Routes) -> None:
        self._pages = Pages(
            self.face,
            self._calls,
            self._readiness,
            self._metrics,
            self._siblings,
            self._console,
            self._archive,
        )
        folder = self._settings.data_dir / FOLDER
        outbound = self._carrier.outbound if self._carrier else None
        forgetting = Forgetting(self._console, self._calls, self._siblings, self._archive, folder)
        self._pages.add_to(routes, outbound.place if outbound else None, forgetting.forget)
        RecordingPage(folder, self._console).add_to(routes)
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
            settings, self._agent, self._webhook, self._admission, self._calls, self._siblings
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
                opening = open_services(self._settings, self._agent, control, self._reports)
                services = await stack.enter_async_context(opening)
                break
            except ProviderError as error:
                if not error.retryable:
                    raise
                wait_s = RETRY_AFTER_S[min(attempt, len(RETRY_AFTER_S) - 1)]
                self._readiness.unset(self._clean(f"{error.stage} cannot be had: {error}"))
                logger.warning("%s; next try in %g s", self._readiness.waiting_for, wait_s)
            attempt += 1
            await asyncio.sleep(wait_s)
        tracing = await stack.enter_async_context(open_tracing(self._settings, self._agent))
        if tracing:
            self._calls.watched_by.append(tracing)
        self._stack = stack
        stack.enter_context(self._cpu)
        stack.enter_context(LagMeter(self._metrics.loop_lag))
        self._readiness.set(services)
        self._admission.limit = capacity(self._settings)
        if self._shared:
            await self._bound.start()
            self._shared.take_calls(True)

    async def renew(self, agent: Agent) -> None:
        """Have another agent answer the calls to come; those under way keep theirs.

        Raises:
            UsageError, ProviderError: it cannot; the one before goes on.
        """
        services = await self._readiness.get(within_s=0.0)
        if services is None or self._stack is None:
            return
        renewed = await renew(services, self._settings, agent, self._stack, self._reports)
        if self._readiness.serving:
            self._readiness.set(renewed)

    @property
    def ready(self) -> bool:
        """Whether calls are taken."""
        return self._readiness.ready

    @property
    def n_open(self) -> int:
        """How many calls there are, with those that have not been let in yet."""
        return self._calls.n_open

    async def drain(self) -> None:
        """Take no new calls; return when those under way are over, or have had their goodbye."""
        self._readiness.leave("draining")
        self._webhook.draining = True
        if self._shared:
            self._shared.take_calls(False)
        if not await self._idle_within(self._settings.drain_s):
            self._calls.say_goodbye("the server stops")
            await self._idle_within(GOODBYE_S)

    async def _idle_within(self, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await self._until_idle()
        except TimeoutError:
            return False
        return True

    async def _until_idle(self) -> None:
        """Wait for the calls, and for those that were connected a moment ago to become calls."""
        while True:
            if self._shared and self._listening and self._shared.others_take_calls():
                self._listening = False
                await self._bound.leave()
            if not (self._calls.n_open or self._webhook.expects_stream or self._bound.n_unanswered):
                return
            await asyncio.sleep(DRAIN_POLL_S)

    def _takes_new(self) -> bool:
        """Whether a call that has no place may get one.

        Once we drain, the webhook may still be asked over a connection that was there before; the
        stream of its call then comes to another process, if there is one.
        """
        if self._webhook.draining:
            return self._shared is not None and self._shared.others_take_calls()
        return not self._cpu.over

    def _answer(self, question: dict[str, Any]) -> Any:
        """Answer another process of this port what only we know of our calls."""
        match question:
            case {"calls": str(call_sid)}:
                return self._pages.kept.find_here(call_sid)
            case {"recent": [int(limit), before]}:
                return self._pages.kept.recent_here(Wanted.sent(limit, before))
            case {"forget": str(call_sid)}:
                return self._calls.forget(call_sid)
            case {"n_live": True}:
                return self._calls.n_live
            case {"briefing": str(call_sid)} if self._carrier:
                return self._carrier.transfers.take_briefing(call_sid)
            case {"answered_by": [str(call_sid), str(who), bool(speaks)]}:
                return self._calls.answered_by(call_sid, who, speaks)
        return None

    def _stop(self) -> None:
        self._admission.limit = 0
        self._readiness.unset("stopping")


def limits(settings: Settings) -> Limits:
    """Return what a client may take of us, by the settings and by what the system lets us have."""
    n_descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    per_client, overall = settings.requests_per_s_per_ip, settings.requests_per_s
    return Limits(
        per_client=Rate(per_client, max(1.0, BURST_S * per_client)),
        overall=Rate(overall, max(1.0, BURST_S * overall)),
        max_waiting=min(settings.max_connections, max(1, n_descriptors // WAITING_SHARE)),
        max_waiting_per_client=settings.max_connections_per_ip,
    )
