"""Audio formats of the phone, the browser and the providers: mono, little-endian."""

from dataclasses import dataclass
from typing import Literal, get_args

from voice_ai.errors import UsageError

Encoding = Literal["linear16", "mulaw"]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An encoding and its rate in Hz. The encodings are named as the providers name them."""

    encoding: Encoding
    rate_hz: int

    def __str__(self) -> str:
        """Return the form that settings use, e.g. `linear16/16000`."""
        return f"{self.encoding}/{self.rate_hz}"

    @property
    def n_octets_per_ms(self) -> int:
        """Octets in one millisecond of audio (8 for µ-law at 8 kHz)."""
        return self.rate_hz // 1000 * (2 if self.encoding == "linear16" else 1)

    def duration_ms(self, n_octets: int) -> float:
        """Return how many milliseconds `n_octets` octets of this format last."""
        return n_octets / self.n_octets_per_ms

    @classmethod
    def parse(cls, text: str) -> "AudioFormat":
        """Read `encoding/rate`, e.g. `mulaw/8000`.

        Raises:
            UsageError: the text is not of that form, or names a format that nobody here speaks.
        """
        encoding, _, rate = text.partition("/")
        for known in get_args(Encoding):
            if encoding == known and rate.isdecimal() and int(rate) in RATES_HZ[known]:
                return cls(known, int(rate))
        known_formats = ", ".join(f"{e}/{r}" for e, rates in RATES_HZ.items() for r in rates)
        raise UsageError(f"unknown audio format {text!r}; known are {known_formats}")


RATES_HZ: dict[str, tuple[int, ...]] = {"linear16": (8000, 16000, 24000), "mulaw": (8000,)}

ULAW_8K = AudioFormat("mulaw", 8000)
PCM16_8K = AudioFormat("linear16", 8000)
PCM16_16K = AudioFormat("linear16", 16000)
PCM16_24K = AudioFormat("linear16", 24000)
