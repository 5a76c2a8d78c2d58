"""What µ-law and A-law have in common: what is refused, any buffer, any cut, threads, kernels."""

import struct
import sys
import threading
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.codec import _g711, g711
from voice_ai.errors import UsageError

ALL_CODES = bytes(range(256))
DECODERS = [g711.ulaw_decode, g711.alaw_decode]
ENCODERS = [g711.ulaw_encode, partial(g711.ulaw_encode, itu=True), g711.alaw_encode]
DECODERS_INTO = [g711.ulaw_decode_into, g711.alaw_decode_into]
ENCODERS_INTO = [
    g711.ulaw_encode_into,
    partial(g711.ulaw_encode_into, itu=True),
    g711.alaw_encode_into,
]
LAWS = pytest.mark.parametrize(
    ("decode", "encode"),
    [(g711.ulaw_decode, g711.ulaw_encode), (g711.alaw_decode, g711.alaw_encode)],
)
LAWS_INTO = pytest.mark.parametrize(
    ("decode_into", "encode_into"),
    [
        (g711.ulaw_decode_into, g711.ulaw_encode_into),
        (g711.alaw_decode_into, g711.alaw_encode_into),
    ],
)


class Octets(bytes):
    pass


def once(codes: bytes) -> bytes:
    """The codes without µ-law's negative zero, which encoding never gives."""
    return codes.replace(b"\x7f", b"\xff")


@pytest.fixture
def every_kernel():
    """Those that this machine runs; the one in use comes back."""
    before = _g711.kernel()
    yield _g711.kernels()
    _g711.use(before)


# The degenerate ones.


@pytest.mark.parametrize("work", DECODERS + ENCODERS)
def test_nothing_gives_nothing(work):
    assert work(b"") == b""
    assert work(np.empty(0, np.uint8)) == b""


@pytest.mark.parametrize("work", DECODERS_INTO + ENCODERS_INTO)
def test_nothing_into_nothing_writes_nothing(work):
    dst = bytearray(b"kept")
    assert work(b"", bytearray()) == 0
    assert work(b"", dst) == 0
    assert dst == b"kept"


@pytest.mark.parametrize("n_octets", [1, 319])
@pytest.mark.parametrize(("new", "into"), list(zip(ENCODERS, ENCODERS_INTO, strict=True)))
def test_an_odd_length_of_pcm_names_it(new, into, n_octets):
    dst = bytearray(b"\x5a" * 160)
    said = f"pcm16 src holds {n_octets} octets, no whole number of 2-octet"
    with pytest.raises(UsageError, match=said):
        new(bytes(n_octets))
    with pytest.raises(UsageError, match=said):
        into(bytes(n_octets), dst)
    assert dst == b"\x5a" * 160


@pytest.mark.parametrize(
    ("work", "n_src", "n_dst", "needed"),
    [(work, 160, n_dst, 320) for work in DECODERS_INTO for n_dst in (0, 160, 319)]
    + [(work, 320, n_dst, 160) for work in ENCODERS_INTO for n_dst in (0, 159)],
)
def test_a_short_dst_names_both_numbers_and_is_untouched(work, n_src, n_dst, needed):
    dst = bytearray(b"\x5a" * n_dst)
    with pytest.raises(UsageError, match=f"dst holds {n_dst} octets, {needed} are needed"):
        work(bytes(n_src), dst)
    assert dst == b"\x5a" * n_dst


@LAWS_INTO
@pytest.mark.parametrize("offset", [0, 1, 159])
def test_overlapping_buffers_are_refused_and_untouched(decode_into, encode_into, offset):
    memory = memoryview(bytearray(b"\x5a" * 1000))
    with pytest.raises(UsageError, match="src of 160 octets and dst of .* overlap"):
        decode_into(memory[:160], memory[offset:])
    with pytest.raises(UsageError, match="overlap"):
        encode_into(memory[offset : offset + 160], memory[:160])
    assert memory == b"\x5a" * 1000


@LAWS_INTO
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float16, np.float32, np.complex64])
def test_items_of_another_kind_are_refused(decode_into, encode_into, dtype):
    wrong, dst = np.zeros(8, dtype), np.full(64, 0x5A, np.uint8)
    for work in (decode_into, encode_into):
        with pytest.raises(UsageError, match=f"src holds items of {wrong.itemsize} octets"):
            work(wrong, dst)
        with pytest.raises(UsageError, match=f"dst holds items of {wrong.itemsize} octets"):
            work(bytes(4), wrong)
    assert (dst == 0x5A).all()
    assert not wrong.any()


