"""Base64, the reader of media messages and the tap against plain Python, on mutated inputs.

`PYTHONPATH=src:tests python tests/fuzz/fuzz_frames.py --n 10_000_000 --seed 1`: half of the inputs
are base64, half are messages; one in fifty is a stream of frames. It stops at the first
disagreement, with the input in hex, and exits with 1.
"""

import argparse
import multiprocessing
import random
import string
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from reference import media as reference
from reference.tap import SID, START, SlowWay, TappedWay, frame
from voice_ai.codec import _base64
from voice_ai.codec.formats import ULAW_8K
from voice_ai.codec.frames import MediaReader
from voice_ai.errors import ProtocolError
from voice_ai.wire import twilio

BATCH = 20_000
A_STREAM_IN = 50

ALPHABET = (string.ascii_letters + string.digits + "+/").encode()
NEARLY = b'=-_ \n"\\@[`{:.\x00\x7f\x80\xab\xff,*)'
SPACES = (b"", b"", b"", b" ", b"\n", b"\t\r ", b"  ")
FRAGMENTS = (
    *(b" ", b"\n", b"\t", b"\r", b"\x0b", b"\x00", b"\x7f", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xff"),
    *(b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b",", b":", b"{}", b"[]", b'""', b"//", b"/**/"),
    *(b"\\u0041", b"\\n", b'\\"', b"\\/", b"\\ud800"),
    *(b"=", b"==", b"+", b"-", b"_", b"A", b"AAAA", b"A=="),
    *(b"0", b"00", b"9" * 17, b"-1", b".5", b"e5", b"NaN", b"Infinity", b"true", b"false", b"null"),
    *(b'"chunk":"7",', b'"event":"media",', b'"payload":"AAAA",', b'"streamSid":"MZ1",'),
    *(b'"x":1,', b'"x":-0,', b'"x":"y",', b'"x":{},', b'"x":[1],', b'"x":null,', b',"x":1.5'),
    *(b"outbound", b"inbound", b'"track":"inbound",', b'"media":{},', b'"timestamp":20,'),
)


# By chance: mostly text, what a client may send, and what it may not.
OPCODES = (1,) * 40 + (9, 9, 10, 2, 0, 8, 3, 15)
FINS = (True,) * 30 + (False,)


class Disagreement(Exception):
    """An input that is read differently, and both readings."""


def base64_input(rng: random.Random) -> bytes:
    text = bytearray(b64encode(rng.randbytes(rng.randrange(64))))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        at = rng.randrange(len(text) + 1)
        letters = NEARLY if rng.random() < 0.5 else ALPHABET
        match rng.randrange(4):
            case 0:
                text[at : at + 1] = rng.choices(letters)
            case 1:
                text[at:at] = rng.choices(letters, k=rng.randrange(5))
            case 2:
                del text[at : at + rng.randrange(5)]
            case 3:
                text[at:at] = b"=" * rng.randrange(4)
    return bytes(text)


def number(rng: random.Random) -> str:
    n = rng.randrange(10 ** rng.choice((1, 3, 6, 18)))
    return str(n) if rng.random() < 0.2 else f'"{n}"'


def plain_message(rng: random.Random, n_octets: int) -> bytes:
    """A message that must be taken: its fields in any order, with some that nobody knows."""
    extra = ['"a":1', '"b":"two"', '"c":null', '"d":true', '"media ":-3', '"e":false', '"f":0']
    payload = b64encode(rng.randbytes(n_octets)).decode()
    body = [f'"payload":"{payload}"', f'"chunk":{number(rng)}', f'"timestamp":{number(rng)}']
    body += rng.choices((['"track":"inbound"'], []), (4, 1))[0] + rng.sample(extra, k=1)
    rng.shuffle(body)
    own = ['"event":"media"', f'"streamSid":"{SID}"', f'"sequenceNumber":{number(rng)}']
    own += [f'"media":{{{",".join(body)}}}'] + rng.sample(extra, k=rng.randrange(3))
    rng.shuffle(own)
    return f"{{{','.join(own)}}}".encode()


def spaced(rng: random.Random, message: bytes) -> bytes:
    """White space before and behind marks; none of our strings holds a mark."""
    for mark in (b"{", b"}", b",", b":"):
        message = message.replace(mark, rng.choice(SPACES) + mark + rng.choice(SPACES))
    return message


def flip(rng: random.Random, message: bytes, other: bytes) -> bytes:
    changed = bytearray(message)
    changed[int(rng.random() * len(changed))] ^= 1 << int(rng.random() * 8)
    return bytes(changed)


def truncate(rng: random.Random, message: bytes, other: bytes) -> bytes:
    return message[: int(rng.random() * len(message))]


def splice(rng: random.Random, message: bytes, other: bytes) -> bytes:
    if rng.random() < 0.5:
        at = int(rng.random() * len(message))
        return message[:at] + other[at:]
    return message[: int(rng.random() * len(message))] + other[int(rng.random() * len(other)) :]


def insert(rng: random.Random, message: bytes, other: bytes) -> bytes:
    at = int(rng.random() * (len(message) + 1))
    return message[:at] + rng.choice(FRAGMENTS) + message[at:]


def insert_at_mark(rng: random.Random, message: bytes, other: bytes) -> bytes:
    """Where a fragment has the best chance to be read."""
    at = max(message.find(rng.choice((b'"', b"{", b"}", b",", b":")), int(rng.random() * 200)), 0)
    at += rng.random() < 0.5
    return message[:at] + rng.choice(FRAGMENTS) + message[at:]


def replace(rng: random.Random, message: bytes, other: bytes) -> bytes:
    at = int(rng.random() * len(message))
    return message[:at] + rng.choice(FRAGMENTS) + message[at + 1 :]


def delete(rng: random.Random, message: bytes, other: bytes) -> bytes:
    at = int(rng.random() * len(message))
    return message[:at] + message[at + 1 + int(rng.random() * 12) :]


def repeat(rng: random.Random, message: bytes, other: bytes) -> bytes:
    at = int(rng.random() * len(message))
    end = at + int(rng.random() * 40)
    return message[:end] + message[at:]


def keep(rng: random.Random, message: bytes, other: bytes) -> bytes:
    return message


MUTATIONS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    *(flip, truncate, splice, insert, insert_at_mark, insert_at_mark, replace, delete),
    *(repeat, keep),
)


