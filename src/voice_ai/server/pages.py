"""What people and probes ask the server: is it alive, does it take calls, what was said."""

import importlib.metadata
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from voice_ai.call.services import Services
from voice_ai.server.calls import Calls
from voice_ai.server.console import PRIVATE, Console
from voice_ai.server.http import HTTPEndpoint, Request, Response, Routes, plain
from voice_ai.server.kept import Archive, Kept, Wanted
from voice_ai.server.metrics import Metrics
from voice_ai.server.readiness import Readiness
from voice_ai.server.siblings import Siblings


@dataclass(frozen=True, slots=True)
class Face:
    """What the server tells of itself: where its webhook is, who answers, and what serves.

    `recording`, `keeps_calls` and `retention_s` say what becomes of what was said.
    """

    webhook: str
    providers: str
    agent: str = ""
    recording: bool = False
    keeps_calls: bool = False
    retention_s: float = 0.0
    version: str = field(default_factory=lambda: importlib.metadata.version("voice_ai"))


class Pages:
    """The routes for people and probes; what callers say is for who may see the console."""

    def __init__(
        self,
        face: Face,
        calls: Calls,
        readiness: Readiness[Services],
        metrics: Metrics,
        siblings: Siblings | None = None,
        console: Console | None = None,
        archive: Archive | None = None,
    ) -> None:
        self.kept = Kept(calls, siblings, archive)
        self._face = face
        self._calls = calls
        self._readiness = readiness
        self._metrics = metrics
        self._siblings = siblings or Siblings()
        self._console = console or Console()

    def add_to(
        self,
        routes: Routes,
        place: HTTPEndpoint | None = None,
        forget: HTTPEndpoint | None = None,
    ) -> None:
        """Add every page; probes are answered while draining, too.

        `place` places a call, `forget` deletes one.
        """
        routes.add("/livez", while_draining=True, GET=self.livez)
        routes.add("/readyz", while_draining=True, GET=self.readyz)
        routes.add("/health", while_draining=True, GET=self.health)
        routes.add("/metrics", while_draining=True, GET=self.metrics)
        routes.add("/api/about", while_draining=True, GET=self.about)
        self._console.add_to(routes)
        others = {"POST": place, "DELETE": forget}
        given: dict[str, Any] = {
            method: endpoint for method, endpoint in others.items() if endpoint
        }
        routes.add("/api/calls", while_draining=True, GET=self.calls, **given)

    async def livez(self, request: Request) -> Response:
        """Answer that the process is alive."""
        return plain(200, "alive")

    async def readyz(self, request: Request) -> Response:
        """Answer 200 when calls are taken, else 503 and why not."""
        if self._readiness.ready:
            return plain(200, "ready")
        return plain(503, self._readiness.waiting_for, Retry_After="1")

    async def health(self, request: Request) -> Response:
        """Answer both for people; always 200 while the process lives."""
        return _json(
            {
                "alive": True,
                "ready": self._readiness.ready,
                "waiting_for": self._readiness.waiting_for,
                "providers": self._face.providers,
                "calls_now": self._calls.n_live + sum(await self._siblings.ask(n_live=True)),
            }
        )

    async def metrics(self, request: Request) -> Response:
        """Answer in Prometheus' text format."""
        refusal = self._console.refuse_metrics(request)
        if refusal:
            return refusal
        return Response(200, self._metrics.render(), self._metrics.content_type)

    async def about(self, request: Request) -> Response:
        """Answer what serves, where Twilio is to be pointed, and what is kept of calls."""
        refusal = self._console.refuse(request)
        if refusal:
            return refusal
        ready, waiting_for = self._readiness.ready, self._readiness.waiting_for
        return _json({**asdict(self._face), "ready": ready, "waiting_for": waiting_for})

    async def calls(self, request: Request) -> Response:
        """Answer a list of calls, newest first; with `?call_sid=` all of that one, or 404."""
        refusal = self._console.refuse(request)
        if refusal:
            return refusal
        call_sid = parse_qs(request.query).get("call_sid", [""])[0]
        if call_sid:
            found = await self.kept.find(call_sid)
            return _json(found) if found else plain(404, f"no call {call_sid[:40]!r} is kept")
        try:
            wanted = Wanted.parse(request.query)
        except ValueError as error:
            return plain(400, str(error))
        return _json(await self.kept.recent(wanted))


def _json(value: object) -> Response:
    return Response(200, orjson.dumps(value), "application/json", PRIVATE)
