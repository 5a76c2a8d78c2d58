"""What it costs a call that its record is watched: all changes of a call of twenty turns.

Each turn is recognised in eight pieces, needs a tool, is answered, heard and over. The page's Feed
tells after each piece and whenever else 50 ms have passed, about a dozen times a turn: all that is
JSON is made, and written nowhere. The second watcher does nothing with what it is told.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import uvloop

from benches.measuring import Unit, Work
from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, Note, TurnRecord, Watcher
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.feed import Feed

WORDS = "I would like to know when you are open on Sunday, please.".split()
ANSWER = "On Sundays we are open from nine to six. Is there anything else that you need?"
N_TURNS = 20
N_PIECES = 8


class Idle:
    """A watcher that does nothing."""

    def call_changed(self, record: CallRecord) -> None:
        pass

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        pass

    def noted(self, record: CallRecord, note: Note) -> None:
        pass


def a_feed() -> Feed:
    return Feed(lambda text: None, lambda: True)


Watchers = Callable[[], Sequence[Watcher]]
CONTENDERS: dict[str, Watchers] = {
    "nobody": lambda: [],
    "the page": lambda: [a_feed()],
    "the page and another": lambda: [a_feed(), Idle()],
}


def turn(record: CallRecord, number: int, tell: Callable[[], None]) -> None:
    """All changes of one turn, in the session's order."""
    record.stands("the caller speaks")
    for n in range(N_PIECES):
        record.hears(" ".join(WORDS[: n + len(WORDS) - N_PIECES + 1]))
        tell()
    said = record.add_turn(" ".join(WORDS), Latency(1.0, 1.3, 1.35))
    said.turn = number
    record.stands("a reply was asked for and none of it is on the wire")
    tell()
    record.note("tool", "opening_hours", '{"day": "sunday"} -> nine to six')
    tell()
    assert said.latency is not None
    said.latency.first_token, said.latency.first_text = 1.7, 1.8
    said.latency.first_audio = said.latency.sent = 1.9
    said.reply = ANSWER
    record.turn_changed(said)
    record.stands("our turn is on the wire or being played")
    tell()
    said.latency.heard = 1.92
    record.turn_changed(said)
    tell()
    said.heard, said.over, said.complete = ANSWER, True, True
    record.turn_changed(said)
    record.stands("nobody speaks")
    tell()


def call(loop: asyncio.AbstractEventLoop, watchers: Watchers) -> None:
    """One call on its loop, as Feed has its timers there."""

    async def hold() -> None:
        record = CallRecord(CallInfo("CA" + "0" * 32), started_at=0.0)
        record.begin(loop.time)
        record.watchers += watchers()
        feeds = [watcher for watcher in record.watchers if isinstance(watcher, Feed)]

        def tell() -> None:
            for feed in feeds:
                feed.flush()

        for number in range(1, N_TURNS + 1):
            turn(record, number, tell)
        record.end()

    loop.run_until_complete(hold())


@pytest.mark.parametrize("contender", CONTENDERS)
def bench_watching(measure: Any, contender: str) -> None:
    loop = uvloop.new_event_loop()
    try:
        unit = Unit("a call's record", f"changes of {N_TURNS} turns, watched by")
        measure(unit, contender, lambda: Work(call, (loop, CONTENDERS[contender])))
    finally:
        loop.close()
