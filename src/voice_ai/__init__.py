"""Phone calls with software that listens, thinks and speaks; and the codec under it, as a library.

What is named here is all that a user imports; importing it loads no event loop, no NumPy and no
SDK. The server is `python -m server`.
"""

from voice_ai.agent import Agent, Answer, Tool, tool
from voice_ai.codec import (
    AudioFormat,
    MediaReader,
    MediaWriter,
    ResampleStream,
    Transcoder,
    alaw_decode,
    alaw_decode_into,
    alaw_encode,
    alaw_encode_into,
    mulaw_to_pcm_16k,
    pcm_16k_to_mulaw,
    resample,
    ulaw_decode,
    ulaw_decode_into,
    ulaw_encode,
    ulaw_encode_into,
)
from voice_ai.errors import PeerError, ProtocolError, ProviderError, UsageError, VoiceAIError

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Answer",
    "AudioFormat",
    "MediaReader",
    "MediaWriter",
    "PeerError",
    "ProtocolError",
    "ProviderError",
    "ResampleStream",
    "Tool",
    "Transcoder",
    "UsageError",
    "VoiceAIError",
    "__version__",
    "alaw_decode",
    "alaw_decode_into",
    "alaw_encode",
    "alaw_encode_into",
    "mulaw_to_pcm_16k",
    "pcm_16k_to_mulaw",
    "resample",
    "tool",
    "ulaw_decode",
    "ulaw_decode_into",
    "ulaw_encode",
    "ulaw_encode_into",
]
