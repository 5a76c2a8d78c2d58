"""Whatever comes, however it is cut: the tap's audio is the slow way's, the rest is untouched."""

from collections.abc import Callable, Iterable, Iterator
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from reference.tap import SID, START, Library, SlowWay, TappedWay, frame, media
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K
from voice_ai.codec.frames import MediaReader, MediaTap
from voice_ai.wire import twilio

TARGETS = {None: ULAW_8K, 8000: PCM16_8K, 16000: PCM16_16K, 24000: PCM16_24K}
MOST_HELD = 14 + 4096
# Of a plain message: which number it has, and its mask.
Make = Callable[[int, bytes], list[bytes]]


def spoken(n_octets: int, **form: int) -> Make:
    def make(number: int, mask: bytes) -> list[bytes]:
        payload = bytes((number * 7 + i * 13) % 256 for i in range(n_octets))
        return [frame(media(number, payload), mask=mask, **form)]

    return make


def text(write: Callable[[int], str]) -> Make:
    return lambda number, mask: [frame(write(number), mask=mask)]


def fragments(number: int, mask: bytes) -> list[bytes]:
    whole = media(number).encode()
    return [
        frame(whole[:9], fin=False, mask=mask),
        frame(b"?", Opcode.PING, mask=mask),
        frame(whole[9:70], Opcode.CONT, fin=False, mask=mask),
        frame(whole[70:], Opcode.CONT, mask=mask),
    ]


def control(opcode: int, payload: bytes = b"hm") -> Make:
    return lambda number, mask: [frame(payload, opcode, mask=mask)]


SPOKEN: dict[str, Make] = {
    "a frame": spoken(160),
    "a short frame": spoken(1),
    "a long frame": spoken(1025),
    "the longest frame": spoken(2900),
    "a frame that is too long": spoken(3000),
    "a length in eight octets": spoken(160, n_length=8),
    "a very long frame": spoken(60_000),
}
OTHER: dict[str, Make] = {
    "start": text(lambda number: START),
    "a mark": text(lambda number: twilio.mark_echo(SID, number, "m")),
    "a key": text(lambda number: twilio.dtmf(SID, number, "5")),
    "another stream": text(lambda number: media(number, sid="MZ1")),
    "media, oddly written": text(lambda number: media(number).replace("/", "\\/")),
    "media, wrongly written": text(lambda number: media(number).replace("chunk", "lump")),
    "nothing": text(lambda number: ""),
    "a fragmented one": fragments,
    "a whole one that goes on": lambda number, mask: [
        frame(media(number), fin=False, mask=mask),
        frame(" ", Opcode.CONT, mask=mask),
    ],
    "octets": lambda number, mask: [frame(media(number), Opcode.BINARY, mask=mask)],
    "many octets": lambda number, mask: [frame(bytes(70_000), Opcode.BINARY, mask=mask)],
    "a ping": control(Opcode.PING),
    "an empty ping": control(Opcode.PING, b""),
    "a long pong": control(Opcode.PONG, b"p" * 125),
}
# Behind any of them the library reads nothing.
LAST: dict[str, Make] = {
    "a close": control(Opcode.CLOSE, b"\x03\xe8bye"),
    "an empty close": control(Opcode.CLOSE, b""),
    "a close that is wrong": control(Opcode.CLOSE, b"x"),
    "no mask": lambda number, mask: [frame(media(number), mask=None)],
    "reserved bits": lambda number, mask: [frame(media(number), rsv=1 + number % 7, mask=mask)],
    "a reserved opcode": lambda number, mask: [frame("", 3 + number % 5, mask=mask)],
    "a reserved control": lambda number, mask: [frame("", 11 + number % 5, mask=mask)],
    "an end without a beginning": lambda number, mask: [frame("x", Opcode.CONT, mask=mask)],
    "a message within a message": lambda number, mask: [
        frame("x", fin=False, mask=mask),
        frame(media(number), mask=mask),
    ],
    "a control that is too long": control(Opcode.PING, b"p" * 126),
    "half a control": lambda number, mask: [frame("", Opcode.PING, fin=False, mask=mask)],
}
ALL = {**SPOKEN, **OTHER, **LAST}

