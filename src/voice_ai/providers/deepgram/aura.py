"""Deepgram Aura as a TextToSpeech: one socket a call, one utterance after another on it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.aura_socket import (
    MAX_FIRST_FLUSHES,
    MAX_FLUSHES,
    MAX_FURTHER_FLUSHES,
    MAX_SPEAK_CHARS,
    AuraSocket,
    pieces,
)
from voice_ai.providers.deepgram.transport import DEEPGRAM_URL, deepgram_client, dial
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo, Taken, VoiceEvent
from voice_ai.wire.aura import AuraError, AuraMessage, AuraWarning, Flushed

# A sentence takes the service some 100 ms; nothing for so long while it owes us audio is a dead
# socket.
STALL_TIMEOUT_S = 10.0
# A Flush that was ignored is never answered: with a Warning about, this much silence ends the
# utterance.
WARNED_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class AuraTextToSpeech:
    """The voice of all calls: the SDK's client and the parameters; each call has its own socket.

    Args:
        api_key: Deepgram's.
        base_url: `wss://host`, or another place that speaks Deepgram's protocol.
        audio: what utterances yield; `mulaw/8000` is what a phone plays as it is.
        model: the voice's name.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = DEEPGRAM_URL,
        *,
        audio: AudioFormat,
        model: str = "aura-2-thalia-en",
    ) -> None:
        self._client = deepgram_client(api_key, base_url)
        self._audio = audio
        self._model = model

    @property
    def output_format(self) -> AudioFormat:
        """The audio that this voice gives."""
        return self._audio

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator["AuraVoice"]:
        """Dial on entering; leave within a second.

        Raises:
            ProviderError: no connection; not retryable if Deepgram refused the key or the request.
        """
        async with AsyncExitStack() as current:
            voice = AuraVoice(self._dial, current, self._audio)
            await voice.redial()
            yield voice

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[AuraSocket]:
        connecting = self._client.speak.v1.connect(
            model=self._model, encoding=self._audio.encoding, sample_rate=self._audio.rate_hz
        )
        async with dial("tts", connecting) as (client, transport):
            socket = AuraSocket(client, transport)
            try:
                yield socket
            finally:
                await socket.leave()


class AuraVoice:
    """A call's socket, replaced whenever it cannot be trusted with the next utterance."""

    def __init__(
        self,
        dial: Callable[[], AbstractAsyncContextManager[AuraSocket]],
        current: AsyncExitStack,
        audio: AudioFormat,
    ) -> None:
        self._dial = dial
        self._current = current
        self._audio = audio
        self._socket: AuraSocket | None = None

    async def redial(self) -> AuraSocket:
        """Drop the socket, if there is one, and open another."""
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
        await self._current.aclose()
        self._socket = await self._current.enter_async_context(self._dial())
        return self._socket

    @asynccontextmanager
    async def utter(self) -> AsyncIterator["AuraUtterance"]:
        """Begin a reply. Leaving early clears it; late audio is dropped before the next begins.

        Left by a ProviderError, its socket is dropped.

        Raises:
            ProviderError: the socket had to be replaced, and could not be.
        """
        socket = self._socket
        if socket is None or not await socket.is_ready():
            socket = await self.redial()
        utterance = AuraUtterance(socket, self.redial, self._audio)
        try:
            yield utterance
        except ProviderError:
            utterance.abort()
            raise
        finally:
            await utterance.leave()


