"""WAV files as samples: PCM of 8, 16, 24 and 32 bit, float of 32 and 64, µ-law and A-law.

The standard library's `wave` reads PCM alone. Source: Microsoft, "Multiple channel audio data and
WAVE files" (WAVE_FORMAT_EXTENSIBLE); ITU-T G.711, table 1b (A-law).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice_ai.codec.g711 import ulaw_decode
from voice_ai.errors import UsageError

PCM, FLOAT, ALAW, ULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE

# Beyond these a header is damaged, not a recording.
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000
MAX_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class _Form:
    tag: int
    n_channels: int
    rate_hz: int
    n_bits: int


def parse_wav(octets: bytes, name: str, max_s: float) -> tuple[NDArray[np.float32], int]:
    """Return a WAV file's samples from -1 to 1, one column a channel, and their rate.

    A file that was cut off gives what is there.

    Args:
        octets: the whole file.
        name: what to call it in an error.
        max_s: how long it may be.

    Raises:
        UsageError: it is no WAV file, its encoding is none of ours, it has no samples or too many.
    """
    if not octets:
        raise UsageError(f"{name} is empty; needed a WAV file")
    if octets[:4] != b"RIFF" or octets[8:12] != b"WAVE":
        raise UsageError(f"{name} is not a WAV file (it begins with {octets[:5]!r})")
    form, data = _chunks(octets, name)
    decode = _decoder(form, name)
    frame_octets = form.n_channels * form.n_bits // 8
    n_frames = len(data) // frame_octets
    if not n_frames:
        raise UsageError(f"{name} holds no samples")
    if n_frames > max_s * form.rate_hz:
        raise UsageError(f"{name} lasts {n_frames / form.rate_hz:.0f} s; {max_s:g} s are the most")
    samples = decode(data[: n_frames * frame_octets])
    return samples.reshape(n_frames, form.n_channels), form.rate_hz


def _chunks(octets: bytes, name: str) -> tuple[_Form, bytes]:
    """Walk the chunks to the format and the data; streamed data says nothing of its length."""
    at, form = 12, None
    while at + 8 <= len(octets):
        kind, n_octets = octets[at : at + 4], int.from_bytes(octets[at + 4 : at + 8], "little")
        body = octets[at + 8 : at + 8 + n_octets]
        if kind == b"fmt ":
            form = _form(body, name)
        elif kind == b"data" and form is not None:
            return form, body if n_octets else octets[at + 8 :]
        at += 8 + n_octets + n_octets % 2
    missing = "samples" if form else "format"
    raise UsageError(f"{name} is a damaged WAV file: it says nothing of its {missing}")


def _form(body: bytes, name: str) -> _Form:
    if len(body) < 16:
        raise UsageError(f"{name} is a damaged WAV file: {len(body)} octets of format, needed 16")
    tag, n_channels, rate_hz, _, _, n_bits = struct.unpack_from("<HHIIHH", body)
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    if not 1 <= n_channels <= MAX_CHANNELS or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise UsageError(f"{name} has {n_channels} channels at {rate_hz} Hz; nobody records so")
    return _Form(tag, n_channels, rate_hz, n_bits)


def _decoder(form: _Form, name: str) -> Callable[[bytes], NDArray[np.float32]]:
    decoders: dict[tuple[int, int], Callable[[bytes], NDArray[np.float32]]] = {
        (PCM, 8): lambda data: _scaled(np.frombuffer(data, "u1").astype("i2") - 128, 8),
        (PCM, 16): lambda data: _scaled(np.frombuffer(data, "<i2"), 16),
        (PCM, 24): _pcm24,
        (PCM, 32): lambda data: _scaled(np.frombuffer(data, "<i4"), 32),
        (FLOAT, 32): lambda data: np.frombuffer(data, "<f4").astype(np.float32),
        (FLOAT, 64): lambda data: np.frombuffer(data, "<f8").astype(np.float32),
        (ULAW, 8): lambda data: _scaled(np.frombuffer(ulaw_decode(data), "<i2"), 16),
        (ALAW, 8): lambda data: _alaw_table()[np.frombuffer(data, "u1")],
    }
    try:
        return decoders[form.tag, form.n_bits]
    except KeyError:
        raise UsageError(
            f"{name} is a WAV file of encoding {form.tag} with {form.n_bits} bits; needed PCM of "
            "8, 16, 24 or 32 bits, float of 32 or 64, µ-law or A-law"
        ) from None


def _scaled(samples: NDArray[np.signedinteger[Any]], n_bits: int) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(2 ** (n_bits - 1))


def _pcm24(data: bytes) -> NDArray[np.float32]:
    octets = np.frombuffer(data, "u1").reshape(-1, 3)
    wide = np.zeros((len(octets), 4), "u1")
    wide[:, 1:] = octets
    return _scaled(wide.view("<i4")[:, 0], 32)


def _alaw_table() -> NDArray[np.float32]:
    """Return the sample of each A-law octet."""
    code = np.arange(256) ^ 0x55
    exponent = (code & 0x70) >> 4
    mantissa = ((code & 0x0F) << 4) + 8
    magnitude = np.where(exponent == 0, mantissa, (mantissa + 0x100) << np.maximum(exponent - 1, 0))
    return _scaled(np.where(code & 0x80, magnitude, -magnitude), 16)
