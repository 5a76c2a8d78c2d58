"""Recordings for the fake microphone."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPEECH = Path(__file__).parents[1] / "data" / "speech"
HZ = 16000


def recorded(name: str) -> NDArray[np.int16]:
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (HZ, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(int(seconds * HZ), "<i2")


def write(path: Path, *pieces: NDArray[np.int16]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HZ)
        file.writeframes(np.concatenate(pieces).astype("<i2").tobytes())
    return path
