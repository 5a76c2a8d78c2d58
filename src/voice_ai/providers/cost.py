"""What a call has used of its providers, in the units in which they are paid for."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tokens:
    """What one language model has read and written; of its input, so much from its cache."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def __sub__(self, before: "Tokens") -> "Tokens":
        return Tokens(
            self.input_tokens - before.input_tokens,
            self.cached_tokens - before.cached_tokens,
            self.output_tokens - before.output_tokens,
        )


@dataclass(slots=True)
class Cost:
    """What one call has used so far; its providers add to it as they go.

    `stt_s` is audio that a recogniser was sent, what was sent again counted again; `tts_chars` what
    voices were given to speak; `voice_s` what of it went to the caller. An answer that was broken
    off tells no tokens.
    """

    stt_s: float = 0.0
    tts_chars: int = 0
    voice_s: float = 0.0
    models: dict[str, Tokens] = field(default_factory=dict)

    def of(self, model: str) -> Tokens:
        """Return what this model has used, to be added to."""
        return self.models.setdefault(model, Tokens())

    @property
    def tokens(self) -> Tokens:
        """What all models have used."""
        total = Tokens()
        for used in self.models.values():
            total.input_tokens += used.input_tokens
            total.cached_tokens += used.cached_tokens
            total.output_tokens += used.output_tokens
        return total

    def as_json(self) -> dict[str, float]:
        """Return it as a call's summary shows it."""
        tokens = self.tokens
        return {
            "stt_s": round(self.stt_s, 2),
            "tts_chars": self.tts_chars,
            "voice_s": round(self.voice_s, 2),
            "input_tokens": tokens.input_tokens,
            "cached_tokens": tokens.cached_tokens,
            "output_tokens": tokens.output_tokens,
        }
