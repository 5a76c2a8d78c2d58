"""Whether a caller has spoken and waits, by their audio alone."""

import numpy as np
import pytest

from voice_ai.codec.formats import PCM16_16K, ULAW_8K
from voice_ai.codec.g711 import ulaw_encode
from voice_ai.providers.deepgram.flux_unheard import WAITS_MS, Unheard

CHUNK_MS = 80


def speech(n_ms: int, loudness: float = 8000.0) -> bytes:
    return (loudness * np.sin(np.arange(n_ms * 16) * 0.3)).astype("<i2").tobytes()


def noise(n_ms: int) -> bytes:
    return np.random.default_rng(1).integers(-40, 40, n_ms * 16, dtype="<i2").tobytes()


def told_at_ms(audio: bytes, unheard: Unheard | None = None) -> list[int]:
    """Where in the audio it was told."""
    unheard, n_chunk = unheard or Unheard(PCM16_16K), CHUNK_MS * 32
    chunks = range(0, len(audio), n_chunk)
    return [at // 32 + CHUNK_MS for at in chunks if unheard.hear(audio[at : at + n_chunk])]


@pytest.mark.parametrize("audio", [b"", bytes(32 * 5000), noise(5000), speech(5000)])
def test_who_has_not_spoken_or_does_not_stop_does_not_wait(audio: bytes) -> None:
    assert told_at_ms(audio) == []


def test_a_click_is_no_speech() -> None:
    assert told_at_ms(noise(500) + speech(60) + noise(5000)) == []


def test_a_pause_between_words_is_no_wait() -> None:
    pause = noise(WAITS_MS - 2 * CHUNK_MS)
    assert told_at_ms((speech(800) + pause) * 3) == []


@pytest.mark.parametrize("silence", [bytes(32 * 5000), noise(5000)])
def test_who_has_spoken_waits_after_a_time_and_it_is_told_once(silence: bytes) -> None:
    (at_ms,) = told_at_ms(speech(800) + silence)
    assert 800 + WAITS_MS <= at_ms <= 800 + WAITS_MS + CHUNK_MS


def test_what_was_there_before_counts() -> None:
    unheard = Unheard(PCM16_16K, speech(800) + noise(WAITS_MS))
    assert told_at_ms(noise(1000), unheard) == [CHUNK_MS]


def test_a_phones_octets_are_heard_as_well() -> None:
    audio = np.frombuffer(speech(800) + noise(3000), "<i2")[::2]
    assert Unheard(ULAW_8K).hear(ulaw_encode(audio.astype("<i2").tobytes()))
