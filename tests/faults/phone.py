"""A telephone in the test's hand, as a call's line: it plays, speaks, and times the silence."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import groupby

from fakes.handset import CHAR_MS
from voice_ai.call.line import AudioIn, DigitIn, LineEvent, MarkIn
from voice_ai.codec.formats import ULAW_8K
from voice_ai.phone.buffer import FRAME_MS, FRAME_OCTETS, SILENCE, PlayoutBuffer

# A letter that is cut is heard as one if this much of it was; whole words are what is asked for.
WHOLE = 0.5


class Phone:
    """Plays and speaks a frame every 20 ms. While the caller `waits`, silence is counted.

    `worst_ms` is the longest silence of a caller who waits, `worst_at_s` when it began.
    """

    format = ULAW_8K

    def __init__(self) -> None:
        self.waits = True  # for the greeting
        self.worst_ms = 0
        self.worst_at_s = 0.0
        self.quiet_ms = 0
        self.hung_up = False
        self._heard: list[bytes] = []
        self._n_before = 0
        self._buffer = PlayoutBuffer()
        self._inbox: asyncio.Queue[LineEvent | None] = asyncio.Queue()
        self._saying: Iterator[bytes] = iter(())
        self.is_saying = False
        self._loop = asyncio.get_running_loop()

    # A call's line.

    def tap(self, target: object, n_octets: object, arrived: object, marked: object) -> None:
        """All audio comes as messages."""

    def gate(self, voice: object, otherwise: object) -> None:
        """All of a voice is written piece by piece."""

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        while (event := await self._inbox.get()) is not None:
            yield event

    @property
    def is_free(self) -> bool:
        return True

    def write_audio(self, data: bytes) -> None:
        self._buffer.media(data)

    def write_mark(self, name: str) -> None:
        self._echo(self._buffer.mark(name))

    async def send_audio(self, data: bytes) -> None:
        self.write_audio(data)

    async def send_mark(self, name: str) -> None:
        self.write_mark(name)

    async def clear(self) -> None:
        self._echo(self._buffer.clear())

    async def hang_up(self) -> None:
        self.hung_up = True
        self.waits = False
        self.caller_hangs_up()

    # Its caller.

    def caller_hangs_up(self) -> None:
        self._inbox.put_nowait(None)

    def press(self, digit: str) -> None:
        self._inbox.put_nowait(DigitIn(digit))

    def say(self, ulaw: bytes) -> None:
        """Say this from now on; nothing is waited for meanwhile."""
        self.waits = False
        self.is_saying = True
        self._n_before = len(self._heard)
        self._saying = (
            ulaw[at : at + FRAME_OCTETS].ljust(FRAME_OCTETS, SILENCE)
            for at in range(0, len(ulaw), FRAME_OCTETS)
        )

    def wait(self) -> None:
        """Wait for an answer from now on."""
        self.waits, self.quiet_ms = True, 0

    @property
    def text(self) -> str:
        """What was heard since the caller last began to speak."""
        return self._letters(self._heard[self._n_before :])

    @property
    def all_text(self) -> str:
        """What was heard in the whole call."""
        return self._letters(self._heard)

    async def run_clock(self) -> None:
        """Play and speak, until cancelled."""
        due_s, n = self._loop.time(), 0
        while True:
            sound, passed = self._buffer.play()
            self._listen(sound)
            self._echo(passed)
            frame = next(self._saying, None)
            self.is_saying = self.is_saying and frame is not None
            self._inbox.put_nowait(AudioIn(frame or SILENCE * FRAME_OCTETS, n * FRAME_MS))
            due_s, n = due_s + FRAME_MS / 1000, n + 1
            await asyncio.sleep(due_s - self._loop.time())

    def _listen(self, sound: bytes) -> None:
        if sound.strip(SILENCE):
            self._heard.append(sound)
            self.quiet_ms = 0
            return
        self.quiet_ms += FRAME_MS
        if self.waits and self.quiet_ms > self.worst_ms:
            self.worst_ms = self.quiet_ms
            self.worst_at_s = self._loop.time() - self.quiet_ms / 1000

    def _letters(self, heard: list[bytes]) -> str:
        runs = [(code, len(list(run))) for code, run in groupby(b"".join(heard))]
        return "".join(
            chr(code) * int(n / 8 / CHAR_MS + WHOLE) for code, n in runs if code != SILENCE[0]
        )

    def _echo(self, names: list[str]) -> None:
        for name in names:
            self._inbox.put_nowait(MarkIn(name))
