"""Sample rates, in python-soxr's words, by one of two engines.

- `fir`, for 8, 16, 24, 32 and 48 kHz among each other: made for a live call. A constant number of
  samples comes for a constant number, at once: 320 for 160 from 8 to 16 kHz. What comes runs 1.7 ms
  behind (at 8 kHz), so it begins with that much silence.
- `soxr`, libsoxr called in C, for any rates: nothing is steeper, but it works in bursts. From 8 to
  16 kHz at HQ 20 ms give 0, 0, 0, 1732 samples, and a sample waits up to 110 ms.

Either way `delay()` says how many output samples the output runs behind, and `last=True` brings
them out: nothing is lost. A recording in one piece goes through `resample`, which has no delay.
"""

import sys
from typing import TYPE_CHECKING, Any, Literal, Protocol, Unpack, overload

from voice_ai.codec._fir import Fir
from voice_ai.codec.libsoxr import soxr_stream
from voice_ai.codec.soxr_design import N_OCTETS, Dtype, SoxrOptions
from voice_ai.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

Engine = Literal["fir", "soxr"]

FIR_RATES_HZ = (8000, 16000, 24000, 32000, 48000)
# What both engines take; the other options are libsoxr's.
_OF_BOTH = {"dtype", "phase"}


class StreamOptions(SoxrOptions, total=False):
    """The keywords of a `ResampleStream`."""

    engine: Engine | None


class _Kernel(Protocol):
    def delay(self) -> float: ...
    def clear(self) -> None: ...
    def room(self, n_samples: int, last: bool = False) -> int: ...
    def into(self, src: "Buffer", dst: "Buffer", /, last: bool = False) -> int: ...
    def process(self, src: "Buffer", /, last: bool = False) -> bytes: ...


def _fir_can(in_rate: float, out_rate: float, options: SoxrOptions) -> bool:
    known = in_rate in FIR_RATES_HZ and out_rate in FIR_RATES_HZ
    plain = options.get("phase", "linear") in ("linear", "minimum")
    return known and plain and _OF_BOTH.issuperset(options)


def _kernel(
    in_rate: float, out_rate: float, engine: Engine | None, options: SoxrOptions
) -> _Kernel:
    if engine is None:
        engine = "fir" if _fir_can(in_rate, out_rate, options) else "soxr"
    if engine == "soxr":
        return soxr_stream(in_rate, out_rate, **options)
    if engine != "fir":
        raise UsageError(f"unknown engine {engine!r}; known are 'fir' and 'soxr'")
    unknown = [name for name in options if name not in _OF_BOTH]
    if unknown:
        raise UsageError(f"the FIR takes no {', '.join(unknown)}: that is for engine='soxr'")
    phase: Any = options.get("phase", "linear")
    dtype = options.get("dtype", "int16")
    return Fir(_whole(in_rate), _whole(out_rate), dtype=dtype, phase=phase)


def _whole(rate: float) -> Any:
    """8000.0 is 8000; what the FIR does not know, it says itself."""
    return int(rate) if float(rate).is_integer() else rate


