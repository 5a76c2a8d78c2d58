"""Sample rates of PCM16 streams, in python-soxr's words, without its delay.

A stream gives a constant number of samples for a constant number, at once: 320 for 160 from 8 to 16
kHz, where libsoxr gives 0, 0, 0, 1732. So its output runs `delay()` samples behind its input: it
begins with that much silence, and `last=True` brings out what is then still inside. n samples make
n * out_rate / in_rate (rounded up) + delay() in all; without the first delay() of them, they stand
exactly where the input stood.
"""

from typing import TYPE_CHECKING, Protocol

from voice_ai.codec._fir import Downsample2, Upsample2
from voice_ai.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Kernel(Protocol):
    @property
    def delay(self) -> int: ...
    def clear(self) -> None: ...
    def into(self, src: "Buffer", dst: "Buffer", /) -> int: ...
    def process(self, pcm16: "Buffer", /) -> bytes: ...
    def drain(self) -> bytes: ...


class _Same:
    """Equal rates: a copy, with the kernels' checks."""

    delay = 0

    def clear(self) -> None:
        """Forget nothing: a copy has no state."""

    def into(self, src: "Buffer", dst: "Buffer", /) -> int:
        """Copy to the caller's buffer."""
        data = self.process(src)
        room = memoryview(dst).cast("B")
        if len(room) < len(data):
            raise UsageError(f"dst holds {len(room)} octets, {len(data)} are needed")
        room[: len(data)] = data
        return len(data) // 2

    def process(self, pcm16: "Buffer", /) -> bytes:
        """Copy to new bytes."""
        data = memoryview(pcm16).tobytes()
        if len(data) % 2:
            raise UsageError(f"pcm16 holds {len(data)} octets, no whole number of 2-octet samples")
        return data

    def drain(self) -> bytes:
        """Return nothing: nothing is held back."""
        return b""


def _kernel(in_rate: int, out_rate: int) -> _Kernel:
    """Choose the kernel for a pair of rates; every ratio to come has its place here."""
    match in_rate, out_rate:
        case 8000, 16000:
            return Upsample2()
        case 16000, 8000:
            return Downsample2()
        case _ if in_rate == out_rate > 0:
            return _Same()
    known = "8000 to 16000, 16000 to 8000, and equal rates"
    raise UsageError(f"cannot resample {in_rate} Hz to {out_rate} Hz; known are {known}")


class ResampleStream:
    """Change the rate of one mono PCM16 stream, chunk by chunk.

    The result is the same however the input is cut. One stream, one object, one thread. For a
    recording in one piece see `mulaw_to_pcm_16k`, which has no delay.

    Args:
        in_rate: Hz of what comes in.
        out_rate: Hz of what goes out.

    Raises:
        UsageError: there is no kernel for this pair of rates.

    Cost: under a microsecond for 20 ms; benches/bench_fir.py measures it.
    Source: the words of `soxr.ResampleStream`.
    """

    __slots__ = ("_ended", "_kernel")

    def __init__(self, in_rate: int, out_rate: int) -> None:
        self._kernel = _kernel(in_rate, out_rate)
        self._ended = False

    def resample_chunk(self, x: "Buffer", last: bool = False) -> bytes:
        """Take the next stretch of input and return the output that it makes, as new bytes.

        Args:
            x: samples of int16, little-endian, in any contiguous buffer; may be empty.
            last: no input follows: return also the `delay()` samples that are still inside.

        Raises:
            UsageError: `x` ends within a sample, or the stream has had its last chunk; nothing was
                taken.
        """
        self._refuse_ended()
        out = self._kernel.process(x)
        if not last:
            return out
        self._ended = True
        return out + self._kernel.drain()

    def resample_into(self, src: "Buffer", dst: "Buffer") -> int:
        """Take the next stretch of input and write what it makes into the caller's buffer.

        The end of a stream is `resample_chunk(b"", last=True)`.

        Args:
            src: samples of int16, little-endian, in any contiguous buffer; may be empty.
            dst: a writable contiguous buffer, apart from `src`, with room for all that this input
                makes: two samples for each going up, one for each pair going down, where an odd
                sample of before counts.

        Returns:
            The number of samples written.

        Raises:
            UsageError: `src` ends within a sample, `dst` is too short or overlaps it, or the stream
                has had its last chunk; nothing was taken and nothing written.

        Cost: no allocation.
        """
        self._refuse_ended()
        return self._kernel.into(src, dst)

    def delay(self) -> int:
        """Return how many output samples the output runs behind the input."""
        return self._kernel.delay

    def clear(self) -> None:
        """Forget the stream, also its end: the next chunk begins a new one."""
        self._kernel.clear()
        self._ended = False

    def _refuse_ended(self) -> None:
        if self._ended:
            raise UsageError("this stream has had its last chunk; clear() begins a new one")
