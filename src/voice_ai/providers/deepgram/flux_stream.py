"""A call's stream to Flux over as many connections as it takes; the call sees one.

Audio always goes through the ring, `TurnAudio`. The task that iterates finds out that a connection
is lost, searches for another and rewinds the ring; `send` goes on filling it meanwhile, and then
sends faster than new audio comes until nothing waits. So nothing here needs a task or a timer of
its own.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.flux_lag import BEHIND_MS, Lag
from voice_ai.providers.deepgram.flux_replay import Replay
from voice_ai.providers.deepgram.flux_search import Search, Shared
from voice_ai.providers.deepgram.flux_socket import FluxSocket
from voice_ai.providers.deepgram.flux_turns import FluxTurns, Told
from voice_ai.providers.deepgram.flux_unheard import Unheard
from voice_ai.providers.deepgram.turn_audio import TurnAudio
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import SpeechEvent

# "80 ms chunks strongly recommended": developers.deepgram.com/docs/flux/quickstart.
CHUNK_MS = 80
# A turn's audio that is kept until the turn has ended: half a megabyte of PCM16 at 16 kHz, and as
# much as the call's backlog holds.
RING_MS = 15_000
# Of real time, while audio waits; what Deepgram advises after an interruption:
# developers.deepgram.com/documentation/guides/recover-streaming-errors
CATCH_UP = 1.25

_log = logging.getLogger(__name__)


class FluxStream:
    """One call's audio in, its turns out. Sending and iterating are done by two tasks."""

    def __init__(
        self, shared: Shared, current: AsyncExitStack, audio: AudioFormat, call: CallInfo
    ) -> None:
        self._search = Search(shared, current, call)
        self._current = current
        self._form = audio
        self._per_ms = audio.n_octets_per_ms
        self._chunk = CHUNK_MS * self._per_ms
        self._call_sid = call.call_sid
        self._cost = call.cost
        self._audio = TurnAudio(RING_MS * self._per_ms, self._per_ms)
        self._may_send = 0.0  # octets
        self._n_lost = 0
        self._turns = FluxTurns()
        self._socket: FluxSocket | None = None
        self._replay = Replay(self._audio, audio, trims=False)
        self._left = False
        # From the loss of a connection until another one has caught up.
        self._unheard: Unheard | None = None
        self._lag = Lag()

    async def connect(self) -> None:
        """Dial for the first time.

        Raises:
            ProviderError: no connection; not retryable if Deepgram refused the key or the request.
        """
        self._adopt(await self._search.first())

    def send(self, audio: bytes) -> bool:
        """Give the recogniser more audio; it goes out in messages of CHUNK_MS or more.

        While there is no connection, or it takes nothing, audio is kept.

        Returns:
            True once if the caller waits for an answer to what another connection has yet to hear.
        """
        if self._passes(audio):
            return False
        self._keep(audio)
        return self._unheard is not None and self._unheard.hear(audio)

    def _keep(self, audio: bytes) -> None:
        """Put audio behind what waits, and send of that what may be sent."""
        if n_lost := self._audio.append(audio):
            self._n_lost += n_lost
            self._replay.lost()
        if self._socket is None:
            return
        # Also while the socket takes nothing: then all goes out at once, as from a kernel's buffer.
        self._may_send += CATCH_UP * len(audio)
        n_octets = min(self._audio.n_unsent, int(self._may_send))
        if n_octets < self._chunk or not self._socket.is_ready:
            return
        chunk = self._replay.take(n_octets)
        self._may_send -= len(chunk)
        if not self._audio.n_unsent:
            self._may_send = 0.0
            self._unheard = None
            self._tell_lost()
        self._sent(chunk, self._socket.send(chunk))

    def _passes(self, audio: bytes) -> bool:
        """Send what has just come, if nothing is before it: as good as always."""
        socket = self._socket
        if socket is None or len(audio) < self._chunk or self._audio.n_unsent:
            return False
        if not self._sent(audio, socket.send(audio)):
            return False
        self._replay.passed(audio)
        return True

    def _sent(self, audio: bytes, was_sent: bool) -> bool:
        """Count what the service was sent."""
        if was_sent:
            self._cost.stt_s += len(audio) / self._per_ms / 1000
        return was_sent

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
            told = Told(info, data, self._replay.place, self._audio.sent / self._per_ms)
            event = self._turns.hear(told)
            socket.in_turn = self._turns.in_turn
            self._heard(socket)
            if event is not None:
                yield event

    async def leave(self) -> None:
        """Say goodbye to the connection that there is, and look for no other."""
        self._left = True
        self._search.call_off()
        self._tell_lost()
        if self._socket is not None:
            await self._socket.leave()

    async def _replace(self, socket: FluxSocket, fault: ProviderError) -> None:
        """Find another connection in place of one that is lost, and have it hear what is needed."""
        self._socket = None
        socket.abort()
        await self._current.aclose()
        self._may_send = 0.0
        n_again = self._audio.sent
        self._audio.rewind(self._turns.lose() * self._per_ms)
        n_again -= self._audio.sent
        if self._unheard is None:
            self._unheard = Unheard(self._form, self._audio.kept(self._audio.sent))
        found = await self._search.another(fault, self._turns.heard_ms)
        if found is None:
            return
        found.in_turn = self._turns.in_turn
        self._replay = Replay(self._audio, self._form, trims=True)
        if not self._audio.n_unsent:
            self._unheard = None
        self._adopt(found)
        self._search.replaced(fault, n_again // self._per_ms)

    def _adopt(self, socket: FluxSocket | None) -> None:
        self._socket = socket
        if socket is not None:
            socket.show(partial(self._heard_silence, socket))

    def _heard_silence(self, socket: FluxSocket, until_s: float) -> None:
        if socket is not self._socket:
            return
        self._turns.heard_silence(self._replay.place(until_s * 1000))
        self._heard(socket)

    def _heard(self, socket: FluxSocket) -> None:
        """Take how far was heard; drop a connection that falls behind, and not for our sake."""
        turns = self._turns
        self._search.heard(turns.heard_ms)
        self._audio.forget(turns.needed_ms * self._per_ms)
        behind_ms = self._audio.sent / self._per_ms - turns.heard_ms
        if behind_ms <= BEHIND_MS or self._unheard is not None:
            self._lag.ends()
        elif self._lag.grows(behind_ms):
            self._lag.ends()
            socket.abort(f"Flux is {behind_ms:.0f} ms behind the audio, and falls further behind")

    def _tell_lost(self) -> None:
        if self._n_lost:
            lost_ms = self._n_lost // self._per_ms
            facts = {"call_sid": self._call_sid, "stage": "stt", "lost_ms": lost_ms}
            text = "call %(call_sid)s: %(stage)s: %(lost_ms)d ms of audio were never heard"
            _log.warning(text, facts, extra=facts)
            self._n_lost = 0
