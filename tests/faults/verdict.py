"""What became of a call, and the sentences by which every cell of the matrix is judged."""

from dataclasses import dataclass, field

from faults.phone import Phone
from faults.script import AGENT, TURNS

# The longest that a caller who waits may hear nothing.
SILENCE_MS = 2500


@dataclass
class Outcome:
    """What became of a call; `notes` are no failures, but what the caller had to put up with.

    Args:
        struck: whether the fault touched anything.
        heard: by the caller, in the whole call.
        kept: the words of the caller's that are in the call's record.
        told: those that the model was last told.
    """

    struck: bool = False
    worst_ms: int = 0
    worst_at_s: float = 0.0
    armed_at_s: float = 0.0
    heard: str = ""
    last_heard: str = ""
    kept: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def notes(self) -> str:
        """`a` for an apology, `g` for a goodbye, `s` for asking whether the caller is there."""
        marks = {"a": AGENT.apology, "g": AGENT.goodbye, "s": AGENT.still_there}
        return "".join(mark for mark, text in marks.items() if text in self.heard)

    def hear(self, phone: Phone) -> None:
        """Take what the caller heard."""
        self.worst_ms, self.worst_at_s = phone.worst_ms, phone.worst_at_s
        self.heard, self.last_heard = phone.all_text, phone.text

    def fail(self, kind: str, text: str) -> None:
        """Note a failure."""
        self.failures.append(f"{kind}: {text}")

    def judge_silence(self) -> None:
        """The caller heard something every 2.5 s, while something was due."""
        if self.worst_ms > SILENCE_MS:
            self.fail("silence", f"{self.worst_ms} ms from {self.worst_at_s:.2f} s on")

    def judge_transient(self, said: list[str]) -> None:
        """All that the caller said is known, once and in order, and the last of it was answered."""
        if self.kept != said:
            self.fail("speech", f"in the record is {' '.join(self.kept)!r}")
        if not self.last_heard.rstrip().endswith(TURNS[-1][1]):
            self.fail("answer", f"the last was {self.last_heard!r}")
        elif self.told != said:
            self.fail("speech", f"the model was told {' '.join(self.told)!r}")

    def judge_for_good(self, said: list[str], n_needed: int) -> None:
        """The caller was told that it will not do, and what they had said is known."""
        if self.kept != said[: len(self.kept)] or len(self.kept) < n_needed:
            self.fail("speech", f"in the record is {' '.join(self.kept)!r}, needed {n_needed}")
        if not {"a", "g"} & set(self.notes):
            self.fail("answer", "the caller was not told")


def words_of(transcripts: list[str]) -> list[str]:
    """The words, without odd ends of some: the telephone's filters delay by 1.7 ms."""
    return [word for text in transcripts for word in text.split() if word[0] != "("]
