"""libsoxr in C: streams, cut anywhere, to the last sample and bit."""

import ctypes
import platform
import sys
from threading import Thread

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_ai.codec import libsoxr
from voice_ai.codec._soxr import Library, Soxr
from voice_ai.codec.soxr_design import SoxrDesign
from voice_ai.errors import UsageError

QUALITIES = ["QQ", "LQ", "MQ", "HQ", "VHQ"]
DTYPES = {"int16": np.dtype("<i2"), "float32": np.dtype("<f4")}
RATES = [
    (8000, 16000),
    (16000, 8000),
    (24000, 8000),
    (44100, 48000),
    (7919, 7927),
    (44100, 8000.5),
    (8000, 8000),
    (1, 256),
    (256, 1),
]


def here() -> dict[str, Library]:
    found = {}
    for where, path in libsoxr.candidates():
        try:
            found[where] = Library(path)
        except OSError:
            continue
    return found


LIBRARIES = here()
EACH_LIBRARY = pytest.mark.parametrize("library", LIBRARIES.values(), ids=list(LIBRARIES))


def open_soxr(*rates: float, library: Library | None = None, **wanted) -> Soxr:
    return Soxr(library or next(iter(LIBRARIES.values())), SoxrDesign(*rates, **wanted))


def noise(n_samples: int, dtype: str = "int16", level: float = 0.4) -> np.ndarray:
    x = level * np.random.default_rng(7).normal(size=n_samples)
    return x.astype("<f4") if dtype == "float32" else np.rint(32767 * x.clip(-1, 1)).astype("<i2")


def whole(stream: Soxr, x: np.ndarray) -> bytes:
    return stream.process(x, last=True)


def cut(x: np.ndarray, ends: list[int]) -> list[tuple[np.ndarray, bool]]:
    """The chunks that end there, and whether they are the last."""
    edges = [0, *sorted(min(end, len(x)) for end in ends), len(x)]
    chunks = [x[low:high] for low, high in zip(edges, edges[1:], strict=False)]
    return [(chunk, i == len(chunks)) for i, chunk in enumerate(chunks, start=1)]


# Degenerate.


@EACH_LIBRARY
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("quality", QUALITIES)
def test_the_end_of_nothing_is_nothing(quality, dtype, library):
    stream = open_soxr(8000, 16000, quality=quality, dtype=dtype, library=library)
    assert stream.process(b"") == b""
    assert stream.delay() == 0
    assert stream.room(0, last=True) == 0
    assert stream.into(b"", bytearray(), last=True) == 0
    assert stream.delay() == 0


@pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000), (256, 1)])
def test_one_sample_makes_what_rounding_says(rates):
    n_made = len(whole(open_soxr(*rates), noise(1))) // 2
    assert n_made == int(rates[1] / rates[0] + 0.5)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"passband": 0.95, "stopband": 1.2}, "passband 0.95 and stopband 1.2: imaging"),
        ({"passband": 0.3}, "passband 0.3 and stopband 1: transition"),
        ({"passband": 0.95, "stopband": 0.9}, "0.9: transition bandwidth"),
    ],
)
def test_what_libsoxr_refuses_is_refused_in_its_words(wanted, message):
    with pytest.raises(UsageError, match=f"8000 Hz to 16000 Hz with .*{message}"):
        open_soxr(8000, 16000, **wanted)


@pytest.mark.parametrize(
    ("dtype", "src", "error", "message"),
    [
        ("int16", bytes(3), UsageError, "3 octets"),
        ("float32", bytes(6), UsageError, "6 octets"),
        ("int16", np.zeros(2, "f4"), UsageError, "format 'f'"),
        ("float32", np.zeros(2, "i2"), UsageError, "format 'h'"),
        ("int16", np.zeros((2, 2), "i2"), UsageError, "2 dimensions"),
        ("float32", np.array([0, np.nan, 0], "f4"), UsageError, "nan at sample 1 of 3"),
        ("float32", np.array([-np.inf], "f4"), UsageError, "-inf at sample 0 of 1"),
        ("int16", np.zeros(8, "i2")[::2], ValueError, "contiguous"),
        ("int16", "sound", TypeError, "bytes-like"),
    ],
)
def test_bad_input_is_refused_and_not_taken(dtype, src, error, message):
    stream = open_soxr(8000, 16000, dtype=dtype)
    with pytest.raises(error, match=message):
        stream.process(src)
    dst = bytearray(9999)
    with pytest.raises(error, match=message):
        stream.into(src, dst)
    assert dst == bytes(9999)
    assert stream.process(b"", last=True) == b""


