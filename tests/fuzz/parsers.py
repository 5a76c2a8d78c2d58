"""Every parser that a stranger or a service reaches, each with what it may refuse an input by.

A check takes one input of octets, so that a failing one can be kept and tried again. It returns
what became of it, or raises what nobody has documented.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any
from zlib import crc32

from websockets.server import ServerProtocol

from fuzz import corpus
from fuzz.mutations import Pool
from reference.tap import SID, START, TappedWay, frame
from voice_ai.errors import ProtocolError, ProviderError, VoiceAIError
from voice_ai.providers.openai.stream import AnswerStream
from voice_ai.server.browser import BrowserLine
from voice_ai.server.http import RefusedError
from voice_ai.server.reader import RequestReader
from voice_ai.server.stream import TwilioLine, read_start
from voice_ai.server.upgrade import handshake_head, refuse_handshake
from voice_ai.wire import twilio
from voice_ai.wire.aura import parse_aura
from voice_ai.wire.flux import TurnInfo, parse_flux
from voice_ai.wire.flux_words import timed_words
from voice_ai.wire.responses import EventSplitter, parse_event, parse_id, parse_items

# Longer than any error of ours has to be: the longest quote 40 characters of a field or two.
MAX_ERROR_LETTERS = 400


class WrongError(Exception):
    """An input that was read, or refused, as it must not be."""


@dataclass(frozen=True, slots=True)
class Parser:
    """A parser under test: `check` says `taken` or `refused`; a share of all inputs is for it."""

    pool: Pool
    check: Callable[[bytes], str]
    share: int = 1


def text_of(data: bytes) -> str | bytes:
    """As the parser gets it: octets, text, or text with the halves of surrogate pairs."""
    match crc32(data) & 3:
        case 0:
            return data.decode("utf-8", "surrogateescape")
        case 1:
            return data.decode("latin-1")
        case 2:
            return data.decode("utf-8", "replace")
    return data


def refused(error: VoiceAIError, most: int = MAX_ERROR_LETTERS) -> str:
    """Look at an error that is documented: its text goes into logs and close frames."""
    if not 0 < len(str(error)) <= most:
        raise WrongError(f"an error of {len(str(error))} letters: {str(error)[:200]!r}") from error
    str(error).encode()
    return "refused"


def by(parse: Callable[[str | bytes], object], data: bytes) -> str:
    """Read by a parser whose only refusal is a ProtocolError."""
    try:
        parse(text_of(data))
    except ProtocolError as error:
        return refused(error)
    return "taken"


def flux(data: bytes) -> str:
    text = text_of(data)
    try:
        message = parse_flux(text)
    except ProtocolError as error:
        return refused(error)
    if isinstance(message, TurnInfo):
        timed_words(text)
    return "taken"


def _to_twilio(text: str | bytes) -> object:
    return twilio.parse_command(text, corpus.SID)


def tap(data: bytes) -> str:
    """A caller's message in a frame, through the tap: what it takes, the slow way takes alike."""
    way = TappedWay(None)
    way.receive(frame(START))
    way.read_some(1)
    way.receive(frame(data))
    if not way.tap.n_frames:
        return "refused"
    message = twilio.parse_message(data)
    if not isinstance(message, twilio.Media) or message.stream_sid != SID:
        raise WrongError(f"the tap took {message!r}")
    if way.tap.take(way.tap.n_waiting) != message.payload:
        raise WrongError("the tap took other audio")
    return "taken"


def tap_octets(data: bytes) -> str:
    """Octets that were frames, cut anywhere: whatever is not taken goes to the library whole."""
    way = TappedWay(None)
    way.receive(frame(START))
    way.read_some(1)
    cut = crc32(data) % (len(data) + 1)
    for part in data[:cut], data[cut:]:
        way.receive(part)
        way.read_some(100)
    return "taken" if way.tap.n_frames else "refused"


def splitter(data: bytes) -> str:
    """A stream of events: however it is cut, the same events."""
    cut = crc32(data) % (len(data) + 1)
    whole, parts = EventSplitter(), EventSplitter()
    events = whole.feed(data)
    if parts.feed(data[:cut]) + parts.feed(data[cut:]) != events:
        raise WrongError(f"other events when cut at {cut}")
    return "taken" if events else "refused"


async def _each(items: Iterable[bytes]) -> AsyncIterator[bytes]:
    for item in items:
        yield item


_RUNNER = asyncio.Runner()


