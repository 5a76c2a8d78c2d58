"""The way through python-soxr: the same words and samples as the C functions."""

import platform

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.codec import libsoxr
from voice_ai.codec._soxr import Library, Soxr
from voice_ai.codec.pysoxr import PySoxr
from voice_ai.codec.soxr_design import SoxrDesign
from voice_ai.errors import UsageError

RATES = [(8000, 16000), (16000, 8000), (44100, 8000.5), (8000, 8000)]
QUALITIES = ["QQ", "LQ", "MQ", "HQ", "VHQ"]


def samples(n_samples: int, dtype: str) -> np.ndarray:
    noise = np.random.default_rng(4).normal(0, 0.4, n_samples)
    if dtype == "float32":
        return noise.astype("<f4")
    return (32768 * noise).clip(-32768, 32767).astype("<i2")


def test_the_end_of_nothing_is_nothing():
    stream = PySoxr(SoxrDesign(8000, 16000))
    assert stream.process(b"") == stream.process(b"", last=True) == b""
    assert stream.delay() == 0


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"phase": "minimum"}, "phase"),
        ({"passband": 0.85, "stopband": 1.1}, "passband, stopband"),
        ({"log2_min_dft_size": 8}, "log2_min_dft_size"),
        ({"log2_large_dft_size": 8}, "log2_large_dft_size"),
    ],
)
def test_what_python_soxr_has_not_is_refused_by_name(wanted, names):
    with pytest.raises(UsageError, match=f"python-soxr has no {names}: "):
        PySoxr(SoxrDesign(8000, 16000, **wanted))


@pytest.mark.parametrize(
    ("dtype", "src", "message"),
    [
        ("int16", bytes(3), "3 octets.*2-octet"),
        ("float32", bytes(7), "7 octets.*4-octet"),
        ("int16", np.zeros(2, "f4"), "format 'f'; 'h'"),
        ("int16", np.zeros(2, ">i2"), "format '>h'"),
        ("int16", np.zeros((2, 2), "i2"), "2 dimensions"),
        ("float32", np.array([0, 1, np.nan], "f4"), "nan at sample 2 of 3"),
        ("float32", np.array([np.inf], "f4"), "inf at sample 0 of 1"),
    ],
)
def test_bad_input_is_refused_and_not_taken(dtype, src, message):
    stream = PySoxr(SoxrDesign(8000, 16000, dtype=dtype))
    with pytest.raises(UsageError, match=message):
        stream.process(src)
    with pytest.raises(UsageError, match=message):
        stream.into(src, bytearray(99999))
    assert stream.process(b"", last=True) == b""


def test_scattered_and_read_only_buffers_are_refused():
    stream = PySoxr(SoxrDesign(8000, 16000))
    with pytest.raises(BufferError, match="not contiguous"):
        stream.process(np.zeros(8, "i2")[::2])
    with pytest.raises(BufferError, match="read-only"):
        stream.into(bytes(8), bytes(99))


def test_dst_must_have_room_and_be_apart():
    stream, buffer = PySoxr(SoxrDesign(8000, 16000)), bytearray(100)
    with pytest.raises(UsageError, match="dst holds 39 octets, 40 are needed"):
        stream.into(bytes(20), memoryview(buffer)[:39])
    with pytest.raises(UsageError, match="src of 20 octets and dst of 80 overlap"):
        stream.into(memoryview(buffer)[10:30], memoryview(buffer)[20:])
    with pytest.raises(UsageError, match="-1 samples"):
        stream.room(-1)
    assert stream.process(b"", last=True) == b""


def test_input_after_the_end_is_refused_until_it_is_cleared():
    stream, x = PySoxr(SoxrDesign(8000, 16000)), samples(500, "int16")
    whole = stream.process(x, last=True)
    with pytest.raises(UsageError, match="last chunk"):
        stream.process(b"")
    with pytest.raises(UsageError, match="last chunk"):
        stream.into(b"", bytearray(9))
    with pytest.raises(UsageError, match="last chunk"):
        stream.room(0)
    stream.clear()
    assert stream.process(x, last=True) == whole


# libsoxr rounds to int16 in the way of the machine it was built for.
EXACT = platform.machine() in ("x86_64", "AMD64")


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("quality", QUALITIES)
def test_it_gives_the_c_functions_samples(quality, rates, dtype):
    design = SoxrDesign(*rates, dtype=dtype, quality=quality)
    x, library = samples(3000, dtype), Library(next(libsoxr.candidates())[1])
    ours, theirs = PySoxr(design), Soxr(library, design)
    for low in range(0, 3000, 700):
        chunk, last = x[low : low + 700], low == 2800
        assert ours.room(len(chunk), last) == theirs.room(len(chunk), last)
        made, wanted = (np.frombuffer(s.process(chunk, last), dtype) for s in (ours, theirs))
        assert len(made) == len(wanted)
        if EXACT or dtype == "float32":
            assert (made == wanted).all()
        else:
            assert np.abs(made.astype(int) - wanted).max(initial=0) <= 1
        assert ours.delay() == theirs.delay()


def test_dither_is_python_soxrs_own():
    x = samples(3000, "int16")
    dithered = PySoxr(SoxrDesign(8000, 16000, dither=True)).process(x, last=True)
    assert (
        dithered == soxr.ResampleStream(8000, 16000, 1, "int16").resample_chunk(x, True).tobytes()
    )
    plain = np.frombuffer(PySoxr(SoxrDesign(8000, 16000)).process(x, last=True), "<i2")
    differences = np.abs(np.frombuffer(dithered, "<i2").astype(int) - plain)
    assert 0 < differences.max() <= 2


@given(ends=st.lists(st.integers(0, 4000), max_size=5), dtype=st.sampled_from(["int16", "float32"]))
def test_any_chunking_into_a_buffer_of_just_that_room_gives_the_same(ends, dtype):
    x, design = samples(4000, dtype), SoxrDesign(8000, 11025, dtype=dtype)
    stream, made = PySoxr(design), b""
    edges = [0, *sorted(ends), 4000]
    for i, (low, high) in enumerate(zip(edges, edges[1:], strict=False), start=2):
        last = i == len(edges)
        dst = bytearray(stream.room(high - low, last) * x.itemsize)
        made += dst[: stream.into(x[low:high], dst, last) * x.itemsize]
    assert made == PySoxr(design).process(x, last=True)
