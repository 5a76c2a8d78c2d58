"""Where a turn's time went, from the end of the caller's speech to our first frame."""

from dataclasses import dataclass
from typing import Literal

LatencyStage = Literal["endpointing", "stt", "llm", "tts", "first_frame", "total"]
STAGES: tuple[LatencyStage, ...] = ("endpointing", "stt", "llm", "tts", "first_frame")


@dataclass(slots=True)
class Latency:
    """The moments of one turn, in seconds of the loop's clock; None has not come to pass.

    Each stage lasts from the moment before it to its own: endpointing from `speech_end` to
    `decided`, stt to `recognised`, llm to `first_text`, tts to `first_audio`, first_frame to
    `sent`. `first_token` is of the model's text, `first_text` the first clause that the voice was
    given. A reply that was drafted has these before the turn was `recognised`.

    `speech_end` and `decided` are positions in the caller's audio, as the recogniser tells them,
    turned into when that audio came in (clock.py): to 2 ms, of which the resampler takes 1.7. What
    is decided within a message of 80 ms is only told when the message is full; that is of stt.

    `heard` is when the far end began to play the reply, reckoned back from the first mark. One
    that plays frames sends a mark back as the last frame before it begins, so `heard` may be up to
    20 ms too early; one that ran dry before the mark makes it too late.

    `written` is the end of the model's text, `spoken` that of its voice, be it that they were cut.
    """

    speech_end: float
    decided: float
    recognised: float
    first_text: float | None = None
    first_audio: float | None = None
    sent: float | None = None
    first_token: float | None = None
    heard: float | None = None
    written: float | None = None
    spoken: float | None = None

    def stages_ms(self) -> dict[LatencyStage, int]:
        """Return each stage's milliseconds and the total; a stage that was not reached is 0."""
        later = (self.decided, self.recognised, self.first_text, self.first_audio, self.sent)
        edges = [self.speech_end]
        for moment in later:
            edges.append(edges[-1] if moment is None else max(moment, edges[-1]))
        ms = [round((edge - self.speech_end) * 1000) for edge in edges]
        stages = {
            name: later - earlier for name, earlier, later in zip(STAGES, ms, ms[1:], strict=False)
        }
        return {**stages, "total": ms[-1]}

    @property
    def total_ms(self) -> int | None:
        """How long the caller waited for our first frame: the total of `stages_ms` once it is."""
        if self.sent is None:
            return None
        inner = (self.first_text, self.first_audio)
        known = [moment for moment in inner if moment is not None]
        latest = max(self.speech_end, self.decided, self.recognised, self.sent, *known)
        return round((latest - self.speech_end) * 1000)

    def moments_ms(self) -> dict[str, int]:
        """Return the moments that have come to pass, from the end of the caller's speech."""
        moments = {
            "end_of_turn": self.decided,
            "recognised": self.recognised,
            "first_token": self.first_token,
            "first_clause": self.first_text,
            "first_voice": self.first_audio,
            "first_frame": self.sent,
            "first_heard": self.heard,
        }
        return {
            name: max(0, round((moment - self.speech_end) * 1000))
            for name, moment in moments.items()
            if moment is not None
        }
