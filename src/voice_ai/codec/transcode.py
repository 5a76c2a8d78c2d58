"""One audio format into another: µ-law or PCM16, 8, 16 or 24 kHz, in one piece or as a stream."""

from typing import TYPE_CHECKING

from voice_ai.codec._fir import Fir
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode, ulaw_encode
from voice_ai.codec.libsoxr import live_options
from voice_ai.codec.resample import Engine, ResampleStream, resample
from voice_ai.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_KNOWN = (ULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K)


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
    return resample(ulaw_decode(ulaw), 8000, 16000)


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
    return ulaw_encode(resample(pcm, 16000, 8000))


def _live_stream(in_rate: int, out_rate: int, engine: Engine) -> ResampleStream:
    options = live_options() if engine == "soxr" else {}
    return ResampleStream(in_rate, out_rate, engine, **options)


class Transcoder:
    """Turn one stream of audio from a format into another, chunk by chunk, however it is cut.

    One stream, one object, one thread. Chunks need not end with a sample: the first octet of a
    PCM16 sample is carried until the second comes. Where the rates differ the output runs behind by
    what the engine takes: 1.7 ms, or with soxr 7. Equal formats pass through untouched, whichever
    they are.

    Args:
        source: what comes in.
        target: what goes out.
        engine: "fir", or "soxr" with its least delay (`voice_ai.codec.libsoxr.LIVE`).

    Raises:
        UsageError: this pair is not supported.
    """

    __slots__ = ("_decodes", "_encodes", "_half_sample", "_passes", "_stream", "source", "target")

    def __init__(self, source: AudioFormat, target: AudioFormat, engine: Engine = "fir") -> None:
        if source != target and not (source in _KNOWN and target in _KNOWN):
            known = ", ".join(map(str, _KNOWN))
            raise UsageError(f"cannot turn {source} into {target}; known are {known}")
        self.source = source
        self.target = target
        self._passes = source == target
        self._decodes = source.encoding == "mulaw"
        self._encodes = target.encoding == "mulaw"
        self._stream = None
        if source.rate_hz != target.rate_hz:
            self._stream = _live_stream(source.rate_hz, target.rate_hz, engine)
        self._half_sample = b""

    @property
    def fir(self) -> Fir | None:
        """The filter from PCM16 of another rate to µ-law; None if this stream is something else.

        Whoever runs whole samples of this stream through it, and encodes them, does as `convert`
        does, and may take turns with it.
        """
        is_other = self._decodes or not self._encodes or self._stream is None
        return None if is_other or self._stream is None else self._stream.fir

    def convert(self, data: bytes, last: bool = False) -> bytes:
        """Take the next chunk and return what it makes in the target format; may be empty.

        Args:
            data: octets of the source format, any number.
            last: no input follows: return also what is still inside.

        Raises:
            UsageError: the last chunk ends within a sample, or, where the rates differ, it was not
                the last.
        """
        if self._passes:
            return data
        if self._decodes:
            pcm = ulaw_decode(data)
        else:
            pcm = self._whole_samples(data, last)
        if self._stream is not None:
            pcm = self._stream.resample_chunk(pcm, last)
        return ulaw_encode(pcm) if self._encodes else pcm

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
