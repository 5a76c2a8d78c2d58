"""Deepgram Flux as a SpeechToText: audio in, turns out, the service judging when a turn is over."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import UsageError
from voice_ai.providers.breaker import Breaker
from voice_ai.providers.deepgram.flux_gate import FluxGate
from voice_ai.providers.deepgram.flux_search import Shared
from voice_ai.providers.deepgram.flux_socket import FluxSocket
from voice_ai.providers.deepgram.flux_spare import FluxSpare
from voice_ai.providers.deepgram.flux_stream import FluxStream
from voice_ai.providers.deepgram.flux_tries import Jitter
from voice_ai.providers.deepgram.transport import DEEPGRAM_URL, deepgram_client, dial
from voice_ai.providers.faults import Report, log_fault
from voice_ai.providers.protocols import CallInfo

# What the service takes: developers.deepgram.com/docs/flux/configuration.
EOT_THRESHOLDS = (0.5, 1.0)
EAGER_EOT_THRESHOLDS = (0.3, 0.9)
EOT_TIMEOUTS_MS = (500, 60_000)


class FluxSpeechToText:
    """The recogniser of all calls: the SDK's client and the parameters; each has its own sockets.

    Args:
        api_key: Deepgram's.
        base_url: `wss://host`, or another place that speaks Deepgram's protocol.
        audio: what streams are sent; `mulaw/8000` takes a phone's octets as they are.
        model: Flux's model; `flux-general-multi` for other languages than English.
        eot_threshold: how sure the service is when it ends a turn, 0.5 to 1.0.
        eager_eot_threshold: 0.3 to 0.9 for EagerEndOfTurn and TurnResumed, None for none.
        eot_timeout_ms: silence after which a turn is over however unsure, 500 to 60,000.
        keyterms: names and words to expect.
        report: is told of every fault.
        breaker: counts those of all calls.
        jitter: takes the least and the most, returns one between them; for tests.

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
        report: Report = log_fault,
        breaker: Breaker | None = None,
        jitter: Jitter = random.uniform,
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
        gate = FluxGate(breaker or Breaker(_now_s), _now_s)
        spare = FluxSpare(self._dial, gate, report)
        self._shared = Shared(self._dial, gate, spare, report, jitter)

    @property
    def input_format(self) -> AudioFormat:
        """The audio that streams of this recogniser take."""
        return self._audio

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator[FluxStream]:
        """Dial on entering; say CloseStream and leave within a second.

        A connection that is lost in between is replaced, and nothing said meanwhile is.

        Raises:
            ProviderError: no connection; not retryable if Deepgram refused the key or the request.
        """
        async with AsyncExitStack() as current:
            stream = FluxStream(self._shared, current, self._audio, call)
            await stream.connect()
            try:
                yield stream
            finally:
                await stream.leave()

    @asynccontextmanager
    async def keeping_spare(self) -> AsyncIterator[None]:
        """Have one connection open meanwhile, for the next call that loses its own.

        It is one of the streams that Deepgram allows an account at once.
        """
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._shared.spare.keep())
            try:
                yield
            finally:
                keeping.cancel()

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[FluxSocket]:
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
            yield FluxSocket(client, transport, self._audio)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _check(name: str, value: float | None, bounds: tuple[float, float]) -> None:
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise UsageError(f"{name} is {value}, needed {bounds[0]} to {bounds[1]}")
