"""One connection to Deepgram Flux: audio out, turns in, and whether anybody is there."""

import asyncio
import logging

from deepgram.listen.v2.socket_client import AsyncV2SocketClient
from websockets.exceptions import ConnectionClosed

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.transport import SEND_TIMEOUT_S, Transport, peer_errors
from voice_ai.wire.flux import FluxError, FluxWarning, TurnInfo, parse_flux

# Updates come about every 250 ms of audio, in silence too (docs/flux/state). So much audio without
# one is a dead stream, open and silent (23 s of it: pipecat issue 5735) ...
STALL_MS = 2000.0
# ... unless it went out faster than it was spoken, and the service has not had the time.
STALL_S = 1.5
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
        self.n_sent = 0
        self.in_turn = False  # the caller has begun a turn that is not over
        self._client = client
        self._transport = transport
        self._audio = audio
        self._loop = asyncio.get_running_loop()
        self._unheard_ms = 0.0
        self._unheard_since_s = 0.0
        self._full_since_s: float | None = None
        self._fault = ""

    @property
    def is_ready(self) -> bool:
        """Whether a message can be sent; a service that takes none for too long is dropped.

        The failure is told by `receive`, to the task that can mend it.
        """
        if self._transport.is_writable:
            self._full_since_s = None
            return True
        now = self._loop.time()
        if self._full_since_s is None:
            self._full_since_s = now
        elif now - self._full_since_s >= SEND_TIMEOUT_S:
            self.abort(f"Deepgram took no audio for {SEND_TIMEOUT_S:g} s")
        return False

    def send(self, audio: bytes) -> None:
        """Send a message of audio; only while `is_ready`."""
        now = self._loop.time()
        if not self._unheard_ms:
            self._unheard_since_s = now
        self.n_sent += len(audio)
        self._unheard_ms += self._audio.duration_ms(len(audio))
        self._transport.write(audio)
        patience_ms = STALL_IN_TURN_MS if self.in_turn else STALL_MS
        patience_s = STALL_IN_TURN_S if self.in_turn else STALL_S
        if self._unheard_ms >= patience_ms and now - self._unheard_since_s >= patience_s:
            self._transport.wake()

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
                        return message, data
                    case FluxError(code, description):
                        raise ProviderError("stt", f"Flux reports {code}: {description}")
                    case FluxWarning(code, description):
                        _log.warning("Flux warns: %s: %s", code, description)

    def abort(self, reason: str = "") -> None:
        """Drop the connection without a word; `receive` then tells this reason."""
        self._fault = self._fault or reason
        self._transport.abort()

    async def leave(self) -> None:
        """Ask the service to end the stream; what it still has to say is not waited for."""
        await self._transport.farewell(self._client.send_close_stream)

    async def _receive(self) -> str | bytes:
        try:
            data = await self._transport.recv()
        except TimeoutError as error:
            raise ProviderError("stt", self._silence()) from error
        except ConnectionClosed as error:
            if self._fault:
                raise ProviderError("stt", self._fault) from error
            raise
        self._unheard_ms = 0.0
        return data

    def _silence(self) -> str:
        return (
            f"Flux is open but silent: {self._unheard_ms:.0f} ms of audio sent and no message, "
            "where one comes every 250 ms"
        )
