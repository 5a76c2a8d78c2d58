"""The tones of a telephone's keys.

Source: ITU-T Q.23 (frequencies); Q.24, table A-1 (40 ms of tone and of pause are what every
receiver takes; networks that pass them through codecs want about twice that).
"""

from array import array
from math import pi, sin
from typing import Final

from voice_ai.codec.formats import PCM16_8K

LOW_HZ: Final = (697, 770, 852, 941)
HIGH_HZ: Final = (1209, 1336, 1477, 1633)
ROWS: Final = ("123A", "456B", "789C", "*0#D")
KEYS: Final = "0123456789*#ABCD"
TONE_MS: Final = 100
PAUSE_MS: Final = 100
# Of int16's full scale, each of the two: about -9 dBm0 together, well within the network's limits.
AMPLITUDE: Final = 8_000


def tones(digits: str) -> bytes:
    """Return these keys' tones as PCM16 at 8 kHz, a pause before each and after the last.

    The pause before keeps the first one apart from what was said before it.
    """
    pause = bytes(2 * _n_samples(PAUSE_MS))
    return pause + b"".join(_tone(digit) + pause for digit in digits)


def _tone(digit: str) -> bytes:
    row = next(n for n, keys in enumerate(ROWS) if digit in keys)
    low_hz, high_hz = LOW_HZ[row], HIGH_HZ[ROWS[row].index(digit)]
    step = 2 * pi / PCM16_8K.rate_hz
    samples = (
        round(AMPLITUDE * (sin(low_hz * step * n) + sin(high_hz * step * n)))
        for n in range(_n_samples(TONE_MS))
    )
    return array("h", samples).tobytes()


def _n_samples(ms: int) -> int:
    return PCM16_8K.rate_hz * ms // 1000
