"""The codec library: G.711, resampling and whole media messages, for a live call and for files.

A leaf: no event loop, no clock, no logging, no NumPy. The loops are compiled and have no
slow twin here.
"""

try:
    from voice_ai.codec import (
        _base64,
        _binary_tap,  # noqa: F401
        _door,  # noqa: F401 (to see that it is there)
        _fir,
        _frames_in,  # noqa: F401
        _frames_out,  # noqa: F401
        _g711,
        _soxr,  # noqa: F401
        _tap,  # noqa: F401
        _voice_gate,  # noqa: F401
    )
except ImportError as missing:
    raise ImportError(
        f"voice_ai's compiled codec cannot be loaded ({missing}); build it in the source folder: "
        "`python -m pip install -e .` or `python setup.py build_ext --inplace`"
    ) from missing

from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.frames import MediaReader, MediaTap, MediaWriter
from voice_ai.codec.g711 import (
    alaw_decode,
    alaw_decode_into,
    alaw_encode,
    alaw_encode_into,
    ulaw_decode,
    ulaw_decode_into,
    ulaw_encode,
    ulaw_encode_into,
)
from voice_ai.codec.libsoxr import describe
from voice_ai.codec.resample import ResampleStream, resample
from voice_ai.codec.transcode import Transcoder, mulaw_to_pcm_16k, pcm_16k_to_mulaw

__all__ = [
    "AudioFormat",
    "MediaReader",
    "MediaTap",
    "MediaWriter",
    "ResampleStream",
    "Transcoder",
    "alaw_decode",
    "alaw_decode_into",
    "alaw_encode",
    "alaw_encode_into",
    "info",
    "mulaw_to_pcm_16k",
    "pcm_16k_to_mulaw",
    "resample",
    "ulaw_decode",
    "ulaw_decode_into",
    "ulaw_encode",
    "ulaw_encode_into",
]


def info() -> dict[str, str]:
    """Name what does each job on this machine, for logs and benches.

    `g711`, `fir` and `base64` are kernels: "avx2", "neon" or "portable". `soxr` is the libsoxr that
    was found, e.g. "libsoxr-0.1.3, from the soxr wheel"; it is looked for now if nobody has yet.
    """
    return {
        "g711": _g711.kernel(),
        "fir": _fir.kernel(),
        "base64": _base64.kernel(),
        "soxr": describe(),
    }
