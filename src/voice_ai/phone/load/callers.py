"""Many callers at once: one timer sends the frames of all of them.

N calls share the 20 ms of a frame: call i speaks i/N of it after the first, so that a step of
1/N-th is one call's turn. The timer works off all steps that are due; no call has a task of its own
but while it is being opened.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from voice_ai.errors import PeerError
from voice_ai.phone import webhook
from voice_ai.phone.dial import CLOSE_TIMEOUT_S
from voice_ai.phone.load.histogram import Histogram
from voice_ai.phone.load.opening import open_call
from voice_ai.phone.load.stream import Counts, Stream
from voice_ai.phone.load.voice import FRAME_MS
from voice_ai.phone.plan import CallPlan

FRAME_S = FRAME_MS / 1000
# libuv's timers count in ms, and the shortest of them is busy waiting.
MIN_TICK_S = 0.001
# Calls begun a second, and how many may be between webhook and start: a call centre's opening, and
# few enough that the last one is still answered in time.
OPENED_A_SECOND = 40
MAX_OPENING = 20
# Times of frames that are kept, of all calls together: 8 octets each.
MAX_TIMES = 2_000_000


class Callers:
    """Calls of a load. Enter `calling` to have them put through and hung up."""

    def __init__(self, plan: CallPlan, n_calls: int) -> None:
        """Call as `plan` says; nothing is dialled yet."""
        self.late = Histogram()
        self.n_opened = 0
        self.faults: Counter[str] = Counter()
        self._plan = plan
        self._n = n_calls
        self._streams: list[Stream | None] = [None] * n_calls
        self._began = 0.0
        self._step_s = FRAME_S / n_calls
        self._n_steps = 0
        self._timer: asyncio.Handle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def n_up(self) -> int:
        """How many calls are up."""
        return sum(stream is not None and not stream.ended for stream in self._streams)

    @asynccontextmanager
    async def calling(self, tell: Callable[[int], None]) -> AsyncIterator[None]:
        """Open all calls, each speaking from its start on; hang up at the end.

        Calls that cannot be put through are counted in `faults`. `tell` is told how many are done.
        """
        self._began = time.monotonic()
        self._tick()
        try:
            await self._open_all(tell)
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._note_ends()
            await self._hang_up()

    def count_anew(self) -> list[Counts | None]:
        """Return what each call counted since the last time, None of one that never was up."""
        self.late = Histogram()
        return [stream.count_anew() if stream else None for stream in self._streams]

    async def _open_all(self, tell: Callable[[int], None]) -> None:
        opening = asyncio.Semaphore(MAX_OPENING)
        began = time.monotonic()
        async with webhook.client() as http, asyncio.TaskGroup() as group:

            async def put_through(call: int) -> None:
                async with opening:
                    try:
                        room = MAX_TIMES // self._n
                        self._streams[call] = await open_call(http, self._plan, call, room=room)
                    except PeerError as error:
                        self.faults[str(error)] += 1
                self.n_opened += 1
                tell(self.n_opened)

            for call in range(self._n):
                due = began + call / OPENED_A_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(put_through(call))

    def _tick(self) -> None:
        """Send the frames that are due, one round at most: who is behind must listen as well."""
        began, step_s, n_calls = self._began, self._step_s, self._n
        step = self._n_steps
        last = step + n_calls
        now = time.monotonic()
        while (due := began + step * step_s) <= now and step < last:
            stream = self._streams[step % n_calls]
            if stream is not None and not stream.ended:
                late_ms = (now - due) * 1000
                stream.speak(now, late_ms)
                self.late.add(late_ms)
                now = time.monotonic()
            step += 1
        self._n_steps = step
        self._timer = self._loop.call_later(max(MIN_TICK_S, due - now), self._tick)

    def _note_ends(self) -> None:
        for stream in self._streams:
            if stream is not None and stream.ended:
                self.faults[stream.ended] += 1

    async def _hang_up(self) -> None:
        """Hang up on all calls, and break off those that do not answer in time."""
        streams = [stream for stream in self._streams if stream is not None]
        for stream in streams:
            stream.hang_up()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for stream in streams:
                    await stream.wait_closed()
        except TimeoutError:
            self._break_off(streams)

    def _break_off(self, streams: list[Stream]) -> None:
        for stream in streams:
            if not stream.ended:
                self.faults[f"the server did not close in {CLOSE_TIMEOUT_S:g} s"] += 1
                stream.abort()
