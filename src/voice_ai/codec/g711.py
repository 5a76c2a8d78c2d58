"""G.711: µ-law octets to PCM16 and back, bit-exact to the standard's tables.

`ulaw_decode` and `ulaw_encode` return new bytes; the `*_into` forms write to the caller's buffer
and allocate nothing. A-law is not here yet.
"""

from voice_ai.codec._g711 import ulaw_decode, ulaw_decode_into, ulaw_encode, ulaw_encode_into

__all__ = ["ulaw_decode", "ulaw_decode_into", "ulaw_encode", "ulaw_encode_into"]