def test_dst_must_be_writable_have_room_and_be_apart():
    stream, x = open_soxr(8000, 16000), noise(160)
    dst = bytearray(640)
    with pytest.raises(UsageError, match="dst holds 639 octets, 640 are needed"):
        stream.into(x, memoryview(dst)[:639])
    with pytest.raises(BufferError):
        stream.into(x, bytes(640))
    with pytest.raises(UsageError, match="src of 40 octets and dst of 620 overlap"):
        stream.into(memoryview(dst)[:40], memoryview(dst)[20:])
    assert dst == bytes(640)
    assert whole(stream, x) == whole(open_soxr(8000, 16000), x)


@pytest.mark.parametrize("n_samples", [-1, 2**30 + 1])
def test_no_room_is_reckoned_for_absurd_numbers(n_samples):
    with pytest.raises(UsageError, match=f"{n_samples} samples at once; 0 to 1073741824"):
        open_soxr(1, 256).room(n_samples)


def test_input_after_the_end_is_refused_until_it_is_cleared():
    stream, x = open_soxr(8000, 16000), noise(700)
    made = whole(stream, x)
    for refused in (
        lambda: stream.process(b""),
        lambda: stream.into(b"", bytearray(9)),
        lambda: stream.room(1),
    ):
        with pytest.raises(UsageError, match="has had its last chunk"):
            refused()
    stream.clear()
    assert whole(stream, x) == made


# The sound.


@pytest.mark.parametrize("rates", RATES[:5])
@pytest.mark.parametrize("quality", QUALITIES)
def test_float32_is_one_shot_soxrs_to_the_bit(quality, rates):
    x = noise(9000, "float32")
    made = whole(open_soxr(*rates, quality=quality, dtype="float32"), x)
    assert made == soxr.resample(x, *rates, quality=quality).tobytes()


@pytest.mark.parametrize("rates", RATES[:5])
@pytest.mark.parametrize("quality", QUALITIES)
def test_int16_is_one_shot_soxrs_but_for_rounding(quality, rates):
    """A sweep over the whole band: rounding's error lies 98 dB below full scale."""
    phase = np.pi * np.arange(9000) ** 2 / (2 * 9000)
    x = np.rint(30000 * np.sin(phase)).astype("<i2")
    made = np.frombuffer(whole(open_soxr(*rates, quality=quality), x), "<i2")
    exact = soxr.resample(x.astype("f8"), *rates, quality=quality).clip(-32768, 32767)
    assert np.abs(made - exact).max() <= 0.5
    assert np.mean((made - exact) ** 2) < 10**-9.8 * 32768**2


@EACH_LIBRARY
@pytest.mark.parametrize("dither", [False, True])
@pytest.mark.parametrize("quality", QUALITIES)
def test_full_scale_is_clipped_and_does_not_wrap(quality, dither, library):
    x = np.where(np.arange(2000) // 7 % 2, 32767, -32768).astype("<i2")
    stream = open_soxr(8000, 16000, quality=quality, dither=dither, library=library)
    made = np.frombuffer(whole(stream, x), "<i2")
    exact = soxr.resample(x.astype("f8"), 8000, 16000, quality=quality)
    assert np.abs(exact).max() > 32768 + 50
    assert np.abs(made - exact.clip(-32768, 32767)).max() <= (2 if dither else 0.5)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the x87's flags"
)
@EACH_LIBRARY
def test_a_stale_invalid_flag_of_the_x87_does_not_become_a_click(library):
    overflow = ctypes.CDLL(None).llrintl
    overflow.argtypes, overflow.restype = [ctypes.c_longdouble], ctypes.c_longlong
    x, made = noise(500, level=0.1), b""
    stream = open_soxr(8000, 16000, quality="QQ", library=library)
    for low in range(0, 500, 5):
        overflow(1e30)
        made += stream.process(x[low : low + 5])
    assert whole(open_soxr(8000, 16000, quality="QQ", library=library), x).startswith(made)
    assert len(made) > 900


