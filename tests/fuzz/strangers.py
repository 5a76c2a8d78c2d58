"""What a stranger may send to the port: scripts of octets, each made from a seed alone."""

import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import orjson

from fuzz import corpus
from fuzz.mutations import Pool, mutated
from reference.tap import frame
from voice_ai.wire import twilio


class End(Enum):
    """How a connection ends: reset at once, both ways closed in turn, or reset after an answer."""

    RESET = 0
    FINISH = 1
    ANSWERED = 2


@dataclass(frozen=True, slots=True)
class Script:
    """Pieces to send one after another. With `call_sid` a webhook goes first, and its token is
    put for TOKEN."""

    kind: str
    pieces: tuple[bytes, ...]
    end: End
    call_sid: str = ""


TOKEN: Final = "TOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKENTOK"  # as long as one of ours
_HTTP: Final = Pool(corpus.HTTP)
_HOST: Final = b"Host: x\r\n"
_CODES: Final = (1000, 1001, 1002, 1003, 1005, 1006, 1007, 1011, 1015, 2999, 3000, 4999, 0, 65535)
_SILENCE: Final = bytes([0xFF]) * 160
# RFC 6455 section 5.5: a control frame has 125 octets at most.
_CONTROL: Final = (8, 9, 10)


def handshake(path: str, rng: random.Random, **fields: str) -> bytes:
    """Return a good opening handshake; `fields` replace its header fields, or add some."""
    named = {
        "Host": "127.0.0.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": b64encode(rng.randbytes(16)).decode(),
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _http(rng: random.Random) -> tuple[bytes, ...]:
    return tuple(mutated(rng, _HTTP, rng.choice((1, 1, 1, 2))))


def _smuggling(rng: random.Random) -> tuple[bytes, ...]:
    """Two lengths for one body, in the spellings by which servers have been told apart."""
    lengths = [f"Content-Length: {rng.choice(('5', '0', '+5', '5, 5', '0x5', ' 5', '5 '))}"]
    codings = ("chunked", "Chunked", "identity", "gzip, chunked", "chunked, chunked", "x\tchunked")
    lengths += [f"Transfer-Encoding: {rng.choice(codings)}"]
    lengths += rng.choice(
        ([], [" chunked"], ["Transfer-Encoding : chunked"], ["Content-Length: 6"])
    )
    rng.shuffle(lengths)
    head = "\r\n".join(["POST /incoming-call HTTP/1.1", "Host: x", *lengths, "", ""]).encode()
    return (head + b"5;x\r\nhello\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n" + _HOST + b"\r\n",)


def _chunks(rng: random.Random) -> tuple[bytes, ...]:
    sizes = (
        "5",
        "0",
        "fffffffffffffffff",
        "-1",
        "5;" + "x" * rng.choice((1, 9000)),
        "0005",
        "g",
        "",
    )
    body = b"".join(
        f"{rng.choice(sizes)}\r\nhello{rng.choice(('', chr(13)))}\n".encode() for _ in range(4)
    )
    head = b"POST /incoming-call HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    return head, body + rng.choice((b"0\r\n\r\n", b""))


def _huge(rng: random.Random) -> tuple[bytes, ...]:
    letters = b"a" * rng.choice((8192, 16_384, 40_000))
    return rng.choice(
        (
            (b"GET /" + letters + b" HTTP/1.1\r\n" + _HOST + b"\r\n",),
            (b"GET / HTTP/1.1\r\nX: " + letters, b"\r\n\r\n"),
            (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2500 + b"\r\n",),
            (
                b"POST /incoming-call HTTP/1.1\r\n" + _HOST + b"Content-Length: 70000\r\n\r\n",
                letters,
            ),
            (letters,),
            (b"\r\n" * 4000,),
        )
    )


def _pipeline(rng: random.Random) -> tuple[bytes, ...]:
    asked = rng.choices(("/livez", "/readyz", "/health", "/metrics", "/", "/nowhere"), k=12)
    return (b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in asked),)


def _handshakes(rng: random.Random) -> tuple[bytes, ...]:
    wrong: dict[str, str] = {
        "Sec_WebSocket_Key": rng.choice(("", "AAAA", "=" * 24, "\xff" * 24, "A" * 22 + "==")),
        "Sec_WebSocket_Version": rng.choice(("13", "8", "", "13, 13", "99999999999999")),
        "Upgrade": rng.choice(("websocket", "h2c", "websocket, h2c", "")),
        "Connection": rng.choice(("Upgrade", "keep-alive", "keep-alive, Upgrade", "close")),
        "Origin": rng.choice(("http://127.0.0.1", "null", "http://evil.example", "\xe9")),
        "Content_Length": rng.choice(("0", "4", "x")),
        "Sec_WebSocket_Protocol": "a,b,," + "c" * 500,
        "Sec_WebSocket_Extensions": rng.choice(("permessage-deflate", "x; y=\x80", ";;")),
    }
    some = dict(rng.sample(sorted(wrong.items()), k=rng.randrange(1, 4)))
    return (handshake("/ws/twilio", rng, **some) + _frames(rng),)


