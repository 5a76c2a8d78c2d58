"""From one audio format to another: µ-law or PCM16, 8 or 16 kHz, in one piece or as a stream."""

from typing import TYPE_CHECKING

from voice_ai.codec._fir import Downsample2, Upsample2
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode, ulaw_encode
from voice_ai.codec.resample import ResampleStream
from voice_ai.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_KNOWN = (ULAW_8K, PCM16_8K, PCM16_16K)


def mulaw_to_pcm_16k(ulaw: "Buffer") -> bytes:
    """Decode a whole µ-law recording of 8 kHz to PCM16 of 16 kHz, without delay.

    For a piece that stands alone: before and after it is silence. The chunks of a stream go through
    a `Transcoder` or a `ResampleStream`, or there is a seam between every two.

    Args:
        ulaw: n octets of µ-law at 8 kHz; any contiguous buffer.

    Returns:
        2 n samples of int16, little-endian, as new bytes; every second one is exactly a decoded
        octet.

    Source: ITU-T G.711, table 2b.
    """
    up = Upsample2()
    return (up.process(ulaw_decode(ulaw)) + up.drain())[2 * up.delay :]


def pcm_16k_to_mulaw(pcm: "Buffer") -> bytes:
    """Encode a whole PCM16 recording of 16 kHz as µ-law of 8 kHz, without delay.

    For a piece that stands alone: before and after it is silence. The chunks of a stream go through
    a `Transcoder` or a `ResampleStream`, or there is a seam between every two.

    Args:
        pcm: n samples of int16 at 16 kHz, little-endian; any contiguous buffer.

    Returns:
        n / 2 octets of µ-law (rounded up), as new bytes.

    Raises:
        UsageError: `pcm` ends within a sample.

    Source: ITU-T G.711, table 2a.
    """
    down = Downsample2()
    return ulaw_encode(down.process(pcm) + down.drain())[down.delay :]


class Transcoder:
    """Turn one stream of audio from a format into another, chunk by chunk, however it is cut.

    One stream, one object, one thread. Chunks need not end with a sample: the first octet of a
    PCM16 sample is carried until the second comes. Where the rates differ the output runs 1.7 ms
    behind, as `ResampleStream` says. Equal formats pass through untouched, whichever they are.

    Args:
        source: what comes in.
        target: what goes out.

    Raises:
        UsageError: this pair is not supported.
    """

    __slots__ = ("_half_sample", "_source", "_stream", "_target")

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        if source != target and not (source in _KNOWN and target in _KNOWN):
            known = ", ".join(map(str, _KNOWN))
            raise UsageError(f"cannot turn {source} into {target}; known are {known}")
        self._source = source
        self._target = target
        self._stream = None
        if source.rate_hz != target.rate_hz:
            self._stream = ResampleStream(source.rate_hz, target.rate_hz)
        self._half_sample = b""

    def convert(self, data: bytes, last: bool = False) -> bytes:
        """Take the next chunk and return what it makes in the target format; may be empty.

        Args:
            data: octets of the source format, any number.
            last: no input follows: return also what is still inside.

        Raises:
            UsageError: the last chunk ends within a sample, or, where the rates differ, it was not
                the last.
        """
        if self._source == self._target:
            return data
        if self._source.encoding == "mulaw":
            pcm = ulaw_decode(data)
        else:
            pcm = self._whole_samples(data, last)
        if self._stream is not None:
            pcm = self._stream.resample_chunk(pcm, last)
        return ulaw_encode(pcm) if self._target.encoding == "mulaw" else pcm

    def clear(self) -> None:
        """Forget the stream: the next chunk begins a new one."""
        self._half_sample = b""
        if self._stream is not None:
            self._stream.clear()

    def _whole_samples(self, data: bytes, last: bool) -> bytes:
        data = self._half_sample + data
        if not len(data) % 2:
            self._half_sample = b""
            return data
        if last:
            raise UsageError(f"{len(data)} octets are left at the end, whole samples take 2 each")
        self._half_sample = data[-1:]
        return data[:-1]
