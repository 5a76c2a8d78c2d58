"""The caller's audio on its way to the recogniser: nothing is lost while that is dialled."""

import asyncio

from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError

# Deepgram strongly recommends 80 ms (its Flux quickstart); a quarter of the system calls, too.
MESSAGE_MS = 80
# Milliseconds of audio; a handshake may take 10 s. When it is full, the recogniser has failed: the
# call ends, and says so.
LIMIT_MS = 15_000


class Backlog:
    """Takes frames as they come and gives messages of `MESSAGE_MS`, in the recogniser's format."""

    def __init__(self, transcoder: Transcoder) -> None:
        """Convert by `transcoder`, from the line's format to the recogniser's."""
        self._transcoder = transcoder
        target = transcoder.target
        self._size = MESSAGE_MS * target.n_octets_per_ms
        self._limit = LIMIT_MS * target.n_octets_per_ms
        self._pending = bytearray()
        self._enough = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Append a frame of the line's audio. Never waits.

        Raises:
            ProviderError: the recogniser has fallen `LIMIT_MS` behind.
        """
        self._pending += self._transcoder.convert(frame)
        if len(self._pending) > self._limit:
            raise ProviderError(
                "stt", f"{len(self._pending)} octets of speech wait, {self._limit} may"
            )
        if len(self._pending) >= self._size:
            self._enough.set()

    async def take(self) -> bytes:
        """Wait for the next message's worth of audio."""
        await self._enough.wait()
        message = bytes(self._pending[: self._size])  # a copy: the rest of the bytearray moves
        del self._pending[: self._size]
        if len(self._pending) < self._size:
            self._enough.clear()
        return message
