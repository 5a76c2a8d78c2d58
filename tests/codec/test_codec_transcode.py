"""Formats into formats: in one piece and as a stream, however it is cut."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import fir as reference
from reference import g711 as g711_reference
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode, ulaw_encode
from voice_ai.codec.resample import ResampleStream
from voice_ai.codec.transcode import Transcoder, mulaw_to_pcm_16k, pcm_16k_to_mulaw
from voice_ai.errors import UsageError

KNOWN = (ULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K)
ALL_PAIRS = pytest.mark.parametrize(("source", "target"), list(product(KNOWN, KNOWN)), ids=str)
CHANGING_PAIRS = [(a, b) for a, b in product(KNOWN, KNOWN) if a != b]
RATE_PAIRS = [(a, b) for a, b in CHANGING_PAIRS if a.rate_hz != b.rate_hz]


def audio(n_octets: int) -> bytes:
    return np.random.default_rng(9).integers(0, 256, n_octets, np.uint8).tobytes()


# In one piece.


def test_nothing_gives_nothing():
    assert mulaw_to_pcm_16k(b"") == b""
    assert pcm_16k_to_mulaw(b"") == b""


def test_half_a_sample_is_refused():
    with pytest.raises(UsageError, match="641 octets"):
        pcm_16k_to_mulaw(bytes(641))


@pytest.mark.parametrize("n_octets", [1, 2, 13, 160, 5000])
def test_a_recording_up_stands_where_it_stood(n_octets):
    ulaw = audio(n_octets)
    pcm = np.array([g711_reference.ulaw_decode(octet) for octet in ulaw])
    exact = reference.resample(pcm, reference.prototype(8000, 16000), last=True)[27:]
    made = np.frombuffer(mulaw_to_pcm_16k(ulaw), "<i2")
    assert (made == exact).all()
    assert (made[::2] == pcm).all()


@pytest.mark.parametrize(
    ("n_samples", "n_octets"), [(1, 1), (2, 1), (3, 2), (320, 160), (641, 321)]
)
def test_a_recording_down_keeps_an_odd_sample(n_samples, n_octets):
    pcm = np.frombuffer(audio(2 * n_samples), "<i2")
    exact = reference.resample(pcm, reference.prototype(16000, 8000), last=True)[13:]
    assert len(exact) == n_octets
    assert pcm_16k_to_mulaw(pcm) == bytes(map(g711_reference.ulaw_encode, exact.tolist()))


def test_speech_survives_up_and_down_within_two_steps_of_g711():
    time_s = np.arange(1600) / 8000
    tone = np.round(8000 * np.sin(2 * np.pi * 1000 * time_s)).astype("<i2")
    again = ulaw_decode(pcm_16k_to_mulaw(mulaw_to_pcm_16k(ulaw_encode(tone))))
    difference = np.frombuffer(again, "<i2")[50:-50] - tone[50:-50].astype(int)
    assert np.abs(difference).max() <= 512  # a step is 256 at this level


# As a stream.


@pytest.mark.parametrize(
    ("source", "target"),
    [(AudioFormat("mulaw", 16000), ULAW_8K), (PCM16_8K, AudioFormat("linear16", 48000))],
    ids=str,
)
def test_an_unknown_pair_is_refused_by_both_names(source, target):
    with pytest.raises(UsageError, match=f"{source} into {target}"):
        Transcoder(source, target)


@ALL_PAIRS
def test_an_empty_chunk_is_empty(source, target):
    assert Transcoder(source, target).convert(b"") == b""


@pytest.mark.parametrize("same", KNOWN, ids=str)
def test_equal_formats_pass_through_untouched(same):
    chunk = audio(7)
    assert Transcoder(same, same).convert(chunk) is chunk


@pytest.mark.parametrize(("source", "target"), [(PCM16_8K, ULAW_8K), (PCM16_16K, ULAW_8K)], ids=str)
def test_an_end_within_a_sample_is_refused(source, target):
    with pytest.raises(UsageError, match="3 octets are left at the end"):
        Transcoder(source, target).convert(b"abc", last=True)


def expected(source: AudioFormat, target: AudioFormat, data: bytes) -> bytes:
    """The whole of it by the parts that have tests of their own."""
    pcm = ulaw_decode(data) if source == ULAW_8K else data[: len(data) & ~1]
    pcm = ResampleStream(source.rate_hz, target.rate_hz).resample_chunk(pcm)
    return ulaw_encode(pcm) if target == ULAW_8K else pcm


@pytest.mark.parametrize(("source", "target"), CHANGING_PAIRS, ids=str)
@given(n_octets=st.integers(0, 900), ends=st.lists(st.integers(0, 900), max_size=6))
def test_any_chunking_even_within_samples_gives_the_same(source, target, n_octets, ends):
    data, transcoder = audio(n_octets), Transcoder(source, target)
    edges = [0, *sorted(min(end, n_octets) for end in ends), n_octets]
    made = b"".join(
        transcoder.convert(data[low:high]) for low, high in zip(edges, edges[1:], strict=False)
    )
    assert made == expected(source, target, data)


@pytest.mark.parametrize(("source", "target"), RATE_PAIRS, ids=str)
def test_the_last_chunk_brings_out_the_rest_and_ends_the_stream(source, target):
    transcoder, data = Transcoder(source, target), audio(642)
    whole = transcoder.convert(data, last=True)
    stream = ResampleStream(source.rate_hz, target.rate_hz)
    n_octets_each = {"mulaw": 1, "linear16": 2}
    n_late = int(stream.delay()) * n_octets_each[target.encoding]
    assert whole[:-n_late].startswith(expected(source, target, data)[:-1])
    n_samples = len(data) // n_octets_each[source.encoding]
    n_made = -(-n_samples * target.rate_hz // source.rate_hz)
    assert len(whole) - n_late == n_made * n_octets_each[target.encoding]
    with pytest.raises(UsageError, match="last chunk"):
        transcoder.convert(audio(2))
    transcoder.clear()
    assert transcoder.convert(data, last=True) == whole


@pytest.mark.parametrize("last", [False, True])
def test_an_end_at_equal_rates_adds_nothing(last):
    assert Transcoder(ULAW_8K, PCM16_8K).convert(audio(20), last) == ulaw_decode(audio(20))


def test_clear_forgets_half_a_sample():
    transcoder = Transcoder(PCM16_8K, ULAW_8K)
    assert transcoder.convert(b"\x55") == b""
    transcoder.clear()
    assert transcoder.convert(b"\0\0") == b"\xff"
