"""The formats' names and arithmetic."""

import pytest

from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.errors import UsageError

ALL = (ULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K)


@pytest.mark.parametrize(
    "text",
    ["", "/", "mulaw", "mulaw/", "/8000", "mulaw/16000", "linear16/44100", "opus/16000", "mulaw/8k"]
    + ["mulaw/8000/1", "MULAW/8000", " mulaw/8000", "linear16/-8000"],
)
def test_what_nobody_speaks_is_refused_by_its_name(text):
    with pytest.raises(UsageError, match="known are linear16/8000, .*mulaw/8000") as refused:
        AudioFormat.parse(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("known", ALL, ids=str)
def test_parsing_is_the_inverse_of_str(known):
    assert AudioFormat.parse(str(known)) == known


@pytest.mark.parametrize(("known", "n_octets"), list(zip(ALL, (8, 16, 32, 48), strict=True)))
def test_octets_and_milliseconds(known, n_octets):
    assert known.n_octets_per_ms == n_octets
    assert known.duration_ms(0) == 0
    assert known.duration_ms(n_octets * 20) == 20
    assert known.duration_ms(n_octets // 2) == 0.5
