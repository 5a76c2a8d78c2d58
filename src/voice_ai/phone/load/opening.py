"""From a number to a call: the webhook, its TwiML, the handshake, the stream's start."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from voice_ai.errors import PeerError
from voice_ai.phone import webhook
from voice_ai.phone.dial import OPEN_TIMEOUT_S, dial_for
from voice_ai.phone.load.extras import picows
from voice_ai.phone.load.stream import Stream
from voice_ai.phone.load.voice import Voice
from voice_ai.phone.plan import CallPlan

# As `voice_ai.phone.dial` takes them; the buffer is the client's own, one for each connection.
MAX_MESSAGE_OCTETS = 8 * 1024 * 1024


async def open_call(http: httpx.AsyncClient, plan: CallPlan, call: int, *, room: int) -> Stream:
    """Put a call through, up to the message that starts its stream.

    Args:
        http: asks the webhook.
        plan: whom to call, and who signs; nothing of it is said.
        call: its number in the load.
        room: for the times of how many frames.

    Raises:
        PeerError: it could not be put through; its text says why.
    """
    call_sid, stream_sid = "CA" + uuid4().hex, "MZ" + uuid4().hex
    answer = await webhook.ask(http, plan, call_sid)
    if isinstance(answer, webhook.Refused):
        raise PeerError(f"refused: {answer.words}")
    voice = Voice(call, stream_sid, call_sid, plan.account_sid)
    stream = Stream(call, voice, stream_sid, room=room)
    await _connect(stream, plan, answer.url)
    stream.begin(answer.parameters)
    return stream


async def _connect(stream: Stream, plan: CallPlan, url: str) -> None:
    dial = dial_for(plan, url)
    uri = urlsplit(dial.uri)
    host = f"[{dial.host}]" if ":" in dial.host else dial.host
    headers = {"Host": uri.netloc}
    if plan.auth_token:
        headers["x-twilio-signature"] = webhook.signature(plan.auth_token, url, {})
    try:
        # Connecting and the handshake have as long each; a handshake that is cancelled, picows
        # 2.3.1 would leave open, so it has its own limit.
        async with asyncio.timeout(2 * OPEN_TIMEOUT_S):
            await picows.ws_connect(
                lambda: stream,
                f"{uri.scheme}://{host}:{dial.port}{uri.path}",
                extra_headers=headers,
                websocket_handshake_timeout=OPEN_TIMEOUT_S,
                max_frame_size=MAX_MESSAGE_OCTETS,
                max_redirects=0,
            )
    except picows.WSError as error:
        raise PeerError(f"31920: {url} did not shake hands: {_first_line(error)}") from error
    except TimeoutError as error:
        raise PeerError(f"31901: no answer from {url} in {OPEN_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise PeerError(f"31901: cannot reach {url}: {error}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