def _frame(rng: random.Random) -> bytes:
    text = rng.choice(corpus.TWILIO)
    match rng.randrange(9):
        case 0:
            return frame(
                text, rng.randrange(16), fin=rng.random() < 0.7, rsv=rng.choice((0, 0, 1, 4))
            )
        case 1:
            return frame(text, mask=None)
        case 2:
            return frame(rng.randbytes(rng.choice((0, 1, 2, 125, 126, 200))), rng.choice(_CONTROL))
        case 3:
            reason = rng.choice((b"", b"bye", b"\xff\xfe", b"x" * 123))
            return frame(rng.choice(_CODES).to_bytes(2, "big") + reason, 8)
        case 4:  # fragments, with a ping between
            parts = frame(text[:20], fin=False) + frame(b"?", 9) + frame(text[20:], 0)
            return parts if rng.random() < 0.5 else parts + frame(b"", 0)
        case 5:  # a length that is longer than needed, or that nobody can send
            n_octets = rng.choice((2, 8))
            head = bytes([0x81, 0x80 | {2: 126, 8: 127}[n_octets]])
            length = rng.choice((3, 2**16 - 1, 2**31, 2**63 - 1, 2**64 - 1)) % 256**n_octets
            return head + length.to_bytes(n_octets, "big") + b"\0\0\0\0abc"
        case 6:
            return frame(b"x" * rng.choice((4096, 4097, 65_536, 65_537, 80_000)))
        case 7:
            return frame(b"\xc3\x28 no UTF-8")
    return frame(text)


def _frames(rng: random.Random) -> bytes:
    return b"".join(_frame(rng) for _ in range(rng.randrange(1, 6)))


def _websocket(rng: random.Random) -> tuple[bytes, ...]:
    sent = handshake("/ws/twilio", rng) + frame(corpus.CONNECTED) * (rng.random() < 0.5)
    if rng.random() < 0.5:
        sent += frame(corpus.START)
    sent += _frames(rng)
    if rng.random() < 0.5:
        (sent,) = mutated(rng, Pool((sent,)), 1)
    at = rng.randrange(1, len(sent) + 1) if sent else 0
    return tuple(piece for piece in (sent[:at], sent[at:]) if piece)


def _sequence(rng: random.Random, start: bytes) -> bytes:
    """Twilio's messages: some twice, some not at all, in a wrong order, or changed."""
    texts = [corpus.CONNECTED, start, *corpus.CALLER, corpus.STOP]
    texts = rng.choices(texts, k=rng.randrange(1, 12)) if rng.random() < 0.6 else texts
    if rng.random() < 0.5:
        pool = Pool(texts)
        texts = [*mutated(rng, pool, 2), *texts]
        rng.shuffle(texts)
    return b"".join(frame(text, 2 if rng.random() < 0.02 else 1) for text in texts)


def _unordered(rng: random.Random) -> tuple[bytes, ...]:
    return handshake("/ws/twilio", rng), _sequence(rng, corpus.START)


def _let_in(rng: random.Random, call_sid: str) -> tuple[bytes, ...]:
    """A call that is let in, and then goes wrong; what is heard of it is silence."""
    start = twilio.start(corpus.SID, call_sid, corpus.ACCOUNT_SID, {"token": TOKEN}).encode()
    silent = twilio.caller_media(corpus.SID, 3, 1, 20, _SILENCE).encode()
    texts = [silent, *corpus.CALLER[5:], silent, corpus.STOP, corpus.CONNECTED, start]
    wrong = list(mutated(rng, Pool(texts), rng.randrange(1, 6)))
    # A mask that changes nothing, so that the token can be put in.
    begin = frame(corpus.CONNECTED) + frame(start, mask=bytes(4)) + frame(silent) * rng.randrange(5)
    return handshake("/ws/twilio", rng), begin, b"".join(map(frame, wrong)) + _frames(rng)


def _browser(rng: random.Random) -> tuple[bytes, ...]:
    messages = [orjson.dumps({"event": "mark", "name": "m"}), b'{"event":"stop"}']
    sound = frame(bytes(640), 2) + frame(bytes(rng.choice((0, 1, 641))), 2)
    wrong = b"".join(map(frame, mutated(rng, Pool(messages), 3)))
    return handshake("/ws/browser", rng), sound + wrong + _frames(rng)


def _nothing(rng: random.Random) -> tuple[bytes, ...]:
    return rng.choice(((), (b"\0",), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), (b"GET",)))


KINDS: Final[dict[str, tuple[Callable[[random.Random], tuple[bytes, ...]], int]]] = {
    "http": (_http, 34),
    "smuggling": (_smuggling, 10),
    "chunks": (_chunks, 5),
    "huge": (_huge, 5),
    "pipeline": (_pipeline, 2),
    "handshake": (_handshakes, 10),
    "websocket": (_websocket, 18),
    "sequence": (_unordered, 10),
    "nothing": (_nothing, 4),
    # These dial all services and are the dearest.
    "browser": (_browser, 1),
    "let in": (lambda rng: (), 1),
}
_NAMES: Final = tuple(KINDS)
_WEIGHTS: Final = tuple(weight for _, weight in KINDS.values())
_ENDS: Final = (End.RESET, End.FINISH, End.FINISH, End.ANSWERED, End.ANSWERED)


def script(seed: int, number: int) -> Script:
    """Make the script of a connection, always the same for the same two numbers."""
    rng = random.Random(seed * 1_000_000_007 + number)
    (kind,) = rng.choices(_NAMES, _WEIGHTS)
    end = rng.choice(_ENDS)
    if kind == "let in":
        call_sid = f"CA{rng.getrandbits(128):032x}"
        return Script(kind, _let_in(rng, call_sid), end, call_sid)
    return Script(kind, KINDS[kind][0](rng), end)
