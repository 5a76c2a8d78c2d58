"""One connection to Deepgram Aura: its requests, its messages, and what it still owes us."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator

from deepgram.speak.v1.socket_client import AsyncV1SocketClient
from websockets.exceptions import ConnectionClosed

from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram.transport import FAREWELL_TIMEOUT_S, Transport, peer_errors
from voice_ai.wire.aura import (
    FLUSH,
    AuraMessage,
    AuraOther,
    Cleared,
    Flushed,
    parse_aura,
    speak,
)

# "20 Flush / 60 s per socket", beyond which a Warning comes and the Flush is ignored:
# developers.deepgram.com/docs/tts-ws-flush. We count at our end and the service at its own, hence a
# margin of 2.
FLUSH_WINDOW_S = 60.0
MAX_FLUSHES = 18
# A further flush only tells more exactly what has been spoken; a first makes the first sound come
# sooner; the last must always be possible. So each may use only so much of the budget.
MAX_FURTHER_FLUSHES = 12
MAX_FIRST_FLUSHES = 16
# Characters in a message, and so in the text of one flush:
# developers.deepgram.com/docs/tts-websocket.
MAX_SPEAK_CHARS = 2000
# Cleared comes within a round trip; what the service had sent before it is read in no time. It is
# waited for when the next reply begins, which has time for a new socket, too.
CLEAR_TIMEOUT_S = 0.5

_log = logging.getLogger(__name__)


class AuraSocket:
    """A socket and the SDK's client on it. One task makes requests, another takes messages."""

    def __init__(self, client: AsyncV1SocketClient, transport: Transport) -> None:
        self._client = client
        self._transport = transport
        self._flushed_at: deque[float] = deque()  # loop times, at most FLUSH_WINDOW_S old
        self._clearing = False
        self._n_stale = 0
        self._condemned = False

    @property
    def n_flushes(self) -> int:
        """How many flushes of the service's budget are used up."""
        now = asyncio.get_running_loop().time()
        while self._flushed_at and self._flushed_at[0] <= now - FLUSH_WINDOW_S:
            self._flushed_at.popleft()
        return len(self._flushed_at)

    async def is_ready(self) -> bool:
        """Say whether an utterance may begin, after dropping what is left of the one before."""
        if self._condemned or not self._transport.is_open or self.n_flushes >= MAX_FLUSHES:
            return False
        try:
            async with asyncio.timeout(CLEAR_TIMEOUT_S):
                while self._clearing:
                    await self._drop_one()
        except (TimeoutError, ProviderError) as error:
            _log.info("Aura's socket is replaced, it did not clear: %s", error)
            return False
        return True

    async def speak(self, text: str) -> None:
        """Give text to be spoken; it waits for more until there is enough of it, or a flush."""
        with peer_errors("tts", "sending text"):
            await self._transport.send_text(speak(text))

    async def flush(self) -> None:
        """Have all text spoken; Flushed will come after its audio."""
        self._flushed_at.append(asyncio.get_running_loop().time())
        with peer_errors("tts", "sending a flush"):
            await self._transport.send_text(FLUSH)

    async def clear(self, n_unanswered: int) -> None:
        """Have all text forgotten; flushes that are unanswered may be answered yet, or not."""
        self._clearing = True
        self._n_stale += n_unanswered
        if self._condemned or not self._transport.is_open:
            return
        try:
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await self._client.send_clear()
        except (TimeoutError, ConnectionClosed):
            self.condemn()

    async def receive(self) -> bytes | AuraMessage | None:
        """Return the next audio or message, or None after an unexpected silence or on `wake`.

        Raises:
            ProviderError: the socket is closed, or what came cannot be read.
        """
        with peer_errors("tts", "speaking"):
            try:
                data = await self._transport.recv()
            except TimeoutError:
                return None
            if isinstance(data, bytes):
                if not self._clearing:
                    self._n_stale = 0
                return data
            return self._without_stale(parse_aura(data))

    def offer(self, take: Callable[[bytes], bool]) -> None:
        """Offer audio to `take` before `receive` gets it, until `withdraw`."""

        def take_first(data: bytes) -> bool:
            if not take(data):
                return False
            self._n_stale = 0
            self._transport.offer(take)
            return True

        self._transport.offer(take_first)

    def withdraw(self) -> None:
        """Have `receive` get all audio again."""
        self._transport.offer(None)

    def expect(self, within_s: float) -> None:
        """Have `receive` return None after a silence of this length."""
        self._transport.expect(within_s)

    def wake(self) -> None:
        """Have a `receive` that waits return None now."""
        self._transport.wake()

    def condemn(self) -> None:
        """Let no further utterance begin on this socket."""
        self._condemned = True

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    async def leave(self) -> None:
        """Say Close; an answer is not waited for."""
        await self._transport.farewell(self._client.send_close)

    async def _drop_one(self) -> None:
        message = await self.receive()
        self._clearing = not isinstance(message, Cleared)

    def _without_stale(self, message: AuraMessage) -> AuraMessage:
        """Hide a Flushed from before a Clear: it comes before any audio of newer text."""
        if self._n_stale and isinstance(message, Flushed):
            self._n_stale -= 1
            return AuraOther("Flushed before a Clear")
        return message


def pieces(text: str) -> Iterator[str]:
    """Cut a text into what the service takes at once, between words if it can; lose nothing."""
    while len(text) > MAX_SPEAK_CHARS:
        cut = text.rfind(" ", 0, MAX_SPEAK_CHARS) + 1 or MAX_SPEAK_CHARS
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text
