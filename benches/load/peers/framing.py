"""What the floor (raw_uvloop.py) writes, made beforehand: HTTP, handshakes and websocket frames."""

import asyncio
import base64
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Any
from urllib.parse import urlsplit

from voice_ai.codec import g711
from voice_ai.phone.load import levels
from voice_ai.wire import twilio

HOST, PORT = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
STT_AUDIO = os.environ.get("STT_AUDIO", "linear16/16000")
TTS_AUDIO = os.environ.get("TTS_AUDIO", "linear16/16000")
DEEPGRAM = os.environ.get("DEEPGRAM_URL", "ws://127.0.0.1:9101")
OPENAI = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:9102/v1")
KEY = os.environ.get("DEEPGRAM_API_KEY", "")
# RFC 6455 section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Any mask will do: nothing on the way is protected from it here.
MASK = b"\x12\x34\x56\x78"
TEXT, BINARY, PONG = 0x81, 0x82, 0x8A
# As long as ours are.
MARK = "12:400"
INSTRUCTIONS = "You answer the phone. Be brief. " * 50
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def _masked(kind: int, payload: bytes) -> bytes:
    head = _head(kind, len(payload))
    masked = bytes(octet ^ MASK[i % 4] for i, octet in enumerate(payload))
    return bytes([head[0], head[1] | 0x80]) + head[2:] + MASK + masked


def _plain(payload: bytes) -> bytes:
    return _head(TEXT, len(payload)) + payload


def _head(kind: int, size: int) -> bytes:
    return bytes([kind, size]) if size < 126 else bytes([kind, 126]) + size.to_bytes(2, "big")


def _octets_a_frame(audio: str) -> int:
    encoding, rate = audio.split("/")
    return int(rate) // 50 * (2 if encoding == "linear16" else 1)


# The head of a client's close with a code, and our answer.
CLOSE = b"\x88\x82"
CLOSED = b"\x88\x02" + (1000).to_bytes(2, "big")
CLEAR = _masked(TEXT, b'{"type":"Clear"}')
_RATIO = _octets_a_frame(TTS_AUDIO) // 160


@dataclass(frozen=True, slots=True)
class Audio:
    """A media message, and how many octets of mu-law it holds."""

    message: bytes
    n_ulaw: int


# Twilio's frames in a message to Flux, as ours.
FRAMES_A_MESSAGE = 4


def flux_messages(call: int) -> Iterator[bytes]:
    """Yield a caller's audio as it is bound to come, 80 ms at a time, from its beginning on."""
    symbols = levels.segment(call, 0)
    # The body's count of 15 fits into messages of 4 frames every 15 messages.
    head = [_flux_message(symbols) for _ in range(2)]
    body = [_flux_message(symbols) for _ in range(levels.N_COUNTS)]
    return chain(head, cycle(body))


def _flux_message(symbols: Iterator[int]) -> bytes:
    audio = b"".join(_AUDIO[symbol] for symbol in islice(symbols, FRAMES_A_MESSAGE))
    return _masked(BINARY, audio)


