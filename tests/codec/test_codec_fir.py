"""The FIR resampler is exact to its definition, however it is fed; its filters: _response."""

import itertools
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import fir as reference
from voice_ai.codec import _fir
from voice_ai.codec._fir import Fir
from voice_ai.errors import UsageError

PAIRS = list(itertools.permutations(reference.RATES, 2))
EQUAL = [(rate, rate) for rate in reference.RATES]
# Pairs of the same ratio share all; one of each is enough where it costs time.
RATIOS = [(1, 2), (1, 3), (2, 3), (3, 4), (1, 4), (1, 6)]
DISTINCT = [(8000 * a, 8000 * b) for low, high in RATIOS for a, b in ((low, high), (high, low))]
PHASES = ["linear", "minimum"]
CASES = [(*pair, phase) for pair in DISTINCT for phase in PHASES] + [(8000, 8000, "linear")]
FULL_SCALE, LOWEST = 32767, -32768

each_pair = pytest.mark.parametrize(("in_rate", "out_rate"), [*PAIRS, *EQUAL])
each_case = pytest.mark.parametrize(("in_rate", "out_rate", "phase"), CASES)
each_dtype = pytest.mark.parametrize("dtype", ["int16", "float32"])


@pytest.fixture(params=_fir.kernels())
def kernel(request):
    before = _fir.kernel()
    _fir.use(request.param)
    yield request.param
    _fir.use(before)


def noise(n_samples: int, seed: int = 1, dtype: str = "int16") -> np.ndarray:
    x = np.random.default_rng(seed).integers(LOWEST, FULL_SCALE + 1, n_samples)
    return x.astype("<i2") if dtype == "int16" else (x / 32768).astype("<f4")


def array(data: bytes, dtype: str = "int16") -> np.ndarray:
    return np.frombuffer(data, "<i2" if dtype == "int16" else "<f4")


def cut(data: bytes, n_octets: int, lengths: list[int]) -> list[bytes]:
    """Cut into pieces of the given numbers of samples, and the rest."""
    edges = [min(n * n_octets, len(data)) for n in itertools.accumulate([0, *lengths])]
    return [data[low:high] for low, high in itertools.pairwise([*edges, len(data)])]


# The degenerate ones.


@each_pair
@each_dtype
def test_nothing_gives_nothing(in_rate, out_rate, dtype):
    fir = Fir(in_rate, out_rate, dtype=dtype)
    assert fir.process(b"") == b""
    assert fir.into(b"", bytearray()) == 0
    assert fir.room(0) == 0


@each_case
@each_dtype
def test_an_end_before_any_input_brings_the_delay_in_silence(in_rate, out_rate, phase, dtype):
    fir = Fir(in_rate, out_rate, dtype=dtype, phase=phase)
    n_samples = int(np.ceil(fir.delay()))
    assert fir.room(0, last=True) == n_samples
    assert fir.process(b"", last=True) == bytes(n_samples * (2 if dtype == "int16" else 4))


@pytest.mark.parametrize("pair", [(0, 8000), (8000, 11025), (-8000, 16000), (8000, 10**30)])
def test_other_rates_are_refused_by_name(pair):
    known = "it knows 8000, 16000, 24000, 32000 and 48000"
    with pytest.raises(
        UsageError, match=f"cannot resample {pair[0]} Hz to {pair[1]} Hz .* {known}"
    ):
        Fir(*pair)


def test_other_dtypes_phases_and_kernels_are_refused_by_name():
    with pytest.raises(UsageError, match="dtype is 'int32'; 'int16' or 'float32' is needed"):
        Fir(8000, 16000, dtype="int32")
    with pytest.raises(UsageError, match="phase is 'zero'; 'linear' or 'minimum' is needed"):
        Fir(8000, 16000, phase="zero")
    with pytest.raises(UsageError, match="no kernel 'mmx' here; there are .*portable"):
        _fir.use("mmx")
    for absurd in (-1, 10**30):
        with pytest.raises(UsageError, match=f"n_samples is {absurd}; 0 to [0-9]+ are possible"):
            Fir(8000, 16000).room(absurd)


@each_dtype
def test_part_of_a_sample_is_refused_and_nothing_is_taken(dtype):
    fir = Fir(8000, 16000, dtype=dtype)
    with pytest.raises(UsageError, match="src holds 5 octets"):
        fir.process(b"\x3f" * 5)
    with pytest.raises(UsageError, match="src holds 5 octets"):
        fir.into(b"\x3f" * 5, bytearray(100))
    assert not any(fir.process(b"", last=True))


@pytest.mark.parametrize("last", [False, True])
@each_case
def test_a_short_dst_names_both_numbers_and_nothing_is_taken(in_rate, out_rate, phase, last):
    fir = Fir(in_rate, out_rate, phase=phase)
    n_needed = 2 * fir.room(161, last)
    dst = bytearray(n_needed - 1)
    with pytest.raises(UsageError, match=f"dst holds {n_needed - 1} octets, {n_needed} are needed"):
        fir.into(b"\x7f" * 322, dst, last)
    assert not any(dst)
    assert fir.process(bytes(200)) == Fir(in_rate, out_rate, phase=phase).process(bytes(200))


