"""Twilio's HTTP side: the webhook that asks what to do with a call, and its answer in TwiML.

Source: twilio.com/docs/voice/twiml/stream, .../docs/usage/security (signatures).
"""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # has no stubs

from voice_ai.errors import PeerError
from voice_ai.phone.plan import CallPlan, is_url

# Twilio waits 15 s for a webhook's answer (twilio.com/docs/api/errors/11200) and takes 64 KB of
# TwiML (.../docs/api/errors/12100 on).
WEBHOOK_TIMEOUT_S = 15.0
MAX_TWIML_OCTETS = 64 * 1024

API_VERSION = "2010-04-01"
WEBHOOK_PATH = "/incoming-call"


@dataclass(frozen=True, slots=True)
class ToStream:
    """The server takes the call: the media stream's URL and what its start message is to carry."""

    url: str
    parameters: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The server does not take the call, and says so in these words."""

    words: str


def signature(auth_token: str, url: str, form: dict[str, str]) -> str:
    """Return what Twilio puts into X-Twilio-Signature for a request to `url`."""
    computed: str = RequestValidator(auth_token).compute_signature(url, form)
    return computed


def client() -> httpx.AsyncClient:
    """Return an HTTP client that goes straight to the server, whatever proxies the machine has."""
    return httpx.AsyncClient(trust_env=False, timeout=WEBHOOK_TIMEOUT_S)


async def ask(http: httpx.AsyncClient, plan: CallPlan, call_sid: str) -> ToStream | Refused:
    """Announce the call to the server's webhook, as Twilio does.

    Raises:
        PeerError: the server cannot be reached, or answers anything but TwiML.
    """
    form = {
        "CallSid": call_sid,
        "AccountSid": plan.account_sid,
        "From": plan.caller,
        "To": plan.called,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": API_VERSION,
    }
    public = (plan.public_url or plan.server_url).rstrip("/") + WEBHOOK_PATH
    headers = {"Host": urlsplit(public).netloc}
    if plan.auth_token:
        headers["X-Twilio-Signature"] = signature(plan.auth_token, public, form)
    url = plan.server_url.rstrip("/") + WEBHOOK_PATH
    try:
        async with asyncio.timeout(WEBHOOK_TIMEOUT_S):
            answer = await http.post(url, data=form, headers=headers)
    except (httpx.HTTPError, TimeoutError) as error:
        raise PeerError(f"no answer from {url}: {error or type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK:
        raise PeerError(
            f"{url} answered {answer.status_code} {answer.reason_phrase}; needed 200 with TwiML"
        )
    return parse_twiml(answer.content)


def parse_twiml(octets: bytes) -> ToStream | Refused:
    """Read TwiML, whose verbs Twilio goes through in order: the first that decides wins.

    Raises:
        PeerError: it is too long, no XML, or no `<Response>`.
    """
    if len(octets) > MAX_TWIML_OCTETS:
        raise PeerError(f"{len(octets)} octets of TwiML; Twilio takes {MAX_TWIML_OCTETS}")
    try:
        root = ElementTree.fromstring(octets)
    except ElementTree.ParseError as error:
        raise PeerError(f"the answer to {WEBHOOK_PATH} is not TwiML: {error}") from None
    if root.tag != "Response":
        raise PeerError(f"the answer to {WEBHOOK_PATH} is <{root.tag[:40]}>; needed <Response>")
    said: list[str] = []
    for verb in root:
        if verb.tag == "Say":
            said.append((verb.text or "").strip())
        elif verb.tag in ("Hangup", "Reject"):
            break
        elif verb.tag == "Connect" and (stream := verb.find("Stream")) is not None:
            return _to_stream(stream)
    return Refused(" ".join(said) or "no words were given")


def _to_stream(stream: ElementTree.Element) -> ToStream:
    url = stream.get("url", "")
    if not is_url(url, "ws", "wss"):
        raise PeerError(f"<Stream url={url[:200]!r}>; needed a wss:// URL")
    parameters = {p.get("name", ""): p.get("value", "") for p in stream.findall("Parameter")}
    return ToStream(url, parameters)
