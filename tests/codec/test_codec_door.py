"""What a compiled function takes as audio, whatever it does with it: the door's rules."""

import array
import re
import struct
import sys

import numpy as np
import pytest

from voice_ai.codec.g711 import ulaw_decode, ulaw_decode_into, ulaw_encode, ulaw_encode_into
from voice_ai.codec.resample import ResampleStream
from voice_ai.errors import UsageError

SAMPLES = (0, 1000, -1000, 32767)
PCM16 = struct.pack("<4h", *SAMPLES)
ULAW = ulaw_encode(PCM16)


@pytest.mark.parametrize(
    "src",
    [
        PCM16,
        bytearray(PCM16),
        memoryview(PCM16),
        memoryview(PCM16).cast("h"),
        array.array("h", SAMPLES),
        np.array(SAMPLES, "<i2"),
        np.frombuffer(PCM16, np.uint8),
        np.frombuffer(PCM16, np.int8),
        memoryview(PCM16).cast("c"),
    ],
)
def test_pcm16_is_taken_as_samples_or_as_octets(src):
    assert ulaw_encode(src) == ULAW
    dst = bytearray(4)
    assert ulaw_encode_into(src, dst) == 4
    assert dst == ULAW


@pytest.mark.parametrize(
    ("dtype", "format"),
    [("<u2", "H"), (">i2", ">h"), ("<i4", "i"), ("<f4", "f"), ("<f8", "d"), ("?", "?")],
)
def test_items_of_another_kind_are_refused_and_nothing_is_written(dtype, format):
    wrong = np.zeros(4, dtype)
    said = re.escape(f"holds items of {wrong.itemsize} octets, format {format!r}; pcm16 (2 octets")
    for work in (ulaw_encode, lambda x: ulaw_encode_into(x, bytearray(99))):
        with pytest.raises(UsageError, match=f"src {said}"):
            work(wrong)
    with pytest.raises(UsageError, match=f"dst {said}"):
        ulaw_decode_into(b"\x80\x80", wrong)
    assert not wrong.any()


@pytest.mark.parametrize("wrong", [np.zeros(4, "<i2"), array.array("f", [0.0])])
def test_codes_are_octets(wrong):
    with pytest.raises(UsageError, match="octets"):
        ulaw_decode(wrong)
    with pytest.raises(UsageError, match="dst holds items"):
        ulaw_encode_into(bytes(4), wrong)


def test_a_record_and_a_pair_are_no_samples():
    for dtype in ([("left", "<i2"), ("right", "<i2")], "<c8"):
        with pytest.raises(UsageError, match="src holds items of"):
            ulaw_encode(np.zeros(4, dtype))


def test_two_dimensions_are_refused_by_their_number():
    with pytest.raises(UsageError, match="src has 2 dimensions, 1 is needed"):
        ulaw_encode(np.zeros((4, 2), "<i2"))
    with pytest.raises(UsageError, match="dst has 2 dimensions"):
        ulaw_decode_into(bytes(4), np.zeros((2, 2), "<i2"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_by_its_place(bad):
    x = np.zeros(10, "<f4")
    x[7] = bad
    stream, dst = ResampleStream(8000, 16000, dtype="float32"), np.full(20, 5, "<f4")
    with pytest.raises(UsageError, match=f"src holds {bad} at sample 7 of 10; finite"):
        stream.resample_into(x, dst)
    assert (dst == 5).all()
    assert not stream.resample_chunk(np.zeros(4, "<f4")).any()


def test_a_refused_buffer_is_let_go():
    src, dst = bytearray(5), bytearray(4)
    n_references = sys.getrefcount(src), sys.getrefcount(dst)
    for _ in range(10):
        with pytest.raises(UsageError):
            ulaw_encode_into(src, dst)
        with pytest.raises(UsageError):
            ulaw_encode_into(dst, np.zeros(4, "<i2"))
        with pytest.raises(BufferError):
            ulaw_encode_into(dst, b"")
    assert (sys.getrefcount(src), sys.getrefcount(dst)) == n_references
    src.append(0)
    dst.append(0)