class ResampleStream:
    """Change the rate of one mono stream, chunk by chunk.

    The result is the same, bit for bit, however the input is cut. One stream, one object, one
    thread. Bytes (and any other buffer) give bytes; NumPy arrays give arrays.

    Args:
        in_rate: Hz of what comes in.
        out_rate: Hz of what goes out.
        engine: "fir" or "soxr"; None takes the FIR where it can (8, 16, 24, 32 and 48 kHz, no
            option of soxr's), else soxr.
        options: `dtype`, "int16" (little-endian, the default) or "float32", of what comes in and of
            what goes out; `phase`, "linear" (the default) or "minimum", which is late by less. With
            soxr also the rest of `voice_ai.codec.soxr_design.SoxrDesign`: `quality` ("HQ"),
            `passband`, `stopband`, `log2_min_dft_size`, `dither` (off) and more.

    Raises:
        UsageError: the engine cannot do this, or libsoxr cannot be found.

    Cost: under a microsecond for 20 ms; `make bench` measures it.
    Source: the words of `soxr.ResampleStream`.
    """

    __slots__ = ("_arrays", "_ended", "_kernel", "dtype")

    def __init__(
        self,
        in_rate: float,
        out_rate: float,
        engine: Engine | None = None,
        **options: Unpack[SoxrOptions],
    ) -> None:
        self._kernel = _kernel(in_rate, out_rate, engine, options)
        self.dtype: Dtype = options.get("dtype", "int16")
        self._ended = False
        self._arrays = False

    @overload
    def resample_chunk(self, x: "NDArray[Any]", last: bool = False) -> "NDArray[Any]": ...
    @overload
    def resample_chunk(self, x: "Buffer", last: bool = False) -> bytes: ...
    def resample_chunk(self, x: Any, last: bool = False) -> Any:
        """Take the next stretch of input and return the output that is ready, as a new object.

        Args:
            x: samples of the stream's dtype in any contiguous buffer, or as an array of one
                dimension; may be empty.
            last: no input follows: return also the `delay()` samples that are still inside.

        Returns:
            bytes, or for an array an array that you own.

        Raises:
            UsageError: `x` ends within a sample, is of another dtype, has two dimensions or holds
                NaN or infinity, or the stream has had its last chunk; nothing was taken.
        """
        self._refuse_ended()
        self._arrays = _is_array(x)
        made = self._array(x, last) if self._arrays else self._kernel.process(x, last)
        self._ended = last
        return made

    def resample_into(
        self, src: "Buffer | NDArray[Any]", dst: "Buffer | NDArray[Any]", last: bool = False
    ) -> int:
        """Take the next stretch of input and write what is ready into the caller's buffer.

        Args:
            src: samples of the stream's dtype in any contiguous buffer; may be empty.
            dst: a writable contiguous buffer, apart from `src`, with room for all that this input
                can make: n * out_rate / in_rate samples, rounded up, and with soxr, or with
                `last`, `delay()` more.
            last: no input follows: write also the `delay()` samples that are still inside.

        Returns:
            The number of samples written.

        Raises:
            UsageError: as `resample_chunk`, or `dst` is too short or overlaps `src`; nothing was
                taken and nothing written.

        Cost: no allocation.
        """
        self._refuse_ended()
        kernel: Any = self._kernel  # before Python 3.12, the types of arrays are no Buffer
        n_samples: int = kernel.into(src, dst, last)
        self._ended = last
        return n_samples

    @property
    def fir(self) -> Fir | None:
        """The filter of this stream, to be shared with other compiled code; None with libsoxr."""
        return self._kernel if isinstance(self._kernel, Fir) else None

    def flush(self) -> "bytes | NDArray[Any]":
        """End the stream and return what is still inside, in the form of the last chunk."""
        empty: Any = b""
        if self._arrays:
            empty = sys.modules["numpy"].empty(0, self.dtype)
        made: bytes | NDArray[Any] = self.resample_chunk(empty, last=True)
        return made

    def delay(self) -> float:
        """Return how many output samples the output runs behind the input at this moment.

        An end now would bring that many, give or take one. With the FIR it is a constant, and what
        of an output sample is still incomplete.
        """
        return self._kernel.delay()

    def clear(self) -> None:
        """Forget the stream, also its end: the next chunk begins a new one."""
        self._kernel.clear()
        self._ended = False

    def _array(self, x: Any, last: bool) -> Any:
        kernel: Any = self._kernel
        room = sys.modules["numpy"].empty(kernel.room(x.size, last), self.dtype)
        return room[: kernel.into(x, room, last)]

    def _refuse_ended(self) -> None:
        if self._ended:
            raise UsageError("this stream has had its last chunk; clear() begins a new one")


def _is_array(x: object) -> bool:
    """Whoever has an array has imported NumPy; we do not."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray)


@overload
def resample(
    x: "NDArray[Any]", in_rate: float, out_rate: float, **options: Unpack[StreamOptions]
) -> "NDArray[Any]": ...
@overload
def resample(
    x: "Buffer", in_rate: float, out_rate: float, **options: Unpack[StreamOptions]
) -> bytes: ...
def resample(x: Any, in_rate: float, out_rate: float, **options: Unpack[StreamOptions]) -> Any:
    """Change the rate of a whole mono recording, without delay.

    For a piece that stands alone: before and after it is silence. The chunks of a stream go through
    a `ResampleStream`, or there is a seam between every two.

    Args:
        x: n samples in any contiguous buffer, or as an array of one dimension.
        in_rate: Hz of `x`.
        out_rate: Hz of what is returned.
        options: as `ResampleStream`; without a `dtype` an array has its own, and all else is int16.

    Returns:
        n * out_rate / in_rate samples (the FIR rounds up, soxr to the nearest) as bytes, or for an
        array as an array that you own. Sample k stands at the time k / out_rate.

    Raises:
        UsageError: as `ResampleStream` and its `resample_chunk`.
    """
    options.setdefault("dtype", "float32" if getattr(x, "dtype", None) == "float32" else "int16")
    stream = ResampleStream(in_rate, out_rate, **options)
    n_silent = round(stream.delay())
    made = stream.resample_chunk(x, last=True)
    return made[n_silent:] if _is_array(made) else made[n_silent * N_OCTETS[stream.dtype] :]
