"""The calls that the console shows: of this process, of its siblings, and of an archive."""

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, TypeAlias
from urllib.parse import parse_qs

from voice_ai.call.record import CallRecord
from voice_ai.server.siblings import Siblings

# Every page that shows a list asks for it once a second: 50 calls are 30 KB.
LIMIT: Final = 50
MAX_LIMIT: Final = 200
# Of what was asked for wrongly, characters that the answer quotes.
QUOTED: Final = 40

# A call as JSON: what `glance` returns, or all of it as `CallRecord.as_json` does.
Shown: TypeAlias = dict[str, Any]


class Memory(Protocol):
    """The calls that this process remembers."""

    def records(self) -> list[CallRecord]:
        """Return them, newest first."""

    def find(self, call_sid: str) -> CallRecord | None:
        """Return the newest call of this id."""


class Archive(Protocol):
    """Calls that outlive their process; those under way may be among them."""

    async def recent(
        self, limit: int, before: float, known: Container[tuple[str, float]]
    ) -> list[Shown]:
        """Return calls begun before this moment as `glance` does, newest first, but those known."""

    async def find(self, call_sid: str) -> Shown | None:
        """Return all of the newest call of this id."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls a list shows: so many, begun before this moment, in seconds since the epoch.

    Calls that are over do not crowd out one that is under way, however long that lasts.
    """

    limit: int = LIMIT
    before: float = math.inf

    @classmethod
    def parse(cls, query: str) -> Self:
        """Read `limit=` and `before=`.

        Raises:
            ValueError: one of them is not what is needed; it says what came and what was needed.
        """
        given = parse_qs(query, keep_blank_values=True)
        limit = _limit(given["limit"][0]) if "limit" in given else LIMIT
        before = _moment(given["before"][0]) if "before" in given else math.inf
        return cls(limit, before)

    @classmethod
    def sent(cls, limit: int, before: float | None) -> Self:
        """Read what a sibling asks for: JSON has null for what is infinite."""
        return cls(limit, math.inf if before is None else before)

    def choose(self, found: Iterable[Shown]) -> list[Shown]:
        """Return the calls of the list, newest first; each once, as it was found first."""
        once: dict[tuple[str, float], Shown] = {}
        for shown in found:
            once.setdefault(_key(shown), shown)
        first = sorted(once.values(), key=lambda shown: (shown["ended"], -_started(shown)))
        return sorted(first[: self.limit], key=_started, reverse=True)


class Kept:
    """Finds calls wherever they are kept; what a process knows goes before what an archive does."""

    def __init__(
        self, memory: Memory, siblings: Siblings | None = None, archive: Archive | None = None
    ) -> None:
        self._memory = memory
        self._siblings = siblings or Siblings()
        self._archive = archive

    async def recent(self, wanted: Wanted) -> list[Shown]:
        """Return the calls of a list."""
        found = self.recent_here(wanted)
        for theirs in await self._siblings.ask(recent=[wanted.limit, wanted.before]):
            found += theirs or []
        n_live = sum(not shown["ended"] for shown in found)
        if self._archive and n_live < wanted.limit:  # else there is no room for one that is over
            known = {_key(shown) for shown in found}
            found += await self._archive.recent(wanted.limit, wanted.before, known)
        return wanted.choose(found)

    async def find(self, call_sid: str) -> Shown | None:
        """Return all of the newest call of this id."""
        found = self.find_here(call_sid)
        for theirs in await self._siblings.ask(calls=call_sid):
            found += theirs or []
        if found:
            return max(found, key=_started)
        return await self._archive.find(call_sid) if self._archive else None

    def recent_here(self, wanted: Wanted) -> list[Shown]:
        """Return what this process adds to a list."""
        begun = [record for record in self._memory.records() if record.started_at < wanted.before]
        begun.sort(key=lambda record: record.ended)  # and newest first as before
        return [glance(record) for record in begun[: wanted.limit]]

    def find_here(self, call_sid: str) -> list[Shown]:
        """Return the call of this id, if this process has it."""
        record = self._memory.find(call_sid)
        return [record.as_json()] if record else []


def glance(record: CallRecord) -> Shown:
    """Return a call's summary with `n_turns`, and `last_ms` and `worst_ms` of its turn latencies.

    A turn that nothing has been said to, yet or at all, has no latency.
    """
    return {
        **record.summary(),
        "n_turns": len(record.turns),
        "last_ms": record.last_ms,
        "worst_ms": record.worst_ms,
    }


def _key(shown: Shown) -> tuple[str, float]:
    """A caller who was put through in vain comes back under the same id."""
    return shown["call_sid"], _started(shown)


def _started(shown: Shown) -> float:
    return float(shown["started_at"])


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= QUOTED and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ValueError(f"limit is {text[:QUOTED]!r}; needed a whole number from 1 to {MAX_LIMIT}")


def _moment(text: str) -> float:
    try:
        moment = float(text)
    except ValueError:
        moment = math.nan
    if math.isfinite(moment):
        return moment
    raise ValueError(f"before is {text[:QUOTED]!r}; needed seconds since the epoch")
