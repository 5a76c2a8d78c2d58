"""How a caller behaves: when to speak, when to listen, when to hang up. No clock, no socket.

The phone calls `frame` every 20 ms of the call and tells what comes in between; times are ms after
the stream's start message. The caller waits for the greeting, says an utterance, waits until the
reply has been played out, says the next, and hangs up after the last reply:

    greeting -> speaking -> listening -> speaking -> ... -> listening -> (hang up)

A reply is sound that begins after the caller's speech has ended; what began before and goes on, or
was cleared, answers nothing. It is over when nothing has sounded for `quiet_ms`.
"""

from typing import Literal

from voice_ai.codec.g711 import ulaw_decode
from voice_ai.phone.buffer import FRAME_MS, FRAME_OCTETS, SILENCE
from voice_ai.phone.plan import CallPlan, TurnTimes

Phase = Literal["greeting", "speaking", "listening"]

# A frame is speech while its loudest sample is above this share (-26 dB) of the recording's
# loudest: the noise of a quiet room lies below it, the end of a spoken word above.
AUDIBLE = 0.05

# A buffer that ran empty and sounds again this soon stopped within a reply; less than a frame is
# not heard. People pause longer between sentences, and a second reply does not come so soon.
GAP_MS = 300

# More violations than this say nothing new.
MAX_VIOLATIONS = 100

SILENT_FRAME = SILENCE * FRAME_OCTETS


def frames(ulaw: bytes) -> list[bytes]:
    """Cut audio into frames of 20 ms, the last filled up with silence."""
    starts = range(0, len(ulaw), FRAME_OCTETS)
    return [ulaw[at : at + FRAME_OCTETS].ljust(FRAME_OCTETS, SILENCE) for at in starts]


def last_audible(sounds: list[bytes]) -> int:
    """Return the index of the last frame with speech in it; in silence, of the last frame."""
    views = [memoryview(ulaw_decode(sound)).cast("h") for sound in sounds]
    peaks = [max(max(view), -min(view)) for view in views]
    floor = AUDIBLE * max(peaks, default=0)
    return max((i for i, peak in enumerate(peaks) if peak > floor), default=len(sounds) - 1)


class Conduct:
    """One caller's conduct through one call."""

    def __init__(self, plan: CallPlan) -> None:
        """Begin with waiting for the greeting."""
        self.phase: Phase = "greeting"
        self.turns: list[TurnTimes] = []
        self.violations: list[str] = []
        self.greeting_ms: float | None = None
        self._plan = plan
        self._utterances = [frames(ulaw) or [SILENT_FRAME] for ulaw in plan.utterances]
        self._last_audible = [last_audible(utterance) for utterance in self._utterances]
        self._n_spoken = 0
        # The reply that is being listened to, from its first sound to its latest.
        self._sound_began: float | None = None
        self._sound_ended: float | None = None
        self._silent_since = 0.0
        # Silence since the latest sound; None before any, and after a clear, which makes silence on
        # purpose.
        self._pause_ms: float | None = None

    @property
    def doing(self) -> str:
        """What is going on, for people."""
        if self.phase == "speaking":
            return "caller speaking"
        return (
            "agent speaking"
            if self._pause_ms is not None and self._pause_ms < FRAME_MS
            else "waiting"
        )

    def note(self, now_ms: float, what: str) -> None:
        """Write down what the server did wrong."""
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(f"{now_ms / 1000:.2f} s: {what}")

    def media(self, now_ms: float) -> None:
        """Audio came in: the greeting, a reply, or more of one."""
        if not self.turns:
            self.greeting_ms = now_ms if self.greeting_ms is None else self.greeting_ms
            return
        turn = self.turns[-1]
        goes_on = self._pause_ms is not None and self._pause_ms <= GAP_MS
        if turn.speech_end_ms is not None and turn.first_frame_ms is None and not goes_on:
            turn.first_frame_ms = now_ms

    def cleared(self) -> None:
        """The buffer was emptied: a reply of which nothing was heard yet is none."""
        if self.turns and self._sound_began is None:
            self.turns[-1].first_frame_ms = None
        self._sound_began = self._sound_ended = self._pause_ms = None

    def frame(self, now_ms: float, n_ms_heard: float) -> bytes | None:
        """Return the next frame to say, or None to hang up; its first `n_ms_heard` were heard."""
        self._hear(now_ms, n_ms_heard)
        if self.phase != "speaking" and self._listened_enough(now_ms):
            if len(self.turns) == len(self._plan.utterances):
                return None
            self._begin(now_ms)
        return self._speak(now_ms) if self.phase == "speaking" else SILENT_FRAME

    def _hear(self, now_ms: float, n_ms: float) -> None:
        if not n_ms:
            if self._pause_ms is not None:
                self._pause_ms += FRAME_MS
            return
        if self._pause_ms is not None and FRAME_MS <= self._pause_ms <= GAP_MS:
            self.note(
                now_ms, f"a gap of {self._pause_ms:.0f} ms: the buffer ran empty within a reply"
            )
        self._pause_ms = FRAME_MS - n_ms
        self._silent_since = now_ms
        if not self.turns or self.turns[-1].first_frame_ms is not None:
            self._sound_began = now_ms if self._sound_began is None else self._sound_began
            self._sound_ended = now_ms

    def _listened_enough(self, now_ms: float) -> bool:
        if self._sound_began is not None and self._sound_ended is not None:
            return now_ms - self._sound_ended >= self._plan.quiet_ms or self._interrupts(now_ms)
        if self.phase == "greeting":
            return now_ms - self._silent_since >= self._plan.greeting_wait_ms
        if now_ms - self._silent_since < self._plan.reply_wait_ms:
            return False
        waited_s = self._plan.reply_wait_ms / 1000
        self.note(now_ms, f"no reply to turn {len(self.turns)} in {waited_s:g} s of silence")
        return True

    def _interrupts(self, now_ms: float) -> bool:
        lasted_ms = now_ms - (self._sound_began or 0.0)
        barge_in_ms = self._plan.barge_in_ms
        more = self.phase == "listening" and len(self.turns) < len(self._plan.utterances)
        if more and barge_in_ms is not None and lasted_ms >= barge_in_ms:
            return True
        if lasted_ms < self._plan.reply_limit_ms:
            return False
        self.note(now_ms, f"the agent has been speaking for {lasted_ms / 1000:g} s without an end")
        return True

    def _begin(self, now_ms: float) -> None:
        self.phase = "speaking"
        self._n_spoken = 0
        self._sound_began = self._sound_ended = None
        self.turns.append(TurnTimes(len(self.turns) + 1, now_ms))

    def _speak(self, now_ms: float) -> bytes:
        turn = self.turns[-1]
        utterance = self._utterances[turn.number - 1]
        frame = utterance[self._n_spoken]
        if self._n_spoken == self._last_audible[turn.number - 1]:
            turn.speech_end_ms = now_ms
        self._n_spoken += 1
        self._silent_since = now_ms
        if self._n_spoken == len(utterance):
            self.phase = "listening"
        return frame
