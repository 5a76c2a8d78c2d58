"""µ-law: exhaustive against the standard's text and against audioop, and what is refused."""

import importlib
import struct
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import g711 as reference
from voice_ai.codec.g711 import ulaw_decode, ulaw_decode_into, ulaw_encode, ulaw_encode_into
from voice_ai.errors import UsageError

ALL_CODES = bytes(range(256))
ALL_SAMPLES = struct.pack("<65536h", *range(-32768, 32768))


# The degenerate ones.


@pytest.mark.parametrize("work", [ulaw_decode, ulaw_encode])
def test_nothing_gives_nothing(work):
    assert work(b"") == b""


@pytest.mark.parametrize("work", [ulaw_decode_into, ulaw_encode_into])
def test_nothing_into_nothing_writes_nothing(work):
    dst = bytearray(b"kept")
    assert work(b"", bytearray()) == 0
    assert work(b"", dst) == 0
    assert dst == b"kept"


def test_an_odd_length_of_pcm_names_it():
    with pytest.raises(UsageError, match="pcm16 src holds 319 octets, no whole number of 2-octet"):
        ulaw_encode(bytes(319))
    with pytest.raises(UsageError, match="src holds 319 octets"):
        ulaw_encode_into(bytes(319), bytearray(160))


@pytest.mark.parametrize(
    ("work", "n_src", "n_dst", "needed"),
    [(ulaw_decode_into, 160, 100, 320), (ulaw_encode_into, 320, 159, 160)],
)
def test_a_short_dst_names_both_numbers_and_is_untouched(work, n_src, n_dst, needed):
    dst = bytearray(b"\x5a" * n_dst)
    with pytest.raises(UsageError, match=f"dst holds {n_dst} octets, {needed} are needed"):
        work(bytes(n_src), dst)
    assert dst == b"\x5a" * n_dst


@pytest.mark.parametrize("offset", [0, 1, 159])
def test_overlapping_buffers_are_refused(offset):
    memory = memoryview(bytearray(1000))
    with pytest.raises(UsageError, match="src of 160 octets and dst of .* overlap"):
        ulaw_decode_into(memory[:160], memory[offset:])
    with pytest.raises(UsageError, match="overlap"):
        ulaw_encode_into(memory[offset : offset + 160], memory[:160])


def test_neighbours_in_one_buffer_are_not_an_overlap():
    memory = memoryview(bytearray(ALL_CODES + bytes(512)))
    assert ulaw_decode_into(memory[:256], memory[256:]) == 256
    assert memory[256:] == ulaw_decode(ALL_CODES)
    assert ulaw_encode_into(memory[256:], memory[:256]) == 256
    assert memory[:256] == ALL_CODES.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize("work", [ulaw_decode_into, ulaw_encode_into])
def test_a_read_only_or_scattered_buffer_is_refused(work):
    with pytest.raises(BufferError):
        work(bytes(4), bytes(8))
    with pytest.raises(BufferError):
        work(memoryview(bytes(8))[::2], bytearray(8))
    with pytest.raises(BufferError):
        work(bytes(4), memoryview(bytearray(16))[::2])


@pytest.mark.parametrize("work", [ulaw_decode, ulaw_encode])
def test_what_is_no_buffer_is_a_type_error(work):
    with pytest.raises(BufferError):
        work(memoryview(bytes(8))[::2])
    with pytest.raises(TypeError):
        work("text")
    with pytest.raises(TypeError):
        work(4)


def test_an_error_lets_go_of_both_buffers():
    src, dst = bytearray(161), bytearray(10)
    with pytest.raises(UsageError):
        ulaw_decode_into(src, dst)
    with pytest.raises(UsageError):
        ulaw_encode(src)
    with pytest.raises(BufferError):
        ulaw_decode_into(src, b"read-only")
    src.append(0)  # raises BufferError while anybody holds it
    dst.append(0)


# All of the 256 and the 65,536.


def test_decoding_is_the_standards():
    exact = tuple(map(reference.decode, ALL_CODES))
    assert struct.unpack("<256h", ulaw_decode(ALL_CODES)) == exact


def test_encoding_is_the_standards():
    assert ulaw_encode(ALL_SAMPLES) == bytes(map(reference.encode, range(-32768, 32768)))


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python 3.13 has no audioop")
def test_both_are_audioops():
    audioop = importlib.import_module("audioop")
    assert ulaw_decode(ALL_CODES) == audioop.ulaw2lin(ALL_CODES, 2)
    assert ulaw_encode(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES, 2)


def test_a_code_survives_decoding_but_for_negative_zero():
    again = ulaw_encode(ulaw_decode(ALL_CODES))
    assert again == ALL_CODES.replace(b"\x7f", b"\xff")


def test_the_extremes():
    assert ulaw_encode(struct.pack("<5h", 0, -1, -4, 32767, -32768)) == b"\xff\x7e\x7e\x80\x00"
    assert struct.unpack("<4h", ulaw_decode(b"\xff\x7f\x80\x00")) == (0, 0, 32124, -32124)


# Any buffer, anywhere.


def test_arrays_of_int16_serve_as_they_are():
    pcm = np.empty(256, np.int16)
    assert ulaw_decode_into(np.frombuffer(ALL_CODES, np.uint8), pcm) == 256
    assert pcm.tobytes() == ulaw_decode(ALL_CODES)
    assert ulaw_encode(pcm) == ulaw_encode(pcm.tobytes())


def test_odd_addresses_serve():
    memory = memoryview(bytearray(513))[1:]
    assert ulaw_decode_into(ALL_CODES, memory) == 256
    assert memory == ulaw_decode(ALL_CODES)
    assert ulaw_encode(memory) == ulaw_encode(bytes(memory))


def test_what_lies_beyond_the_samples_is_kept():
    dst = bytearray(b"\x5a" * 520)
    ulaw_decode_into(ALL_CODES, dst)
    assert dst[512:] == b"\x5a" * 8


@pytest.mark.parametrize("n_samples", [65535, 65536, 65537, 200_000])
def test_lengths_around_the_release_of_the_gil(n_samples):
    ulaw = (ALL_CODES * (n_samples // 256 + 1))[:n_samples]
    pcm = ulaw_decode(ulaw)
    assert pcm == (ulaw_decode(ALL_CODES) * (n_samples // 256 + 1))[: 2 * n_samples]
    assert ulaw_encode(pcm) == ulaw.replace(b"\x7f", b"\xff")


@given(st.binary(max_size=400))
def test_into_is_the_same_as_new(data):
    pcm, ulaw = bytearray(2 * len(data)), bytearray(len(data))
    assert ulaw_decode_into(data, pcm) == len(data)
    assert pcm == ulaw_decode(data)
    assert ulaw_encode_into(pcm, ulaw) == len(data)
    assert ulaw == ulaw_encode(pcm)
