"""Phone calls with software that listens, thinks and speaks; and the codec under it, as a library.

What is named here is all that a user imports; importing it loads no event loop, no NumPy and no
SDK. The server is `python -m server`.
"""

from voice_ai.agent import Agent, Answer, Tool, tool
from voice_ai.codec import (
    AudioFormat,
    ResampleStream,
    Transcoder,
    mulaw_to_pcm_16k,
    pcm_16k_to_mulaw,
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
    "PeerError",
    "ProtocolError",
    "ProviderError",
    "ResampleStream",
    "Tool",
    "Transcoder",
    "UsageError",
    "VoiceAIError",
    "__version__",
    "mulaw_to_pcm_16k",
    "pcm_16k_to_mulaw",
    "tool",
    "ulaw_decode",
    "ulaw_decode_into",
    "ulaw_encode",
    "ulaw_encode_into",
]
