"""What a page is told of its call: upserts, together, and only while it takes them."""

import asyncio
from typing import Any

import orjson

import clock
from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.feed import EVERY_S, Feed


class Page:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.is_free = True
        self.feed = Feed(lambda text: self.told.append(orjson.loads(text)), lambda: self.is_free)
        self.record = CallRecord(CallInfo("CA1"), started_at=0.0)
        self.record.begin(asyncio.get_running_loop().time)
        self.record.watchers.append(self.feed)

    def events(self) -> list[str]:
        told, self.told = self.told, []
        return [one["event"] for one in told]


def test_nothing_is_told_of_nothing() -> None:
    async def main() -> None:
        page = Page()
        page.feed.flush()
        page.feed.close()
        await asyncio.sleep(1)
        assert page.told == []

    clock.run(main())


def test_what_changes_together_is_told_once_as_it_stands() -> None:
    async def main() -> None:
        page = Page()
        for words in ("Wh", "When", "When are"):
            page.record.hears(words)
        turn = page.record.add_turn("When are you open?", Latency(0, 0, 0))
        turn.reply = "Nine to six."
        page.record.turn_changed(turn)
        page.record.note("key", "a key was pressed")
        assert page.told == []
        await asyncio.sleep(EVERY_S)
        call, told, note = page.told
        assert call["call"]["partial"] == "" and call["call"]["call_sid"] == "CA1"
        assert told["turn"]["n"] == 1 and told["turn"]["reply"] == "Nine to six."
        assert note["note"]["kind"] == "key"
        await asyncio.sleep(1)
        assert page.events() == ["call", "turn", "note"]

    clock.run(main())


def test_a_page_that_takes_nothing_is_told_later_and_nothing_twice() -> None:
    async def main() -> None:
        page = Page()
        page.is_free = False
        turn = page.record.add_turn("One", None)
        await asyncio.sleep(10)
        page.record.note("key", "a key was pressed")
        turn.heard = "two"
        page.record.turn_changed(turn)
        assert page.told == []
        page.is_free = True
        await asyncio.sleep(2 * EVERY_S)
        assert [one.get("turn", {}).get("heard") for one in page.told] == ["two", None]
        assert page.events() == ["turn", "note"]

    clock.run(main())


def test_the_end_is_told_at_once_and_leaves_no_timer() -> None:
    async def main() -> None:
        page = Page()
        page.record.reason = "the caller hung up"
        page.record.end()
        page.feed.close()
        assert page.told[-1]["call"]["ended"] and page.told[-1]["call"]["reason"]
        page.record.changed()
        page.told.clear()
        await asyncio.sleep(1)
        assert page.told == []

    clock.run(main())
