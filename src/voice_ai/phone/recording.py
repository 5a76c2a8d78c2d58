"""Recordings in and out: any WAV file as what a telephone sends, a call as a stereo WAV file."""

import io
import wave
from pathlib import Path

import numpy as np
import soxr  # type: ignore[import-untyped]  # has no stubs
from numpy.typing import NDArray

from voice_ai.codec.g711 import ulaw_decode, ulaw_encode
from voice_ai.errors import UsageError
from voice_ai.phone.riff import parse_wav

RATE_HZ = 8000

# Longer is no turn of a conversation, and what a phone's buffer would not hold.
MAX_S = 600

# 600 s of 8 channels of 24 bit at 48 kHz, and then some.
MAX_FILE_OCTETS = 1 << 30


def read_recording(path: str | Path) -> bytes:
    """Read a WAV file of any rate, width and number of channels as µ-law at 8 kHz, mono.

    Channels are averaged, rates converted by soxr.

    Raises:
        UsageError: there is no such file, it is no WAV file, of an encoding that nobody records
            speech in, empty, or longer than 10 minutes.
    """
    path = Path(path)
    return to_ulaw(*parse_wav(_read(path), path.name, MAX_S))


def to_ulaw(samples: NDArray[np.float32], rate_hz: int) -> bytes:
    """Convert samples from -1 to 1, one column a channel, to µ-law at 8 kHz."""
    mono = np.nan_to_num(samples).clip(-1e3, 1e3).mean(axis=1, dtype=np.float32)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ, quality="HQ")
    pcm16 = np.rint(np.clip(mono, -1.0, 32767 / 32768) * 32768).astype("<i2")
    return ulaw_encode(pcm16.tobytes())


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; needed a WAV file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a regular file; needed a WAV file")
        if (n_octets := path.stat().st_size) > MAX_FILE_OCTETS:
            raise UsageError(f"{path} has {n_octets} octets; {MAX_FILE_OCTETS} are the most")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def write_stereo(path: str | Path, left: bytes, right: bytes) -> None:
    """Write two sides of a call, µ-law at 8 kHz, as a stereo WAV file of PCM16.

    The shorter side is filled up with silence. An existing file is replaced.

    Raises:
        UsageError: the file cannot be written, e.g. for want of a folder or of space; a part of it
            may be there.
    """
    n_samples = max(len(left), len(right))
    sides = [ulaw_decode(side.ljust(n_samples, b"\xff")) for side in (left, right)]
    frames = np.stack([np.frombuffer(side, "<i2") for side in sides], axis=1)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(frames.tobytes())
    try:
        Path(path).write_bytes(buffer.getbuffer())
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
