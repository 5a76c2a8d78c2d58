"""One Flux connection that is open and idle, for whichever call loses its own first.

One a process, not one a call: it counts against Deepgram's limit of streams, and halving the calls
to save one of them a handshake is no bargain. The transport's pings keep it from being closed.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.flux_gate import FluxGate
from voice_ai.providers.deepgram.flux_socket import FluxSocket
from voice_ai.providers.faults import Action, Fault, Report

PROVIDER = "Deepgram Flux"
# A round trip, from wherever it may be; what takes longer is no better than a new connection.
CHECK_S = 0.25
# Seconds after one that was of no use, doubled each time: the first and the last.
BACKOFF_S = (1.0, 60.0)
# Deepgram does not say how long a stream may last: a spare is to have most of that before it.
AGE_S = 900.0

Dial: TypeAlias = Callable[[], AbstractAsyncContextManager[FluxSocket]]


@dataclass(frozen=True, slots=True)
class _Kept:
    socket: FluxSocket
    stack: AsyncExitStack
    gone: asyncio.Event


class FluxSpare:
    """One task keeps it, any may take it."""

    def __init__(self, dial: Dial, gate: FluxGate, report: Report) -> None:
        self._dial = dial
        self._gate = gate
        self._report = report
        self._kept: _Kept | None = None

    async def take(self, current: AsyncExitStack) -> FluxSocket | None:
        """Return the connection, now the caller's to leave with `current`; None without a live one.

        It has answered a ping just before.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        current.push_async_exit(kept.stack.pop_all())
        kept.gone.set()
        if await kept.socket.is_alive(CHECK_S):
            return kept.socket
        kept.socket.abort()
        await current.aclose()
        return None

    async def keep(self) -> None:
        """Keep one open until cancelled, or until Deepgram has refused for good."""
        wait_s = backoff_s = 0.0
        while True:
            await asyncio.sleep(wait_s)
            if wait_s := self._gate.ask():
                continue
            try:
                was_of_use = await self._keep_one()
            except ProviderError as fault:
                self._tell(str(fault), "retried" if fault.retryable else "gave up")
                if not fault.retryable:
                    return
                was_of_use = False
            least_s, most_s = BACKOFF_S
            backoff_s = 0.0 if was_of_use else min(most_s, max(least_s, 2 * backoff_s))
            wait_s = backoff_s

    async def _keep_one(self) -> bool:
        """Hold one open until it is taken, gone or old; return whether that was of use."""
        gone = asyncio.Event()
        async with AsyncExitStack() as stack:
            socket = await stack.enter_async_context(self._dial())
            socket.when_lost(gone.set)
            self._kept = _Kept(socket, stack, gone)
            try:
                async with asyncio.timeout(AGE_S):
                    await gone.wait()
            except TimeoutError:
                return True
            finally:
                was_taken, self._kept = self._kept is None, None
        if not was_taken:
            self._tell("it was closed while nobody needed it", "retried")
        return was_taken

    def _tell(self, what: str, action: Action) -> None:
        self._report(Fault("", "stt", PROVIDER, f"keeping a spare: {what}", action))
