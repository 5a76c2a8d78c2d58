"""Asking a server as Twilio does: requests and handshakes, signed or not; only statuses count."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from voice_ai.agent import Agent
from voice_ai.phone.webhook import signature
from voice_ai.server.app import App
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.webhook import STREAM_PATH, WEBHOOK_PATH

# Twilio waits 15 s for a webhook; a caller hears nothing meanwhile.
ANSWER_S: Final = 5.0
# A request of Twilio's with no CallSid: who signs it rightly is told so by a 400, and no call
# begins, no place is taken.
FORM: Final = {"From": "+15550100001", "To": "+15550100002", "Direction": "inbound"}
RIGHT: Final = 400
UPGRADED: Final = 101
SIGNATURE: Final = "X-Twilio-Signature"


@asynccontextmanager
async def our_server(situation: Situation) -> AsyncIterator[str]:
    """Yield the URL of the server that runs; if none does, of one that is there for the block.

    The latter has the settings and the routes of a real one, and takes no calls.
    """
    if situation.port.who == "ours":
        yield situation.port.url
        return
    here = {"host": "127.0.0.1", "port": 0, "reuse_port": False, "tls_cert": None, "tls_key": None}
    # Nothing of Twilio's account is needed.
    bare = {"outbound": False, "twilio_account_sid": None}
    settings = situation.settings.model_copy(update=here | bare)
    app = App(settings, situation.agent or Agent(instructions="None."))
    async with app.listen():
        yield app.url


@asynccontextmanager
async def client(*, trusts_all: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client that goes past proxies; one for this machine may trust all."""
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_S, verify=not trusts_all) as http:
        yield http


async def webhook_status(
    http: httpx.AsyncClient,
    base: str,
    *,
    signed_for: str = "",
    token: str = "",
    method: str = "POST",
) -> int:
    """Ask the webhook at `base` about no call, signed for the whole URL `signed_for`, or not."""
    headers = {SIGNATURE: signature(token, signed_for, FORM)} if token else {}
    data = FORM if method == "POST" else None
    answer = await http.request(method, f"{base}{WEBHOOK_PATH}", data=data, headers=headers)
    return answer.status_code


async def stream_status(
    http: httpx.AsyncClient, base: str, *, signed_for: str = "", token: str = ""
) -> int:
    """Begin the handshake of a media stream at `base`, and leave it at that."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    if token:
        headers[SIGNATURE.lower()] = signature(token, signed_for, {})
    async with http.stream("GET", f"{base}{STREAM_PATH}", headers=headers) as answer:
        return answer.status_code
