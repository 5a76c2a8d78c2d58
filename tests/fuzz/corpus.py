"""Good messages of every protocol that the server reads, as their senders write them."""

from base64 import b64encode
from typing import Final

import orjson

from voice_ai.wire import twilio

SID: Final = "MZ0123456789abcdef0123456789abcdef"
CALL_SID: Final = "CA0123456789abcdef0123456789abcdef"
ACCOUNT_SID: Final = "AC0123456789abcdef0123456789abcdef"
# Between the messages of a sequence, in the file of a failing one: in no message of ours.
BETWEEN: Final = b"\x1e"


def _json(**fields: object) -> bytes:
    return orjson.dumps(fields)


CONNECTED: Final = twilio.connected().encode()
START: Final = twilio.start(SID, CALL_SID, ACCOUNT_SID, {"token": "t0k3n", "from": "+15"}).encode()
STOP: Final = twilio.stop(SID, 99, ACCOUNT_SID, CALL_SID).encode()
MEDIA: Final = tuple(
    twilio.caller_media(SID, n + 2, n, 20 * n, bytes((7 * n + i) % 256 for i in range(size)))
    for n, size in enumerate((160, 160, 1, 3, 640), 1)
)
CALLER: Final = (
    *(text.encode() for text in MEDIA),
    twilio.mark_echo(SID, 7, "1:400").encode(),
    twilio.dtmf(SID, 8, "5").encode(),
    twilio.dtmf(SID, 9, "#").encode(),
)
TWILIO: Final = (CONNECTED, START, *CALLER, STOP)
TO_TWILIO: Final = tuple(
    text.encode()
    for text in (
        twilio.media(SID, bytes(range(160))),
        twilio.mark(SID, "1:400"),
        twilio.clear(SID),
    )
)
SEQUENCE: Final = BETWEEN.join(TWILIO)

_TURN = {
    "type": "TurnInfo",
    "request_id": "0d4c0f0e-7c1b-4d2e-9d55-0d5b1a9e6f11",
    "turn_index": 0,
    "audio_window_start": 0.0,
    "audio_window_end": 1.84,
    "transcript": "Hello there.",
    "words": [
        {"word": "Hello", "confidence": 0.98, "start": 0.4, "end": 0.8},
        {"word": "there", "confidence": 0.97, "start": 0.88, "end": 1.2},
    ],
    "end_of_turn_confidence": 0.87,
}
FLUX: Final = (
    _json(type="Connected", request_id="uuid", sequence_id=0),
    *(
        orjson.dumps(_TURN | {"event": event, "sequence_id": n})
        for n, event in enumerate(
            ("StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn")
        )
    ),
    orjson.dumps(_TURN | {"event": "Update", "transcript": "", "words": [], "sequence_id": 9}),
    _json(type="ConfigureSuccess", request_id="u", sequence_id=8, thresholds={"eot_threshold": 1}),
    _json(type="Warning", request_id="u", sequence_id=9, code="SLOW", description="too slow"),
    _json(type="Error", sequence_id=10, code="INTERNAL_SERVER_ERROR", description="sorry"),
)
AURA: Final = (
    _json(type="Metadata", request_id="u", model_name="aura-2-thalia-en", model_uuid="m"),
    _json(type="Flushed", sequence_id=0),
    _json(type="Cleared", sequence_id=0),
    _json(type="Warning", description="Flush limit", code="FLUSH_LIMIT"),
    _json(type="Error", description="bad", code="DATA-0000"),
)

_CALLED = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "opening_hours",
    "arguments": '{"day":"monday"}',
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello there.", "annotations": []}],
}
RESPONSES: Final = (
    _json(type="response.created", response={"id": "resp_1", "status": "in_progress"}),
    _json(type="response.output_text.delta", delta="Hello ", item_id="msg_1", output_index=1),
    _json(type="response.output_text.delta", delta="th\u00e9re.", item_id="msg_1", logprobs=[]),
    _json(type="response.refusal.delta", delta="I cannot.", item_id="msg_1"),
    _json(type="response.output_item.done", output_index=1, item=_CALLED),
    _json(type="response.output_item.done", output_index=1, item=_MESSAGE),
    _json(type="response.incomplete", response={"incomplete_details": {"reason": "steered"}}),
    _json(type="response.failed", response={"error": {"code": "server_error", "message": "no"}}),
    _json(type="error", code="ERR", message="went wrong", param=None, sequence_number=1),
    _json(type="error", status=400, error={"code": "c", "message": "m", "param": "p"}),
    _json(type="response.completed", response={"id": "resp_1", "status": "completed"}),
)
CONVERSATIONS: Final = (
    _json(id="conv_1", object="conversation", created_at=1, metadata={}),
    _json(object="list", data=[_MESSAGE, _CALLED], has_more=True, first_id="a", last_id="msg_1"),
    _json(object="list", data=[], has_more=False, first_id=None, last_id=None),
)


def _event(data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (orjson.loads(data)["type"].encode(), data)


SSE: Final = (
    b"".join(map(_event, (*RESPONSES[:3], RESPONSES[5], RESPONSES[-1]))),
    b"".join(map(_event, (RESPONSES[0], RESPONSES[4], RESPONSES[-1]))),
    b"".join(map(_event, (RESPONSES[1], RESPONSES[8]))).replace(b"\n", b"\r\n"),
    b": kept alive\r\r" + b"".join(map(_event, (RESPONSES[3], RESPONSES[6]))),
)
BROWSER: Final = (
    b'{"event":"mark","name":"1:400"}',
    b'{"event":"stop"}',
)

_HOST = b"Host: phone.example.com\r\n"
_FORM = (
    b"CallSid=" + CALL_SID.encode() + b"&From=%2B15005550006&To=%2B15005550001&Direction=inbound"
)
UPGRADE: Final = (
    b"GET /ws/twilio HTTP/1.1\r\n" + _HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b64encode(bytes(16)) + b"\r\n"
    b"User-Agent: Twilio.TmeWs/1.0\r\nX-Twilio-Signature: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
)
HTTP: Final = (
    b"GET /livez HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"HEAD /health?verbose=1 HTTP/1.0\r\n\r\n",
    b"POST /incoming-call HTTP/1.1\r\n" + _HOST + b"Content-Type: application/x-www-form-urlencoded"
    b"\r\nContent-Length: %d\r\n\r\n%b" % (len(_FORM), _FORM),
    b"POST /incoming-call HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    b"8;x=y\r\nCallSid=\r\n3\r\nCA1\r\n0\r\nTrailer: t\r\n\r\n",
    b"POST /incoming-call HTTP/1.1\r\n" + _HOST + b"Connection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nContent-Length: 11\r\n\r\nCallSid=CA1",
    b"POST /calls HTTP/1.1\r\n" + _HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"GET / HTTP/1.1\r\n" + _HOST + b"\r\nGET /metrics HTTP/1.1\r\n" + _HOST + b"\r\n",
    UPGRADE,
)