def _frame(symbol: int) -> bytes:
    sample = levels.sample(symbol).to_bytes(2, "little", signed=True)
    if STT_AUDIO.startswith("mulaw"):
        sample = g711.ulaw_encode(sample)
    return sample * (_octets_a_frame(STT_AUDIO) // len(sample))


_AUDIO = [_frame(symbol) for symbol in range(levels.N_SYMBOLS)]


def media(stream_sid: str, n_octets: int) -> Audio:
    """Return silence as long as the voice in so many octets of one frame of Aura's."""
    n_ulaw = (n_octets - (4 if n_octets > 127 else 2)) // _RATIO
    text = twilio.media(stream_sid, b"\xff" * n_ulaw)
    return Audio(_plain(text.encode()), n_ulaw)


def mark(stream_sid: str) -> bytes:
    """Return a mark."""
    return _plain(twilio.mark(stream_sid, MARK).encode())


def clear(stream_sid: str) -> bytes:
    """Return a clear."""
    return _plain(twilio.clear(stream_sid).encode())


def speak(text: str) -> bytes:
    """Return what has a text spoken, a sentence at a time, in one piece."""
    frames = []
    for sentence in SENTENCE_END.split(text):
        frames.append(_masked(TEXT, json.dumps({"type": "Speak", "text": sentence + " "}).encode()))
        frames.append(_masked(TEXT, b'{"type":"Flush"}'))
    return b"".join(frames)


def pong(ping: bytes) -> bytes:
    """Return the answer to a ping, whichever side sends it."""
    size = ping[1] & 0x7F
    if ping[1] & 0x80:
        mask, masked = ping[2:6], ping[6 : 6 + size]
        return _head(PONG, size) + bytes(o ^ mask[i % 4] for i, o in enumerate(masked))
    return _masked(PONG, ping[2 : 2 + size])


@dataclass(frozen=True, slots=True)
class Beginning:
    """What came of a stream so far: its id, whose call it is, its whole frames of audio."""

    stream_sid: str
    call: int
    n_frames: int


def beginning(data: bytes) -> Beginning | None:
    """Read a stream up to here; None until it is known whose call it is."""
    stream_sid, heard = "", []
    for message in _messages(data):
        if message["event"] == "start":
            stream_sid = message["streamSid"]
        elif message["event"] == "media":
            heard.append(_symbol(base64.b64decode(message["media"]["payload"])))
    if len(heard) < levels.HEADER_FRAMES:
        return None
    call = 0
    for digit in heard[1 : 1 + levels.SOURCE_DIGITS]:
        call = call * levels.BASE + digit
    return Beginning(stream_sid, call, len(heard))


def closes(data: bytes) -> bool:
    """Tell whether one of a client's whole frames is a close."""
    return any(head == CLOSE for head, _, _ in _frames(data))


def _messages(data: bytes) -> Iterator[dict[str, Any]]:
    for _, mask, masked in _frames(data):
        yield json.loads(bytes(octet ^ mask[i % 4] for i, octet in enumerate(masked)))


def _frames(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the first two octets, the mask and what is masked of a client's whole frames."""
    while len(data) >= 6:
        size, at = data[1] & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        mask, masked = data[at : at + 4], data[at + 4 : at + 4 + size]
        if len(masked) < size:
            return
        yield data[:2], mask, masked
        data = data[at + 4 + size :]


def _symbol(ulaw: bytes) -> int:
    sample = int.from_bytes(g711.ulaw_decode(ulaw[:1]), "little", signed=True)
    symbol = levels.symbol(sample)
    return levels.BEGIN if symbol is None else symbol


def body_length(head: bytes) -> int:
    """Return how long the body of a request is."""
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


def answer(head: bytes) -> bytes:
    """Return the answer to a request: the stream's handshake, TwiML, or ready."""
    if key := re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head):
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
    url = f"ws://{HOST}:{PORT}/ws/twilio"
    twiml = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'.encode()
    status, body = b"404 Not Found", b""
    if head.startswith((b"GET /readyz ", b"POST /incoming-call ")):
        status, body = b"200 OK", twiml
    head = b"HTTP/1.1 %b\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _upgrade(path: str, audio: str) -> bytes:
    encoding, rate = audio.split("/")
    return (
        f"GET {path}&encoding={encoding}&sample_rate={rate} HTTP/1.1\r\n"
        f"Host: {urlsplit(DEEPGRAM).netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Token {KEY}\r\n\r\n"
    ).encode()


def _request() -> bytes:
    url = urlsplit(OPENAI)
    body = {
        "model": os.environ.get("OPENAI_MODEL", "gpt-5.6-luna"),
        "instructions": INSTRUCTIONS,
        "input": [{"role": "user", "content": "call 0 turn 0 says hello"}],
        "store": False,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    data = json.dumps(body).encode()
    return (
        f"POST {url.path}/responses HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Authorization: Bearer {os.environ.get('OPENAI_API_KEY', '')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode() + data


LLM_REQUEST = _request()
Address = tuple[str, bytes]
FLUX: Address = (
    DEEPGRAM,
    _upgrade("/v2/listen?model=flux-general-en&eot_threshold=0.6", STT_AUDIO),
)
AURA: Address = (DEEPGRAM, _upgrade("/v1/speak?model=aura-2-thalia-en", TTS_AUDIO))
LLM: Address = (OPENAI, b"")


async def dial(address: Address) -> tuple[socket.socket, bytes]:
    """Connect, upgrade if that is to be, and return what came after the handshake with the socket.

    Raises:
        ConnectionError: the vendor refuses.
    """
    url, upgrade = urlsplit(address[0]), address[1]
    loop, data = asyncio.get_running_loop(), b""
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, (url.hostname, url.port))
    if not upgrade:
        return sock, b""
    await loop.sock_sendall(sock, upgrade)
    while b"\r\n\r\n" not in data:
        if not (more := await loop.sock_recv(sock, 65536)):
            break
        data += more
    if not data.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(f"{address[0]} answers {data[:80]!r}")
    return sock, data.partition(b"\r\n\r\n")[2]


async def ask_once() -> str:
    """Have the model answer once, and return its text: what every turn is to be answered with."""
    loop, data = asyncio.get_running_loop(), b""
    sock, _ = await dial(LLM)
    await loop.sock_sendall(sock, LLM_REQUEST)
    while b'"type":"response.completed"' not in data.replace(b" ", b""):
        if not (more := await loop.sock_recv(sock, 65536)):
            raise ConnectionError(f"{OPENAI} answers {data[:200]!r}")
        data += more
    sock.close()
    deltas = re.findall(rb'data: (\{[^\n]*"response\.output_text\.delta"[^\n]*\})', data)
    return "".join(json.loads(delta)["delta"] for delta in deltas)