@pytest.mark.parametrize("decode", DECODERS)
def test_codes_are_octets_and_never_samples(decode):
    with pytest.raises(UsageError, match=r"src holds items of 2 octets, format 'h'; octets \(1"):
        decode(np.zeros(4, np.int16))


@pytest.mark.parametrize("encode_into", ENCODERS_INTO)
def test_codes_are_not_written_into_samples(encode_into):
    dst = np.full(4, 7, np.int16)
    with pytest.raises(UsageError, match=r"dst holds items of 2 octets, format 'h'; octets \(1"):
        encode_into(bytes(8), dst)
    assert (dst == 7).all()


@pytest.mark.parametrize("work", DECODERS + ENCODERS)
def test_a_second_dimension_is_refused(work):
    with pytest.raises(UsageError, match="src has 2 dimensions, 1 is needed"):
        work(np.zeros((4, 2), np.uint8))


@pytest.mark.parametrize("work", DECODERS_INTO + ENCODERS_INTO)
def test_a_second_dimension_to_write_to_is_refused(work):
    dst = np.full((8, 2), 0x5A, np.uint8)
    with pytest.raises(UsageError, match="dst has 2 dimensions, 1 is needed"):
        work(bytes(4), dst)
    assert (dst == 0x5A).all()


@pytest.mark.parametrize("work", DECODERS_INTO + ENCODERS_INTO)
def test_a_read_only_or_scattered_buffer_is_refused(work):
    dst = bytearray(b"\x5a" * 16)
    with pytest.raises(BufferError):
        work(bytes(4), bytes(8))
    with pytest.raises(BufferError):
        work(memoryview(bytes(8))[::2], dst)
    with pytest.raises(BufferError):
        work(bytes(4), memoryview(dst)[::2])
    assert dst == b"\x5a" * 16


@pytest.mark.parametrize("work", DECODERS + ENCODERS)
def test_what_is_no_buffer_is_a_type_error(work):
    with pytest.raises(BufferError):
        work(memoryview(bytes(8))[::2])
    with pytest.raises(TypeError):
        work("text")
    with pytest.raises(TypeError):
        work(4)


@LAWS_INTO
def test_an_error_lets_go_of_both_buffers(decode_into, encode_into):
    src, dst = bytearray(161), bytearray(10)
    with pytest.raises(UsageError):
        decode_into(src, dst)
    with pytest.raises(UsageError):
        encode_into(src, dst)
    with pytest.raises(BufferError):
        decode_into(src, b"read-only")
    src.append(0)  # raises BufferError while anybody holds it
    dst.append(0)


# Any buffer, anywhere.


@LAWS_INTO
def test_neighbours_in_one_buffer_are_not_an_overlap(decode_into, encode_into):
    memory = memoryview(bytearray(once(ALL_CODES) + bytes(512)))
    assert decode_into(memory[:256], memory[256:]) == 256
    memory[:256] = bytes(256)
    assert encode_into(memory[256:], memory[:256]) == 256
    assert memory[:256] == once(ALL_CODES)


@LAWS
def test_whatever_holds_octets_serves(decode, encode):
    pcm = decode(ALL_CODES)
    for kind in (Octets, bytearray, memoryview, partial(np.frombuffer, dtype=np.uint8)):
        assert decode(kind(ALL_CODES)) == pcm
        assert encode(kind(pcm)) == encode(pcm)


@LAWS_INTO
def test_arrays_of_int16_serve_as_they_are(decode_into, encode_into):
    pcm, codes = np.empty(256, np.int16), np.empty(256, np.uint8)
    assert decode_into(np.frombuffer(ALL_CODES, np.uint8), pcm) == 256
    assert encode_into(pcm, codes) == 256
    assert once(codes.tobytes()) == once(ALL_CODES)


@LAWS_INTO
@pytest.mark.parametrize("offset", [1, 3, 31])
def test_odd_addresses_serve(decode_into, encode_into, offset):
    memory = memoryview(bytearray(offset + 512))[offset:]
    codes = memoryview(bytearray(offset + 256))[offset:]
    assert decode_into(once(ALL_CODES), memory) == 256
    assert encode_into(memory, codes) == 256
    assert codes == once(ALL_CODES)


