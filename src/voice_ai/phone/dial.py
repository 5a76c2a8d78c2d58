"""Twilio's dialling of a media stream: which address, which headers, and its words for what fails.

Source: twilio.com/docs/voice/twiml/stream; .../docs/api/errors/31901, 31920.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from voice_ai.errors import PeerError
from voice_ai.phone.plan import CallPlan
from voice_ai.phone.webhook import signature

# How long Twilio tries to open a stream is not documented (31901); this is websockets' own default.
OPEN_TIMEOUT_S = 10.0
# A server that does not answer a close within this is left without it.
CLOSE_TIMEOUT_S = 5.0

# Messages of the server's that wait to be read; when full, TCP slows the server down. A reply of a
# minute in frames of 20 ms is 3,000, and Twilio takes one at once.
MAX_QUEUE = 4096

# Ten minutes of audio in one message, which is what Twilio would buffer, are 6.4 MB of base64.
MAX_MESSAGE_OCTETS = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Dial:
    """Where to dial: `uri` has the host that the server believes in; `host`, `port` the address."""

    uri: str
    host: str
    port: int
    violations: tuple[str, ...] = ()


def dial_for(plan: CallPlan, url: str) -> Dial:
    """Work out a stream URL's address: the public host's streams are dialled at `server_url`."""
    stream, server, public = urlsplit(url), urlsplit(plan.server_url), urlsplit(plan.public_url)
    violations = []
    if stream.query:
        violations.append("31920: the stream URL has a query string, which Twilio drops")
    if plan.public_url and stream.scheme != "wss":
        violations.append(f"31920: the stream URL is {stream.scheme}://; Twilio dials wss:// only")
    at_home = plan.public_url and stream.hostname == public.hostname
    secure = server.scheme == "https" if at_home else stream.scheme == "wss"
    address = server if at_home else stream
    port = address.port or (443 if secure else 80)
    uri = f"{'wss' if secure else 'ws'}://{stream.netloc}{stream.path}"
    return Dial(uri, address.hostname or "", port, tuple(violations))


@asynccontextmanager
async def open_stream(plan: CallPlan, url: str) -> AsyncIterator[ClientConnection]:
    """Dial a stream and leave it closed.

    The handshake is signed over the URL as the TwiML has it, in a lower-case header; no compression
    is offered.

    Raises:
        PeerError: there is no stream to be had; its text begins with Twilio's error number.
    """
    dial = dial_for(plan, url)
    headers = {"x-twilio-signature": signature(plan.auth_token, url, {})} if plan.auth_token else {}
    try:
        stream = await connect(
            dial.uri,
            host=dial.host,
            port=dial.port,
            additional_headers=headers,
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_queue=MAX_QUEUE,
            max_size=MAX_MESSAGE_OCTETS,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise PeerError(f"31920: {url} answered the handshake with {status}; needed 101") from error
    except (InvalidHandshake, InvalidURI, ValueError) as error:  # the last: redirected elsewhere
        raise PeerError(f"31920: {url} did not shake hands: {error}") from error
    except TimeoutError as error:
        raise PeerError(f"31901: no answer from {url} in {OPEN_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise PeerError(f"31901: cannot reach {url}: {error}") from error
    try:
        yield stream
    finally:
        await close(stream)


async def close(stream: ClientConnection) -> None:
    """Close a stream; after `CLOSE_TIMEOUT_S` break it off, for websockets would wait forever."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await stream.close()
    except TimeoutError:
        stream.transport.abort()
        await stream.wait_closed()
