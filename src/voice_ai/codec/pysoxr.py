"""soxr streams through python-soxr's own class, for where libsoxr's C functions are not found."""

import importlib
from typing import TYPE_CHECKING, Any

from voice_ai.codec.soxr_design import N_OCTETS, SoxrDesign
from voice_ai.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class PySoxr:
    """One mono stream through `soxr.ResampleStream`; the words and the samples of `_soxr.Soxr`.

    It imports NumPy and soxr. Python-soxr passes on the quality and nothing else of libsoxr, and
    always dithers int16: without dither the samples travel as float64 and are rounded here, to the
    same bits as in C on x86-64, and one off at most elsewhere.

    Args:
        design: what is wanted.

    Raises:
        UsageError: the design names what python-soxr has not: phase, passband, stopband or sizes.
        ImportError: there is no soxr or no NumPy.

    Cost: 9 µs for 20 ms of speech, ten times `Soxr`'s.
    """

    __slots__ = ("_design", "_ended", "_n_in", "_n_out", "_np", "_soxr", "_stream")

    def __init__(self, design: SoxrDesign, /) -> None:
        if design.of_the_filter():
            raise UsageError(
                f"python-soxr has no {', '.join(design.of_the_filter())}: "
                "that takes libsoxr's C functions, which were not found"
            )
        self._np: Any = importlib.import_module("numpy")
        self._soxr: Any = importlib.import_module("soxr")
        self._design = design
        self.clear()

    def delay(self) -> float:
        """Return how many output samples libsoxr holds: an end brings them, to the nearest."""
        return 0.0 if self._ended else float(self._stream.delay())

    def clear(self) -> None:
        """Forget the stream, also its end: the next sample is the first."""
        design = self._design
        # A new one: soxr_clear loses the seed of the dither.
        self._stream = self._soxr.ResampleStream(
            design.in_rate, design.out_rate, 1, dtype=self._dtype_inside(), quality=design.quality
        )
        self._n_in = self._n_out = 0
        self._ended = False

    def room(self, n_samples: int, last: bool = False) -> int:
        """Return the most samples that `n_samples` more would make; with `last`, exactly."""
        self._refuse_ended()
        if n_samples < 0:
            raise UsageError(f"{n_samples} samples are not possible, 0 and more are")
        exact = (self._n_in + n_samples) / (self._design.in_rate / self._design.out_rate)
        whole = int(exact + 0.5) if last else -int(-exact // 1)
        return max(0, whole - self._n_out)

    def into(self, src: "Buffer", dst: "Buffer", /, last: bool = False) -> int:
        """Resample into the caller's buffer, of at least `room(n, last)` samples.

        Raises:
            UsageError: `src` ends within a sample, is not of the design's dtype, or holds NaN or
                infinity, `dst` is too short or overlaps it, or the stream has had its end; nothing
                was written or taken.
            BufferError: a buffer is not contiguous.
        """
        x = self._samples(src)
        room = self.room(len(x), last) * x.itemsize
        y = self._np.frombuffer(self._octets(dst, "dst"), "u1")
        if not y.flags.writeable:
            raise BufferError("dst is read-only")
        if len(y) < room:
            raise UsageError(f"dst holds {len(y)} octets, {room} are needed")
        if self._np.may_share_memory(x, y):
            raise UsageError(f"src of {x.nbytes} octets and dst of {len(y)} overlap; keep apart")
        made = self._resampled(x, last)
        y[: made.nbytes] = made.view("u1")
        return len(made)

    def process(self, src: "Buffer", /, last: bool = False) -> bytes:
        """Resample into new `bytes`; otherwise as `into`."""
        x = self._samples(src)
        self._refuse_ended()
        made: bytes = self._resampled(x, last).tobytes()
        return made

    def _dtype_inside(self) -> str:
        exact = self._design.dtype == "int16" and not self._design.dither
        return "float64" if exact else self._design.dtype

    def _refuse_ended(self) -> None:
        if self._ended:
            raise UsageError("this stream has had its last chunk; clear() begins a new one")

    def _octets(self, data: "Buffer", name: str) -> memoryview:
        view = memoryview(data)
        wanted = "h" if self._design.dtype == "int16" else "f"
        if view.format.lstrip("<=@|") not in (wanted, "B", "b", "c"):
            raise UsageError(f"{name} holds items of format {view.format!r}; {wanted!r} is needed")
        if view.ndim > 1:
            raise UsageError(f"{name} has {view.ndim} dimensions, 1 is needed")
        if not view.c_contiguous:
            raise BufferError(f"{name} is not contiguous")
        return view.cast("B")

    def _samples(self, src: "Buffer") -> Any:
        octets = self._octets(src, "src")
        width = N_OCTETS[self._design.dtype]
        if len(octets) % width:
            raise UsageError(
                f"src holds {len(octets)} octets, no whole number of {width}-octet samples"
            )
        x = self._np.frombuffer(octets, self._design.dtype)
        if self._design.dtype == "float32" and not self._np.isfinite(x).all():
            index = int(self._np.flatnonzero(~self._np.isfinite(x))[0])
            raise UsageError(
                f"src holds {x[index]} at sample {index} of {len(x)}; finite numbers are needed"
            )
        return x

    def _resampled(self, x: Any, last: bool) -> Any:
        y = self._stream.resample_chunk(x.astype(self._dtype_inside()), last)
        if self._design.dtype == "int16" and y.dtype != "int16":
            y = self._np.clip(self._np.rint(y), -32768, 32767).astype("int16")
        self._n_in += len(x)
        self._n_out += len(y)
        self._ended = last
        return y
