"""ResampleStream: soxr's words, constant counts, and an end that loses nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import halfband as reference
from voice_ai.codec.resample import ResampleStream
from voice_ai.errors import UsageError

RATES = pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000), (8000, 8000)])


def noise(n_samples: int) -> bytes:
    return np.random.default_rng(5).integers(-32768, 32768, n_samples).astype("<i2").tobytes()


# The degenerate ones.


@pytest.mark.parametrize(
    "rates", [(8000, 24000), (16000, 48000), (0, 0), (-8000, -8000), (8000, 8001)]
)
def test_other_rates_are_refused_by_both_their_names(rates):
    with pytest.raises(UsageError, match=f"{rates[0]} Hz to {rates[1]} Hz"):
        ResampleStream(*rates)


@RATES
def test_nothing_gives_nothing(rates):
    stream = ResampleStream(*rates)
    assert stream.resample_chunk(b"") == b""
    assert stream.resample_into(b"", bytearray()) == 0


@RATES
def test_an_end_before_any_input_gives_only_the_delay(rates):
    stream = ResampleStream(*rates)
    assert stream.resample_chunk(b"", last=True) == bytes(2 * stream.delay())


@RATES
def test_input_after_the_last_is_refused_until_cleared(rates):
    stream = ResampleStream(*rates)
    stream.resample_chunk(noise(7), last=True)
    for late in (b"", b"\0\0"):
        with pytest.raises(UsageError, match="has had its last chunk"):
            stream.resample_chunk(late)
        with pytest.raises(UsageError, match="has had its last chunk"):
            stream.resample_into(late, bytearray(8))
    stream.clear()
    assert stream.resample_chunk(noise(100)) == ResampleStream(*rates).resample_chunk(noise(100))


@RATES
def test_half_a_sample_is_refused_and_does_not_end_the_stream(rates):
    stream = ResampleStream(*rates)
    with pytest.raises(UsageError, match="3 octets"):
        stream.resample_chunk(b"abc", last=True)
    assert stream.resample_chunk(b"") == b""


@pytest.mark.parametrize(
    ("rates", "n_octets"), [((8000, 16000), 640), ((16000, 8000), 160), ((8000, 8000), 320)]
)
def test_a_short_dst_names_both_numbers(rates, n_octets):
    with pytest.raises(UsageError, match=f"dst holds 100 octets, {n_octets} are needed"):
        ResampleStream(*rates).resample_into(bytes(320), bytearray(100))


# What it does.


@pytest.mark.parametrize(
    ("rates", "delay"), [((8000, 16000), 27), ((16000, 8000), 13), ((48000, 48000), 0)]
)
def test_the_delay_is_in_output_samples_and_constant(rates, delay):
    stream = ResampleStream(*rates)
    assert stream.delay() == delay
    stream.resample_chunk(noise(33))
    assert stream.delay() == delay


def test_20_ms_make_20_ms_from_the_first_frame_on():
    stream = ResampleStream(8000, 16000)
    assert [len(stream.resample_chunk(noise(160))) // 2 for _ in range(5)] == [320] * 5


def test_equal_rates_copy():
    stream, dst = ResampleStream(8000, 8000), bytearray(30)
    assert stream.resample_chunk(np.frombuffer(noise(9), "<i2")) == noise(9)
    assert stream.resample_into(noise(9), dst) == 9
    assert dst == noise(9) + bytes(12)


def aligned(in_rate: int, out_rate: int, x: bytes) -> bytes:
    """What the definition gives for a whole signal with silence around it, without delay."""
    silent = np.concatenate([np.frombuffer(x, "<i2"), np.zeros(80, "<i2")])
    n_samples = -(-len(x) // 2 * out_rate // in_rate)
    if out_rate > in_rate:
        return reference.upsample(silent)[27 : 27 + n_samples].tobytes()
    return reference.downsample(silent)[13 : 13 + n_samples].tobytes()


@pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000)])
@given(n_samples=st.integers(0, 1300), ends=st.lists(st.integers(0, 1300), max_size=6))
def test_any_chunking_gives_all_of_it_where_the_input_stood(rates, n_samples, ends):
    x, stream = noise(n_samples), ResampleStream(*rates)
    edges = [0, *sorted(min(end, n_samples) for end in ends)]
    made = b"".join(
        stream.resample_chunk(x[2 * low : 2 * high])
        for low, high in zip(edges, edges[1:], strict=False)
    )
    made += stream.resample_chunk(x[2 * edges[-1] :], last=True)
    assert made[2 * stream.delay() :] == aligned(*rates, x)


@pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000)])
def test_into_and_chunk_go_on_from_one_another(rates):
    x, one, other = noise(300), ResampleStream(*rates), ResampleStream(*rates)
    dst = bytearray(600)
    n_samples = one.resample_into(x[:202], dst)
    assert dst[: 2 * n_samples] + one.resample_chunk(x[202:]) == other.resample_chunk(x)
