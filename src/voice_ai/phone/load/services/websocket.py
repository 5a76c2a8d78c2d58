"""What both of Deepgram's services do with a websocket."""

import orjson
from picows import WSCloseCode, WSTransport


def kind_of(data: bytes) -> tuple[str, dict[str, object]]:
    """Return the type of a client's message, empty if it has none, and its members."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return "", {}
    if not isinstance(message, dict):
        return "", {}
    return str(message.get("type", "")), message


def close(transport: WSTransport) -> None:
    """End a connection in good order, whoever began."""
    if not transport.is_close_frame_sent:
        transport.send_close(WSCloseCode.OK)
    transport.disconnect()
