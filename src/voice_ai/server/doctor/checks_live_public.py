"""The public URL from outside in: does it reach this server, and only as it should."""

from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from voice_ai.server.doctor.knocking import (
    RIGHT,
    UPGRADED,
    client,
    stream_status,
    webhook_status,
)
from voice_ai.server.doctor.outcome import Check, Outcome, failed, live, ok, skipped, warning
from voice_ai.server.doctor.reasons import out_of_reach, words_of
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.webhook import STREAM_PATH, WEBHOOK_PATH

# Certificates and one-time things are minted with a minute's grace.
DRIFT_S: Final = 60.0
Knock = Callable[[httpx.AsyncClient, str], Awaitable[Outcome]]


async def _knock(situation: Situation, knock: Knock, *, is_first: bool = False) -> Outcome:
    """Ask something by the public URL; the first question tells why nobody is reached."""
    public = situation.settings.public_url
    if public is None:
        return skipped("there is no PUBLIC_URL that can be used")
    try:
        async with client() as http:
            return await knock(http, public)
    except httpx.HTTPError as error:
        if not is_first:
            return skipped("nobody is reached: see public-reach")
        return out_of_reach(f"{public}: {words_of(error)}")


@live(
    "public-reach",
    "It rings and nothing comes; Twilio's log has 11200 or 11205.",
    "Start the server and the tunnel, and have the tunnel or proxy point to HOST and PORT.",
)
async def reach(situation: Situation) -> Outcome:
    """Ask for /livez by the public URL."""

    async def knock(http: httpx.AsyncClient, public: str) -> Outcome:
        answer = await http.get(f"{public}/livez")
        if answer.status_code != httpx.codes.OK or answer.text != "alive\n":
            return failed(f"{public}/livez answers {answer.status_code}, and not as this server")
        took_ms = answer.elapsed.total_seconds() * 1000
        return ok(f"{public} reaches this server, {took_ms:.0f} ms there and back")

    return await _knock(situation, knock, is_first=True)


@live(
    "public-webhook",
    "Calls are refused with 403 behind a proxy, or strangers' are not.",
    "PUBLIC_URL has to be the host that Twilio calls; the proxy has to pass path and body on as "
    "they are, and TWILIO_AUTH_TOKEN to be set.",
)
async def webhook(situation: Situation) -> Outcome:
    """Ask the webhook by the public URL, unsigned and signed."""
    token = situation.settings.twilio_auth_token

    async def knock(http: httpx.AsyncClient, public: str) -> Outcome:
        unsigned = await webhook_status(http, public)
        if token is None:
            told = f"the webhook answers {unsigned} to what nobody has signed"
            return warning(told) if unsigned == RIGHT else failed(told)
        if unsigned == RIGHT:
            return failed("what nobody has signed is taken: the server that runs has no token")
        signed = await webhook_status(
            http, public, signed_for=public + WEBHOOK_PATH, token=token.get_secret_value()
        )
        if (unsigned, signed) != (403, RIGHT):
            return failed(f"the webhook answers {signed} to what is signed, {unsigned} to the rest")
        return ok("what is signed is taken, the rest is refused")

    return await _knock(situation, knock)


@live(
    "public-handshake",
    "The call connects and ends at once, behind a proxy; Twilio's log has 31920.",
    "Have the proxy pass websockets on: nginx needs `proxy_http_version 1.1`, `proxy_set_header "
    "Upgrade $http_upgrade` and `proxy_set_header Connection upgrade`.",
)
async def handshake(situation: Situation) -> Outcome:
    """Shake hands for a media stream by the public URL."""
    token = situation.settings.twilio_auth_token

    async def knock(http: httpx.AsyncClient, public: str) -> Outcome:
        url = public.replace("http", "ws", 1) + STREAM_PATH
        secret = token.get_secret_value() if token else ""
        status = await stream_status(http, public, signed_for=url, token=secret)
        if status != UPGRADED:
            return failed(f"{url} answers the handshake with {status}, needed 101")
        return ok(f"{url} becomes a websocket")

    return await _knock(situation, knock)


@live(
    "public-console",
    "Anybody can read the calls at the public address.",
    "Set CONSOLE_PASSWORD; have no tunnel forward bare TCP or hide whom it speaks for "
    "(`X-Forwarded-For`).",
)
async def console(situation: Situation) -> Outcome:
    """Ask for the calls by the public URL, as a stranger."""

    async def knock(http: httpx.AsyncClient, public: str) -> Outcome:
        answer = await http.get(f"{public}/api/calls")
        if answer.status_code == httpx.codes.OK:
            return failed(f"{public}/api/calls is answered to everybody")
        return ok(f"a stranger gets {answer.status_code}")

    return await _knock(situation, knock)


@live(
    "clock-drift",
    "Signatures, tokens or certificates are refused, now and then or always.",
    "Set the clock, and keep it by NTP: `timedatectl set-ntp true`.",
)
async def clock_drift(situation: Situation) -> Outcome:
    """Compare our clock with the one in an answer of Twilio's."""
    url = situation.settings.twilio_api_url
    try:
        async with client() as http:
            answer = await http.head(url)
    except httpx.HTTPError as error:
        return skipped(f"{url}: {words_of(error)}")
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return skipped(f"{url} tells no time")
    drift_s = (situation.now - theirs.replace(tzinfo=UTC)).total_seconds()
    told = f"{abs(drift_s):.0f} s {'ahead of' if drift_s > 0 else 'behind'} {url}"
    return failed(told) if abs(drift_s) > DRIFT_S else ok(told)


CHECKS: Final[tuple[Check, ...]] = (reach, webhook, handshake, console, clock_drift)
