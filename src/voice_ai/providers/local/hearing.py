"""Speech to text with no network: Silero says when the caller speaks, Whisper what.

A stream has no task of its own. Sending puts audio aside; iterating takes it, has workers judge and
recognise it, and yields the events in their order. What the caller says while an utterance is still
being recognised is kept and judged after it, so that StartOfTurn n+1 always follows EndOfTurn n: a
caller who goes on within that tenth of a second has two turns, of which the second interrupts our
reply to the first.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager

from voice_ai.codec.formats import PCM16_8K, AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.cost import Cost
from voice_ai.providers.local.activity import HOP_OCTETS, Activity, SpeechDetector
from voice_ai.providers.local.endpointing import (
    CONFIRM_WINDOW,
    EARLY_MS,
    HOP_MS,
    Began,
    Ended,
    Endpointer,
    Heard,
    Paused,
    Resumed,
)
from voice_ai.providers.local.recognition import Recogniser
from voice_ai.providers.local.weights import HEARING_PACKAGES, WHISPER_PACKAGES, need_packages
from voice_ai.providers.local.workers import Workers
from voice_ai.providers.protocols import CallInfo, SpeechStream
from voice_ai.turn.events import EndOfTurn, SpeechEvent, StartOfTurn

# Octets of audio not yet judged: 30 s. Full only when the processor cannot keep up:
# the stream fails.
MAX_WAITING = 30_000 * PCM16_8K.n_octets_per_ms

# Hops judged by one job (a second of audio, 8 ms): one late call must not keep the others waiting.
MAX_HOPS = 32

# Audio before the first hop of speech that Whisper gets too: soft beginnings (f, h) are not noticed
# at once, and before them it wants 300 ms.
PREROLL_HOPS = 700 // HOP_MS

# Audio after the last hop of speech, all of it there when a pause has lasted long enough to be one.
TAIL_HOPS = EARLY_MS // HOP_MS

# Whisper scales to about a core each; more at once only share what two cores have.
MAX_RECOGNITIONS = 4


class LocalSpeechToText:
    """A recogniser on this machine. Construct it, `load` it in a thread, `close` it in the end.

    Args:
        model: a folder with a converted Whisper model, or its name for faster-whisper; None takes
            tiny.en from its package.
        silence_ms: how long the caller must be silent for a turn to be over.

    Raises:
        UsageError: names the packages that are missing.
    """

    input_format: AudioFormat = PCM16_8K

    def __init__(self, model: str | None = None, silence_ms: float = 500) -> None:
        need_packages(HEARING_PACKAGES | (WHISPER_PACKAGES if model is None else {}))
        self._model = model
        self._silence_ms = silence_ms
        self._n_recognitions = min(os.cpu_count() or 1, MAX_RECOGNITIONS)
        self._judging = Workers("stt", "endpointing", 1)
        self._recognising = Workers("stt", "recognition", self._n_recognitions)
        self._detector: SpeechDetector | None = None
        self._recogniser: Recogniser | None = None

    def load(self) -> None:
        """Load the models and use each once. Blocks for about a second: call it in a thread.

        Raises:
            UsageError: the model that was asked for cannot be used.
            ProviderError: the weights are missing or are not those that were measured.
        """
        detector = SpeechDetector()
        detector.listen().probabilities(bytes(HOP_OCTETS))
        recogniser = Recogniser(self._model, self._n_recognitions)
        recogniser.transcribe(bytes(PCM16_8K.n_octets_per_ms * 1000))
        self._detector, self._recogniser = detector, recogniser

    def close(self) -> None:
        """Join the threads; streams still open fail. Blocks for the length of one recognition."""
        self._judging.close()
        self._recognising.close()

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator[SpeechStream]:
        """Enter one call's stream.

        Raises:
            ProviderError: the models are not loaded yet.
        """
        if self._detector is None or self._recogniser is None:
            raise ProviderError("stt", "the local models are not loaded yet")
        ears = _Ears(self._judging, self._detector.listen(), self._recognising, self._recogniser)
        stream = LocalSpeechStream(ears, Endpointer(self._silence_ms), call.cost)
        try:
            yield stream
        finally:
            stream.close()


class _Ears:
    """What a stream has done in threads."""

    def __init__(
        self, judging: Workers, activity: Activity, recognising: Workers, recogniser: Recogniser
    ) -> None:
        self._judging = judging
        self._activity = activity
        self._recognising = recognising
        self._recogniser = recogniser

    async def judge(self, pcm16: bytes) -> list[float]:
        return await self._judging.run(self._activity.probabilities, pcm16)

    def begin(self, pcm16: bytes) -> Future[str]:
        return self._recognising.submit(self._recogniser.transcribe, pcm16)

    async def transcript(self, begun: Future[str]) -> str:
        return await self._recognising.result(begun)


class LocalSpeechStream:
    """One call's audio in, its turns out; made by `LocalSpeechToText.open`."""

    def __init__(self, ears: _Ears, endpointer: Endpointer, cost: Cost) -> None:
        self._cost = cost
        self._ears = ears
        self._endpointer = endpointer
        self._closed = False
        self._waiting = bytearray()
        self._audio_came = asyncio.Event()
        self._kept = bytearray()
        self._kept_from = 0
        self._n_hops = 0
        # Judged and not yet told; what one job of MAX_HOPS gives, a handful.
        self._heard: deque[Heard] = deque()
        self._stream_turn = 0
        self._recognition: Future[str] | None = None

    def send(self, audio: bytes) -> bool:
        """Put audio aside for the iterating task, which fails when 30 s of it are waiting."""
        if not self._closed and len(self._waiting) <= MAX_WAITING:
            self._waiting += audio
            self._cost.stt_s += PCM16_8K.duration_ms(len(audio)) / 1000
            self._audio_came.set()
        return False

    def __aiter__(self) -> AsyncIterator[SpeechEvent]:
        """Yield the caller's turns until the stream is left."""
        return self

    async def __anext__(self) -> SpeechEvent:
        """Return the next event.

        Raises:
            ProviderError: a model failed or was too late, or recognition has fallen behind.
        """
        while True:
            while not self._heard:
                await self._judge()
            event = await self._told(self._heard.popleft())
            if event is not None:
                return event

    def close(self) -> None:
        """End the iteration, drop what is not yet recognised. Idempotent."""
        self._closed = True
        self._forget_recognition()
        self._audio_came.set()

    async def _judge(self) -> None:
        """Have the next whole hops judged; wait for some if there are none."""
        if not self._endpointer.speaking:
            self._forget_audio()
        hops = await self._next_hops()
        self._kept += hops
        for probability in await self._ears.judge(hops):
            self._n_hops += 1
            heard = self._endpointer.push(probability)
            if heard is not None:
                self._heard.append(heard)

    async def _next_hops(self) -> bytes:
        while len(self._waiting) < HOP_OCTETS and not self._closed:
            self._audio_came.clear()
            await self._audio_came.wait()
        if self._closed:
            raise StopAsyncIteration
        if len(self._waiting) > MAX_WAITING:
            wait_s = MAX_WAITING // PCM16_8K.n_octets_per_ms // 1000
            raise ProviderError("stt", f"recognition has fallen {wait_s} s behind")
        n_octets = min(len(self._waiting) // HOP_OCTETS, MAX_HOPS) * HOP_OCTETS
        hops = bytes(self._waiting[:n_octets])
        del self._waiting[:n_octets]
        return hops

    async def _told(self, heard: Heard) -> SpeechEvent | None:
        match heard:
            case Began():
                self._stream_turn += 1
                return StartOfTurn(self._stream_turn)
            case Paused(first, end):
                self._recognition = self._ears.begin(self._audio(first, end))
            case Resumed():
                self._forget_recognition()
            case Ended(first, end, decided):
                begun = self._recognition or self._ears.begin(self._audio(first, end))
                self._recognition = None
                text = await self._ears.transcript(begun)
                return EndOfTurn(self._stream_turn, text, end * HOP_MS, decided * HOP_MS)
        return None

    def _audio(self, first: int, end: int) -> bytes:
        """The speech between two hops with a little of what is around it."""
        start = max(first - PREROLL_HOPS - self._kept_from, 0)
        return bytes(
            self._kept[start * HOP_OCTETS : (end + TAIL_HOPS - self._kept_from) * HOP_OCTETS]
        )

    def _forget_audio(self) -> None:
        """Keep of the silence between turns only what may come before the next."""
        n_spare = self._n_hops - self._kept_from - PREROLL_HOPS - CONFIRM_WINDOW
        if n_spare > 0:
            del self._kept[: n_spare * HOP_OCTETS]
            self._kept_from += n_spare

    def _forget_recognition(self) -> None:
        if self._recognition is not None:
            self._recognition.cancel()
            self._recognition = None
