"""µ-law: each kernel on all inputs, against the standard's text and against audioop."""

import importlib
import struct
import sys

import pytest

from reference import g711 as reference
from voice_ai.codec import _g711
from voice_ai.codec.g711 import ulaw_decode, ulaw_decode_into, ulaw_encode, ulaw_encode_into

ALL_CODES = bytes(range(256))
ALL_SAMPLES = struct.pack("<65536h", *range(-32768, 32768))
NEGATIVE_ZERO = b"\x7f"


@pytest.fixture(params=_g711.kernels(), autouse=True)
def kernel(request):
    before = _g711.kernel()
    _g711.use(request.param)
    yield request.param
    _g711.use(before)


def test_decoding_is_the_standards():
    exact = tuple(map(reference.ulaw_decode, ALL_CODES))
    assert struct.unpack("<256h", ulaw_decode(ALL_CODES)) == exact


def test_a_samples_place_does_not_matter():
    assert ulaw_encode(ALL_SAMPLES[2:]) == ulaw_encode(ALL_SAMPLES)[1:]
    assert ulaw_decode(ALL_CODES[1:]) == ulaw_decode(ALL_CODES)[2:]


def test_encoding_is_the_standards():
    assert ulaw_encode(ALL_SAMPLES) == bytes(map(reference.ulaw_encode, range(-32768, 32768)))


def test_the_itus_encoding_is_its_own():
    exact = bytes(map(reference.ulaw_encode_itu, range(-32768, 32768)))
    assert ulaw_encode(ALL_SAMPLES, itu=True) == exact
    room = bytearray(65536)
    assert ulaw_encode_into(ALL_SAMPLES, room, itu=True) == 65536
    assert room == exact


def test_the_two_encodings_differ_on_508_negative_samples_by_one_step():
    pairs = zip(ulaw_encode(ALL_SAMPLES), ulaw_encode(ALL_SAMPLES, itu=True), strict=True)
    different = [(x, a, b) for x, (a, b) in enumerate(pairs, -32768) if a != b]
    assert len(different) == 508
    assert all(x < 0 and b == a + 1 for x, a, b in different)


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python 3.13 has no audioop")
def test_both_are_audioops():
    audioop = importlib.import_module("audioop")
    assert ulaw_decode(ALL_CODES) == audioop.ulaw2lin(ALL_CODES, 2)
    assert ulaw_encode(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES, 2)


def test_a_code_survives_decoding_but_for_negative_zero():
    pcm = ulaw_decode(ALL_CODES)
    assert ulaw_encode(pcm) == ALL_CODES.replace(NEGATIVE_ZERO, b"\xff")
    assert ulaw_encode(pcm, itu=True) == ALL_CODES.replace(NEGATIVE_ZERO, b"\xff")


def test_the_extremes():
    extremes = struct.pack("<6h", 0, -1, -4, -5, 32767, -32768)
    assert ulaw_encode(extremes) == b"\xff\x7e\x7e\x7e\x80\x00"
    assert ulaw_encode(extremes, itu=True) == b"\xff\x7f\x7f\x7e\x80\x00"
    assert struct.unpack("<4h", ulaw_decode(b"\xff\x7f\x80\x00")) == (0, 0, 32124, -32124)


@pytest.mark.parametrize("n_samples", range(100))
def test_every_length_is_done_to_its_end_and_no_further(n_samples):
    ulaw, pcm = ALL_CODES[-n_samples - 1 : -1], ulaw_decode(ALL_CODES)[-2 * n_samples - 2 : -2]
    room = bytearray(b"\x5a" * (2 * n_samples + 32))
    assert ulaw_decode_into(ulaw, room) == n_samples
    assert room == pcm + b"\x5a" * 32
    for itu in (False, True):
        room = bytearray(b"\x5a" * (n_samples + 32))
        assert ulaw_encode_into(pcm, room, itu) == n_samples
        assert room == ulaw.replace(NEGATIVE_ZERO, b"\xff") + b"\x5a" * 32