def test_dither_changes_at_most_two_steps():
    x = noise(4000)
    made = [np.frombuffer(whole(open_soxr(8000, 16000, dither=d), x), "<i2") for d in (False, True)]
    assert 0 < np.abs(made[1].astype(int) - made[0]).max() <= 2


@pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000)])
def test_the_live_options_are_clean_and_hold_little_back(rates):
    """7.0 ms of 20 ms steps, images and aliases of the phone's band 100 dB down."""
    low_hz, steps = min(rates), np.arange(rates[0]) / rates[0]
    image_hz = low_hz - 3400 if rates[0] > rates[1] else 3400
    x = np.sin(2 * np.pi * image_hz * steps).astype("<f4")
    stream = open_soxr(*rates, dtype="float32", **libsoxr.LIVE)
    made, held_ms = b"", []
    for chunk in np.split(x, 50):
        made += stream.process(chunk)
        held_ms.append(stream.delay() / rates[1] * 1000)
    assert max(held_ms) <= 7.0
    y = np.frombuffer(made, "<f4")[rates[1] // 10 : rates[1] // 10 * 9]
    spectrum = np.abs(np.fft.rfft(y * np.kaiser(len(y), 20)))
    hz = np.fft.rfftfreq(len(y), 1 / rates[1])
    away = spectrum if image_hz > 4000 else spectrum[np.abs(hz - 3400) > 200]
    reference = np.kaiser(len(y), 20).sum() / 2
    assert 20 * np.log10(away.max() / reference) < -100


@pytest.mark.parametrize("phase", ["intermediate", "minimum", 10, 100])
def test_a_phase_changes_the_wave_and_not_the_spectrum(phase):
    x = np.zeros(2000, "<f4")
    x[1000] = 1
    linear, other = (
        np.frombuffer(whole(open_soxr(8000, 16000, dtype="float32", phase=p), x), "<f4")
        for p in ("linear", phase)
    )
    assert np.abs(linear - other).max() > 0.05
    gains = [np.abs(np.fft.rfft(y))[:1700] for y in (linear, other)]
    assert np.abs(gains[0] - gains[1]).max() < 1e-3


# Any chunking.


@EACH_LIBRARY
@pytest.mark.parametrize("quality", QUALITIES)
@settings(max_examples=30)
@given(
    rates=st.sampled_from(RATES),
    dtype=st.sampled_from(list(DTYPES)),
    phase=st.sampled_from(["linear", "minimum", 100]),
    ends=st.lists(st.integers(0, 9000), max_size=8),
)
def test_any_chunking_gives_the_same_bits_within_the_room_told(
    quality, library, rates, dtype, phase, ends
):
    wanted = {"dtype": dtype, "quality": quality, "library": library}
    wanted |= {} if quality == "QQ" else {"phase": phase}
    stream, x, made = open_soxr(*rates, **wanted), noise(9000, dtype), b""
    for chunk, last in cut(x[:900] if rates == (1, 256) else x, ends):
        room = stream.room(len(chunk), last)
        more = stream.process(chunk, last)
        assert len(more) == room * x.itemsize if last else len(more) <= room * x.itemsize
        assert stream.delay() > -0.5
        made += more
    x = x[:900] if rates == (1, 256) else x
    assert made == whole(open_soxr(*rates, **wanted), x)
    assert len(made) // x.itemsize == int(len(x) / (rates[0] / rates[1]) + 0.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("step", [1, 160, 3999])
def test_steady_steps_give_the_same_bits(step, quality, dtype):
    x, rates = noise(8000, dtype), (8000, 16000)
    stream = open_soxr(*rates, quality=quality, dtype=dtype)
    made = b"".join(stream.process(chunk, last) for chunk, last in cut(x, range(0, 8000, step)))
    assert made == whole(open_soxr(*rates, quality=quality, dtype=dtype), x)


@pytest.mark.parametrize("quality", QUALITIES)
@given(n_samples=st.integers(0, 3000))
@settings(max_examples=20)
def test_the_delay_is_what_an_end_would_bring(quality, n_samples):
    stream = open_soxr(8000, 11025, quality=quality)
    stream.process(noise(n_samples))
    told = stream.delay()
    assert abs(len(stream.process(b"", last=True)) // 2 - told) <= 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offsets", [(0, 1), (1, 0), (3, 1), (2, 2)])
@pytest.mark.parametrize("rates", [(8000, 16000), (48000, 8000)])
def test_buffers_may_stand_at_any_address_and_nothing_beyond_is_written(rates, offsets, dtype):
    x = noise(7000, dtype)
    expected = whole(open_soxr(*rates, dtype=dtype), x)
    src, dst = bytearray(x.nbytes + 8), bytearray(b"\x55") * (len(expected) + 16)
    src[offsets[0] : offsets[0] + x.nbytes] = x.tobytes()
    stream = open_soxr(*rates, dtype=dtype)
    odd = memoryview(src)[offsets[0] : offsets[0] + x.nbytes]
    n_made = stream.into(odd, memoryview(dst)[offsets[1] :], last=True)
    end = offsets[1] + n_made * x.itemsize
    assert dst[offsets[1] : end] == expected
    assert set(dst[: offsets[1]] + dst[end:]) == {0x55}


@pytest.mark.parametrize("rates", [(44100, 48000), (8000, 16000), (16000, 8000)])
def test_a_long_input_without_the_gil_gives_the_same_bits(rates):
    x = noise(70_000)
    stream = open_soxr(*rates)
    short = b"".join(stream.process(chunk, last) for chunk, last in cut(x, range(0, 70_000, 999)))
    assert whole(open_soxr(*rates), x) == short


@EACH_LIBRARY
@pytest.mark.parametrize("dither", [False, True])
@pytest.mark.parametrize("quality", QUALITIES)
def test_clear_makes_a_new_stream(quality, dither, library):
    def opened() -> Soxr:
        return open_soxr(16000, 11025, quality=quality, dither=dither, library=library)

    x, stream = noise(3000), opened()
    stream.process(x[:1234])
    stream.clear()
    assert stream.delay() == 0
    made, new = stream.process(x, last=True), opened().process(x, last=True)
    # The system's library seeds its dither by the clock.
    steps = np.abs(np.frombuffer(made, "<i2").astype(int) - np.frombuffer(new, "<i2"))
    assert steps.max() <= (2 if dither else 0)


# Threads.


def refusals(stream: Soxr, thread: Thread) -> int:
    """Use the stream from here as long as the other thread lives."""
    refused = 0
    while thread.is_alive():
        for use in (
            stream.delay,
            stream.clear,
            lambda: stream.room(1),
            lambda: stream.process(b""),
        ):
            try:
                use()
            except UsageError as error:
                refused += "another thread" in str(error)
    return refused


def test_a_second_thread_in_a_stream_is_refused_and_spoils_nothing():
    x = noise(1 << 22)
    expected = whole(open_soxr(44100, 48000), x)
    for _ in range(20):  # the other thread may be done before this one is woken
        stream, made = open_soxr(44100, 48000), []
        thread = Thread(target=lambda s, m: m.append(whole(s, x)), args=(stream, made))
        thread.start()
        refused = refusals(stream, thread)
        thread.join()
        assert made == [expected]
        if refused:
            return
    raise AssertionError("the GIL was never released")


def test_threads_with_a_stream_each_do_not_disturb_each_other():
    x, made = noise(300_000), {}

    def work(name: int) -> None:
        made[name] = whole(open_soxr(44100, 48000), x)

    threads = [Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(made.values()) == {whole(open_soxr(44100, 48000), x)}
