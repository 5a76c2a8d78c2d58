"""Typed words as sound, for a server whose speech recogniser is a fake that can hear tones.

A symbol lasts 20 ms and is one of 16 tones, a nibble; a text of 15 characters takes about a second,
as long as saying it. The tones lie within the telephone band and 150 Hz apart, so that they survive
µ-law, a half-band filter and any delay. What is sent, in nibbles, high before low:

    marker (6)   length in octets (4)   UTF-8 text   CRC-16 of length and text (4)
"""

from binascii import crc_hqx
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voice_ai.errors import UsageError

Floats: TypeAlias = NDArray[np.float32]

RATE_HZ = 8000
SYMBOL_MS = 20
TONES_HZ = tuple(600 + 150 * nibble for nibble in range(16))
MARKER = (0, 15, 0, 15, 7, 8)

# About -10 dB of full scale, the level of a voice on the telephone.
AMPLITUDE = 10_000

# What fits a minute's utterance; the length field holds 65,535.
MAX_OCTETS = 1000

# A symbol is judged by its middle: 13.3 ms, two periods of the tones' spacing, so that the tones
# are orthogonal and an alignment wrong by 3 ms still sees one tone only.
MIDDLE_SYMBOLS = 2 / 3

# Alignments are tried this far apart.
HOP_MS = 2.5

# The share of a symbol's energy that its strongest tone must hold; µ-law and filters leave 0.95.
PURITY = 0.7

# Quieter symbols than this (RMS, int16) are silence.
FLOOR = 30.0

# A symbol that is no tone: silence, noise, speech.
NO_TONE = -1


def encode(text: str) -> bytes:
    """Return a text as PCM16 at 8 kHz.

    Raises:
        UsageError: it is longer than 1,000 octets of UTF-8.
    """
    octets = text.encode()
    if len(octets) > MAX_OCTETS:
        raise UsageError(f"{len(octets)} octets of text; {MAX_OCTETS} are what can be spoken")
    body = len(octets).to_bytes(2, "big") + octets
    body += _crc(body)
    symbols = [*MARKER, *(nibble for octet in body for nibble in divmod(octet, 16))]
    hz = np.repeat([TONES_HZ[symbol] for symbol in symbols], RATE_HZ * SYMBOL_MS // 1000)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    pcm16: bytes = (AMPLITUDE * np.sin(phase)).astype("<i2").tobytes()
    return pcm16


def decode(pcm16: bytes, rate_hz: int) -> str | None:
    """Return the first whole text in PCM16 of 8 or 16 kHz, wherever in it the tones begin.

    Returns:
        None if there is none, if it is not complete yet, or if its checksum is wrong.

    Raises:
        UsageError: another rate.
    """
    if rate_hz not in (RATE_HZ, 2 * RATE_HZ):
        raise UsageError(f"tones at {rate_hz} Hz; needed {RATE_HZ} or {2 * RATE_HZ}")
    symbols, purity = _listen(np.frombuffer(pcm16, "<i2", count=len(pcm16) // 2), rate_hz)
    step = round(SYMBOL_MS / HOP_MS)
    for at in _markers(symbols, purity, step):
        if (text := _read(symbols[at + len(MARKER) * step :: step])) is not None:
            return text
    return None


def _listen(samples: NDArray[np.int16], rate_hz: int) -> tuple[NDArray[np.intp], Floats]:
    """Judge a symbol's middle at every hop: its tone, if any, and its share of the energy."""
    n_middle = round(rate_hz * SYMBOL_MS / 1000 * MIDDLE_SYMBOLS)
    hop = round(rate_hz * HOP_MS / 1000)
    if len(samples) < n_middle:
        return np.zeros(0, np.intp), np.zeros(0, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, n_middle)[::hop].astype(np.float32)
    time_s = np.arange(n_middle) / rate_hz
    waves = np.exp(-2j * np.pi * np.outer(time_s, TONES_HZ)).astype(np.complex64)
    energy = np.abs(windows @ waves) ** 2 * (2 / n_middle)
    total = np.maximum(np.square(windows).sum(axis=1), FLOOR**2 * n_middle)
    purity = energy.max(axis=1) / total
    return np.where(purity > PURITY, energy.argmax(axis=1), NO_TONE), purity


def _markers(symbols: NDArray[np.intp], purity: Floats, step: int) -> list[int]:
    """Return where markers may begin: in order, of neighbouring alignments the purest first."""
    span = (len(MARKER) - 1) * step
    n = len(symbols) - span
    if n <= 0:
        return []
    score: Any = np.full(n, np.inf, np.float32)
    for i, symbol in enumerate(MARKER):
        part = slice(i * step, i * step + n)
        score = np.minimum(score, np.where(symbols[part] == symbol, purity[part], 0.0))
    candidates = np.flatnonzero(score)
    return sorted((int(at) for at in candidates), key=lambda at: (at // step, -score[at]))


def _read(symbols: NDArray[np.intp]) -> str | None:
    silences = np.flatnonzero(symbols == NO_TONE)
    heard = symbols[: silences[0]] if len(silences) else symbols
    octets = bytes(16 * high + low for high, low in zip(heard[::2], heard[1::2], strict=False))
    n_body = 2 + int.from_bytes(octets[:2], "big")
    body, crc = octets[:n_body], octets[n_body : n_body + 2]
    if len(body) < n_body or crc != _crc(body):
        return None
    return body[2:].decode(errors="replace")


def _crc(octets: bytes) -> bytes:
    """Return CRC-16/CCITT; it begins with ones, or zeros would be right by themselves."""
    return crc_hqx(octets, 0xFFFF).to_bytes(2, "big")
