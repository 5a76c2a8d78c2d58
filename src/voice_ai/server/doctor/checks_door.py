"""Twilio's way in, tried on this machine: the webhook, its TwiML, signatures, the handshake."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx

from voice_ai.server.admission import Admission, Tokens
from voice_ai.server.doctor.knocking import (
    RIGHT,
    UPGRADED,
    client,
    our_server,
    stream_status,
    webhook_status,
)
from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.webhook import STREAM_PATH, WEBHOOK_PATH, Webhook

# Twilio dials streams on this one (twilio.com/docs/voice/twiml/stream).
STREAM_PORT: Final = 443
Knock = Callable[[httpx.AsyncClient, str], Awaitable[Outcome]]


def _knock(situation: Situation, knock: Knock) -> Outcome:
    """Have our server asked something, be it the one that runs or one for the moment."""

    async def run() -> Outcome:
        async with our_server(situation) as base, client(trusts_all=True) as http:
            return await knock(http, base)

    return asyncio.run(run())


@check(
    "webhook-method",
    "“An application error has occurred”; Twilio's log has 11200 and a status of 405.",
    "Give Twilio the URL that ends in /incoming-call, by POST or GET; 405 is another path's, or "
    "another server's.",
)
def webhook_method(situation: Situation) -> Outcome:
    """Ask the webhook by both methods that Twilio knows."""

    async def knock(http: httpx.AsyncClient, base: str) -> Outcome:
        statuses = {
            method: await webhook_status(http, base, method=method) for method in ("POST", "GET")
        }
        wrong = {m: status for m, status in statuses.items() if status not in (RIGHT, 403)}
        if wrong:
            told = ", ".join(f"{method} is answered {status}" for method, status in wrong.items())
            return failed(f"{base}{WEBHOOK_PATH}: {told}")
        return ok(f"{WEBHOOK_PATH} answers POST and GET")

    return _knock(situation, knock)


@check(
    "signature",
    "All calls fail; the log has “its signature is wrong or missing”, Twilio's 11200 and a 403.",
    "Set PUBLIC_URL to the host in the number's webhook, letter by letter, and TWILIO_AUTH_TOKEN "
    "to the token of the account that owns the number; then restart the server.",
)
def signature(situation: Situation) -> Outcome:
    """Sign for the URL in the ways that Twilio may write it, and see which are taken."""
    token, public = situation.settings.twilio_auth_token, situation.settings.public_url
    if token is None or public is None:
        return skipped("it takes TWILIO_AUTH_TOKEN and PUBLIC_URL")
    secret = token.get_secret_value()

    async def knock(http: httpx.AsyncClient, base: str) -> Outcome:
        taken = {
            url: await webhook_status(http, base, signed_for=url, token=secret) == RIGHT
            for url in _variants(public)
        }
        if await webhook_status(http, base) != 403:
            return failed("what nobody has signed is taken: the server that runs has no token")
        if not all(taken.values()):
            refused = ", ".join(url for url, is_taken in taken.items() if not is_taken)
            whose = "the server that runs" if situation.port.who == "ours" else "the server"
            return failed(f"{whose} refuses what Twilio signs for {refused}")
        return ok(f"Twilio signs for {next(iter(taken))}; taken with and without the port")

    return _knock(situation, knock)


def _variants(public: str) -> list[str]:
    """Return the webhook's URL as Twilio may write it when it signs: with the port, and without."""
    parts = urlsplit(public)
    with_port = public if parts.port else f"{public}:443"
    return [f"{base}{WEBHOOK_PATH}" for base in dict.fromkeys((public, with_port))]


@check(
    "handshake",
    "The call connects and ends at once; Twilio's log has 31920 or 31921.",
    "Have the proxy pass websockets on (`Upgrade`, `Connection`, HTTP/1.1) with the headers that "
    "came, and PUBLIC_URL be the host that Twilio dials.",
)
def handshake(situation: Situation) -> Outcome:
    """Shake hands as Twilio does with the media stream's address."""
    settings = situation.settings
    token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else ""

    async def knock(http: httpx.AsyncClient, base: str) -> Outcome:
        public = (settings.public_url or base).replace("http", "ws", 1) + STREAM_PATH
        status = await stream_status(http, base, signed_for=public, token=token)
        if status != UPGRADED:
            return failed(f"{STREAM_PATH}, signed for {public}, is answered {status}, not 101")
        return ok(f"{STREAM_PATH} becomes a websocket")

    return _knock(situation, knock)


def _twiml(situation: Situation) -> ElementTree.Element:
    """Return what our webhook would answer to a call now."""
    settings = situation.settings
    webhook = Webhook(Tokens(), Admission(1), public_url=settings.public_url)
    webhook.bind(settings.host, settings.port, is_secure=settings.tls_cert is not None)
    answer = asyncio.run(webhook.connect({"CallSid": "doctor"}))
    return ElementTree.fromstring(answer.body)


@check(
    "twiml",
    "The call connects, and both sides hear nothing.",
    "Answer `<Connect><Stream>`: `<Start><Stream>` only listens. The webhook must be this "
    "server's own, not a TwiML Bin's or a Function's.",
)
def twiml(situation: Situation) -> Outcome:
    """Look at the TwiML that the webhook gives."""
    verbs = [verb.tag for verb in _twiml(situation)]
    if "Start" in verbs:
        return failed("the webhook answers <Start><Stream>: Twilio sends us audio and takes none")
    if _twiml(situation).find("Connect/Stream") is None:
        return failed(f"the webhook answers {', '.join(verbs) or 'nothing'}, needed <Connect>")
    return ok("the webhook answers <Connect><Stream>")


@check(
    "stream-url",
    "The call ends as soon as it is answered; Twilio's log has 31920 or 31901.",
    "Media streams are dialled as `wss://host/ws/twilio` on port 443 with no query string: take "
    "the port and all behind the host out of PUBLIC_URL.",
)
def stream_url(situation: Situation) -> Outcome:
    """Judge the address of the media stream that the TwiML gives."""
    stream = _twiml(situation).find("Connect/Stream")
    if stream is None:
        return skipped("the TwiML has no stream")
    url = stream.get("url", "")
    parts = urlsplit(url)
    if parts.query:
        return failed(f"{url} has a query string, which Twilio drops")
    if situation.settings.public_url is None:
        return skipped(f"it is {url} until PUBLIC_URL is set")
    if parts.scheme != "wss":
        return failed(f"{url} is no wss:// address")
    if parts.port not in (None, STREAM_PORT):
        return warning(f"{url} has port {parts.port}; Twilio dials {STREAM_PORT} only")
    return ok(url)


CHECKS: Final[tuple[Check, ...]] = (
    webhook_method,
    signature,
    handshake,
    twiml,
    stream_url,
)
