"""ResampleStream and resample: soxr's words for both engines, and an end that loses nothing."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_ai.codec.resample import FIR_RATES_HZ, ResampleStream, resample
from voice_ai.errors import UsageError

ENGINES = pytest.mark.parametrize("engine", ["fir", "soxr"])
PAIRS = [(a, b) for a, b in product(FIR_RATES_HZ, FIR_RATES_HZ) if a != b]
RATES = pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000), (24000, 16000)])
DTYPES = pytest.mark.parametrize("dtype", ["int16", "float32"])


def noise(n_samples: int, dtype: str = "int16") -> np.ndarray:
    random = np.random.default_rng(5)
    if dtype == "float32":
        return random.uniform(-1, 1, n_samples).astype("<f4")
    return random.integers(-32768, 32768, n_samples).astype("<i2")


# The degenerate ones.


@pytest.mark.parametrize(
    ("rates", "named"),
    [
        ((0, 0), "in_rate is 0 Hz"),
        ((-8000, -8000), "in_rate is -8000 Hz; more than 0 and at most 3072000"),
        ((8000, 0), "out_rate is 0 Hz"),
        ((math.nan, 8000), "in_rate is nan Hz"),
        ((1e9, 8000), "in_rate is 1000000000.0 Hz"),
        ((10, 8000), "a ratio of 800; 1/256 to 256"),
    ],
)
def test_rates_that_cannot_be_are_refused_with_their_numbers(rates, named):
    with pytest.raises(UsageError, match=named):
        ResampleStream(*rates)


@pytest.mark.parametrize("rates", [(44100, 16000), (8000, 8001), (0, 16000)])
def test_the_fir_refuses_rates_that_it_does_not_know(rates):
    with pytest.raises(UsageError, match=f"{rates[0]} Hz to {rates[1]} Hz by the FIR; it knows"):
        ResampleStream(*rates, engine="fir")


def test_an_unknown_word_is_refused_and_the_known_are_named():
    with pytest.raises(UsageError, match="unknown engine 'sinc'; known are 'fir' and 'soxr'"):
        ResampleStream(8000, 16000, engine="sinc")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the FIR takes no quality, dither: that is for"):
        ResampleStream(8000, 16000, engine="fir", quality="HQ", dither=True)
    for engine, option in product(("fir", "soxr"), ({"dtype": "int32"}, {"phase": "sideways"})):
        with pytest.raises(UsageError, match=f"{next(iter(option.values()))}"):
            ResampleStream(8000, 16000, engine=engine, **option)  # type: ignore[arg-type]


@ENGINES
@RATES
def test_nothing_gives_nothing(engine, rates):
    stream = ResampleStream(*rates, engine=engine)
    assert stream.resample_chunk(b"") == b""
    assert stream.resample_into(b"", bytearray()) == 0
    assert resample(b"", *rates, engine=engine) == b""


@RATES
def test_an_end_before_any_input_gives_only_the_delay(rates):
    stream = ResampleStream(*rates, engine="fir")
    assert stream.resample_chunk(b"", last=True) == bytes(2 * int(stream.delay()))
    assert ResampleStream(*rates, engine="soxr").flush() == b""


@ENGINES
@RATES
def test_input_after_the_last_is_refused_until_cleared(engine, rates):
    stream = ResampleStream(*rates, engine=engine)
    stream.resample_chunk(noise(7), last=True)
    for late in (b"", b"\0\0"):
        with pytest.raises(UsageError, match="has had its last chunk"):
            stream.resample_chunk(late)
        with pytest.raises(UsageError, match="has had its last chunk"):
            stream.resample_into(late, bytearray(8))
    with pytest.raises(UsageError, match="has had its last chunk"):
        stream.flush()
    stream.clear()
    x = noise(3000).tobytes()
    again = ResampleStream(*rates, engine=engine).resample_chunk(x, last=True)
    assert stream.resample_chunk(x, last=True) == again


@ENGINES
@RATES
def test_half_a_sample_is_refused_and_does_not_end_the_stream(engine, rates):
    stream = ResampleStream(*rates, engine=engine)
    with pytest.raises(UsageError, match="3 octets"):
        stream.resample_chunk(b"abc", last=True)
    with pytest.raises(UsageError, match="3 octets"):
        stream.resample_into(b"abc", bytearray(10_000), last=True)
    assert stream.resample_chunk(b"") == b""


@pytest.mark.parametrize(
    ("rates", "n_octets"), [((8000, 16000), 640), ((16000, 8000), 160), ((48000, 16000), 106)]
)
def test_a_short_dst_names_both_numbers(rates, n_octets):
    stream, dst = ResampleStream(*rates, engine="fir"), bytearray(b"\x5a" * 100)
    with pytest.raises(UsageError, match=f"dst holds 100 octets, {n_octets} are needed"):
        stream.resample_into(noise(160), dst)
    assert dst == b"\x5a" * 100


def test_a_short_dst_loses_nothing_of_soxrs():
    x, stream = noise(4000).tobytes(), ResampleStream(8000, 16000, engine="soxr")
    with pytest.raises(UsageError, match="dst holds 100 octets, 16... are needed"):
        stream.resample_into(x, bytearray(100))
    whole = ResampleStream(8000, 16000, engine="soxr").resample_chunk(x, last=True)
    assert stream.resample_chunk(x, last=True) == whole


# Bytes and arrays.


@ENGINES
@DTYPES
def test_bytes_give_bytes_and_arrays_give_arrays_of_the_dtype(engine, dtype):
    x = noise(3000, dtype)
    one, other = (ResampleStream(8000, 16000, engine=engine, dtype=dtype) for _ in range(2))
    made, tail = one.resample_chunk(x), one.flush()
    assert isinstance(made, np.ndarray) and isinstance(tail, np.ndarray)
    assert made.dtype == tail.dtype == dtype and made.flags.writeable
    octets = other.resample_chunk(x.tobytes()), other.flush()
    assert octets == (made.tobytes(), tail.tobytes())


@ENGINES
def test_an_array_of_another_dtype_or_shape_is_refused(engine):
    stream = ResampleStream(8000, 16000, engine=engine)
    for wrong in (noise(8, "float32"), noise(8).astype(float), noise(8).reshape(4, 2)):
        with pytest.raises(UsageError, match="needed"):
            stream.resample_chunk(wrong)
    with pytest.raises((BufferError, ValueError)):
        stream.resample_chunk(noise(8)[::2])


@ENGINES
@DTYPES
@pytest.mark.parametrize("rates", PAIRS)
def test_one_shot_stands_where_the_input_stood(engine, dtype, rates):
    low_hz = min(rates)
    time_s = np.arange(low_hz // 5 * rates[0] // low_hz) / rates[0]
    tone = 0.5 * np.sin(2 * np.pi * low_hz / 20 * time_s)
    x = (tone if dtype == "float32" else np.round(tone * 32768)).astype(dtype)
    made = resample(x, *rates, engine=engine) / (1 if dtype == "float32" else 32768)
    there = 0.5 * np.sin(2 * np.pi * low_hz / 20 * np.arange(len(made)) / rates[1])
    assert len(made) == len(x) * rates[1] // rates[0]
    inner = slice(len(made) // 8, -len(made) // 8)
    assert np.abs(made - there)[inner].max() < 3e-4


def test_one_shot_takes_bytes_and_the_dtype_that_is_told():
    x = noise(100, "float32")
    assert resample(x.tobytes(), 8000, 16000, dtype="float32") == resample(x, 8000, 16000).tobytes()
    assert len(resample(noise(101).tobytes(), 16000, 8000)) == 2 * 51


# What a stream does.


@pytest.mark.parametrize("rates", [(8000, 16000), (8000, 24000), (48000, 8000), (24000, 32000)])
def test_the_firs_delay_is_a_constant_of_under_two_milliseconds(rates):
    stream = ResampleStream(*rates)
    late = stream.delay()
    assert 0 < late <= 0.002 * rates[1] and late == int(late)
    stream.resample_chunk(noise(36))
    assert stream.delay() == late
    # What has not made its samples yet waits for the rest of them.
    n_made = len(stream.resample_chunk(noise(5)))
    assert stream.delay() == pytest.approx(late + 5 * rates[1] / rates[0] - n_made)


@pytest.mark.parametrize("rates", PAIRS)
def test_20_ms_make_20_ms_by_the_fir_from_the_first_frame_on(rates):
    stream = ResampleStream(*rates)
    made = [len(stream.resample_chunk(noise(rates[0] // 50))) for _ in range(5)]
    assert made == [rates[1] // 50] * 5


@pytest.mark.parametrize(("rates", "engine"), [((48000, 48000), None), ((44100, 44100), "soxr")])
def test_equal_rates_change_nothing(rates, engine):
    x = noise(900)
    assert resample(x, *rates, engine=engine).tolist() == x.tolist()


@settings(deadline=None, max_examples=40)
@given(st.data())
@pytest.mark.parametrize("options", [{}, {"phase": "minimum"}, {"engine": "soxr"}])
@DTYPES
def test_any_chunking_gives_the_same_bit_for_bit(options, dtype, data):
    rates = data.draw(st.sampled_from(PAIRS))
    sizes = data.draw(st.lists(st.integers(1, 4000), max_size=5)) + [1, 2]
    x = noise(sum(sizes), dtype)
    whole = ResampleStream(*rates, dtype=dtype, **options).resample_chunk(x, last=True)
    stream = ResampleStream(*rates, dtype=dtype, **options)
    edges = np.cumsum([0, *sizes])
    made = [stream.resample_chunk(x[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    late = stream.delay()
    made.append(stream.flush())
    assert np.concatenate(made).tobytes() == whole.tobytes()
    assert abs(len(made[-1]) - late) <= 1


@settings(deadline=None, max_examples=25)
@given(
    in_rate=st.integers(4000, 96000),
    out_rate=st.integers(4000, 96000),
    sizes=st.lists(st.integers(0, 4000), max_size=6),
)
def test_any_rates_keep_the_duration(in_rate, out_rate, sizes):
    stream = ResampleStream(in_rate, out_rate, engine="soxr")
    made = sum(len(stream.resample_chunk(noise(size))) for size in sizes) + len(stream.flush()) // (
        1 if sizes else 2
    )
    assert abs(made - sum(sizes) * out_rate / in_rate) <= 1


@ENGINES
def test_into_and_chunk_go_on_from_one_another(engine):
    x, rates = noise(6000).tobytes(), (16000, 8000)
    one, other = ResampleStream(*rates, engine=engine), ResampleStream(*rates, engine=engine)
    dst = bytearray(20_000)
    n_samples = one.resample_into(x[:5002], dst)
    made = dst[: 2 * n_samples] + one.resample_chunk(x[5002:])
    n_samples = one.resample_into(b"", dst, last=True)
    assert made + dst[: 2 * n_samples] == other.resample_chunk(x, last=True)


def test_soxrs_delay_is_what_waits_inside():
    stream = ResampleStream(8000, 16000, engine="soxr")
    n_made = sum(len(stream.resample_chunk(noise(160))) for _ in range(7))
    assert stream.delay() == pytest.approx(7 * 320 - n_made, abs=1)
