"""Every resampler as one thing: what it takes, and a call for a frame of it.

Each is fed samples of its own type: int16 octets, an int16 array or a float32 array. So no peer
pays for a conversion that it does not need itself, though a phone call would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches.measuring import Work, memcpy
from benches.peers import peer
from benches.speech import FRAMES_A_SECOND, speech
from voice_ai import ResampleStream
from voice_ai.codec.libsoxr import LIVE

QUALITIES = ("QQ", "LQ", "MQ", "HQ", "VHQ")
FULL_SCALE = 32768
# Room for what soxr gives at once.
N_ROOM = 1 << 17


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that is open: `call(frame, *more)` takes a frame and returns output, or a count."""

    call: Callable[..., Any]
    more: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Resampler:
    """A resampler of mono frames.

    Args:
        takes: "octets" (int16, little-endian), "int16" or "float32" (arrays).
        open: rates in Hz -> a stream; raises Missing.
        exact: its output is looked at as it is, not as the int16 that a call carries.
    """

    takes: str
    open: Callable[[int, int], Stream]
    exact: bool = False

    def frame(self, x: NDArray[np.int16]) -> Any:
        """Give samples the form that this one takes."""
        match self.takes:
            case "octets":
                return x.astype("<i2").tobytes()
            case "int16":
                return x
            case _:
                return x.astype(np.float32) / FULL_SCALE

    def samples(self, made: Any) -> NDArray[np.float64]:
        """Return output in the units of int16."""
        if self.takes == "octets":
            return np.frombuffer(made, "<i2").astype(np.float64)
        scale = FULL_SCALE if self.takes == "float32" else 1
        samples = np.asarray(made, np.float64) * scale
        return samples if self.exact else np.rint(samples)


def _chunks(**options: Any) -> Resampler:
    return Resampler("octets", lambda i, o: Stream(ResampleStream(i, o, **options).resample_chunk))


def _into(**options: Any) -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        stream = ResampleStream(in_rate, out_rate, **options)
        return Stream(stream.resample_into, (bytearray(N_ROOM),))

    return Resampler("octets", open_stream)


def _kernel(**options: Any) -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        kernel = ResampleStream(in_rate, out_rate, **options)._kernel
        return Stream(kernel.into, (bytearray(N_ROOM),))

    return Resampler("octets", open_stream)


def _python_soxr(quality: str) -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        soxr = peer("soxr")
        stream = soxr.ResampleStream(in_rate, out_rate, 1, dtype="int16", quality=quality)
        return Stream(stream.resample_chunk)

    return Resampler("int16", open_stream)


def _libsamplerate(converter: str) -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        stream = peer("samplerate").Resampler(converter, 1)
        return Stream(stream.process, (out_rate / in_rate,))

    return Resampler("float32", open_stream)


def up_and_down(in_rate: int, out_rate: int) -> tuple[int, int]:
    """Return the ratio of the rates in lowest terms."""
    common = gcd(in_rate, out_rate)
    return out_rate // common, in_rate // common


def scipy_taps(up: int, down: int) -> NDArray[np.float32]:
    """Design the filter that `resample_poly` designs at every call."""
    widest = max(up, down)
    taps = peer("scipy.signal").firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))
    return np.asarray(taps, np.float32)


def _resample_poly(precomputed: bool) -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        signal, (up, down) = peer("scipy.signal"), up_and_down(in_rate, out_rate)
        if not precomputed:
            return Stream(lambda x: signal.resample_poly(x, up, down))
        taps = scipy_taps(up, down)
        return Stream(lambda x: signal.resample_poly(x, up, down, window=taps))

    return Resampler("float32", open_stream)


def _upfirdn() -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        signal, (up, down) = peer("scipy.signal"), up_and_down(in_rate, out_rate)
        taps = scipy_taps(up, down) * np.float32(up)
        # The output of n samples is longer than n * up / down: the rest belongs to the next.
        tail = np.zeros(0, np.float32)

        def overlap_add(x: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal tail
            made = signal.upfirdn(taps, x, up, down)
            made[: len(tail)] += tail
            n_whole = len(x) * up // down
            tail = made[n_whole:]
            return made[:n_whole]

        return Stream(overlap_add)

    return Resampler("float32", open_stream)


def _ratecv() -> Resampler:
    def open_stream(in_rate: int, out_rate: int) -> Stream:
        ratecv, state = peer("audioop").ratecv, None

        def convert(pcm16: bytes) -> bytes:
            nonlocal state
            made, state = ratecv(pcm16, 2, 1, in_rate, out_rate, state)
            return made

        return Stream(convert)

    return Resampler("octets", open_stream)


FIR: dict[str, Resampler] = {
    "fir": _chunks(engine="fir"),
    "fir minimum": _chunks(engine="fir", phase="minimum"),
}
SOXR: dict[str, Resampler] = {
    **{f"soxr {q}": _chunks(engine="soxr", quality=q) for q in QUALITIES},
    "soxr live": _chunks(engine="soxr", **LIVE),
}
PEERS: dict[str, Resampler] = {
    **{f"soxr.ResampleStream {q}": _python_soxr(q) for q in QUALITIES},
    "samplerate sinc_fastest": _libsamplerate("sinc_fastest"),
    "samplerate sinc_medium": _libsamplerate("sinc_medium"),
    "samplerate sinc_best": _libsamplerate("sinc_best"),
    "resample_poly": _resample_poly(precomputed=False),
    "resample_poly, window precomputed": _resample_poly(precomputed=True),
    "upfirdn, tail carried": _upfirdn(),
    "audioop.ratecv": _ratecv(),
}
# The same beyond 16 bits, for the eye: an impulse through int16 shows little but its rounding.
EXACT: dict[str, Resampler] = {
    name: Resampler(
        "float32",
        lambda i, o, options=options: Stream(  # type: ignore[misc]
            ResampleStream(i, o, engine="soxr", dtype="float32", **options).resample_chunk
        ),
        exact=True,
    )
    for name, options in (("soxr HQ", {"quality": "HQ"}), ("soxr live", LIVE))
}
# Of these only time is of interest: the same filters by another way in.
BARE: dict[str, Resampler] = {
    "fir, into": _into(engine="fir"),
    "fir, C call": _kernel(engine="fir"),
    "soxr HQ, C call": _kernel(engine="soxr", quality="HQ"),
    "soxr HQ dithered, C call": _kernel(engine="soxr", quality="HQ", dither=True),
}


def work(resampler: Resampler, in_rate: int, out_rate: int) -> Work:
    """Prepare a stream and a frame for timing, by whole seconds."""
    stream = resampler.open(in_rate, out_rate)
    frame = resampler.frame(speech(in_rate))
    return Work(stream.call, (frame, *stream.more), whole=FRAMES_A_SECOND)


def floor(out_rate: int) -> Work:
    """Prepare a copy of a frame that comes out."""
    return memcpy(2 * out_rate // FRAMES_A_SECOND)
