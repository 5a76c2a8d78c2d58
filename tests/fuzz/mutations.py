"""Good octets made bad, cheaply: a few microseconds each, since millions are needed."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

# Where orjson stops is at 1,024; where CPython does in C code, shortly before 1,000.
DEPTHS: Final = (1, 30, 700, 990, 1023, 1025)
DEEP: Final = (
    *(b"[" * n + b"]" * n for n in DEPTHS),
    *(b'{"a":' * n + b"1" + b"}" * n for n in DEPTHS),
    b"[" * 3000,
)
STRINGS: Final = (
    *(b'""', b'" "', b'"\\u0000"', b'"\x00"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"'),
    *(b'"\xff\xfe"', b'"\\u00e9"', b'"\xc3\xa9"', b'"\xf0\x9f\x98\x80"', b'"\\n\\r\\t"', b'"<b>&"'),
    *(b'"null"', b'"-1"', b'"1e9"', b'"%s%n"', b'"../../x"', b'"\\u202e"', b'"\xef\xbb\xbf"'),
    *(b'"' + b"9" * n + b'"' for n in (18, 19, 5000)),
    *(b'"' + b"x" * n + b'"' for n in (65, 257, 5000)),
)
NUMBERS: Final = (
    *(b"0", b"-0", b"-1", b"1.5", b"1e308", b"1e309", b"-1e400", b"1e-400", b"0.1e1", b"00", b"+1"),
    *(b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"1" + b"0" * 30),
    *(b"9" * 400, b"NaN", b"Infinity", b"0x10", b".5", b"5.", b"1_0"),
)
OTHERS: Final = (
    b"null",
    b"true",
    b"false",
    b"[]",
    b"{}",
    b"[null]",
    b'{"":1}',
    b"[{}]",
    b"nul",
    b"",
)
VALUES: Final = (*STRINGS, *NUMBERS, *OTHERS, *OTHERS, *DEEP)
FRAGMENTS: Final = (
    *(b" ", b"\n", b"\r", b"\r\n", b"\t", b"\x0b", b"\x00", b"\x1e", b"\x7f", b"\xff", b"\xc3\xa9"),
    *(b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b",", b":", b"//", b"/**/", b"\xef\xbb\xbf"),
    *(b"\\u0000", b"\\ud800", b"\\udfff\\ud800", b"=", b"==", b"A", b"%00", b"%", b"&", b"+", b";"),
    *(b"data:", b"event:", b"\n\n", b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1", b"HTTP/2.0", b"GET "),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"CONNECT "),
    *(b"Transfer-Encoding: gzip\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"X: \xff\r\n"),
    *(b" folded: x\r\n", b"Content-Length: 99999999999999999999\r\n", b"Expect: 100-continue\r\n"),
)
# The longest that a websocket of ours takes is 64 KiB: above it, none of these parsers is asked.
LONG: Final = (b"x" * 30_000, b"\\u0041" * 5000, b'"a":1,' * 5000, b"[1]," * 10_000)

_VALUE: Final = re.compile(rb'(?<=:)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.]*|true|false|null)')
_MEMBER: Final = re.compile(rb'"[^"]{1,40}":(?:"[^"]*"|[\d.]+|null|true|false),?')

Mutation = Callable[[random.Random, bytes, "Pool"], bytes]


class Pool:
    """Good inputs, and where their JSON values and members are."""

    def __init__(self, good: Sequence[bytes]) -> None:
        self.good = tuple(good)
        self._spans = {text: [one.span() for one in _VALUE.finditer(text)] for text in good}
        self.members = [one for text in good for one in _MEMBER.findall(text)] or [b'"a":1']

    def spans(self, text: bytes) -> list[tuple[int, int]]:
        """Return where the values of a good input are; of a changed one nobody knows."""
        return self._spans.get(text, [])


def _at(rng: random.Random, text: bytes) -> int:
    return int(rng.random() * (len(text) + 1))


def flip(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    changed = bytearray(text or b"?")
    changed[int(rng.random() * len(changed))] ^= 1 << int(rng.random() * 8)
    return bytes(changed)


def cut(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    return text[: _at(rng, text)]


def behead(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    return text[_at(rng, text) :]


def splice(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    other = rng.choice(pool.good)
    return text[: _at(rng, text)] + other[_at(rng, other) :]


def delete(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    at = _at(rng, text)
    return text[:at] + text[at + 1 + int(rng.random() * 12) :]


def repeat(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    at = _at(rng, text)
    return text[: at + int(rng.random() * 40)] + text[at:]


def insert(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    at = _at(rng, text)
    return text[:at] + rng.choice(FRAGMENTS) + text[at:]


def insert_at_line(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    """Where a header field or an event's line may begin."""
    at = text.find(b"\n", int(rng.random() * 200)) + 1
    return text[:at] + rng.choice(FRAGMENTS) + text[at:]


def another_value(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    """Give a value another type, or go to an extreme."""
    if not (spans := pool.spans(text)):
        return insert(rng, text, pool)
    begin, end = rng.choice(spans)
    return text[:begin] + rng.choice(VALUES) + text[end:]


def add_member(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    """Say something twice, or something of another message."""
    member = rng.choice(pool.members).rstrip(b",") + b","
    at = text.find(b'"', int(rng.random() * len(text)))
    return text[:at] + member + text[at:] if at >= 0 else member + text


def lengthen(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    """Rarely: half a millisecond of reading each."""
    if rng.random() < 0.98:
        return flip(rng, text, pool)
    at = _at(rng, text)
    return text[:at] + rng.choice(LONG) + text[at:]


def keep(rng: random.Random, text: bytes, pool: Pool) -> bytes:
    return text


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(flip, cut, behead, splice, delete, repeat, insert, insert_at_line, insert_at_line),
    *(another_value, another_value, another_value, add_member, lengthen, keep),
)


def mutated(rng: random.Random, pool: Pool, n: int) -> Iterator[bytes]:
    """Yield so many inputs, each a good one changed once to thrice."""
    for _ in range(n):
        text = rng.choice(pool.good)
        for mutate in rng.choices(MUTATIONS, k=rng.choice((1, 1, 1, 2, 3))):
            text = mutate(rng, text, pool)
        yield text
