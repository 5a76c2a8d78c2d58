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
    `sent`.
    """

    speech_end: float
    decided: float
    recognised: float
    first_text: float | None = None
    first_audio: float | None = None
    sent: float | None = None

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