def message_inputs(rng: random.Random, n: int) -> Iterator[bytes]:
    """Some plain messages, each mutated many times: building is dearer than reading."""
    while n > 0:
        sizes = (rng.choice((1, 2, 3, 20, 160)) for _ in range(20))
        pool = [spaced(rng, plain_message(rng, size)) for size in sizes]
        for _ in range(min(n, 1000)):
            message = rng.choice(pool)
            for mutate in rng.choices(MUTATIONS, k=1 + (rng.random() < 0.2)):
                message = mutate(rng, message, rng.choice(pool)) or b"{}"
            yield message
        n -= 1000


def check_base64(text: bytes) -> str:
    expected = reference.base64_decode(text)
    for kernel in _base64.kernels():
        _base64.use(kernel)
        decoded = _base64.decode(text)
        if decoded != expected:
            raise Disagreement("base64", kernel, text.hex(), decoded, expected)
        if decoded is not None and _base64.decode(_base64.encode(decoded)) != decoded:
            raise Disagreement("base64 encode", kernel, text.hex(), _base64.encode(decoded))
    return "base64 not taken" if expected is None else "base64 taken"


def check_message(reader: MediaReader, text: bytes, as_str: bool) -> str:
    message = text.decode("latin-1") if as_str else text
    before = reader.timestamp_ms, reader.chunk, reader.sequence_number
    payload = reader.read(message)
    numbers = reader.timestamp_ms, reader.chunk, reader.sequence_number
    expected = reference.read(message, SID)
    if payload is None:
        if expected is not None or numbers != before:
            raise Disagreement("message not taken", text.hex(), numbers, before, expected)
        return "message not taken"
    if (payload, *numbers) != expected:
        raise Disagreement("message", text.hex(), payload, numbers, expected)
    try:
        slow: object = twilio.parse_message(message)
    except ProtocolError as refused:
        slow = str(refused)
    if slow != twilio.Media(SID, payload, *numbers):
        raise Disagreement("wire.twilio", text.hex(), payload, numbers, slow)
    return "message taken"


