"""What a call is given: its providers, its agent, and the phrases that were made before it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from voice_ai.agent import Agent
from voice_ai.call.record import CallRecord
from voice_ai.call.recorder import Recorder
from voice_ai.call.tools import ToolBox
from voice_ai.call.transfer import CallControl
from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.resample import Engine
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import (
    Audio,
    CallInfo,
    LanguageModel,
    SpeechToText,
    TextToSpeech,
    Voice,
)
from voice_ai.turn.commands import Filler, Phrase
from voice_ai.turn.rules import Rules

# Makes what records a call, given the formats of its line and of its recogniser.
MakeRecorder: TypeAlias = Callable[[CallRecord, AudioFormat, AudioFormat], Recorder]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A phrase and its sound, in the voice's output format."""

    text: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all calls of a server; `phrases` need no provider any more.

    `rules` are the turn machine's; `resampler` is the codec's engine, where a provider's rate is
    not the line's; `control` is what puts callers through. In `late`, which
    lasts longer than any call, tools finish; without it they end with their call. Without a
    `recorder` no call is recorded.
    """

    agent: Agent
    tools: ToolBox
    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    phrases: Mapping[Phrase, Spoken]
    fillers: Mapping[Filler, Sequence[Spoken]]
    rules: Rules = Rules()
    resampler: Engine = "fir"
    control: CallControl | None = None
    late: asyncio.TaskGroup | None = None
    recorder: MakeRecorder | None = None

    def transcoder(self, source: AudioFormat, target: AudioFormat) -> Transcoder:
        """Make the way of one stream of audio from a format into another."""
        return Transcoder(source, target, self.resampler)


async def make_sounds(
    agent: Agent, tts: TextToSpeech, notice: str = ""
) -> tuple[dict[Phrase, Spoken], dict[Filler, list[Spoken]]]:
    """Have the agent's phrases and fillers spoken, so that their sound waits for nobody in a call.

    A `notice` is said before the greeting, as a part of it.

    Raises:
        ProviderError: the voice cannot be had.
    """
    async with tts.open(CallInfo(call_sid="")) as voice:
        phrases: dict[Phrase, Spoken] = {
            "greeting": await _spoken(f"{notice} {agent.greeting}".lstrip(), voice),
            "apology": await _spoken(agent.apology, voice),
            "refusal": await _spoken(agent.refusal, voice),
            "goodbye": await _spoken(agent.goodbye, voice),
            "still_there": await _spoken(agent.still_there, voice),
        }
        if agent.voicemail:
            phrases["voicemail"] = await _spoken(agent.voicemail, voice)
        # Only a tool is excused for.
        moments = agent.moments if agent.tools else ()
        fillers: dict[Filler, list[Spoken]] = {
            "filler": [await _spoken(text, voice) for text in agent.fillers or ()],
            "moment": [await _spoken(text, voice) for text in moments],
        }
    return phrases, fillers


async def _spoken(text: str, voice: Voice) -> Spoken:
    audio = bytearray()
    async with voice.utter() as utterance:
        await utterance.send(text)
        await utterance.finish()
        async for event in utterance:
            if isinstance(event, Audio):
                audio += event.data
    if not audio:
        raise ProviderError("tts", f"the phrase {text!r} came back without a sound")
    return Spoken(text, bytes(audio))
