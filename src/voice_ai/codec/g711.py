"""G.711: µ-law and A-law octets to PCM16 and back, bit-exact to the standard's tables.

The short names return new bytes; the `*_into` forms write to the caller's buffer and allocate
nothing.
"""

from voice_ai.codec._g711 import (
    alaw_decode,
    alaw_decode_into,
    alaw_encode,
    alaw_encode_into,
    ulaw_decode,
    ulaw_decode_into,
    ulaw_encode,
    ulaw_encode_into,
)

__all__ = [
    "alaw_decode",
    "alaw_decode_into",
    "alaw_encode",
    "alaw_encode_into",
    "ulaw_decode",
    "ulaw_decode_into",
    "ulaw_encode",
    "ulaw_encode_into",
]
