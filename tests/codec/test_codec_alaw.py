"""A-law: each kernel on all inputs, against the standard's text and against audioop."""

import importlib
import struct
import sys

import pytest

from reference import g711 as reference
from voice_ai.codec import _g711
from voice_ai.codec.g711 import alaw_decode, alaw_decode_into, alaw_encode, alaw_encode_into

ALL_CODES = bytes(range(256))
ALL_SAMPLES = struct.pack("<65536h", *range(-32768, 32768))


@pytest.fixture(params=_g711.kernels(), autouse=True)
def kernel(request):
    before = _g711.kernel()
    _g711.use(request.param)
    yield request.param
    _g711.use(before)


def test_decoding_is_the_standards():
    exact = tuple(map(reference.alaw_decode, ALL_CODES))
    assert struct.unpack("<256h", alaw_decode(ALL_CODES)) == exact


def test_a_samples_place_does_not_matter():
    assert alaw_encode(ALL_SAMPLES[2:]) == alaw_encode(ALL_SAMPLES)[1:]
    assert alaw_decode(ALL_CODES[1:]) == alaw_decode(ALL_CODES)[2:]


def test_encoding_is_the_standards():
    assert alaw_encode(ALL_SAMPLES) == bytes(map(reference.alaw_encode, range(-32768, 32768)))


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python 3.13 has no audioop")
def test_both_are_audioops():
    audioop = importlib.import_module("audioop")
    assert alaw_decode(ALL_CODES) == audioop.alaw2lin(ALL_CODES, 2)
    assert alaw_encode(ALL_SAMPLES) == audioop.lin2alaw(ALL_SAMPLES, 2)


def test_every_code_survives_decoding():
    assert alaw_encode(alaw_decode(ALL_CODES)) == ALL_CODES


def test_the_extremes():
    extremes = struct.pack("<6h", 0, -1, -16, -17, 32767, -32768)
    assert alaw_encode(extremes) == b"\xd5\x55\x55\x54\xaa\x2a"
    assert struct.unpack("<4h", alaw_decode(b"\xd5\x55\xaa\x2a")) == (8, -8, 32256, -32256)


@pytest.mark.parametrize("n_samples", range(100))
def test_every_length_is_done_to_its_end_and_no_further(n_samples):
    alaw, pcm = ALL_CODES[-n_samples - 1 : -1], alaw_decode(ALL_CODES)[-2 * n_samples - 2 : -2]
    room = bytearray(b"\x5a" * (2 * n_samples + 32))
    assert alaw_decode_into(alaw, room) == n_samples
    assert room == pcm + b"\x5a" * 32
    room = bytearray(b"\x5a" * (n_samples + 32))
    assert alaw_encode_into(pcm, room) == n_samples
    assert room == alaw + b"\x5a" * 32
