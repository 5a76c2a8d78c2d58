"""The keys' tones, heard back by Goertzel's sums."""

from array import array
from math import cos, hypot, pi, sin

from voice_ai.call.dtmf import HIGH_HZ, KEYS, LOW_HZ, PAUSE_MS, ROWS, TONE_MS, tones


def strength(samples: "array[int]", hz: float) -> float:
    step = 2 * pi * hz / 8000
    real = sum(x * cos(step * n) for n, x in enumerate(samples))
    return hypot(real, sum(x * sin(step * n) for n, x in enumerate(samples))) / len(samples)


def heard(pcm16: bytes) -> str:
    """The keys, as a receiver tells them: a tone of each group, stronger than all others."""
    samples, keys, length = array("h", pcm16), "", 8 * (TONE_MS + PAUSE_MS)
    for at in range(8 * PAUSE_MS, len(samples), length):
        tone = samples[at : at + 8 * TONE_MS]
        row, column = (
            max(range(4), key=lambda n, hz=group: strength(tone, hz[n]))
            for group in (LOW_HZ, HIGH_HZ)
        )
        assert strength(tone, LOW_HZ[row]) > 10 * strength(tone, LOW_HZ[row - 1])
        assert strength(tone, HIGH_HZ[column]) > 10 * strength(tone, HIGH_HZ[column - 1])
        keys += ROWS[row][column]
    return keys


def test_no_key_is_a_pause() -> None:
    assert tones("") == bytes(16 * PAUSE_MS)


def test_every_key_is_heard_as_itself() -> None:
    pcm16 = tones(KEYS)
    assert len(pcm16) == 16 * (PAUSE_MS + len(KEYS) * (TONE_MS + PAUSE_MS))
    assert heard(pcm16) == KEYS


def test_nothing_is_clipped() -> None:
    samples = array("h", tones(KEYS))
    assert 12_000 < max(samples) < 20_000
    assert -20_000 < min(samples) < -12_000
