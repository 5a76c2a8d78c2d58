"""What the services saw and did in a window of time. No clock: all times are given."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from voice_ai.phone.load.services.ear import Heard

# 200 calls send 2,500 messages a second; 4 MB of memory.
MAX_MESSAGES = 200_000
MAX_VIOLATIONS = 20
# Lateness is counted in bins of 50 us, up to a second.
LATE_BIN_MS = 0.05
N_LATE_BINS = 20_000


@dataclass(slots=True)
class TurnTimes:
    """A turn of a call by the services' clock; None is what has not happened."""

    call: int
    turn: int
    start_of_turn: float
    end_of_turn: float | None = None
    request: float | None = None
    first_token: float | None = None
    first_text: float | None = None
    first_audio: float | None = None
    segment: tuple[int, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the row of the results."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Messages:
    """Each audio message to Flux: the call, its last whole frame, and when it came."""

    call: "array[int]" = field(default_factory=lambda: array("i"))
    frame: "array[int]" = field(default_factory=lambda: array("i"))
    at: "array[float]" = field(default_factory=lambda: array("d"))
    n_skipped: int = 0

    def add(self, call: int, frame: int, at: float) -> None:
        """Note one, if there is room."""
        if len(self.at) >= MAX_MESSAGES:
            self.n_skipped += 1
            return
        self.call.append(call)
        self.frame.append(frame)
        self.at.append(at)

    def as_json(self) -> dict[str, Any]:
        """Return the columns of the results."""
        columns = {"call": self.call.tolist(), "frame": self.frame.tolist(), "at": self.at.tolist()}
        return {**columns, "n_skipped": self.n_skipped}


class Lateness:
    """How late things happened, as a histogram."""

    def __init__(self) -> None:
        self._bins = [0] * N_LATE_BINS
        self._n = 0
        self._max_ms = 0.0

    def add(self, late_s: float) -> None:
        """Count one; what is early is on time."""
        late_ms = max(0.0, late_s * 1000)
        self._n += 1
        self._bins[min(int(late_ms / LATE_BIN_MS), N_LATE_BINS - 1)] += 1
        self._max_ms = max(self._max_ms, late_ms)

    def as_json(self) -> dict[str, float]:
        """Return the percentiles of the results, of nothing 0."""
        p50, p99 = self._percentiles((0.5, 0.99))
        return {"p50": p50, "p99": p99, "max": round(self._max_ms, 3)}

    def _percentiles(self, shares: Iterable[float]) -> list[float]:
        wanted = [share * self._n for share in shares]
        found: list[float] = []
        n_below = 0
        for index, n in enumerate(self._bins):
            n_below += n
            while self._n and len(found) < len(wanted) and n_below >= wanted[len(found)]:
                found.append(round(min((index + 1) * LATE_BIN_MS, self._max_ms), 3))
        return found or [0.0] * len(wanted)


class Measured:
    """All that is measured since the last `begin`, but for what is open: that is counted on.

    `heard` stays the same object, as ears hold it.
    """

    def __init__(self) -> None:
        self.heard = Heard()
        self.n_open = {"stt": 0, "tts": 0}
        self.begin(0.0)

    def begin(self, cpu_s: float) -> None:
        """Forget what was measured; `cpu_s` is the process's CPU time so far."""
        self.messages = Messages()
        self.late = Lateness()
        self.n_frames_spoken = 0.0
        self.n_clears = 0
        self.n_requests = 0
        self._cpu_s = cpu_s
        self._turns: dict[tuple[int, int], TurnTimes] = {}
        self._violations: list[str] = []
        self._n_seen = dict(self.n_open)
        heard = self.heard
        heard.n_frames = heard.n_lost = heard.n_out_of_order = heard.n_unknown = 0

    def opened(self, service: str) -> None:
        """Count a connection."""
        self.n_open[service] += 1
        self._n_seen[service] += 1

    def closed(self, service: str) -> None:
        """Count one that has gone."""
        self.n_open[service] -= 1

    def violation(self, text: str) -> None:
        """Note what a client should not have done, if it is one of the first."""
        if len(self._violations) < MAX_VIOLATIONS:
            self._violations.append(text)

    def start_turn(self, call: int, turn: int, at: float) -> None:
        """Note a StartOfTurn."""
        self._turns[call, turn] = TurnTimes(call, turn, at)

    def note(self, turn: tuple[int, int] | None, what: str, at: float) -> bool:
        """Note when something happened first in a turn that began in this window; tell if it is."""
        times = None if turn is None else self._turns.get(turn)
        if times is None or getattr(times, what) is not None:
            return False
        setattr(times, what, at)
        return True

    def note_segment(self, turn: tuple[int, int], segment: tuple[int, int], at: float) -> None:
        """Note the first audio of a turn's answer, and which segment it belongs to."""
        if self.note(turn, "first_audio", at):
            self._turns[turn].segment = segment

    def results(self, cpu_s: float) -> dict[str, Any]:
        """Return all of it; turns are those that began and ended since."""
        heard = {name: getattr(self.heard, name) for name in self.heard.__slots__}
        ended = [times for times in self._turns.values() if times.end_of_turn is not None]
        return {
            "stt": {"n_streams": self._n_seen["stt"], **heard},
            "messages": self.messages.as_json(),
            "turns": [times.as_json() for times in ended],
            "tts": {
                "n_connections": self._n_seen["tts"],
                "n_frames": round(self.n_frames_spoken),
                "n_clears": self.n_clears,
            },
            "llm": {"n_requests": self.n_requests},
            "cpu_s": cpu_s - self._cpu_s,
            "late_ms": self.late.as_json(),
            "violations": self._violations,
        }
