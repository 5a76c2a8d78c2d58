"""Text to speech with no network: hibari, a sentence at a time, on worker threads.

An utterance has no task of its own. Sending puts text aside; iterating takes it, has a worker speak
it, and yields each sentence as soon as it is made. Leaving drops the rest; a worker finishes the
sentence in hand.
"""

import asyncio
import os
import textwrap
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from voice_ai.codec.formats import PCM16_16K, AudioFormat
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.local.weights import (
    HIBARI_FILES,
    SPEAKING_PACKAGES,
    need,
    need_packages,
    verified,
)
from voice_ai.providers.local.workers import Workers
from voice_ai.providers.protocols import (
    Audio,
    CallInfo,
    SpokenTo,
    Taken,
    Utterance,
    Voice,
    VoiceEvent,
)

RATE_HZ = PCM16_16K.rate_hz

# The one voice that is inside the package; the library would download any other.
VOICE = "heart"

# Sentences sent and not yet spoken. A model writes faster than anyone listens; full, `send` waits.
MAX_WAITING = 64

# The voice works at sixty times real time: two threads keep two calls from waiting for each other.
MAX_THREADS = 2

# A long sentence, a number, and a word that no dictionary has, so that every part is loaded.
WARM_UP = "Warm up, please, with 12 numbers and a word like zorblatt."

# A sentence is cut here, between words: 15 s of speech, of which a worker makes one in 0.25 s. The
# voice takes any length at once, 600 words without a stop in 4.6 s.
MAX_CHARS = 250

# The noise in the voice is seeded: the same text is the same sound.
SEED = 0


class Speaker:
    """The voice's model, shared by all calls. Constructing loads it: about half a second.

    Raises:
        ProviderError: the model is not the one that was measured.
    """

    def __init__(self) -> None:
        verified("hibari", HIBARI_FILES, "tts")
        self._hibari: Any = need("hibari").Hibari(voice=VOICE, threads=1)

    def sentences(self, text: str) -> Iterator[bytes]:
        """Yield each sentence of a text as PCM16 at 16 kHz, made when it is asked for.

        A text with nothing to pronounce yields nothing: the model would sigh.

        Cost: 0.02 CPU seconds a second of speech; releases the GIL for most of it.
        """
        if not any(letter.isalnum() for letter in text):
            return
        for sentence in self._hibari.split_sentences(text):
            for part in textwrap.wrap(sentence, MAX_CHARS):
                for wave in self._hibari.stream(part, seed=SEED):
                    yield pcm16(soxr.resample(wave, self._hibari.sample_rate, RATE_HZ))


def pcm16(wave: NDArray[np.float32]) -> bytes:
    """Return samples of -1..1 as PCM16; what is louder comes down as a whole: clipping crackles."""
    peak = float(np.max(np.abs(wave), initial=0.0))
    scale = 32767 / max(peak, 1.0)
    samples: NDArray[np.int16] = np.rint(wave * scale).astype("<i2")
    return samples.tobytes()


class LocalTextToSpeech:
    """A voice on this machine. Construct it, `load` it in a thread, `close` it in the end.

    Args:
        voice: "heart" or None, which is the same.

    Raises:
        UsageError: another voice, or packages are missing; the text names them.
    """

    output_format: AudioFormat = PCM16_16K

    def __init__(self, voice: str | None = None) -> None:
        if voice not in (None, VOICE):
            raise UsageError(
                f"the local provider has one voice, {VOICE!r}; {voice!r} would be a download"
            )
        need_packages(SPEAKING_PACKAGES)
        self._workers = Workers("tts", "speaking", min(os.cpu_count() or 1, MAX_THREADS))
        self._speaker: Speaker | None = None

    def load(self) -> None:
        """Load the model and use it once. Blocks for about a second: call it in a thread.

        Raises:
            ProviderError: the model is missing or is not the one that was measured.
        """
        speaker = Speaker()
        for _ in speaker.sentences(WARM_UP):
            pass
        self._speaker = speaker

    def close(self) -> None:
        """Join the threads; utterances still open fail. Blocks for the making of one sentence."""
        self._workers.close()

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator[Voice]:
        """Enter one call's voice.

        Raises:
            ProviderError: the model is not loaded yet.
        """
        if self._speaker is None:
            raise ProviderError("tts", "the local voice is not loaded yet")
        yield LocalVoice(self._workers, self._speaker)


class LocalVoice:
    """One call's voice; made by `LocalTextToSpeech.open`."""

    def __init__(self, workers: Workers, speaker: Speaker) -> None:
        self._workers = workers
        self._speaker = speaker

    @asynccontextmanager
    async def utter(self) -> AsyncIterator[Utterance]:
        """Begin a reply; leaving it drops what is not yet spoken."""
        utterance = LocalUtterance(self._workers, self._speaker)
        try:
            yield utterance
        finally:
            utterance.close()


class LocalUtterance:
    """One reply's text in, its voice out; made by `LocalVoice.utter`."""

    def __init__(self, workers: Workers, speaker: Speaker) -> None:
        self._workers = workers
        self._speaker = speaker
        self._waiting: deque[str] = deque()
        self._finished = False
        self._closed = False
        self._text_came = asyncio.Event()
        self._room = asyncio.Event()
        self._n_chars = 0
        self._speaking: Iterator[bytes] | None = None
        self.taken = Taken()

    async def send(self, text: str) -> None:
        """Put a sentence aside for the iterating task; waits when 64 are waiting already.

        Raises:
            ProviderError: the utterance is finished or was left.
        """
        while len(self._waiting) >= MAX_WAITING and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed or self._finished:
            raise ProviderError("tts", "text after the end of an utterance", retryable=False)
        self._waiting.append(text)
        self._text_came.set()

    @property
    def owes(self) -> bool:
        """Whether there is text that was not spoken to its end."""
        return bool(self._waiting) or self._speaking is not None

    def offer(self, take: Callable[[bytes], bool]) -> None:
        """All audio is iterated: it comes from another thread."""

    async def finish(self) -> None:
        """Say that no more text comes."""
        self._finished = True
        self._text_came.set()

    def close(self) -> None:
        """Drop what is unspoken and end the iteration. Idempotent."""
        self._closed = True
        self._waiting.clear()
        self._text_came.set()
        self._room.set()

    def __aiter__(self) -> AsyncIterator[VoiceEvent]:
        """Yield each sentence's audio, and after a sent text how far it reaches."""
        return self

    async def __anext__(self) -> VoiceEvent:
        """Return the next stretch of the voice, or how far it has come.

        Raises:
            ProviderError: the voice failed or was too late.
        """
        if self._speaking is None:
            self._speaking = self._speaker.sentences(await self._next_text())
        data = await self._workers.run(next, self._speaking, None)
        if self._closed:
            raise StopAsyncIteration
        if data is not None:
            return Audio(data)
        self._speaking = None
        return SpokenTo(self._n_chars)

    async def _next_text(self) -> str:
        while not (self._waiting or self._finished or self._closed):
            self._text_came.clear()
            await self._text_came.wait()
        if not self._waiting:
            raise StopAsyncIteration
        text = self._waiting.popleft()
        self._room.set()
        self._n_chars += len(text)
        return text
