"""How often tools may run, in one call and in an hour of all calls: pure, told the time."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from voice_ai.agent import Tool

HOUR_S: Final = 3600.0

TOO_OFTEN_IN_CALL: Final = "This tool may be used {limit} times in a call, and has been."
TOO_OFTEN_IN_HOUR: Final = (
    "This tool may be used {limit} times in an hour, and has been. Try later."
)


@dataclass(slots=True)
class Uses:
    """What one call has used."""

    by_tool: Counter[str] = field(default_factory=Counter)


class Quota:
    """What all calls have used in the last hour, of the tools that have a limit for it."""

    def __init__(self) -> None:
        self._starts: dict[str, deque[float]] = {}

    def take(self, made: Tool, uses: Uses, now_s: float) -> str:
        """Count a use; returns why it may not be, for the model, or nothing."""
        if made.max_per_call is not None and uses.by_tool[made.name] >= made.max_per_call:
            return TOO_OFTEN_IN_CALL.format(limit=made.max_per_call)
        if made.max_per_hour is not None:
            # No longer than its limit: what is refused is not counted.
            starts = self._starts.setdefault(made.name, deque())
            while starts and now_s - starts[0] >= HOUR_S:
                starts.popleft()
            if len(starts) >= made.max_per_hour:
                return TOO_OFTEN_IN_HOUR.format(limit=made.max_per_hour)
            starts.append(now_s)
        uses.by_tool[made.name] += 1
        return ""
