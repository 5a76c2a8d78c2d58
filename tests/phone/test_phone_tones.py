"""Words as tones: silence and noise first, then text through what a telephone does to it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_ai.codec import (
    ResampleStream,
    mulaw_to_pcm_16k,
    pcm_16k_to_mulaw,
    ulaw_decode,
    ulaw_encode,
)
from voice_ai.errors import UsageError
from voice_ai.phone.tones import MAX_OCTETS, decode, encode

SILENCE = b"\x00\x00"
HELLO = "Hello, when do you open?"


@pytest.mark.parametrize("pcm16", [b"", b"\x00", SILENCE, SILENCE * 100, SILENCE * 50_000])
@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_silence_says_nothing(pcm16, rate_hz):
    assert decode(pcm16, rate_hz) is None


def test_noise_says_nothing():
    noise = np.random.default_rng(1).normal(0, 8000, 80_000).clip(-32768, 32767).astype("<i2")
    assert decode(noise.tobytes(), 8000) is None


def test_another_rate_is_refused():
    with pytest.raises(UsageError, match="tones at 44100 Hz; needed 8000 or 16000"):
        decode(b"", 44100)


def test_too_long_a_text_is_refused():
    assert decode(encode("x" * MAX_OCTETS), 8000) == "x" * MAX_OCTETS
    with pytest.raises(UsageError, match="1001 octets of text; 1000"):
        encode("x" * (MAX_OCTETS + 1))


def test_an_empty_text_is_a_text():
    assert decode(encode(""), 8000) == ""


def test_a_text_that_has_not_ended_is_none_yet():
    pcm16 = encode(HELLO)
    for n in range(0, len(pcm16) - 320, 320):
        assert decode(pcm16[:n], 8000) is None


def test_a_wrong_symbol_fails_the_checksum():
    pcm16 = bytearray(encode(HELLO))
    pcm16[20 * 320 : 21 * 320] = pcm16[:320]
    assert decode(bytes(pcm16), 8000) is None


def test_the_first_of_two_texts_is_heard():
    assert decode(encode("one") + SILENCE * 800 + encode("two"), 8000) == "one"


def test_a_text_that_broke_off_does_not_hide_the_next():
    assert decode(encode("first")[:3000] + SILENCE * 800 + encode("second"), 8000) == "second"


def test_it_takes_about_as_long_as_saying_it():
    seconds = len(encode(HELLO)) / 16000
    assert 0.8 < seconds < 2.0


def test_it_is_as_loud_as_a_voice_and_ends_with_sound():
    samples = np.frombuffer(encode(HELLO), "<i2")
    assert 9_000 < np.abs(samples).max() <= 10_000
    assert np.abs(samples[-160:]).max() > 5_000


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(0, 700), st.integers(0, 700))
def test_words_survive_mulaw_the_filter_and_any_delay(text, before, after):
    sent = ulaw_encode(SILENCE * before + encode(text) + SILENCE * after)
    assert decode(ulaw_decode(sent), 8000) == text
    assert decode(mulaw_to_pcm_16k(sent), 16000) == text
    assert decode(ulaw_decode(pcm_16k_to_mulaw(mulaw_to_pcm_16k(sent))), 8000) == text


@settings(max_examples=20, deadline=None)
@given(texts, st.integers(1, 1000))
def test_words_survive_a_stream_in_pieces(text, n):
    pcm16 = encode(text) + SILENCE * 100
    up = ResampleStream(8000, 16000)
    heard = b"".join(
        up.resample_chunk(pcm16[at : at + 2 * n]) for at in range(0, len(pcm16), 2 * n)
    )
    assert decode(heard, 16000) == text


@settings(max_examples=20, deadline=None)
@given(texts, st.integers(0, 2**32 - 1))
def test_words_survive_a_noisy_line(text, seed):
    pcm16 = np.frombuffer(encode(text), "<i2")
    noise = np.random.default_rng(seed).normal(0, 300, len(pcm16))
    assert decode((pcm16 + noise).astype("<i2").tobytes(), 8000) == text
