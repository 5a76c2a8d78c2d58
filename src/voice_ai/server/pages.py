"""What people and probes ask the server: is it alive, does it take calls, what was said."""

from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import parse_qs

import orjson

from voice_ai.call.services import Services
from voice_ai.server.calls import Calls
from voice_ai.server.console import HTML_TYPE, PRIVATE, Console
from voice_ai.server.http import HTTPEndpoint, Request, Response, Routes, plain
from voice_ai.server.metrics import Metrics
from voice_ai.server.readiness import Readiness
from voice_ai.server.siblings import Siblings

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>voice_ai</title>
<h1>voice_ai</h1>
<p>{state}</p>
<dl><dt>Webhook of the Twilio number</dt><dd><code>{webhook}</code> (GET or POST)</dd>
<dt>Providers</dt><dd>{providers}</dd></dl>
<p><a href="/api/calls">calls</a> &middot; <a href="/health">health</a> &middot;
<a href="/metrics">metrics</a></p>
</html>
"""


@dataclass(frozen=True, slots=True)
class Face:
    """What the server tells of itself: where its webhook is, and what serves."""

    webhook: str
    providers: str


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
    ) -> None:
        self._face = face
        self._calls = calls
        self._readiness = readiness
        self._metrics = metrics
        self._siblings = siblings or Siblings()
        self._console = console or Console()

    def add_to(self, routes: Routes, place: HTTPEndpoint | None = None) -> None:
        """Add every page; probes are answered while draining, too. `place` places a call."""
        routes.add("/livez", while_draining=True, GET=self.livez)
        routes.add("/readyz", while_draining=True, GET=self.readyz)
        routes.add("/health", while_draining=True, GET=self.health)
        routes.add("/metrics", while_draining=True, GET=self.metrics)
        routes.add("/", GET=self.front_page)
        self._console.add_to(routes)
        placing: dict[str, Any] = {"POST": place} if place else {}
        routes.add("/api/calls", while_draining=True, GET=self.calls, **placing)

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

    async def front_page(self, request: Request) -> Response:
        """Answer a page that says what serves and where Twilio is to be pointed."""
        refusal = self._console.refuse_page(request)
        if refusal:
            return refusal
        ready = self._readiness.ready
        state = "It takes calls." if ready else f"Not yet: {self._readiness.waiting_for}."
        fields = {"state": state, "webhook": self._face.webhook, "providers": self._face.providers}
        body = PAGE.format(**{name: escape(text) for name, text in fields.items()})
        return Response(200, body.encode(), HTML_TYPE, PRIVATE)

    async def calls(self, request: Request) -> Response:
        """Answer the calls that are kept, newest first; with `?call_sid=` that one, or 404."""
        refusal = self._console.refuse(request)
        if refusal:
            return refusal
        wanted = parse_qs(request.query).get("call_sid", [""])[0]
        found = self.kept(wanted)
        for others in await self._siblings.ask(calls=wanted):
            found += others
        found.sort(key=lambda record: float(record["started_at"]), reverse=True)
        if not wanted:
            return _json(found)
        return _json(found[0]) if found else plain(404, f"no call {wanted[:40]!r} is kept")

    def kept(self, call_sid: str) -> list[dict[str, Any]]:
        """Return the calls that this process keeps, newest first; with an id only that one."""
        if not call_sid:
            return [record.as_json() for record in self._calls.records()]
        record = self._calls.find(call_sid)
        return [record.as_json()] if record else []


def _json(value: object) -> Response:
    return Response(200, orjson.dumps(value), "application/json", PRIVATE)
