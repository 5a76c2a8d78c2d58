"""The websocket handshake as the front checks it, before websockets' own connection takes over.

A handshake that is refused inside websockets 17.4 leaves a traceback in the log when the client
then closes. So all that can be wrong with one is refused here, and websockets only sees what it
accepts.
"""

import base64
import binascii
from typing import Final

from voice_ai.server.http import Request, Response, plain

VERSION: Final = "13"  # RFC 6455 section 4.1, item 9
KEY_OCTETS: Final = 16  # item 7: "a nonce ... 16-byte value that has been base64-encoded"
# What websockets reads of a handshake. The rest of the head stays with the Request: websockets
# refuses lines of 8 KiB and more than 128 of them, and the front has already said what it takes.
HANDSHAKE_FIELDS: Final = ("Host", "Origin", "Sec-WebSocket-Key", "User-Agent")


def asks_for_websocket(request: Request) -> bool:
    """Return whether this may become a websocket. HTTP/1.0 cannot (RFC 9110 section 7.8)."""
    headers = request.headers
    wants = "upgrade" in headers.tokens("Connection") and headers.tokens("Upgrade") == ["websocket"]
    return wants and request.method == "GET" and request.version == "1.1"


def refuse_handshake(request: Request) -> Response | None:
    """Return the answer to what cannot open a websocket, else None (RFC 6455 section 4.2.2)."""
    if request.method != "GET":
        return plain(405, Allow="GET")
    if not asks_for_websocket(request):
        return plain(426, "a websocket is served here", Upgrade="websocket")
    if request.headers.get_all("Sec-WebSocket-Version") != [VERSION]:
        came = request.headers.get("Sec-WebSocket-Version", "none")
        text = f"websocket version {came!r} came, {VERSION} is spoken here"
        return plain(426, text, Upgrade="websocket", Sec_WebSocket_Version=VERSION)
    if not _is_key(request.headers.get_all("Sec-WebSocket-Key")):
        return plain(400, f"Sec-WebSocket-Key must be one value of {KEY_OCTETS} octets in base64")
    if request.has_body:
        return plain(400, "a websocket handshake has no body")
    return None


def _is_key(values: list[str]) -> bool:
    try:
        return len(values) == 1 and len(base64.b64decode(values[0], validate=True)) == KEY_OCTETS
    except (binascii.Error, ValueError):
        return False


def handshake_head(request: Request) -> bytes:
    """Return the head of an accepted handshake for websockets to read."""
    lines = [f"GET {request.path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Version: {VERSION}"]
    for name in HANDSHAKE_FIELDS:
        value = request.headers.get(name)
        if value and len(value) < 4096:
            lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
