"""Deepgram Flux as a SpeechToText: audio in, turns out, the service judging when a turn is over."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from deepgram.listen.v2.socket_client import AsyncV2SocketClient
from websockets.exceptions import ConnectionClosed

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.deepgram.transport import (
    DEEPGRAM_URL,
    FAREWELL_TIMEOUT_S,
    Transport,
    deepgram_client,
    dial,
    peer_errors,
)
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import (
    EagerEndOfTurn,
    EndOfTurn,
    SpeechEvent,
    StartOfTurn,
    TurnResumed,
    Update,
)
from voice_ai.wire.flux import FluxError, FluxMessage, FluxWarning, TurnInfo, parse_flux

# "80 ms chunks strongly recommended": developers.deepgram.com/docs/flux/quickstart.
CHUNK_MS = 80
# Updates come about every 250 ms of audio, in silence too (docs/flux/state). Twice that without one
# is remarkable; STALL_TIMEOUT_S more is a dead stream, open and silent (23 s of it: pipecat issue
# 5735).
UNHEARD_MS = 500
STALL_TIMEOUT_S = 5.0
# What the service takes: developers.deepgram.com/docs/flux/configuration.
EOT_THRESHOLDS = (0.5, 1.0)
EAGER_EOT_THRESHOLDS = (0.3, 0.9)
EOT_TIMEOUTS_MS = (500, 60_000)

_log = logging.getLogger(__name__)


class FluxSpeechToText:
    """The recogniser of all calls: the SDK's client and the parameters; each has its own socket.

    Args:
        api_key: Deepgram's.
        base_url: `wss://host`, or another place that speaks Deepgram's protocol.
        audio: what streams are sent; `mulaw/8000` takes a phone's octets as they are.
        model: Flux's model; `flux-general-multi` for other languages than English.
        eot_threshold: how sure the service is when it ends a turn, 0.5 to 1.0.
        eager_eot_threshold: 0.3 to 0.9 for EagerEndOfTurn and TurnResumed, None for none.
        eot_timeout_ms: silence after which a turn is over however unsure, 500 to 60,000.
        keyterms: names and words to expect.

    Raises:
        UsageError: a parameter is out of the service's range.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = DEEPGRAM_URL,
        *,
        audio: AudioFormat,
        model: str = "flux-general-en",
        eot_threshold: float = 0.6,
        eager_eot_threshold: float | None = None,
        eot_timeout_ms: int = 3000,
        keyterms: Sequence[str] = (),
    ) -> None:
        _check("eot_threshold", eot_threshold, EOT_THRESHOLDS)
        _check("eager_eot_threshold", eager_eot_threshold, EAGER_EOT_THRESHOLDS)
        _check("eot_timeout_ms", eot_timeout_ms, EOT_TIMEOUTS_MS)
        self._client = deepgram_client(api_key, base_url)
        self._audio = audio
        self._model = model
        self._eot_threshold = eot_threshold
        self._eager_eot_threshold = eager_eot_threshold
        self._eot_timeout_ms = eot_timeout_ms
        self._keyterms = list(keyterms)

    @property
    def input_format(self) -> AudioFormat:
        """The audio that streams of this recogniser take."""
        return self._audio

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator["FluxStream"]:
        """Dial on entering; say CloseStream and leave within a second.

        Raises:
            ProviderError: no connection; not retryable if Deepgram refused the key or the request.
        """
        connecting = self._client.listen.v2.connect(
            model=self._model,
            encoding=self._audio.encoding,
            sample_rate=self._audio.rate_hz,
            eot_threshold=self._eot_threshold,
            eager_eot_threshold=self._eager_eot_threshold,
            eot_timeout_ms=self._eot_timeout_ms,
            keyterm=self._keyterms or None,
        )
        async with dial("stt", connecting) as (client, transport):
            stream = FluxStream(client, transport, self._audio)
            try:
                yield stream
            finally:
                await stream.leave()


class FluxStream:
    """One call's socket. Sending and iterating are done by two tasks."""

    def __init__(
        self, client: AsyncV2SocketClient, transport: Transport, audio: AudioFormat
    ) -> None:
        self._client = client
        self._transport = transport
        self._audio = audio
        self._chunk = bytearray()
        self._unheard_ms = 0.0
        self._left = False

    async def send(self, audio: bytes) -> None:
        """Give the recogniser more audio; it goes out in messages of CHUNK_MS or more.

        Raises:
            ProviderError: the socket is closed, or takes nothing for SEND_TIMEOUT_S.
        """
        self._chunk += audio
        n_ms = self._audio.duration_ms(len(self._chunk))
        if n_ms < CHUNK_MS:
            return
        chunk, self._chunk = bytes(self._chunk), bytearray()
        with peer_errors("stt", "sending audio"):
            await self._client.send_media(chunk)
        self._unheard_ms += n_ms
        if self._unheard_ms >= UNHEARD_MS:
            self._transport.expect(STALL_TIMEOUT_S)

    async def __aiter__(self) -> AsyncIterator[SpeechEvent]:
        """Yield what is heard; ends when the stream has been left.

        Raises:
            ProviderError: the service reported an error, broke its protocol, went away or fell
                silent.
        """
        while (message := await self._receive()) is not None:
            match message:
                case TurnInfo():
                    if (event := _event(message)) is not None:
                        yield event
                case FluxError(code, description):
                    raise ProviderError("stt", f"Flux reports {code}: {description}")
                case FluxWarning(code, description):
                    _log.warning("Flux warns: %s: %s", code, description)

    async def leave(self) -> None:
        """Ask the service to end the stream; what it still has to say is not waited for."""
        self._left = True
        if not self._transport.is_open:
            return
        try:
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await self._client.send_close_stream()
        except (TimeoutError, ConnectionClosed) as error:
            _log.debug("CloseStream was not sent: %s", type(error).__name__)

    async def _receive(self) -> FluxMessage | None:
        with peer_errors("stt", "listening"):
            try:
                data = await self._transport.recv()
            except TimeoutError as error:
                raise ProviderError("stt", self._silence()) from error
            except ConnectionClosed:
                if self._left:
                    return None
                raise
            self._unheard_ms = 0.0
            return parse_flux(data)

    def _silence(self) -> str:
        return (
            f"Flux is open but silent: {self._unheard_ms:.0f} ms of audio sent and no message for "
            f"{STALL_TIMEOUT_S:.0f} s, where one comes every 250 ms"
        )


def _event(info: TurnInfo) -> SpeechEvent | None:
    stream_turn = info.turn_index + 1
    match info.event:
        case "Update":
            return Update(stream_turn, info.transcript)
        case "StartOfTurn":
            return StartOfTurn(stream_turn)
        case "EagerEndOfTurn":
            return EagerEndOfTurn(stream_turn, info.transcript)
        case "TurnResumed":
            return TurnResumed(stream_turn)
        case "EndOfTurn":
            end_s = info.window_end_s if info.speech_end_s is None else info.speech_end_s
            return EndOfTurn(stream_turn, info.transcript, end_s * 1000, info.window_end_s * 1000)
        case _:
            return None


def _check(name: str, value: float | None, bounds: tuple[float, float]) -> None:
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise UsageError(f"{name} is {value}, needed {bounds[0]} to {bounds[1]}")
