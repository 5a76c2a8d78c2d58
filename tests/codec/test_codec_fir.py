"""The half-band filter: exact to its definition, and as good as its docstring says."""

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import halfband as reference
from voice_ai.codec._fir import Downsample2, Upsample2
from voice_ai.errors import UsageError

BOTH = pytest.mark.parametrize("kind", [Upsample2, Downsample2])
PAIRS = pytest.mark.parametrize(
    ("kind", "oracle"), [(Upsample2, reference.upsample), (Downsample2, reference.downsample)]
)
FULL_SCALE = 32767
LOWEST = -32768


def cut(data: bytes, ends: list[int]) -> list[bytes]:
    """Cut between samples, at the given samples."""
    edges = [0, *sorted(2 * end for end in ends if 2 * end <= len(data)), len(data)]
    return [data[low:high] for low, high in zip(edges, edges[1:], strict=False)]


def noise(n_samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(LOWEST, FULL_SCALE + 1, n_samples).astype("<i2")


# The degenerate ones.


@BOTH
def test_nothing_gives_nothing(kind):
    assert kind().process(b"") == b""
    assert kind().into(b"", bytearray()) == 0


@BOTH
def test_draining_before_any_input_gives_the_delay_in_silence(kind):
    stream = kind()
    assert stream.drain() == bytes(2 * stream.delay)


@BOTH
def test_half_a_sample_is_refused_and_nothing_is_taken(kind):
    stream = kind()
    with pytest.raises(UsageError, match="src holds 5 octets"):
        stream.process(b"\x7f" * 5)
    with pytest.raises(UsageError, match="src holds 5 octets"):
        stream.into(b"\x7f" * 5, bytearray(100))
    assert not any(stream.drain())


@pytest.mark.parametrize(("kind", "n_needed"), [(Upsample2, 640), (Downsample2, 160)])
def test_a_short_dst_names_both_numbers_and_nothing_is_taken(kind, n_needed):
    stream, dst = kind(), bytearray(n_needed - 1)
    with pytest.raises(UsageError, match=f"dst holds {n_needed - 1} octets, {n_needed} are needed"):
        stream.into(b"\x7f" * 320, dst)
    assert not any(dst)
    assert not any(stream.drain())


@BOTH
def test_overlap_and_foreign_objects_are_refused(kind):
    memory = memoryview(bytearray(100))
    with pytest.raises(UsageError, match="overlap"):
        kind().into(memory[:20], memory[10:])
    with pytest.raises(TypeError):
        kind().process("text")
    with pytest.raises(BufferError):
        kind().into(bytes(20), bytes(100))


def test_a_carried_sample_counts_towards_the_room():
    down = Downsample2()
    assert down.into(bytes(2), bytearray()) == 0
    assert down.carries == 1
    with pytest.raises(UsageError, match="dst holds 0 octets, 2 are needed"):
        down.into(bytes(2), bytearray())
    assert down.carries == 1
    assert down.into(bytes(2), bytearray(2)) == 1
    assert down.carries == 0


@BOTH
def test_clear_begins_anew(kind):
    stream = kind()
    stream.process(noise(101).tobytes())
    stream.clear()
    assert stream.process(noise(100, 2).tobytes()) == kind().process(noise(100, 2).tobytes())


# Exact.


def test_a_frame_makes_a_constant_number():
    up, down, frame = Upsample2(), Downsample2(), noise(160).tobytes()
    assert [len(up.process(frame)) for _ in range(20)] == [640] * 20
    assert [len(down.process(frame + frame)) for _ in range(20)] == [320] * 20


def test_every_second_sample_up_is_an_input_sample():
    x = noise(1000)
    y = np.frombuffer(Upsample2().process(x.tobytes()), "<i2")
    assert (y[27::2] == x[: len(y[27::2])]).all()


@PAIRS
@pytest.mark.parametrize("n_samples", [1, 2, 27, 28, 31, 511, 512, 513, 1023, 1024, 1025, 3001])
def test_noise_is_exact_at_all_lengths_around_a_block(kind, oracle, n_samples):
    x = noise(n_samples)
    assert kind().process(x.tobytes()) == oracle(x).tobytes()


@PAIRS
def test_the_worst_that_int16_can_do_saturates_exactly(kind, oracle):
    signs = np.sign(reference.TAPS)
    patterns = [
        np.where(signs[::step] * sign > 0, FULL_SCALE, LOWEST)
        for sign in (1, -1)
        for step in (1, 2)
    ]
    random = np.random.default_rng(3).choice([LOWEST, FULL_SCALE], 400 * 160)
    x = np.concatenate([*patterns, [0], *patterns, random]).astype("<i2")
    exact = oracle(x)
    assert exact.max() == FULL_SCALE
    assert exact.min() == LOWEST
    assert kind().process(x.tobytes()) == exact.tobytes()


@PAIRS
@pytest.mark.parametrize("level", [LOWEST, -1, 1, FULL_SCALE])
def test_a_constant_stays_constant(kind, oracle, level):
    x = np.full(200, level, "<i2")
    assert set(np.frombuffer(kind().process(x.tobytes()), "<i2")[60:]) == {level}


@PAIRS
def test_a_long_piece_without_the_gil_is_the_same(kind, oracle):
    x = noise(70_000)
    assert kind().process(x.tobytes()) == oracle(x).tobytes()


@PAIRS
def test_draining_brings_out_what_silence_would(kind, oracle):
    for n_samples in (1, 2, 99, 100):
        x, stream = noise(n_samples), kind()
        whole = stream.process(x.tobytes())
        n_extra = stream.delay + getattr(stream, "carries", 0)
        tail = stream.drain()
        assert len(tail) == 2 * n_extra
        silent = np.concatenate([x, np.zeros(60, "<i2")])
        assert oracle(silent).tobytes().startswith(whole + tail)


@PAIRS
@given(data=st.binary(max_size=3000), ends=st.lists(st.integers(0, 1500), max_size=8))
def test_any_chunking_gives_the_same_bits(kind, oracle, data, ends):
    data = data[: len(data) & ~1]
    by_new, by_into, made = kind(), kind(), b""
    for piece in cut(data, ends):
        dst = bytearray(2 * len(piece) + 2)
        n_samples = by_into.into(piece, dst)
        new = by_new.process(piece)
        assert dst[: 2 * n_samples] == new
        made += new
    assert made == oracle(np.frombuffer(data, "<i2")).tobytes()


@PAIRS
def test_odd_addresses_serve(kind, oracle):
    x = noise(300)
    src = memoryview(b"\0" + x.tobytes())[1:]
    dst = memoryview(bytearray(1201))[1:]
    n_samples = kind().into(src, dst)
    assert dst[: 2 * n_samples] == oracle(x).tobytes()


def test_two_threads_in_one_stream_stay_within_their_buffers():
    down, x = Downsample2(), noise(100_001).tobytes()
    rooms = [bytearray(100_004) for _ in range(4)]
    written: list[int] = []
    threads = [
        threading.Thread(target=lambda room=room: written.append(down.into(x, room)))
        for room in rooms
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(written) == 4
    assert all(50_000 <= n <= 50_001 for n in written)
    assert all(room[-2:] == b"\0\0" for room in rooms)


# As good as it says: the filter is read off the product by impulses, in Q14 without rounding.


def impulse_response_up() -> np.ndarray:
    x = np.zeros(40, "<i2")
    x[0] = 1 << 14
    return np.frombuffer(Upsample2().process(x.tobytes()), "<i2").astype(np.int64)


def impulse_response_down() -> np.ndarray:
    taps = np.zeros(80, np.int64)
    for at in (0, 1):
        x = np.zeros(80, "<i2")
        x[at] = LOWEST
        taps[1 - at :: 2][:40] -= np.frombuffer(Downsample2().process(x.tobytes()), "<i2")
    return taps


def gain_db(taps: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """The gain at 16 kHz, 1.0 being 0 dB, in steps of 2 Hz."""
    frequencies = np.arange(low_hz, high_hz + 1, 2) / 16000
    waves = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(len(taps))))
    return 20 * np.log10(np.abs(waves @ taps) / (1 << 15))


@pytest.mark.parametrize("measure", [impulse_response_up, impulse_response_down])
def test_the_filter_that_runs_is_the_filter_that_was_designed(measure):
    taps = measure()
    assert (taps[:55] == reference.TAPS).all()
    assert not taps[55:].any()


@pytest.mark.parametrize("measure", [impulse_response_up, impulse_response_down])
def test_pass_band_and_rejection(measure):
    taps = measure()
    assert np.abs(gain_db(taps, 0, 3400)).max() <= 0.01
    assert gain_db(taps, 4600, 8000).max() <= -70


def test_the_delay_is_that_of_a_linear_phase():
    taps = impulse_response_up()[:55]
    assert (taps == taps[::-1]).all()
    assert taps.argmax() == 27 == Upsample2().delay
    assert Upsample2().delay / 16 <= 2
    assert Downsample2().delay / 8 <= 2


@pytest.mark.parametrize("tone_hz", [300, 1000, 3400])
def test_a_tone_has_no_image(tone_hz):
    time_s = np.arange(4000) / 8000
    tone = np.round(30000 * np.sin(2 * np.pi * tone_hz * time_s)).astype("<i2")
    y = np.frombuffer(Upsample2().process(tone.tobytes()), "<i2")[-4000:]
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(y * np.blackman(4000))) + 1)
    bins = np.fft.rfftfreq(4000, 1 / 16000)
    assert abs(bins[spectrum.argmax()] - tone_hz) <= 4
    assert spectrum[bins > 4500].max() <= spectrum.max() - 70


def test_a_tone_beyond_the_band_does_not_fold():
    time_s = np.arange(8000) / 16000
    tone = np.round(30000 * np.sin(2 * np.pi * 5000 * time_s)).astype("<i2")
    y = np.frombuffer(Downsample2().process(tone.tobytes()), "<i2")[100:]
    assert np.abs(y).max() <= 30000 * 10 ** (-70 / 20) + 1


@BOTH
def test_a_stream_is_small(kind):
    assert sys.getsizeof(kind()) <= 256
