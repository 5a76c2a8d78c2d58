"""One reply spoken by as many voices and connections as it takes; who listens hears one.

The writing task hands text to the voice that speaks now, the reading task takes its audio. When
that voice fails, the reader leaves it, has the next one begin, and gives it the text from where the
audio stopped; the writer meanwhile only adds to the text.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Final

from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError
from voice_ai.providers.fallback.script import Script
from voice_ai.providers.fallback.voices import DIAL_S, Member, Round, Voices
from voice_ai.providers.protocols import Audio, SpokenTo, Taken, Utterance, VoiceEvent

# A voice that owes audio and gives none for so long is broken. Aura's first sound takes some 0.2 s
# (docs/ARCHITECTURE.md), OpenAI's up to a second; within a sentence audio comes faster than it
# plays. With a new connection and its first sound, 2.5 s of silence at most.
FIRST_SOUND_S: Final = 2.0
STALL_S: Final = 1.5


class ResilientUtterance:
    """One reply. Text is given by one task, audio taken by another."""

    def __init__(self, voices: Voices, audio: AudioFormat) -> None:
        self._voices = voices
        self._audio = audio
        self._round = Round(voices)
        self._script = Script(audio.n_octets_per_ms)
        self._finished = False
        self._take: Callable[[bytes], bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._asked = self._loop.time()
        # Of the voice that speaks now.
        self._inner: Utterance | None = None
        self._n_taken = 0  # octets, of those that it was offered to be taken
        self._context = AsyncExitStack()
        self._events: AsyncIterator[VoiceEvent] | None = None
        self._transcoder: Transcoder | None = None
        self._begun_at = 0  # characters
        self._n_given = 0  # characters
        self._is_told_the_end = False
        self._heard = 0.0  # when it last gave a sign of life
        self._failure: ProviderError | None = None
        # What may have to be given up: the writer's wait for the voice, and the reader's.
        self._handing = asyncio.Lock()
        self._sending: asyncio.Timeout | None = None
        self._reading: asyncio.Timeout | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def taken(self) -> Taken:
        """What was taken of the audio of the voice that speaks now."""
        return Taken() if self._inner is None else self._inner.taken

    @property
    def owes(self) -> bool:
        """Whether audio is due for text that was given."""
        return self._handing.locked() or (self._inner is not None and self._inner.owes)

    async def send(self, text: str) -> None:
        """Give the next sentence or clause, with its trailing space."""
        if not self._script.text:
            self._asked = self._loop.time()
        self._script.add(text)
        await self._hand_over()

    async def finish(self) -> None:
        """Say that no more text comes; the iterator ends when all of it has been spoken."""
        self._finished = True
        await self._hand_over()

    def offer(self, take: Callable[[bytes], bool]) -> None:
        """Give audio to `take` in the read that brings it; what it declines is iterated.

        Of a voice in another format everything is iterated.
        """
        self._take = take
        if self._inner is not None and self._transcoder is None:
            self._inner.offer(take)

    async def __aiter__(self) -> AsyncIterator[VoiceEvent]:
        """Yield the voice as it is made, and SpokenTo wherever a voice confirms it or takes over.

        Raises:
            ProviderError: no voice can be had any more.
        """
        await self._begin(self._round.first())
        self._look()
        while True:
            try:
                event = await self._next()
                self._count()
            except ProviderError as failure:
                n_confirmed = self._script.n_confirmed
                is_over = await self._replace(failure)
                if self._script.n_confirmed > n_confirmed:
                    yield SpokenTo(self._script.n_confirmed)
                if is_over:
                    break
                continue
            match event:
                case None:
                    break
                case Audio(data):
                    if data := self._converted(data):
                        self._script.n_octets += len(data)
                        yield Audio(data)
                case SpokenTo(n_chars):
                    self._script.confirm(self._begun_at + n_chars, self._round.member.pace)
                    self._round.succeeded()
                    yield SpokenTo(self._script.n_confirmed)
        if tail := self._converted(b"", last=True):
            yield Audio(tail)
        if self._script.n_confirmed < len(self._script.text):
            yield SpokenTo(len(self._script.text))

    async def leave(self) -> None:
        """Have the voice forget what is unspoken."""
        if self._watch is not None:
            self._watch.cancel()
        await self._drop(None)

    # The voice that speaks now, and the next.

    async def _begin(self, member: Member) -> None:
        """Have a voice begin where the text has not been spoken; if it cannot, have the next."""
        while True:
            try:
                await member.dial(self._voices.call, self._voices.of_call)
                inner = await member.utter(self._context)
                break
            except ProviderError as failure:
                member = self._round.after(failure, sounded=False, began=False)
        source = member.named.tts.output_format
        self._transcoder = None if source == self._audio else Transcoder(source, self._audio)
        self._begun_at = self._n_given = self._script.n_confirmed
        self._is_told_the_end = False
        self._failure = None
        self._events = aiter(inner)
        self._heard = self._loop.time()
        self._inner, self._n_taken = inner, 0
        if self._take is not None:
            self.offer(self._take)
        try:
            async with asyncio.timeout(DIAL_S):
                await self._hand_over()
        except TimeoutError:
            self._failure = ProviderError("tts", f"takes no text within {DIAL_S} s")

    async def _replace(self, failure: ProviderError) -> bool:
        """Leave the voice that failed and have another go on; return whether all was spoken."""
        self._count()
        sounded = self._script.n_octets > 0 or self._script.n_confirmed > self._begun_at
        await self._drop(failure)
        self._script.resume(self._round.member.pace)
        if self._finished and self._script.is_spoken:
            self._round.ended_early(failure)
            return True
        await self._begin(self._round.after(failure, sounded=sounded, began=True))
        return False

    async def _drop(self, failure: ProviderError | None) -> None:
        """Leave the voice that speaks now; with a failure it leaves its connection, too."""
        if self._inner is None:
            return
        self._inner = None
        if self._sending is not None:
            self._sending.reschedule(self._loop.time())
        async with self._handing:
            pass
        if isinstance(self._events, AsyncGenerator):
            await self._events.aclose()
        with suppress(ProviderError):
            async with self._context:
                if failure is not None:
                    raise failure

    # Text to it.

    async def _hand_over(self) -> None:
        """Give the voice that speaks now what it has not been given."""
        async with self._handing:
            inner = self._inner
            if inner is None:
                return
            if not inner.owes:
                self._heard = self._loop.time()
            try:
                async with asyncio.timeout(None) as self._sending:
                    await self._hand_all_to(inner)
            except TimeoutError:
                pass  # the reader has given this voice up
            except ProviderError as error:
                self._fail(error)
            finally:
                self._sending = None

    async def _hand_all_to(self, inner: Utterance) -> None:
        while inner is self._inner and (piece := self._script.piece(self._n_given)):
            self._n_given += len(piece)
            self._voices.call.cost.tts_chars += len(piece)
            await inner.send(piece)
        if inner is self._inner and self._finished and not self._is_told_the_end:
            self._is_told_the_end = True
            await inner.finish()

    # Audio from it.

    async def _next(self) -> VoiceEvent | None:
        """Return what the voice gives next, or None if that was all.

        Raises:
            ProviderError: it failed, or is silent.
        """
        if self._failure is not None:
            raise self._failure
        assert self._events is not None, "a voice has begun"
        self._heard = self._loop.time()
        try:
            async with asyncio.timeout(None) as self._reading:
                event = await anext(self._events, None)
        except TimeoutError:
            raise self._failure or ProviderError("tts", "the voice was late") from None
        finally:
            self._reading = None
        if event is None and not (self._is_told_the_end and self._n_given == self._n_chars):
            raise ProviderError("tts", "the voice ended before its text")
        return event

    @property
    def _n_chars(self) -> int:
        return len(self._script.text)

    def _count(self) -> None:
        """Enter what was taken past us: that costs its way nothing, so it is asked for."""
        if self._inner is None:
            return
        taken = self._inner.taken
        if taken.n_octets > self._n_taken:
            self._script.n_octets += taken.n_octets - self._n_taken
            self._n_taken = taken.n_octets
            self._heard = max(self._heard, taken.at_s)

    def _converted(self, data: bytes, *, last: bool = False) -> bytes:
        return data if self._transcoder is None else self._transcoder.convert(data, last)

    def _look(self) -> None:
        """Judge a silence: one timer for all of the reply, whatever comes meanwhile."""
        self._count()
        now = self._loop.time()
        due = now + STALL_S
        if self._reading is not None and self.owes:
            has_sound = self._script.n_octets > 0 or self._script.n_confirmed > self._begun_at
            due = self._heard + (STALL_S if has_sound else FIRST_SOUND_S)
            # What the caller has still to hear, if all of it went out as it came.
            due = max(due, self._asked + self._script.total_ms / 1000)
        if due <= now:
            n_left = self._n_given - self._script.n_confirmed
            text = f"open but silent for {now - self._heard:.1f} s, {n_left} characters unconfirmed"
            self._fail(ProviderError("tts", text))
            due = now + STALL_S
        self._watch = self._loop.call_at(due, self._look)

    def _fail(self, failure: ProviderError) -> None:
        """Have the reader hear of a failure, in its wait for the voice or before the next."""
        self._failure = failure
        if self._reading is not None:
            self._reading.reschedule(self._loop.time())