async def _answer(data: bytes) -> str:
    cut = crc32(data) % (len(data) + 1)
    stream = AnswerStream(_each((data[:cut], data[cut:])), stall_s=5.0)
    try:
        async for _ in stream:
            pass
    except ProviderError as error:
        return refused(error)
    finally:
        await stream.finish()
    return "taken"


class Messages:
    """A socket as a line sees it: its messages, as the library gives them, and a tap's counters."""

    def __init__(self, data: bytes) -> None:
        self.tap = SimpleNamespace(n_read=0, n_frames=0)
        # One iterator over all: the line goes on behind what `read_start` has taken.
        self._parts = iter(data.split(corpus.BETWEEN))

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        for one in self._parts:
            try:
                yield one.decode()
            except UnicodeDecodeError:
                yield one


async def _sequence(data: bytes) -> str:
    """A media stream from its beginning, in any order."""
    socket: Any = Messages(data)
    try:
        async for _ in TwilioLine(socket, await read_start(socket)):
            pass
    except ProtocolError as error:
        return refused(error)
    return "taken"


async def _browser(data: bytes) -> str:
    socket: Any = Messages(data)
    try:
        async for _ in BrowserLine(socket):
            pass
    except ProtocolError as error:
        return refused(error)
    return "taken"


def in_loop(check: Callable[[bytes], Any], data: bytes) -> str:
    told: str = _RUNNER.run(check(data))
    return told


def _requests(*pieces: bytes) -> list[object]:
    """Return the requests, and the status of what ended them."""
    reader = RequestReader()
    found: list[object] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (request := reader.next()) is not None:
                found.append((request.method, request.target, request.body, request))
    except RefusedError as error:
        error.response.encode()
        found.append(error.response.status)
    return found


def http(data: bytes) -> str:
    """Requests: however they are cut the same ones; what may upgrade, websockets upgrades."""
    cut = crc32(data) % (len(data) + 1)
    whole, parts = _requests(data), _requests(data[:cut], data[cut:])
    if _told(whole) != _told(parts):
        raise WrongError(f"cut at {cut}: {_told(parts)}, else {_told(whole)}")
    for one in whole:
        if not isinstance(one, int) and refuse_handshake(one[-1]) is None:
            _upgrade(handshake_head(one[-1]))
    return "refused" if not whole or isinstance(whole[-1], int) else "taken"


def _told(found: list[object]) -> list[object]:
    return [one if isinstance(one, int) else one[:-1] for one in found]


def _upgrade(head: bytes) -> None:
    protocol = ServerProtocol()
    protocol.receive_data(head)
    (request,) = protocol.events_received()
    if (answer := protocol.accept(request)).status_code != 101:
        raise WrongError(f"websockets answers {answer.status_code} to {head!r}")


_FRAMES = tuple(frame(text, opcode) for text in corpus.CALLER for opcode in (1, 1, 2))
_OCTETS = Pool([b"".join(_FRAMES[n : n + 3]) for n in range(0, len(_FRAMES), 3)])

PARSERS: dict[str, Parser] = {
    "twilio": Parser(Pool(corpus.TWILIO), partial(by, twilio.parse_message), 6),
    "to twilio": Parser(Pool(corpus.TO_TWILIO), partial(by, _to_twilio), 2),
    "tap": Parser(Pool(corpus.CALLER), tap, 4),
    "tap's octets": Parser(_OCTETS, tap_octets, 2),
    "sequence": Parser(Pool((corpus.SEQUENCE,)), partial(in_loop, _sequence), 2),
    "browser": Parser(
        Pool((corpus.BETWEEN.join(corpus.BROWSER), *corpus.BROWSER)), partial(in_loop, _browser)
    ),
    "flux": Parser(Pool(corpus.FLUX), flux, 6),
    "aura": Parser(Pool(corpus.AURA), partial(by, parse_aura), 4),
    "event": Parser(Pool(corpus.RESPONSES), partial(by, parse_event), 6),
    "id": Parser(Pool(corpus.CONVERSATIONS), partial(by, parse_id)),
    "items": Parser(Pool(corpus.CONVERSATIONS), partial(by, parse_items), 3),
    "events' stream": Parser(Pool(corpus.SSE), splitter, 2),
    "answer": Parser(Pool(corpus.SSE), partial(in_loop, _answer), 2),
    "http": Parser(Pool(corpus.HTTP), http, 4),
}
