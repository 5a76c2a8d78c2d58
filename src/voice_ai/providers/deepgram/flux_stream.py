"""A call's stream to Flux over as many connections as it takes; the call sees one.

Audio always goes through the ring, `TurnAudio`. The task that iterates finds out that a connection
is lost, dials another and rewinds the ring; `send` goes on filling it meanwhile, and then sends
faster than new audio comes until nothing waits. So nothing here needs a task or a timer of its own.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.flux_socket import FluxSocket
from voice_ai.providers.deepgram.flux_turns import FluxTurns, Told
from voice_ai.providers.deepgram.turn_audio import TurnAudio
from voice_ai.turn.events import SpeechEvent

# "80 ms chunks strongly recommended": developers.deepgram.com/docs/flux/quickstart.
CHUNK_MS = 80
# A turn's audio that is kept until the turn has ended: half a megabyte of PCM16 at 16 kHz, and as
# much as the call's backlog holds.
RING_MS = 15_000
# Of real time, while audio waits; what Deepgram advises after an interruption:
# developers.deepgram.com/documentation/guides/recover-streaming-errors
CATCH_UP = 1.25
# Seconds before each try in a row, and the least share of them that jitter leaves.
WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0)
JITTER = 0.5
# Without a recogniser, in all; a caller hangs up on a longer silence.
OUT_S = 4.0
# For one try; a handshake over TLS takes a second at the worst.
TRY_S = 1.5

_log = logging.getLogger(__name__)


class Tries:
    """How often in a row, and since when, a recogniser has been looked for."""

    def __init__(self) -> None:
        self.n = 0
        self.since_s: float | None = None
        self._heard_ms = 0.0

    def lost(self, now_s: float, heard_ms: float) -> None:
        """Begin, unless there has been no recogniser anyway."""
        if self.since_s is None:
            self.since_s = now_s
        self._heard_ms = max(self._heard_ms, heard_ms)

    def heard(self, heard_ms: float) -> None:
        """There is a recogniser. If it hears nothing new before it is lost, the row goes on."""
        self.since_s = None
        if heard_ms > self._heard_ms:
            self.n = 0

    def next_wait_s(self, now_s: float) -> float | None:
        """Return how long to wait before the next try, None if there have been enough."""
        if self.n == len(WAITS_S) or self.left_s(now_s) <= 0:
            return None
        self.n += 1
        return WAITS_S[self.n - 1] * random.uniform(JITTER, 1.0)

    def left_s(self, now_s: float) -> float:
        """Return how long a recogniser may still be looked for."""
        return OUT_S if self.since_s is None else self.since_s + OUT_S - now_s


class FluxStream:
    """One call's audio in, its turns out. Sending and iterating are done by two tasks."""

    def __init__(
        self,
        dial: Callable[[], AbstractAsyncContextManager[FluxSocket]],
        current: AsyncExitStack,
        audio: AudioFormat,
        call_sid: str,
    ) -> None:
        self._dial = dial
        self._current = current
        self._per_ms = audio.n_octets_per_ms
        self._call_sid = call_sid
        self._loop = asyncio.get_running_loop()
        self._audio = TurnAudio(RING_MS * self._per_ms, self._per_ms)
        self._may_send = 0.0  # octets
        self._n_lost = 0
        self._turns = FluxTurns()
        self._tries = Tries()
        self._socket: FluxSocket | None = None
        self._left = False

    async def connect(self) -> None:
        """Dial for the first time.

        Raises:
            ProviderError: no connection; not retryable if Deepgram refused the key or the request.
        """
        began_s = self._loop.time()
        self._tries.lost(began_s, -1.0)
        fault = await self._find(None)
        if fault is not None:
            self._tell(fault, began_s, 0)
        self._tries = Tries()

    def send(self, audio: bytes) -> None:
        """Give the recogniser more audio; it goes out in messages of CHUNK_MS or more.

        While there is no connection, or it takes nothing, audio is kept.
        """
        self._n_lost += self._audio.append(audio)
        if self._socket is None:
            return
        # Also while the socket takes nothing: then all goes out at once, as from a kernel's buffer.
        self._may_send += CATCH_UP * len(audio)
        n_octets = min(self._audio.n_unsent, int(self._may_send))
        if n_octets < CHUNK_MS * self._per_ms or not self._socket.is_ready:
            return
        chunk = self._audio.take(n_octets)
        self._may_send -= len(chunk)
        if not self._audio.n_unsent:
            self._may_send = 0.0
            self._tell_lost()
        self._socket.send(chunk)

    async def __aiter__(self) -> AsyncIterator[SpeechEvent]:
        """Yield what is heard; ends when the stream has been left.

        Raises:
            ProviderError: the connection was lost, and there is no other.
        """
        while (socket := self._socket) is not None:
            try:
                info, data = await socket.receive()
            except ProviderError as fault:
                if self._left:
                    return
                await self._replace(socket, fault)
                continue
            offset_ms = (self._audio.sent - socket.n_sent) / self._per_ms
            told = Told(info, data, offset_ms, self._audio.sent / self._per_ms)
            event = self._turns.hear(told)
            socket.in_turn = self._turns.in_turn
            self._tries.heard(self._turns.heard_ms)
            self._audio.forget(self._turns.needed_ms * self._per_ms)
            if event is not None:
                yield event

    async def leave(self) -> None:
        """Say goodbye to the connection that there is, and look for no other."""
        self._left = True
        self._tell_lost()
        if self._socket is not None:
            await self._socket.leave()

    async def _replace(self, socket: FluxSocket, fault: ProviderError) -> None:
        """Find another connection in place of one that is lost, and have it hear what is needed."""
        self._socket = None
        socket.abort()
        await self._current.aclose()
        self._may_send = 0.0
        began_s = self._loop.time()
        self._tries.lost(began_s, self._turns.heard_ms)
        n_again = self._audio.sent
        self._audio.rewind(self._turns.lose() * self._per_ms)
        n_again -= self._audio.sent
        await self._find(fault)
        self._tell(fault, began_s, n_again)

    async def _find(self, lost: ProviderError | None) -> ProviderError | None:
        """Dial until somebody answers; return the first fault, if there was one."""
        faults = [] if lost is None else [lost]
        while not self._left:
            now_s = self._loop.time()
            left_s, wait_s = self._tries.left_s(now_s), self._tries.next_wait_s(now_s)
            if wait_s is None:
                raise self._gave_up(faults)
            try:
                async with asyncio.timeout(min(left_s, wait_s + TRY_S)):
                    await asyncio.sleep(wait_s)
                    self._socket = await self._current.enter_async_context(self._dial())
                self._socket.in_turn = self._turns.in_turn
                break
            except TimeoutError:
                text = "Deepgram did not answer in time while connecting"
                faults.append(ProviderError("stt", text))
            except ProviderError as error:
                faults.append(error)
                if not error.retryable:
                    raise self._gave_up(faults) from error
        if self._left:
            self._socket = None
            await self._current.aclose()
        return faults[0] if faults else None

    def _gave_up(self, faults: list[ProviderError]) -> ProviderError:
        out_s = OUT_S - self._tries.left_s(self._loop.time())
        first, last = faults[0], faults[-1]
        text = str(last) if first is last else f"{first}; {last}"
        text += f"; given up after {self._tries.n} tries in {out_s:.1f} s"
        return ProviderError("stt", text, retryable=last.retryable)

    def _tell_lost(self) -> None:
        if self._n_lost:
            lost_ms = self._n_lost // self._per_ms
            facts = {"call_sid": self._call_sid, "stage": "stt", "lost_ms": lost_ms}
            text = "call %(call_sid)s: %(stage)s: %(lost_ms)d ms of audio were never heard"
            _log.warning(text, facts, extra=facts)
            self._n_lost = 0

    def _tell(self, fault: ProviderError, began_s: float, n_again: int) -> None:
        out_ms = round((self._loop.time() - began_s) * 1000)
        facts = {
            "call_sid": self._call_sid,
            "stage": "stt",
            "fault": str(fault),
            "done": "left" if self._left else "connected anew",
            "out_ms": out_ms,
            "n_tries": self._tries.n,
            "again_ms": n_again // self._per_ms,
        }
        text = "call %(call_sid)s: %(stage)s: %(fault)s; %(done)s after %(out_ms)d ms, "
        text += "tries %(n_tries)d, heard again %(again_ms)d ms"
        _log.warning(text, facts, extra=facts)
