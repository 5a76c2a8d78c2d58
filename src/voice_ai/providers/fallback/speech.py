"""A TextToSpeech made of several: a reply whose voice breaks off goes on from there.

The same voice is asked once more over a new connection, if that can help, then the next. Nothing is
said twice: what was passed on but not confirmed is judged by the voice's pace (`script`).
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.breaker import Breaker
from voice_ai.providers.fallback.utterance import ResilientUtterance
from voice_ai.providers.fallback.voices import Named, Round, Voices
from voice_ai.providers.faults import Report, log_fault
from voice_ai.providers.protocols import CallInfo, TextToSpeech


class ResilientTextToSpeech:
    """Voices in the order in which they are asked; their audio comes in the first one's format.

    Args:
        voices: each with the name by which its faults are told.
        report: takes each fault, once.
        clock: seconds, monotonic; for the breakers, of which each voice has one.

    Raises:
        UsageError: no voice.
    """

    def __init__(
        self,
        voices: Sequence[tuple[str, TextToSpeech]],
        report: Report = log_fault,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not voices:
            raise UsageError("0 voices were given, needed at least one")
        self._voices = [Named(name, tts, Breaker(clock)) for name, tts in voices]
        self._report = report

    @property
    def output_format(self) -> AudioFormat:
        """The audio that every voice gives, through us."""
        return self._voices[0].tts.output_format

    @asynccontextmanager
    async def open(self, call: CallInfo) -> AsyncIterator["ResilientVoice"]:
        """Dial a voice ahead on entering; without one, each reply tries again."""
        async with AsyncExitStack() as of_call:
            voices = Voices(call, self._voices, self._report, of_call)
            await _dial_ahead(voices)
            yield ResilientVoice(voices, self.output_format)


class ResilientVoice:
    """A call's voices, of which one speaks at a time."""

    def __init__(self, voices: Voices, audio: AudioFormat) -> None:
        self._voices = voices
        self._audio = audio

    @asynccontextmanager
    async def utter(self) -> AsyncIterator[ResilientUtterance]:
        """Begin a reply. Leaving early drops what is unspoken; failures are the iterator's."""
        utterance = ResilientUtterance(self._voices, self._audio)
        try:
            yield utterance
        finally:
            await utterance.leave()


async def _dial_ahead(voices: Voices) -> None:
    """Open the first voice that can be had; failures are told, and no failure of the call's."""
    asked = Round(voices)
    try:
        member = asked.first()
        while True:
            try:
                await member.dial(voices.call, voices.of_call)
                voices.ahead = member
                return
            except ProviderError as failure:
                member = asked.after(failure, sounded=False, began=False)
    except ProviderError:
        return  # told by the round
