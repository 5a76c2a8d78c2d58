"""What a call is given: its providers, its agent, and the phrases that were made before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voice_ai.agent import Agent
from voice_ai.call.tools import ToolBox
from voice_ai.call.transfer import CallControl
from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.resample import Engine
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import Audio, CallInfo, LanguageModel, SpeechToText, TextToSpeech
from voice_ai.turn.commands import Filler, Phrase
from voice_ai.turn.rules import Rules


@dataclass(frozen=True, slots=True)
class Spoken:
    """A phrase and its sound, in the voice's output format."""

    text: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all calls of a server; `phrases` need no provider any more.

    `rules` are the turn machine's; `resampler` is the codec's engine, where a provider's rate is
    not the line's; `control` is what puts callers through.
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

    def transcoder(self, source: AudioFormat, target: AudioFormat) -> Transcoder:
        """Make the way of one stream of audio from a format into another."""
        return Transcoder(source, target, self.resampler)


async def make_phrases(agent: Agent, tts: TextToSpeech) -> dict[Phrase, Spoken]:
    """Have the agent's fixed phrases spoken, so that a call's first sound waits for nobody.

    Raises:
        ProviderError: the voice cannot be had.
    """
    texts: dict[Phrase, str] = {
        "greeting": agent.greeting,
        "apology": agent.apology,
        "goodbye": agent.goodbye,
        "still_there": agent.still_there,
    }
    made = await _speak(list(texts.values()), tts)
    return dict(zip(texts, made, strict=True))


async def make_fillers(agent: Agent, tts: TextToSpeech) -> dict[Filler, list[Spoken]]:
    """Have what bridges a silence spoken, likewise."""
    return {
        "filler": await _speak(agent.fillers, tts),
        "moment": await _speak(agent.moments, tts),
    }


async def _speak(texts: Sequence[str], tts: TextToSpeech) -> list[Spoken]:
    made: list[Spoken] = []
    if not texts:
        return made
    async with tts.open(CallInfo(call_sid="")) as voice:
        for text in texts:
            audio = bytearray()
            async with voice.utter() as utterance:
                await utterance.send(text)
                await utterance.finish()
                async for event in utterance:
                    if isinstance(event, Audio):
                        audio += event.data
            if not audio:
                raise ProviderError("tts", f"the phrase {text!r} came back without a sound")
            made.append(Spoken(text, bytes(audio)))
    return made