def stream_input(rng: random.Random, plain: list[bytes], texts: Iterator[bytes]) -> bytes:
    """A dozen frames, some of them mutated across their borders."""
    frames = []
    for text in islice(texts, 12):
        text = rng.choice((text, *rng.choices(plain, k=2)))
        opcode = rng.choice(OPCODES)
        data = text[:100] if opcode & 8 else text
        frames.append(frame(data, opcode, fin=rng.choice(FINS), mask=rng.randbytes(4)))
    stream = b"".join(frames)
    for mutate in rng.choices(MUTATIONS, k=rng.choice((0, 1, 1, 2))):
        stream = mutate(rng, stream, frames[-1]) or b"?"
    return stream


def check_stream(rng: random.Random, stream: bytes) -> str:
    slow, tapped = SlowWay(ULAW_8K), TappedWay(None)
    for way in slow, tapped:
        way.receive(frame(START))
    tapped.read_some(1)
    slow.receive(stream)
    at = 0
    while at < len(stream):
        size = rng.choice((1, 20, 300, 3000))
        tapped.receive(stream[at : at + size])
        tapped.read_some(rng.choice((0, 1, 99, 99)))
        at += size
    tapped.read_some(len(stream))
    audio = tapped.tap.take(tapped.tap.n_waiting)
    if audio != slow.audio or tapped.log != slow.log:
        raise Disagreement("stream", stream.hex(), audio, slow.audio, tapped.log, slow.log)
    left = iter(frame(START) + stream)
    if not all(octet in left for octet in tapped.passed):
        raise Disagreement("stream passed on", stream.hex(), tapped.passed.hex())
    return "stream taken from" if tapped.tap.n_frames else "stream not taken from"


def run_batch(seed: int, n: int) -> Counter[str]:
    """Try n inputs, which the seed decides."""
    rng = random.Random(seed)
    reader = MediaReader(SID, rate_hz=None)
    counts: Counter[str] = Counter()
    n_streams = n // A_STREAM_IN
    for _ in range(n // 2):
        counts[check_base64(base64_input(rng))] += 1
    for text in message_inputs(rng, n - n // 2 - n_streams):
        counts[check_message(reader, text, rng.random() < 0.5)] += 1
    texts = message_inputs(rng, 12 * n_streams)
    plain = [plain_message(rng, n_octets) for n_octets in (1, 2, 160, 1030)]
    for _ in range(n_streams):
        counts[check_stream(rng, stream_input(rng, plain, texts))] += 1
    _base64.use(_base64.kernels()[0])
    return counts


def run_one(seed_and_n: tuple[int, int]) -> Counter[str]:
    return run_batch(*seed_and_n)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    began = time.perf_counter()
    batches = [
        (given.seed * 1_000_003 + i, min(BATCH, given.n - i * BATCH))
        for i in range(-(-given.n // BATCH))
    ]
    counts: Counter[str] = Counter()
    with multiprocessing.Pool(given.workers) as pool:
        try:
            for one in pool.imap_unordered(run_one, batches):
                counts.update(one)
        except Exception as error:  # also where the reference or the product breaks down
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
    took_s = time.perf_counter() - began
    said = ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items()))
    print(f"{counts.total():,} inputs in {took_s:.1f} s, all alike: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
