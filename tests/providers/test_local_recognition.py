import numpy as np
import pytest

from voice_ai.providers.local.recognition import (
    LEAD_SAMPLES,
    MAX_GAIN,
    MAX_PIECE_S,
    PEAK,
    RATE_HZ,
    TRAIL_SAMPLES,
    framed,
    louder,
    pieces,
    repeats,
    spoken,
)

LONGEST = int(MAX_PIECE_S * RATE_HZ)


@pytest.mark.parametrize(
    "nothing", ["", " ", "...", "[BLANK_AUDIO]", "(upbeat music)", "*sighs*", "♪♪", "ahhhhhhhh"]
)
def test_asides_are_no_words(nothing):
    assert spoken(nothing) == ""


def test_words_stay_without_their_asides():
    assert spoken(" Hello, [coughs]  is it (static) 9? ") == "Hello, is it 9?"


@pytest.mark.parametrize("text", ["", "go", "go go", "five five", "no, no. Yes, yes", "a b c d"])
def test_people_do_repeat_a_word(text):
    assert not repeats(text)


@pytest.mark.parametrize(
    "text", ["go go go", "I go, I go", "one of the one of the", "a b c d a b c d"]
)
def test_models_repeat_themselves_in_loops(text):
    assert repeats(text)


def test_silence_is_not_made_louder_than_the_greatest_gain():
    assert not louder(np.zeros(100, np.float32)).any()
    quiet = np.full(100, 0.001, np.float32)
    assert np.allclose(louder(quiet), 0.001 * MAX_GAIN)


def test_speech_is_raised_to_the_peak_and_never_lowered():
    assert np.isclose(np.abs(louder(np.array([0.3, -0.45], np.float32))).max(), PEAK)
    loud = np.array([1.0, -1.0], np.float32)
    assert np.array_equal(louder(loud), loud)


def test_a_frame_of_nothing_or_of_one_sample():
    assert not framed(np.zeros(100, np.float32)).any()
    assert framed(np.ones(1, np.float32)).tolist() == [0.0] * LEAD_SAMPLES + [1.0] + [0.0] * (
        TRAIL_SAMPLES - 1
    )


@pytest.mark.parametrize("n_before", [0, 1, 700, 5000])
@pytest.mark.parametrize("n_after", [0, 3, 5000])
def test_a_frame_does_not_depend_on_where_speech_lies(n_before, n_after):
    rng = np.random.default_rng(1)
    speech = rng.standard_normal(3000).astype(np.float32)
    audio = np.pad(speech, (n_before, n_after))
    assert np.array_equal(framed(audio), framed(speech))


@pytest.mark.parametrize("n_samples", [0, 1, LONGEST])
def test_what_fits_is_one_piece(n_samples):
    audio = np.ones(n_samples, np.float32)
    assert [len(piece) for piece in pieces(audio)] == [n_samples]


def test_what_is_too_long_is_cut_in_its_pauses():
    rng = np.random.default_rng(1)
    audio = rng.standard_normal(60 * RATE_HZ).astype(np.float32)
    for pause_s in (20.0, 40.5):
        at = int(pause_s * RATE_HZ)
        audio[at : at + RATE_HZ // 4] = 0
    cut = pieces(audio)
    assert np.array_equal(np.concatenate(cut), audio)
    starts = np.cumsum([len(piece) for piece in cut])[:-1] / RATE_HZ
    assert [20.0 <= starts[0] <= 20.25, 40.5 <= starts[1] <= 40.75] == [True, True]
    assert max(map(len, cut)) <= LONGEST
