"""A call's record on its way to the page that holds the call: what has changed, and only that.

What changes faster than the page is told, or takes it, is told once, as it then stands.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import orjson

from voice_ai.call.record import MAX_NOTES, CallRecord, Note, TurnRecord

# Seconds between two tellings: a reader sees no difference, and partial words come every 0.25 s.
EVERY_S: Final = 0.05


class Feed:
    """A Watcher (call/record.py) of one call, for its own page.

    Args:
        write: sends a text message at once.
        is_free: whether it may be called: nothing waits to be sent.
    """

    def __init__(self, write: Callable[[bytes], None], is_free: Callable[[], bool]) -> None:
        """Tell nothing yet."""
        self._write = write
        self._is_free = is_free
        self._loop = asyncio.get_running_loop()
        self._call: CallRecord | None = None
        self._turns: dict[int, TurnRecord] = {}
        self._notes: deque[Note] = deque(maxlen=MAX_NOTES)
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def call_changed(self, record: CallRecord) -> None:
        """Tell the call's own facts soon."""
        self._call = record
        self._tell_soon()

    call_moved = call_changed

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        """Tell a turn soon."""
        self._turns[turn.n] = turn
        self._tell_soon()

    def noted(self, record: CallRecord, note: Note) -> None:
        """Tell a note soon."""
        self._notes.append(note)
        self._tell_soon()

    def flush(self) -> None:
        """Tell now what has changed, if the page takes anything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_free():
            return
        if self._call is not None:
            self._send("call", self._call.summary())
            self._call = None
        for turn in self._turns.values():
            self._send("turn", turn.as_json())
        self._turns.clear()
        while self._notes:
            self._send("note", self._notes.popleft().as_json())

    def _tell_soon(self) -> None:
        if self._timer is None and not self._is_closed:
            self._timer = self._loop.call_later(EVERY_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self.flush()
        if self._call is not None or self._turns or self._notes:
            self._tell_soon()

    def _send(self, event: str, told: dict[str, Any]) -> None:
        self._write(orjson.dumps({"event": event, event: told}))

    def close(self) -> None:
        """Tell what is left; the call is over."""
        self.flush()
        self._is_closed = True