@each_dtype
def test_overlap_and_foreign_objects_are_refused(dtype):
    memory = memoryview(bytearray(100))
    with pytest.raises(UsageError, match="overlap"):
        Fir(8000, 16000, dtype=dtype).into(memory[:20], memory[8:])
    with pytest.raises(TypeError):
        Fir(8000, 16000, dtype=dtype).process("text")
    with pytest.raises(BufferError):
        Fir(8000, 16000, dtype=dtype).into(bytes(20), bytes(100))


@each_dtype
def test_items_of_the_other_dtype_are_refused(dtype):
    other = noise(8, dtype="float32" if dtype == "int16" else "int16")
    with pytest.raises(UsageError, match="src holds items of"):
        Fir(8000, 16000, dtype=dtype).process(other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@each_pair
def test_no_number_is_refused_and_nothing_is_taken(in_rate, out_rate, bad):
    fir = Fir(in_rate, out_rate, dtype="float32")
    x = np.ones(100, "<f4")
    x[70] = bad
    dst = bytearray(4 * fir.room(100))
    with pytest.raises(UsageError, match="at sample 70 of 100"):
        fir.into(x, dst)
    with pytest.raises(UsageError, match="at sample 70 of 100"):
        fir.process(x, last=True)
    assert not any(dst)
    assert not any(fir.process(b"", last=True))


@each_case
@each_dtype
def test_clear_begins_anew_and_so_does_an_end(in_rate, out_rate, phase, dtype):
    fir = Fir(in_rate, out_rate, dtype=dtype, phase=phase)
    x = noise(101, 2, dtype).tobytes()
    new = fir.process(x, last=True)
    assert fir.process(x, last=True) == new
    fir.process(x)
    fir.clear()
    assert fir.delay() == Fir(in_rate, out_rate, phase=phase).delay()
    assert fir.process(x, last=True) == new


def test_a_stream_without_its_init_is_a_copy():
    fir = Fir.__new__(Fir)
    assert fir.process(b"abcd", last=True) == b"abcd"


# Exact.


@each_pair
@each_dtype
@pytest.mark.parametrize("phase", PHASES)
def test_whole_frames_make_whole_frames(in_rate, out_rate, dtype, phase):
    fir = Fir(in_rate, out_rate, dtype=dtype, phase=phase)
    n_octets = 2 if dtype == "int16" else 4
    for ms in (10, 20, 20, 30, 10):
        frame = noise(in_rate * ms // 1000, ms, dtype)
        assert len(fir.process(frame)) == n_octets * out_rate * ms // 1000


@each_pair
def test_every_pair_of_rates_is_exact(in_rate, out_rate):
    for phase in PHASES:
        x, filter_ = noise(1501), reference.prototype(in_rate, out_rate, phase)
        fir = Fir(in_rate, out_rate, phase=phase)
        assert (array(fir.process(x, last=True)) == reference.resample(x, filter_, True)).all()


@each_case
def test_all_lengths_around_a_block_are_exact(in_rate, out_rate, phase, kernel):
    filter_ = reference.prototype(in_rate, out_rate, phase)
    block = 320 * filter_["down"]
    for n_samples in [*range(1, 70), *range(block - 2, block + 3), 2 * block + 1, 3 * block + 5]:
        x = noise(n_samples, n_samples)
        exact = reference.resample(x, filter_)
        assert Fir(in_rate, out_rate, phase=phase).process(x) == exact.tobytes(), n_samples


def worst(filter_: dict) -> np.ndarray:
    """Full scale by the signs that make each output of a group its largest, and its smallest."""
    up, down, taps = filter_["up"], filter_["down"], np.array(filter_["taps"])
    n_groups = len(taps) // (up * down) + 2
    pieces = []
    for output in range(up):
        at = (n_groups * up + output) * down + down - 1 - up * np.arange((n_groups + 1) * down)
        reached = (at >= 0) & (at < len(taps))
        signs = np.where(reached, np.sign(taps[np.clip(at, 0, len(taps) - 1)]), 1)
        pieces += [np.where(signs > 0, FULL_SCALE, LOWEST), np.where(signs > 0, LOWEST, FULL_SCALE)]
    return np.concatenate(pieces).astype("<i2")


@each_case
def test_the_worst_that_int16_can_do_saturates_exactly(in_rate, out_rate, phase, kernel):
    filter_ = reference.prototype(in_rate, out_rate, phase)
    pattern = worst(filter_)
    extremes = np.random.default_rng(3).choice([LOWEST, FULL_SCALE], 20_000).astype("<i2")
    square = np.where(np.arange(960) // 12 % 2, LOWEST, FULL_SCALE).astype("<i2")
    for x in (pattern, extremes, square):
        exact = reference.resample(x, filter_)
        assert exact.max() == FULL_SCALE
        assert exact.min() == LOWEST
        assert Fir(in_rate, out_rate, phase=phase).process(x) == exact.tobytes()


@each_case
@pytest.mark.parametrize("level", [LOWEST, -1, 1, FULL_SCALE])
def test_a_constant_stays_constant(in_rate, out_rate, phase, level):
    y = array(Fir(in_rate, out_rate, phase=phase).process(np.full(3000, level, "<i2")))
    assert set(y[400:].tolist()) == {level}


@each_case
def test_floats_follow_double_precision_and_do_not_saturate(in_rate, out_rate, phase):
    x, filter_ = 3 * noise(2001, dtype="float32"), reference.prototype(in_rate, out_rate, phase)
    y = array(Fir(in_rate, out_rate, dtype="float32", phase=phase).process(x, True), "float32")
    exact = reference.resample(x, filter_, last=True)
    assert len(y) == len(exact)
    assert np.abs(y - exact).max() <= 4e-6
    assert np.abs(y).max() > 2


@each_case
def test_all_kernels_give_the_same_floats(in_rate, out_rate, phase, kernel):
    x = noise(2001, dtype="float32")
    made = Fir(in_rate, out_rate, dtype="float32", phase=phase).process(x, last=True)
    _fir.use("portable")
    assert made == Fir(in_rate, out_rate, dtype="float32", phase=phase).process(x, last=True)


def test_every_second_sample_from_8_to_16_khz_is_an_input_sample():
    for dtype in ("int16", "float32"):
        x = noise(1000, dtype=dtype)
        y = array(Fir(8000, 16000, dtype=dtype).process(x), dtype)
        assert (y[27::2] == x[: len(y[27::2])]).all()


@each_dtype
def test_a_long_piece_without_the_gil_is_the_same(dtype):
    x = noise(70_000, dtype=dtype)
    at_once = Fir(8000, 16000, dtype=dtype).process(x)
    fir = Fir(8000, 16000, dtype=dtype)
    assert at_once == fir.process(x[:40_000]) + fir.process(x[40_000:])


@each_case
@each_dtype
def test_odd_addresses_serve(in_rate, out_rate, phase, dtype):
    x = noise(333, dtype=dtype)
    fir = Fir(in_rate, out_rate, dtype=dtype, phase=phase)
    src = memoryview(b"\0" + x.tobytes())[1:]
    whole = Fir(in_rate, out_rate, dtype=dtype, phase=phase).process(x, last=True)
    dst = memoryview(bytearray(len(whole) + 1))[1:]
    assert fir.into(src, dst, last=True) * x.itemsize == len(whole)
    assert dst == whole


@settings(max_examples=200, deadline=None)
@given(
    case=st.sampled_from(CASES),
    dtype=st.sampled_from(["int16", "float32"]),
    lengths=st.lists(st.one_of(st.integers(0, 8), st.integers(0, 4000)), max_size=8),
    seed=st.integers(0, 1000),
)
def test_any_chunking_gives_the_same_bits(case, dtype, lengths, seed):
    in_rate, out_rate, phase = case
    x = noise(sum(lengths), seed, dtype)
    whole = Fir(in_rate, out_rate, dtype=dtype, phase=phase).process(x, last=True)
    by_new, by_into = (Fir(in_rate, out_rate, dtype=dtype, phase=phase) for _ in range(2))
    made = b""
    pieces = cut(x.tobytes(), x.itemsize, lengths)
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        n_samples = by_into.room(len(piece) // x.itemsize, last)
        dst = bytearray(n_samples * x.itemsize)
        assert by_into.into(piece, dst, last) == n_samples
        assert by_new.process(piece, last) == dst
        made += dst
    assert made == whole
    if dtype == "int16":
        filter_ = reference.prototype(in_rate, out_rate, phase)
        assert whole == reference.resample(x, filter_, last=True).tobytes()


@each_case
def test_delay_tells_what_an_end_would_bring(in_rate, out_rate, phase):
    fir, filter_ = (
        Fir(in_rate, out_rate, phase=phase),
        reference.prototype(in_rate, out_rate, phase),
    )
    for n_samples in range(1, 14):
        fir.process(bytes(2))
        # The filter's, and what the samples of an incomplete group are in output samples.
        rest = n_samples % filter_["down"] * out_rate / in_rate
        assert fir.delay() == pytest.approx(filter_["delay"] + rest, rel=1e-15)
        assert fir.room(0, last=True) == int(np.ceil(fir.delay()))


@each_dtype
def test_two_threads_in_one_stream_stay_within_their_buffers(dtype):
    fir, x = Fir(16000, 8000, dtype=dtype), noise(100_001, dtype=dtype)
    rooms = [bytearray(50_002 * x.itemsize) for _ in range(4)]
    written: list[int] = []
    threads = [
        threading.Thread(target=lambda room=room: written.append(fir.into(x, room)))
        for room in rooms
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(written) == 4
    assert all(50_000 <= n <= 50_001 for n in written)
    assert all(not any(room[-x.itemsize :]) for room in rooms)


def test_a_stream_is_small():
    assert sys.getsizeof(Fir(8000, 16000)) <= 1024
