"""Finding a connection for one call: at its start, and whenever it has lost one.

What all calls of a process share is in `Shared`. Every fault is told once, with what was done: one
that another try follows at once, one that ended a connection when there is another, and the last
ones together when the search is given up.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.flux_gate import FluxGate
from voice_ai.providers.deepgram.flux_socket import FluxSocket
from voice_ai.providers.deepgram.flux_spare import PROVIDER, Dial, FluxSpare
from voice_ai.providers.deepgram.flux_tries import OUT_S, TRY_S, Jitter, Tries
from voice_ai.providers.deepgram.transport import is_services_own
from voice_ai.providers.faults import Action, Fault, Report
from voice_ai.providers.protocols import CallInfo


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls of a process dial with."""

    dial: Dial
    gate: FluxGate
    spare: FluxSpare
    report: Report
    jitter: Jitter


class Search:
    """One call's. Connections are entered into `current`, at most one at a time."""

    def __init__(self, shared: Shared, current: AsyncExitStack, call: CallInfo) -> None:
        self._shared = shared
        self._current = current
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._tries = Tries(call.budget, shared.jitter)
        self._is_new = False  # the connection: nothing has come over it yet
        self._is_off = False

    async def first(self) -> FluxSocket | None:
        """Find the connection that a call begins with; None if `call_off` was said meanwhile.

        Raises:
            ProviderError: nobody answers; not retryable if Deepgram refused the key or the request.
        """
        self._tries.lost(self._loop.time(), -1.0)
        found = await self._find(None)
        self._tries = Tries(self._call.budget, self._shared.jitter)
        return found

    async def another(self, lost: ProviderError, heard_ms: float) -> FluxSocket | None:
        """Find one in place of one that is lost, as `first`; `heard_ms` is how far was heard."""
        if self._tries.lost(self._loop.time(), heard_ms):
            self._shared.gate.breaker.failed()
        return await self._find(lost)

    def heard(self, heard_ms: float) -> None:
        """Take how far has been heard by now.

        The first message of a connection already tells that Flux is back, seconds before it has
        heard again what the one before it had: other calls have no such seconds.
        """
        if self._tries.heard(heard_ms) or self._is_new:
            self._is_new = False
            self._shared.gate.breaker.succeeded()

    def replaced(self, lost: ProviderError, again_ms: int) -> None:
        """Tell that another connection took over."""
        out_s = OUT_S - self._tries.left_s(self._loop.time())
        text = f"{lost}; another connection after {out_s * 1000:.0f} ms"
        self._tell(f"{text}, tries {self._tries.n}, heard again {again_ms} ms", "replaced")

    def call_off(self) -> None:
        """Look no more."""
        self._is_off = True

    async def _find(self, lost: ProviderError | None) -> FluxSocket | None:
        latest: ProviderError | None = None
        while not self._is_off:
            wait_s = self._tries.next_wait_s(self._loop.time())
            if wait_s is None:
                raise self._gave_up(lost, latest)
            if latest is not None:
                self._tell(str(latest), "retried")
            try:
                socket = await self._try(wait_s, lost is not None and self._tries.is_first)
                if not self._is_off:
                    self._is_new = True
                    return socket
            except ProviderError as error:
                latest = error
                if not error.retryable:
                    raise self._gave_up(lost, latest) from error
        await self._current.aclose()
        return None

    async def _try(self, wait_s: float, takes_spare: bool) -> FluxSocket:
        text = "Flux is down for everybody, and this call's turn to try it did not come"
        try:
            async with asyncio.timeout(self._tries.left_s(self._loop.time())):
                await asyncio.sleep(wait_s)
                if takes_spare and (spare := await self._shared.spare.take(self._current)):
                    return spare
                await self._pass_gate()
                text = "Deepgram did not answer in time while connecting"
                return await self._dial()
        except TimeoutError as error:
            raise ProviderError("stt", text) from error

    async def _pass_gate(self) -> None:
        """Wait while Flux is down for everybody and others are trying it."""
        wait_s = self._shared.gate.ask()
        if wait_s:
            self._tell("Flux is down for everybody, and another call is trying it", "skipped")
        while wait_s:
            await asyncio.sleep(wait_s)
            wait_s = self._shared.gate.ask()

    async def _dial(self) -> FluxSocket:
        try:
            async with asyncio.timeout(TRY_S):
                return await self._current.enter_async_context(self._shared.dial())
        except (TimeoutError, ProviderError) as error:
            if is_services_own(error):
                self._shared.gate.breaker.failed()
            raise

    def _gave_up(self, lost: ProviderError | None, latest: ProviderError | None) -> ProviderError:
        """Tell what has not been told yet: how the connection was lost, and the last try's end."""
        out_s = OUT_S - self._tries.left_s(self._loop.time())
        text = "; ".join(str(fault) for fault in (lost, latest) if fault is not None)
        text += f"; given up after {self._tries.n} tries in {out_s:.1f} s"
        self._tell(text, "gave up")
        return ProviderError("stt", text, retryable=latest is None or latest.retryable)

    def _tell(self, what: str, action: Action) -> None:
        self._shared.report(Fault(self._call.call_sid, "stt", PROVIDER, what, action))
