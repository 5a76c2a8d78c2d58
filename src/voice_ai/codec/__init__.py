"""The codec library: G.711 and 2:1 resampling on bytes, for a live call and for files.

A leaf: no event loop, no clock, no logging, no NumPy. The loops are compiled and have no
slow twin here.
"""

try:
    from voice_ai.codec import _door, _fir, _g711  # noqa: F401 (to see that they are there)
except ImportError as missing:
    raise ImportError(
        f"voice_ai's compiled codec cannot be loaded ({missing}); build it in the source folder: "
        "`python -m pip install -e .` or `python setup.py build_ext --inplace`"
    ) from missing

from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.g711 import ulaw_decode, ulaw_decode_into, ulaw_encode, ulaw_encode_into
from voice_ai.codec.resample import ResampleStream
from voice_ai.codec.transcode import Transcoder, mulaw_to_pcm_16k, pcm_16k_to_mulaw

__all__ = [
    "AudioFormat",
    "ResampleStream",
    "Transcoder",
    "info",
    "mulaw_to_pcm_16k",
    "pcm_16k_to_mulaw",
    "ulaw_decode",
    "ulaw_decode_into",
    "ulaw_encode",
    "ulaw_encode_into",
]


def info() -> dict[str, str]:
    """Name the kernel that does each job on this machine, for logs and benches."""
    return {"g711": "tables", "resample": "fir"}
