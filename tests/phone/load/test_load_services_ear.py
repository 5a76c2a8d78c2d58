"""The services' ear: whose frames came, and which did not."""

import struct
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_encode
from voice_ai.codec.resample import ResampleStream
from voice_ai.phone.load.levels import HEADER_FRAMES, sample, segment
from voice_ai.phone.load.services.ear import MAX_BEHIND, Ear, Heard

CALL = 1234
FORMATS = [PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K]


def frames(n: int, audio: AudioFormat = PCM16_16K, call: int = CALL) -> list[bytes]:
    """The first frames that a caller sends."""
    n_samples = audio.rate_hz // 50
    linear = [struct.pack("<h", sample(one)) * n_samples for one in islice(segment(call, 0), n)]
    return linear if audio.encoding == "linear16" else [ulaw_encode(one) for one in linear]


def heard(audio: bytes, fmt: AudioFormat = PCM16_16K, step: int = 0) -> tuple[Ear, Heard]:
    counts = Heard()
    ear = Ear(fmt, counts)
    step = step or 80 * fmt.n_octets_per_ms
    for start in range(0, len(audio), step):
        piece = audio[start : start + step]
        ear.hear(memoryview(piece), len(piece))
    return ear, counts


def test_nothing_is_heard_of_nothing():
    ear, counts = heard(b"")
    assert (ear.call, ear.frame, counts) == (None, -1, Heard())


def test_silence_is_nobody():
    ear, counts = heard(bytes(640 * 100))
    assert (ear.call, ear.frame, counts) == (None, -1, Heard(100, 0, 0, 100))


def test_a_header_that_breaks_off_is_nobody():
    ear, counts = heard(b"".join(frames(4)) + bytes(640 * 10))
    assert (ear.call, counts.n_unknown) == (None, 14)


def test_a_body_without_its_header_is_nobody():
    ear, counts = heard(b"".join(frames(100)[HEADER_FRAMES:]))
    assert (ear.call, counts.n_unknown) == (None, 100 - HEADER_FRAMES)


def test_a_header_may_come_after_silence():
    ear, counts = heard(bytes(640 * 3) + b"".join(frames(50)))
    assert (ear.call, ear.frame, counts) == (CALL, 49, Heard(53, 0, 0, 3))


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_a_call_is_heard_in_every_format(fmt):
    ear, counts = heard(b"".join(frames(500, fmt)), fmt)
    assert (ear.call, ear.frame, counts) == (CALL, 499, Heard(500, 0, 0, 0))


@pytest.mark.parametrize("call", [0, 1, 255, 4096, 65_535])
def test_any_call_can_be_told(call):
    assert heard(b"".join(frames(10, call=call)))[0].call == call


@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_frames_that_are_missing_are_lost(n):
    sent = frames(300)
    del sent[100 : 100 + n]
    ear, counts = heard(b"".join(sent))
    assert (ear.frame, counts) == (299, Heard(300 - n, n, 0, 0))


def test_a_silent_frame_is_a_lost_one():
    sent = frames(300)
    sent[150] = bytes(640)
    assert heard(b"".join(sent))[1] == Heard(300, 1, 0, 0)


def test_frames_that_changed_places_are_out_of_order_and_not_lost():
    sent = frames(300)
    sent[100], sent[101] = sent[101], sent[100]
    assert heard(b"".join(sent))[1] == Heard(300, 0, 1, 0)


def test_a_late_frame_that_comes_twice_is_found_once():
    sent = frames(300)
    sent[100:103] = [sent[102], sent[100], sent[100]]  # and 101 is missing
    assert heard(b"".join(sent))[1] == Heard(300, 1, 2, 0)


@pytest.mark.parametrize("behind", range(1, MAX_BEHIND + 1))
def test_a_frame_that_comes_again_is_out_of_order(behind):
    sent = frames(300)
    sent.insert(200, sent[200 - behind])
    ear, counts = heard(b"".join(sent))
    assert (ear.frame, counts) == (299, Heard(301, 0, 1, 0))


def test_only_whole_frames_are_counted_as_heard_last():
    ear, _ = heard(b"".join(frames(50)) + frames(51)[50][:500])
    assert ear.frame == 49


def test_it_hears_through_our_resampler():
    linear = b"".join(frames(500, PCM16_8K))
    wide = ResampleStream(8000, 16000).resample_chunk(linear)
    assert heard(wide)[1] == Heard(500, 0, 0, 0)


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40), st.sampled_from(FORMATS))
def test_how_audio_is_cut_changes_nothing(cuts, fmt):
    sent = frames(60, fmt)
    del sent[30]
    audio = b"".join(sent)
    counts = Heard()
    ear, at = Ear(fmt, counts), 0
    for cut in cuts:
        n_octets = cut * (2 if fmt.encoding == "linear16" else 1)
        piece = audio[at : at + n_octets]
        ear.hear(piece, len(piece))
        at += len(piece)
    ear.hear(audio[at:], len(audio) - at)
    assert (ear.call, ear.frame, counts) == (CALL, 59, Heard(59, 1, 0, 0))
