"""Every public function of the compiled codec, as calls that can be repeated for ever.

Each is called as it is meant to be, and in every way that it refuses.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from voice_ai.codec import (
    _base64,
    _binary_tap,
    _fir,
    _frames_in,
    _frames_out,
    _g711,
    _soxr,
    _tap,
    _voice_gate,
)
from voice_ai.codec.libsoxr import candidates
from voice_ai.codec.soxr_design import SoxrDesign
from voice_ai.errors import UsageError

N = 160
INT16 = array("h", range(-8000, 8000, 100)).tobytes()
FLOAT32 = array("f", [i / N for i in range(N)]).tobytes()
OF_DTYPE = {"int16": INT16, "float32": FLOAT32}
MEDIA = (
    '{{"event":"media","sequenceNumber":"3","media":{{"track":"inbound","chunk":"2",'
    '"timestamp":"40","payload":"{}"}},"streamSid":"MZ1"}}'
)
PLAIN = MEDIA.format("/37+" * 53 + "/w==")
LONG = MEDIA.format("/37+" * 2000)


def text_frame(text: str, first: int = 0x81) -> bytes:
    """A masked frame, of a mask that changes nothing."""
    return bytes([first, 0xFE]) + len(text).to_bytes(2, "big") + bytes(4) + text.encode()


SPOKEN = text_frame(PLAIN)
SPOKEN_LONG = text_frame(MEDIA.format("/37+" * 500))
ECHO = text_frame('{"event":"mark","streamSid":"MZ1"}')
OTHER = text_frame("{}", 0x82)
WRONG = text_frame("{}", 0xF2)


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; `refused` is what it must raise.

    `name` begins with the function's own. One that costs as much as many others has a share.
    """

    name: str
    function: Callable[..., object]
    arguments: tuple[object, ...] = ()
    refused: type[Exception] | None = None
    one_in: int = 1

    def __call__(self) -> None:
        try:
            self.function(*self.arguments)
        except Exception as fault:
            if self.refused is None or not isinstance(fault, self.refused):
                raise
            return
        assert self.refused is None, f"{self.name} was not refused"

    def share_of(self, n_calls: int) -> int:
        return max(1, n_calls // self.one_in)


def source_calls(name: str, function: Callable[..., object], src: bytes) -> Iterator[Call]:
    """Call a function of one source, of octets or of samples."""
    yield Call(name, function, (bytearray(src),))
    yield Call(f"{name} of nothing", function, (bytearray(),))
    yield Call(f"{name} of scattered octets", function, (memoryview(src)[::2],), BufferError)
    yield Call(f"{name} of doubles", function, (array("d", [0.0] * N),), UsageError)
    grid = memoryview(src).cast("B", (2, len(src) // 2))
    yield Call(f"{name} of two dimensions", function, (grid,), UsageError)
    yield Call(f"{name} of no buffer", function, (object(),), TypeError)


def into_calls(
    name: str, function: Callable[..., object], src: bytes, n_octets: int
) -> Iterator[Call]:
    """Call a function of a source and a destination that needs so many octets."""
    dst = bytearray(n_octets)
    yield Call(name, function, (bytearray(src), dst))
    yield Call(f"{name} of nothing", function, (bytearray(), dst))
    yield Call(f"{name} a short one", function, (bytearray(src), bytearray(1)), UsageError)
    both = memoryview(bytearray(max(len(src), n_octets)))
    yield Call(f"{name} itself", function, (both[: len(src)], both), UsageError)
    yield Call(f"{name} a read-only one", function, (src, bytes(n_octets)), BufferError)
    apart = memoryview(bytearray(2 * n_octets))[::2]
    yield Call(f"{name} a scattered one", function, (src, apart), BufferError)
    yield Call(f"{name} of scattered octets", function, (memoryview(src)[::2], dst), BufferError)
    yield Call(f"{name} doubles", function, (src, array("d", [0.0] * n_octets)), UsageError)
    yield Call(f"{name} no buffer", function, (src, object()), TypeError)
    yield Call(f"{name} of no buffer", function, (object(), dst), TypeError)


def kernel_calls(module: object, name: str) -> Iterator[Call]:
    yield Call(f"{name}.kernels", module.kernels)
    yield Call(f"{name}.kernel", module.kernel)
    yield Call(f"{name}.use", module.use, (module.kernel(),))
    yield Call(f"{name}.use another", module.use, ("abacus",), UsageError)


def g711_calls() -> Iterator[Call]:
    yield from kernel_calls(_g711, "_g711")
    for law in ("ulaw", "alaw"):
        decode, encode = f"{law}_decode", f"{law}_encode"
        yield from source_calls(f"_g711.{decode}", getattr(_g711, decode), bytes(N))
        yield from source_calls(f"_g711.{encode}", getattr(_g711, encode), INT16)
        yield from into_calls(
            f"_g711.{decode}_into", getattr(_g711, f"{decode}_into"), bytes(N), 2 * N
        )
        yield from into_calls(f"_g711.{encode}_into", getattr(_g711, f"{encode}_into"), INT16, N)
        part = (bytearray(2 * N + 1),)
        yield Call(f"_g711.{encode} of part", getattr(_g711, encode), part, UsageError)


def base64_calls() -> Iterator[Call]:
    yield from kernel_calls(_base64, "_base64")
    yield from source_calls("_base64.encode", _base64.encode, bytes(N))
    yield from source_calls("_base64.decode", _base64.decode, b"/37+" * 40)
    yield Call("_base64.decode nonsense", _base64.decode, (bytearray(b"/37!" * 40),))


def stream_calls(name: str, stream: object, dtype: str) -> Iterator[Call]:
    """Call the methods that all resamplers have."""

    def end(src: object) -> None:
        stream.process(src, True)
        stream.clear()

    src = OF_DTYPE[dtype]
    width = len(src) // N
    yield Call(f"{name}.delay {dtype}", stream.delay)
    yield Call(f"{name}.clear {dtype}", stream.clear, one_in=100)
    yield Call(f"{name}.room {dtype}", stream.room, (N,))
    yield Call(f"{name}.room at the end {dtype}", stream.room, (N, True))
    yield Call(f"{name}.room of less than nothing {dtype}", stream.room, (-1,), UsageError)
    yield Call(f"{name}.process the end {dtype}", end, (bytearray(src),), one_in=100)
    yield from source_calls(f"{name}.process {dtype}", stream.process, src)
    yield from into_calls(f"{name}.into {dtype}", stream.into, src, 100 * width * N)
    part = (bytearray(width * N + 1),)
    yield Call(f"{name}.process part of a sample {dtype}", stream.process, part, UsageError)
    if dtype == "float32":
        for what, number in ("NaN", float("nan")), ("infinity", float("inf")):
            bad = bytearray(src[4:] + array("f", [number]).tobytes())
            yield Call(f"{name}.process {what}", stream.process, (bad,), UsageError)


def fir_calls() -> Iterator[Call]:
    yield from kernel_calls(_fir, "_fir")
    for dtype, src in OF_DTYPE.items():

        def whole_life(src: object, dtype: str = dtype) -> None:
            fir = _fir.Fir(8000, 24000, dtype=dtype)
            fir.process(src)
            fir.process(b"", True)

        down = _fir.Fir(24000, 8000, dtype=dtype)
        yield Call(f"_fir.Fir {dtype}", whole_life, (bytearray(src),))
        yield Call(f"_fir.Fir.process down {dtype}", down.process, (bytearray(src),))
        yield from stream_calls("_fir.Fir", _fir.Fir(8000, 16000, dtype=dtype), dtype)
    yield Call("_fir.Fir of absurd rates", _fir.Fir, (8000, 7), UsageError)
    yield Call("_fir.Fir of no rates", _fir.Fir, (object(), "x"), UsageError)
    for option in ({"dtype": "int8"}, {"phase": "new moon"}):
        refused = partial(_fir.Fir, 8000, 16000, **option)
        yield Call(f"_fir.Fir of {option}", refused, (), UsageError)


def soxr_calls() -> Iterator[Call]:
    library = first_library()
    yield Call("_soxr.Library", _soxr.Library, (library.path,), one_in=100)
    yield Call("_soxr.Library.path", lambda: library.path)
    yield Call("_soxr.Library.version", lambda: library.version)
    yield Call("_soxr.Library of nothing", _soxr.Library, ("/nothing.so",), OSError, one_in=100)
    for dtype, src in OF_DTYPE.items():
        design = SoxrDesign(8000, 16000, dtype=dtype)

        def whole_life(src: object, design: SoxrDesign = design) -> None:
            stream = _soxr.Soxr(library, design)
            stream.process(src)
            stream.process(b"", True)

        yield Call(f"_soxr.Soxr {dtype}", whole_life, (bytearray(src),), one_in=100)
        yield from stream_calls("_soxr.Soxr", _soxr.Soxr(library, design), dtype)
    ended = _soxr.Soxr(library, SoxrDesign(8000, 44100))
    ended.process(INT16, True)
    yield Call("_soxr.Soxr.process after the end", ended.process, (bytearray(INT16),), UsageError)
    yield Call("_soxr.Soxr of no library", _soxr.Soxr, (None, None), TypeError)
    crossed = SoxrDesign(8000, 16000, passband=0.95, stopband=0.5)
    yield Call("_soxr.Soxr of no filter", _soxr.Soxr, (library, crossed), UsageError)


def first_library() -> _soxr.Library:
    for _, path in candidates():
        try:
            return _soxr.Library(path)
        except OSError:
            continue
    raise AssertionError("no libsoxr: the package soxr carries one")


def frames_calls(name: str, of: Callable[..., object]) -> Iterator[Call]:
    yield Call(name, of, ("MZ1",))
    yield Call(f"{name} of an absurd rate", partial(of, rate_hz=7), ("MZ1",), UsageError)
    yield Call(f"{name} of too long an id", of, ("M" * 1000,), UsageError)
    yield Call(f"{name} of no id", of, (None,), TypeError)


def reader_calls() -> Iterator[Call]:
    name = "_frames_in.MediaReader"
    yield from frames_calls(name, _frames_in.MediaReader)
    for rate_hz, n_octets in (None, N), (8000, 2 * N), (16000, 4 * N), (24000, 6 * N):
        reader = _frames_in.MediaReader("MZ1", rate_hz=rate_hz)
        read, into, at = reader.read, reader.read_into, f"at {rate_hz}"
        dst = bytearray(n_octets)
        doubles = array("d", [0.0] * n_octets)
        apart = memoryview(bytearray(2 * n_octets))[::2]
        yield Call(f"{name}.clear {at}", reader.clear)
        yield Call(f"{name}.read {at}", read, (PLAIN,))
        yield Call(f"{name}.read octets {at}", read, (PLAIN.encode(),))
        yield Call(f"{name}.read a long one {at}", read, (LONG,))
        yield Call(f"{name}.read nonsense {at}", read, (PLAIN.replace("/", "!"),))
        yield Call(f"{name}.read no text {at}", read, (bytearray(9),), TypeError)
        yield Call(f"{name}.read_into {at}", into, (PLAIN, dst))
        yield Call(f"{name}.read_into of nonsense {at}", into, ("{}", dst))
        yield Call(f"{name}.read_into a short one {at}", into, (PLAIN, bytearray(1)), UsageError)
        yield Call(f"{name}.read_into of a long one {at}", into, (LONG, dst), UsageError)
        yield Call(f"{name}.read_into a read-only one {at}", into, (PLAIN, bytes(9)), BufferError)
        yield Call(f"{name}.read_into a scattered one {at}", into, (PLAIN, apart), BufferError)
        yield Call(f"{name}.read_into doubles {at}", into, (PLAIN, doubles), UsageError)
        for number in ("timestamp_ms", "chunk", "sequence_number"):
            yield Call(f"{name}.{number} {at}", getattr, (reader, number))


def writer_calls() -> Iterator[Call]:
    name = "_frames_out.MediaWriter"
    yield from frames_calls(name, _frames_out.MediaWriter)
    for rate_hz in (None, 8000, 16000, 24000):
        writer = _frames_out.MediaWriter("MZ1", rate_hz=rate_hz)
        # A whole message each time, so that each needs room.
        src = bytes(N) if rate_hz is None else INT16 * (rate_hz // 8000)
        at = f"at {rate_hz}"
        yield Call(f"{name}.clear {at}", writer.clear)
        yield Call(f"{name}.room {at}", writer.room, (N,))
        yield Call(f"{name}.room of less than nothing {at}", writer.room, (-1,), UsageError)
        yield from source_calls(f"{name}.frame {at}", writer.frame, src)
        for form in ("message", "messages"):
            make, make_into = getattr(writer, form), getattr(writer, f"{form}_into")
            yield Call(f"{name}.{form} the end {at}", partial(make, last=True), (bytearray(src),))
            yield from source_calls(f"{name}.{form} {at}", make, src)
            yield from into_calls(f"{name}.{form}_into {at}", make_into, src, 2000)


def tap_calls() -> Iterator[Call]:
    name = "_tap.MediaTap"
    yield Call(name, _tap.MediaTap)
    yield Call(f"{name} of no limit", partial(_tap.MediaTap, limit_ms=0), (), UsageError)
    for rate_hz in (None, 8000, 16000, 24000):
        yield from tap_calls_at(rate_hz)
    for what, parts in {
        "what goes on": (SPOKEN[:9], SPOKEN[9:200]),
        "what is not taken": (OTHER[:3], OTHER[3:] + SPOKEN[:99]),
        "what is wrong": (SPOKEN[:1], WRONG),
    }.items():

        def whole_life(*parts: object) -> None:
            tap = _tap.MediaTap()
            tap.start("MZ1")
            tap.put(bytes(20 * N), 0)
            for part in parts:
                tap.feed(part)

        yield Call(f"{name}.feed {what}, and an end", whole_life, tuple(map(bytearray, parts)))


def tap_calls_at(rate_hz: int | None) -> Iterator[Call]:
    name, at = "_tap.MediaTap", f"at {rate_hz}"
    tap = _tap.MediaTap()
    start = partial(tap.start, rate_hz=rate_hz)
    start("MZ1")

    def feed(*parts: object) -> None:
        tap.n_read = tap.n_passed
        for part in parts:
            tap.feed(part)
        tap.take(tap.n_waiting)

    def put(ulaw: object) -> None:
        tap.put(ulaw, 20)
        tap.take(tap.n_waiting)

    yield Call(f"{name}.start {at}", start, ("MZ1",))
    yield Call(f"{name}.start of too long an id {at}", start, ("M" * 1000,), UsageError)
    absurd = partial(tap.start, rate_hz=7)
    yield Call(f"{name}.start at an absurd rate {at}", absurd, ("MZ1",), UsageError)
    yield Call(f"{name}.take of nothing {at}", tap.take, (9,))
    yield Call(f"{name}.take of less than nothing {at}", tap.take, (-1,), UsageError)
    yield from source_calls(f"{name}.put {at}", put, bytes(N))
    yield Call(f"{name}.put too much {at}", tap.put, (bytes(200_000), 0), UsageError)
    yield Call(f"{name}.put at no time {at}", tap.put, (bytearray(N), "x"), TypeError)
    yield Call(f"{name}.feed no buffer {at}", tap.feed, (object(),), TypeError)
    for what, parts in {
        "one": (SPOKEN,),
        "a long one": (SPOKEN_LONG,),
        "many": (SPOKEN * 50,),
        "two halves": (SPOKEN[:99], SPOKEN[99:]),
        "one between others": (OTHER + SPOKEN[:3], SPOKEN[3:] + OTHER),
        "others": (SPOKEN + OTHER + SPOKEN,),
    }.items():
        yield Call(f"{name}.feed {what} {at}", feed, tuple(map(bytearray, parts)))
    tap.passes = tap.arrived = lambda *_: None

    def receive(*parts: object) -> None:
        tap.n_read = tap.n_passed
        for part in parts:
            tap.data_received(part)
        tap.take(tap.n_waiting)

    yield Call(f"{name}.data_received {at}", receive, (OTHER + SPOKEN[:3], SPOKEN[3:] + OTHER))
    yield Call(f"{name}.data_received an echo {at}", receive, (ECHO,))

    def be_told(*parts: object) -> None:
        for answer in (True, False):
            tap.told = lambda text, answer=answer: answer
            receive(*parts)

    yield Call(f"{name}.told {at}", be_told, (ECHO + SPOKEN,))
    for number in ("wanted", "passes", "arrived", "told"):
        yield Call(f"{name}.{number} {at}", getattr, (tap, number))
    for number in ("n_waiting", "n_passed", "n_read", "n_frames", "until_ms", "received_ms"):
        yield Call(f"{name}.{number} {at}", getattr, (tap, number))


def binary_calls() -> Iterator[Call]:
    name = "_binary_tap.BinaryTap"
    audio, text = b"\x82\x04abcd", b"\x81\x02hi"
    tap = _binary_tap.BinaryTap()

    def feed(*parts: object) -> None:
        for part in parts:
            tap.feed(part)
            assert tap.audio is not None

    yield Call(name, _binary_tap.BinaryTap)
    for what in ("audio", "texts", "take", "otherwise", "before"):
        yield Call(f"{name}.{what}", getattr, (tap, what))
    yield Call(f"{name}.feed no buffer", tap.feed, (object(),), TypeError)
    for what, parts in {
        "audio": (audio * 9,),
        "text": (text,),
        "both": (audio + text + audio,),
        "halves": (audio[:1], audio[1:3], audio[3:]),
    }.items():
        yield Call(f"{name}.feed {what}", feed, tuple(map(bytearray, parts)))

    def receive(take: Callable[[bytes], bool] | None, data: object) -> None:
        tap.take, tap.otherwise = take, lambda rest: None
        tap.data_received(data)

    yield Call(f"{name}.data_received nobody wants", receive, (None, bytearray(audio + text)))
    for answer in (True, False):
        offered = (lambda data, answer=answer: answer, bytearray(audio))
        yield Call(f"{name}.data_received {answer}", receive, offered)
    not_text = (None, bytearray(b"\x81\x01\xff"))
    yield Call(f"{name}.data_received no UTF-8", _fresh_tap, not_text)
    yield from source_calls("_binary_tap.binary_frame", _binary_tap.binary_frame, bytes(N))


def _fresh_tap(take: object, data: object) -> None:
    tap = _binary_tap.BinaryTap()
    tap.otherwise = lambda rest: None
    tap.data_received(data)


class Clock:
    until_ms = 20.0


def gate_calls() -> Iterator[Call]:
    name = "_voice_gate.VoiceGate"
    writer = _frames_out.MediaWriter("MZ1", rate_hz=None)

    def make(fir: object) -> _voice_gate.VoiceGate:
        ways = (writer.frame, str.encode, lambda data: None, Clock())
        return _voice_gate.VoiceGate(*ways, fir, lambda audio: False)

    for rate_hz in (None, 16000, 24000):
        fir = None if rate_hz is None else _fir.Fir(rate_hz, 8000)
        gate, at = make(fir), f"at {rate_hz}"

        def give(*pieces: object, gate: _voice_gate.VoiceGate = gate) -> None:
            gate.open(10_000, 0.0, "3", 0.0, 400.0, 400.0)
            for piece in pieces:
                gate(piece)
            gate.take()

        yield Call(f"{name} {at}", make, (fir,))
        yield Call(f"{name}.__call__ {at}", give, (INT16,) * 20)
        yield Call(f"{name}.__call__ odd, much, nothing {at}", give, (b"abc", bytes(9000), b""))
        yield Call(f"{name}.take of nothing {at}", gate.take)
        yield Call(
            f"{name}.open no label {at}", gate.open, (1, 0.0, None, 0.0, 0.0, 0.0), TypeError
        )
        yield Call(f"{name}.shut {at}", gate.shut)
        yield Call(f"{name}.close {at}", lambda fir=fir: make(fir).close())
        for number in ("n_octets", "n_messages"):
            yield Call(f"{name}.{number} {at}", getattr, (gate, number))
    yield Call(f"{name} of floats", make, (_fir.Fir(16000, 8000, dtype="float32"),), UsageError)


CALLS = [
    *gate_calls(),
    *g711_calls(),
    *base64_calls(),
    *fir_calls(),
    *soxr_calls(),
    *reader_calls(),
    *writer_calls(),
    *tap_calls(),
    *binary_calls(),
]
