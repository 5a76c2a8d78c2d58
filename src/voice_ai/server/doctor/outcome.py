"""What a check is, and what can come of it: plain values."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from voice_ai.server.doctor.situation import Situation

State = Literal["failed", "warning", "skipped", "ok"]
Look = Callable[[Situation], "Outcome"]
Try = Callable[[Situation], Awaitable["Outcome"]]

# Worst first: the order of the problem list.
STATES: Final[tuple[State, ...]] = ("failed", "warning", "skipped", "ok")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found; `do` is what to do about it, empty where the check's own says it."""

    state: State
    found: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A question to the installation.

    Args:
        name: one word, hyphens in it.
        symptom: what users meet who have this problem, in their words.
        remedy: what they should do about it.
        look: answers from this machine, in a thread of its own; or
        attempt: answers by trying services, on the loop.
    """

    name: str
    symptom: str
    remedy: str
    look: Look | None = None
    attempt: Try | None = None

    @property
    def is_live(self) -> bool:
        """Whether it needs a network, and so `--live`."""
        return self.attempt is not None


def check(name: str, symptom: str, remedy: str) -> Callable[[Look], Check]:
    """Make a function into a check that needs this machine only."""
    return lambda look: Check(name, symptom, remedy, look=look)


def live(name: str, symptom: str, remedy: str) -> Callable[[Try], Check]:
    """Make a coroutine function into a check that tries a service, with `--live`."""
    return lambda attempt: Check(name, symptom, remedy, attempt=attempt)


def ok(found: str) -> Outcome:
    """All is well."""
    return Outcome("ok", found)


def warning(found: str, do: str = "") -> Outcome:
    """Calls work, but not as well or as safely as they could."""
    return Outcome("warning", found, do)


def failed(found: str, do: str = "") -> Outcome:
    """Calls cannot work, or not for long."""
    return Outcome("failed", found, do)


def skipped(why: str) -> Outcome:
    """It does not apply here, or cannot be told."""
    return Outcome("skipped", why)