# Mostly speech; what ends all comes late, if it comes, and more behind it.
KINDS = st.one_of(st.just("a frame"), st.just("a frame"), st.sampled_from([*SPOKEN, *OTHER]))
MASKS = st.binary(min_size=4, max_size=4)
FRAMES = st.tuples(
    st.lists(st.tuples(KINDS, MASKS), max_size=3),
    st.just([("start", b"mask")]),
    st.lists(st.tuples(KINDS, MASKS), min_size=3, max_size=25),
    st.lists(st.tuples(st.sampled_from(list(LAST)), MASKS), max_size=1),
    st.lists(st.tuples(st.sampled_from(list(ALL)), MASKS), max_size=1),
    st.lists(st.tuples(st.just("a frame"), MASKS), max_size=2),
).map(lambda parts: sum(parts, []))
CUTS = st.lists(st.one_of(st.integers(1, 500), st.integers(1, 3000)), min_size=1, max_size=20)
READS = st.lists(st.sampled_from([9, 9, 1, 0]), min_size=1, max_size=10)


def made(kinds: Iterable[tuple[str, bytes]]) -> list[bytes]:
    return [one for number, (kind, mask) in enumerate(kinds, 1) for one in ALL[kind](number, mask)]


def cut(octets: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    at, steps = 0, cycle(sizes)
    while at < len(octets):
        size = next(steps)
        yield octets[at : at + size]
        at += size


def missing_in(passed: bytes, frames: Iterable[bytes]) -> list[bytes]:
    """Return the frames that were not passed on; all else was, in order."""
    at, missing = 0, []
    for one in frames:
        if passed.startswith(one, at):
            at += len(one)
        else:
            missing.append(one)
    assert at == len(passed)
    return missing


def is_plain(one: bytes) -> bool:
    library = Library()
    library.receive(one)
    return MediaReader(SID).read(library.messages.pop()) is not None


@pytest.mark.parametrize("rate_hz", TARGETS)
@given(kinds=FRAMES, sizes=CUTS, n_reads=READS, n_lost=st.integers(0, 300))
def test_audio_and_order_are_those_of_the_slow_way(rate_hz, kinds, sizes, n_reads, n_lost):
    frames = made(kinds)
    octets = b"".join(frames)
    octets = octets[: max(0, len(octets) - n_lost)]
    slow, tapped, audio = SlowWay(TARGETS[rate_hz]), TappedWay(rate_hz), bytearray()
    slow.receive(octets)
    for part, n_messages in zip(cut(octets, sizes), cycle(n_reads), strict=False):
        tapped.receive(part)
        tapped.read_some(n_messages)
        audio += tapped.tap.take(640 * n_messages)
    tapped.read_some(len(octets))
    tap = tapped.tap
    audio += tap.take(tap.n_waiting)
    assert audio == slow.audio
    assert (tap.received_ms, tap.until_ms) == (slow.received_ms, slow.until_ms)
    assert tapped.log == slow.log
    assert tap.n_passed == tap.n_read
    # What came, with the last frame as far as it did.
    came = list(filter(None, cut(octets, map(len, frames))))
    missing = missing_in(bytes(tapped.passed), came)
    if missing and missing[-1] not in frames:
        assert len(missing.pop()) < MOST_HELD
    assert len(missing) == tap.n_frames
    assert all(map(is_plain, missing))


def test_a_protocol_of_its_own_passes_and_tells():
    tap, passed, n_arrived = MediaTap(), [], []
    tap.passes, tap.arrived = passed.append, lambda: n_arrived.append(tap.n_waiting)
    tap.start(SID)
    tap.wanted = 2 * 640
    for number in range(3):
        tap.data_received(frame(media(number), mask=b"mask"))
    assert (passed, n_arrived) == ([], [1280, 1920])
    ping = frame(b"?", Opcode.PING, mask=b"mask")
    tap.data_received(ping)
    assert (passed, n_arrived) == ([ping], [1280, 1920])