@given(st.binary(max_size=400))
def test_into_is_the_same_as_new(data):
    pcm, codes = bytearray(2 * len(data)), bytearray(len(data))
    for new, into in zip(DECODERS, DECODERS_INTO, strict=True):
        assert into(data, pcm) == len(data)
        assert pcm == new(data)
    for new, into in zip(ENCODERS, ENCODERS_INTO, strict=True):
        assert into(data + data, codes) == len(data)
        assert codes == new(data + data)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_cut_gives_the_same(data, ends):
    edges = [0, *sorted(min(end, len(data)) for end in ends), len(data)]
    for decode in DECODERS:
        assert b"".join(decode(data[a:b]) for a, b in pairwise(edges)) == decode(data)
    pcm = data + data
    for encode in ENCODERS:
        pieces = [encode(pcm[2 * a : 2 * b]) for a, b in pairwise(edges)]
        assert b"".join(pieces) == encode(pcm)


# Threads.


@LAWS
@pytest.mark.parametrize("n_samples", [65535, 65536, 65537, 200_000])
def test_lengths_around_the_release_of_the_gil(decode, encode, n_samples):
    codes = (ALL_CODES * (n_samples // 256 + 1))[:n_samples]
    pcm = decode(codes)
    assert pcm == (decode(ALL_CODES) * (n_samples // 256 + 1))[: 2 * n_samples]
    assert once(encode(pcm)) == once(codes)


@pytest.fixture
def never_switching():
    """No thread is made to give up the GIL: only what releases it lets another run."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


def rounds_done_before_others_run(n_samples: int, most: int) -> int:
    """How many rounds of work another thread has done when this one gets the GIL back."""
    codes, pcm = bytes(n_samples), bytearray(2 * n_samples)
    started, stop, done = threading.Event(), [], []

    def work() -> None:
        started.set()
        while len(done) < most and not stop:
            g711.ulaw_decode_into(codes, pcm)
            g711.alaw_encode_into(pcm, room)
            done.append(1)

    room = bytearray(n_samples)
    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    stop.append(1)
    seen = len(done)
    thread.join()
    return seen


def test_much_work_lets_other_threads_run(never_switching):
    assert rounds_done_before_others_run(2_000_000, 10_000) < 10_000


def test_a_frames_work_does_not(never_switching):
    assert rounds_done_before_others_run(160, 10_000) == 10_000


def test_threads_do_not_disturb_each_other():
    codes = np.random.default_rng(1).integers(0, 256, 300_000, np.uint8).tobytes()
    pcm = [decode(codes) for decode in DECODERS]
    made: list[bool] = []

    def work() -> None:
        for _ in range(20):
            made.append([decode(codes) for decode in DECODERS] == pcm)
            made.append(once(g711.ulaw_encode(pcm[0])) == once(codes))
            made.append(g711.alaw_encode(pcm[1]) == codes)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert made == [True] * 240


# Kernels.


def test_the_best_kernel_is_in_use_and_the_portable_one_always_there():
    assert _g711.kernel() == _g711.kernels()[0]
    assert _g711.kernels()[-1] == "portable"
    assert set(_g711.kernels()) <= {"avx2", "neon", "portable"}


def test_an_unknown_kernel_is_refused_and_the_one_in_use_stays():
    before = _g711.kernel()
    known = ", ".join(_g711.kernels())
    with pytest.raises(UsageError, match=f"no kernel 'sse9' on this machine; known are {known}"):
        _g711.use("sse9")
    with pytest.raises(TypeError):
        _g711.use(None)
    assert _g711.kernel() == before


def test_using_a_kernel_names_it(every_kernel):
    for name in every_kernel:
        _g711.use(name)
        assert _g711.kernel() == name


def test_noise_of_any_length_is_the_same_by_every_kernel(every_kernel):
    noise = struct.pack("<3000h", *np.random.default_rng(1).integers(-32768, 32768, 3000))
    for n_samples in (1, 31, 32, 33, 160, 2999, 3000):
        made = set()
        for name in every_kernel:
            _g711.use(name)
            made.add(tuple(work(noise[: 2 * n_samples]) for work in DECODERS + ENCODERS))
        assert len(made) == 1