class AuraUtterance:
    """One reply. Text is given by one task, audio taken by another."""

    def __init__(
        self, socket: AuraSocket, redial: Callable[[], Awaitable[AuraSocket]], audio: AudioFormat
    ) -> None:
        self._socket = socket
        self._redial = redial
        self._n_sample_octets = 2 if audio.encoding == "linear16" else 1
        self._odd = b""
        self._began = asyncio.Event()
        self._finished = False
        self._n_given = 0  # characters; of them the service holds `_n_unflushed` without a flush
        self._n_unflushed = 0
        self._n_spoken = 0
        # Characters before each Flush that is not answered yet; at most MAX_FLUSHES and the last.
        self._flushes: deque[int] = deque()
        self._warned = False
        self._has_sound = False  # since the last Flushed
        self._take: Callable[[bytes], bool] | None = None
        self._loop = asyncio.get_running_loop()
        self.taken = Taken()

    async def send(self, text: str) -> None:
        """Give the next sentence or clause, with its trailing space.

        Raises:
            ProviderError: the socket is closed, or takes nothing for SEND_TIMEOUT_S.
        """
        for piece in pieces(text):
            await self._speak(piece)
            self._n_given += len(piece)
        if self._n_unflushed and self._may_flush():
            await self._flush()

    async def finish(self) -> None:
        """Say that no more text comes; the iterator ends when all of it has been spoken."""
        self._finished = True
        self._began.set()
        if self._n_unflushed:
            await self._flush()
        elif not self._flushes:
            self._socket.wake()

    def offer(self, take: Callable[[bytes], bool]) -> None:
        """Give audio to `take` in the read that brings it; what it declines is iterated."""
        self._take = take
        self._socket.offer(self._offered)

    async def __aiter__(self) -> AsyncIterator[VoiceEvent]:
        """Yield the voice as it is made, and SpokenTo wherever the service confirms a flush.

        Raises:
            ProviderError: the service reported an error, broke its protocol, went away or fell
                silent.
        """
        await self._began.wait()
        while not self._is_done:
            match await self._receive():
                case bytes(data):
                    samples = self._whole(data)
                    self._heard(data)
                    if samples:
                        yield Audio(samples)
                case Flushed() if self._flushes:
                    self._odd, self._has_sound = b"", False
                    self._n_spoken = self._flushes.popleft()
                    yield SpokenTo(self._n_spoken)
                case AuraError(code, description):
                    raise self._failure(f"Aura reports {code}: {description}")
                case AuraWarning(code, description):
                    _log.warning("Aura warns: %s: %s", code, description)
                    self._warned = True
                case None:
                    self._fell_silent()
        if self._n_spoken < self._n_given:
            yield SpokenTo(self._n_given)

    @property
    def owes(self) -> bool:
        """Whether audio is due: text was flushed and is not confirmed yet."""
        return bool(self._flushes)

    def abort(self) -> None:
        """Drop the connection, which nobody trusts any more."""
        self._socket.condemn()
        self._socket.abort()

    async def leave(self) -> None:
        """Have what is unspoken forgotten; late audio is dropped before the next utterance."""
        self._socket.withdraw()
        if self._n_unflushed or self._flushes:
            await self._socket.clear(len(self._flushes))

    @property
    def _is_done(self) -> bool:
        return self._finished and not self._flushes and not self._n_unflushed

    async def _speak(self, piece: str) -> None:
        """Send a piece; a socket that died unseen since the last utterance is replaced once."""
        if not any(map(str.isalnum, piece)):
            return  # the service answers nothing to what has no sound
        is_too_much = self._n_unflushed + len(piece) > MAX_SPEAK_CHARS
        if is_too_much and self._socket.n_flushes < MAX_FLUSHES:
            await self._flush()
        # Counted first: a send that is cancelled may have gone out, and then needs a Clear.
        self._n_unflushed += len(piece)
        try:
            await self._socket.speak(piece)
        except ProviderError:
            if self._began.is_set():
                raise
            self._socket = await self._redial()
            if self._take is not None:
                self._socket.offer(self._offered)
            await self._socket.speak(piece)
        self._began.set()

    def _may_flush(self) -> bool:
        is_first = not self._flushes and not self._n_spoken
        return self._socket.n_flushes < (MAX_FIRST_FLUSHES if is_first else MAX_FURTHER_FLUSHES)

    async def _flush(self) -> None:
        self._flushes.append(self._n_given)
        self._n_unflushed = 0
        await self._socket.flush()
        self._socket.expect(STALL_TIMEOUT_S)

    async def _receive(self) -> bytes | AuraMessage | None:
        if self._flushes:
            self._socket.expect(self._patience_s)
        return await self._socket.receive()

    def _offered(self, data: bytes) -> bool:
        is_whole = not self._odd and not len(data) % self._n_sample_octets
        samples = data if is_whole else self._whole(data)
        if self._take is None or not (self._flushes or self._n_unflushed or not self._finished):
            return False
        if samples and not self._take(samples):
            return False
        self._has_sound = True
        self.taken.n_octets += len(samples)
        self.taken.at_s = self._loop.time()
        if not is_whole:
            self._heard(data)
        return True

    def _whole(self, data: bytes) -> bytes:
        """Return the whole samples of what is there with this chunk."""
        n_octets = len(self._odd) + len(data)
        if not self._odd and not n_octets % self._n_sample_octets:
            return data
        return (self._odd + data)[: n_octets - n_octets % self._n_sample_octets]

    def _heard(self, data: bytes) -> None:
        """Keep an octet that is half a sample for the next chunk."""
        self._has_sound = True
        if not self._odd and not len(data) % self._n_sample_octets:
            return
        n_odd = (len(self._odd) + len(data)) % self._n_sample_octets
        self._odd = (self._odd + data)[-n_odd:] if n_odd else b""

    def _fell_silent(self) -> None:
        """Judge a silence: we were woken, a flush was ignored, or the service is stuck."""
        if not self._flushes:
            return
        if self._loop.time() - self.taken.at_s < self._patience_s:
            return  # audio was taken past the iterator meanwhile
        if not (self._warned and self._has_sound):
            raise self._failure(f"Aura is open but silent: {len(self._flushes)} flushes unanswered")
        self._flushes.clear()
        self._socket.condemn()

    @property
    def _patience_s(self) -> float:
        return WARNED_TIMEOUT_S if self._warned else STALL_TIMEOUT_S

    def _failure(self, text: str) -> ProviderError:
        self._socket.condemn()
        return ProviderError("tts", text)
