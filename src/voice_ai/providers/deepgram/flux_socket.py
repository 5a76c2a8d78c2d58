"""One connection to Deepgram Flux: audio out, turns in, and whether anybody is there."""

import asyncio
import logging
from collections.abc import Callable

from deepgram.listen.v2.socket_client import AsyncV2SocketClient
from websockets.exceptions import ConnectionClosed

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.transport import SEND_TIMEOUT_S, Transport, peer_errors
from voice_ai.wire.flux import FluxError, FluxWarning, TurnInfo, parse_flux, silent_until_s

# Updates come about every 250 ms of audio, in silence too (docs/flux/state). So much audio without
# one, whatever else is told, is a dead stream, open and silent (23 s of it: pipecat issue 5735) ...
STALL_MS = 2000.0
# ... unless it went out faster than it was spoken, and the service has not had the time.
STALL_S = 1.5
# Of the time between two messages of audio, no more counts as such patience: where more goes by it
# was we who stood still, and what the service told meanwhile is still to be read.
COUNTED_S = 0.25
# The same while the caller waits for the end of a turn: with these a stream that falls mute in the
# middle of one delays its end by 2.2 s at most, with the patience above by 3.1.
STALL_IN_TURN_MS = 1000.0
STALL_IN_TURN_S = 0.9

_log = logging.getLogger(__name__)


class FluxSocket:
    """One task sends while another receives."""

    def __init__(
        self, client: AsyncV2SocketClient, transport: Transport, audio: AudioFormat
    ) -> None:
        self.in_turn = False  # the caller has begun a turn that is not over
        self._client = client
        self._transport = transport
        self._per_ms = audio.n_octets_per_ms
        self._loop = asyncio.get_running_loop()
        self._unheard_ms = 0.0
        self._waited_s = 0.0  # for a word on what is unheard
        self._sent_s = 0.0
        self._full_since_s: float | None = None
        self._fault = ""
        self._quiet: Callable[[float], None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a message can be sent; a service that takes none for too long is dropped.

        The failure is told by `receive`, to the task that can mend it.
        """
        if self._transport.is_writable:
            self._full_since_s = None
            return True
        self._is_full()
        return False

    def _is_full(self) -> None:
        now = self._loop.time()
        if self._full_since_s is None:
            self._full_since_s = now
        elif now - self._full_since_s >= SEND_TIMEOUT_S:
            self.abort(f"Deepgram took no audio for {SEND_TIMEOUT_S:g} s")

    def send(self, audio: bytes) -> bool:
        """Send a message of audio, or return False if the socket is not `is_ready`."""
        if not self._transport.write(audio):
            self._is_full()
            return False
        now = self._loop.time()
        if self._unheard_ms:
            self._waited_s += min(now - self._sent_s, COUNTED_S)
        else:
            self._waited_s = 0.0
        self._sent_s = now
        self._full_since_s = None
        self._unheard_ms += len(audio) / self._per_ms
        patience_ms = STALL_IN_TURN_MS if self.in_turn else STALL_MS
        patience_s = STALL_IN_TURN_S if self.in_turn else STALL_S
        if self._unheard_ms >= patience_ms and self._waited_s >= patience_s:
            self._transport.wake()
        return True

    def show(self, quiet: Callable[[float], None]) -> None:
        """Call `quiet` with how far was heard, in s, at each Update of a silence between turns.

        They come four times a second, in the read that calls; a task would be woken for each.
        """
        self._quiet = quiet
        self._transport.show(self._glance)

    async def receive(self) -> tuple[TurnInfo, str | bytes]:
        """Return what is told next of a turn, and its text.

        Raises:
            ProviderError: the service reported an error, broke its protocol, went away or fell
                silent.
        """
        with peer_errors("stt", "listening"):
            while True:
                data = await self._receive()
                message = parse_flux(data)
                match message:
                    case TurnInfo():
                        self._unheard_ms = 0.0
                        return message, data
                    case FluxError(code, description):
                        raise ProviderError("stt", f"Flux reports {code}: {description}")
                    case FluxWarning(code, description):
                        _log.warning("Flux warns: %s: %s", code, description)

    async def is_alive(self, within_s: float) -> bool:
        """Whether the service answers a ping in time."""
        return await self._transport.is_alive(within_s)

    def when_lost(self, call: Callable[[], None]) -> None:
        """Have this called when the connection is gone; for who does not receive."""
        self._transport.when_lost(call)

    def abort(self, reason: str = "") -> None:
        """Drop the connection without a word; `receive` then tells this reason."""
        self._fault = self._fault or reason
        self._transport.abort()

    async def leave(self) -> None:
        """Ask the service to end the stream; what it still has to say is not waited for."""
        await self._transport.farewell(self._client.send_close_stream)

    def _glance(self, data: str) -> bool:
        until_s = None if self.in_turn else silent_until_s(data)
        if until_s is None or self._quiet is None:
            return False
        self._unheard_ms = 0.0
        self._quiet(until_s)
        return True

    async def _receive(self) -> str | bytes:
        try:
            data = await self._transport.recv()
        except TimeoutError as error:
            raise ProviderError("stt", self._silence()) from error
        except ConnectionClosed as error:
            if self._fault:
                raise ProviderError("stt", self._fault) from error
            raise
        return data

    def _silence(self) -> str:
        return (
            f"Flux is open but silent: {self._unheard_ms:.0f} ms of audio sent and nothing told "
            "of it, where an update comes every 250 ms"
        )
