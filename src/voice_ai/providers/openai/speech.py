"""OpenAI's speech as a TextToSpeech: a request for what has been written so far, sound as it comes.

Source: https://platform.openai.com/docs/guides/text-to-speech; `pcm` is 24 kHz, 16 bit, without a
header.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final, Self

import httpx2
import openai

from voice_ai.codec.formats import PCM16_24K, AudioFormat
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.openai.failures import SERVICE_ERRORS, as_provider_error
from voice_ai.providers.openai.model import (
    CONNECT_S,
    KEEPALIVE_S,
    MAX_CONNECTIONS,
    MAX_IDLE_CONNECTIONS,
)
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo, Taken, VoiceEvent

MODEL: Final = "gpt-4o-mini-tts"
# The bound of `input`. Source: openai/types/audio/speech_create_params.py.
MAX_CHARS: Final = 4096
# Until an answer begins, and between two reads of it.
READ_S: Final = 5.0
# An answer that nobody reads to its end is dropped, not waited for.
LEAVE_S: Final = 0.5


class OpenAITextToSpeech:
    """The adapter; enter it once for the process, then `open` it for each call.

    Args:
        api_key: the key; never logged.
        base_url: another server of the same interface; None takes the SDK's own.
        voice: such as `alloy`.
        model: the model's name.
    """

    output_format: AudioFormat = PCM16_24K

    def __init__(
        self, api_key: str, base_url: str | None = None, *, voice: str, model: str = MODEL
    ) -> None:
        if not api_key or not voice:
            raise UsageError("OpenAI's speech needs an API key and a voice; one of them is empty")
        self._api_key = api_key
        self._base_url = base_url
        self._asks = {"model": model, "voice": voice, "response_format": "pcm"}
        self._client: openai.AsyncOpenAI | None = None
        self._create: Any = None

    async def __aenter__(self) -> Self:
        """Make the client, and do the SDK's lazy imports; nothing is dialled yet."""
        self._client = openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=0,
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
            http_client=openai.DefaultAioHttpClient(
                limits=httpx2.Limits(
                    max_connections=MAX_CONNECTIONS,
                    max_keepalive_connections=MAX_IDLE_CONNECTIONS,
                    keepalive_expiry=KEEPALIVE_S,
                )
            ),
        )
        self._create = self._client.audio.speech.with_streaming_response.create
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close every connection. All calls have been left by now."""
        if self._client is not None:
            await self._client.close()
            self._client = self._create = None

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator["OpenAIVoice"]:
        """Enter one call; nothing is dialled before there is text."""
        if self._create is None:
            raise UsageError("enter the voice before a call is opened on it")
        yield OpenAIVoice(self._create, self._asks)


class OpenAIVoice:
    """One call's voice."""

    def __init__(self, create: Any, asks: dict[str, str]) -> None:
        """Ask by the SDK's `create`."""
        self._create = create
        self._asks = asks

    @asynccontextmanager
    async def utter(self) -> AsyncIterator["OpenAIUtterance"]:
        """Begin a reply. Leaving early closes the request under way."""
        utterance = OpenAIUtterance(self._create, self._asks)
        try:
            yield utterance
        finally:
            await utterance.leave()


class OpenAIUtterance:
    """One reply. Text that is written while a request is under way goes with the next."""

    def __init__(self, create: Any, asks: dict[str, str]) -> None:
        self._create = create
        self._asks = asks
        self._request = AsyncExitStack()
        self._is_asking = False
        self._text = ""
        self._n_asked = 0  # characters
        self._finished = False
        self._changed = asyncio.Event()
        self.taken = Taken()

    @property
    def owes(self) -> bool:
        """Whether there is text that was not spoken to its end."""
        return self._is_asking or self._n_asked < len(self._text)

    async def send(self, text: str) -> None:
        """Give the next sentence or clause, with its trailing space."""
        self._text += text
        self._changed.set()

    async def finish(self) -> None:
        """Say that no more text comes; the iterator ends when all of it has been spoken."""
        self._finished = True
        self._changed.set()

    def offer(self, take: Callable[[bytes], bool]) -> None:
        """All audio is iterated: it comes through the SDK."""

    async def __aiter__(self) -> AsyncIterator[VoiceEvent]:
        """Yield the voice as it is made, and SpokenTo after each request.

        Raises:
            ProviderError: the service refused the request, broke it off or fell silent.
        """
        while text := await self._next_text():
            if any(map(str.isalnum, text)):
                async for data in self._spoken(text):
                    yield Audio(data)
            yield SpokenTo(self._n_asked)

    async def leave(self) -> None:
        """Close the request under way, if there is one."""
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._request.aclose()
        except SERVICE_ERRORS:
            pass  # the connection is gone, and that is all we want of it

    async def _next_text(self) -> str:
        """Wait for text; return all that was not asked for yet, or nothing at the end."""
        while self._n_asked == len(self._text) and not self._finished:
            self._changed.clear()
            await self._changed.wait()
        text = self._text[self._n_asked : self._n_asked + MAX_CHARS]
        if len(text) == MAX_CHARS:
            text = text[: text.rfind(" ") + 1] or text
        self._n_asked += len(text)
        return text

    async def _spoken(self, text: str) -> AsyncIterator[bytes]:
        self._is_asking, odd = True, b""
        with _reported():
            asking = self._create(input=text, **self._asks)
            async with asyncio.timeout(READ_S):
                response = await self._request.enter_async_context(asking)
            chunks = aiter(response.iter_bytes())
            while data := await self._read(chunks):
                whole = (odd + data)[: (len(odd) + len(data)) // 2 * 2]
                odd = (odd + data)[len(whole) :]
                if whole:
                    yield whole
            await self._request.aclose()
        self._is_asking = False

    async def _read(self, chunks: AsyncIterator[bytes]) -> bytes:
        async with asyncio.timeout(READ_S):
            return await anext(chunks, b"")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except SERVICE_ERRORS as error:
        # Not from the error: its text can quote the key, and tracebacks are logged.
        failure = as_provider_error(error)
        raise ProviderError("tts", str(failure), retryable=failure.retryable) from None
