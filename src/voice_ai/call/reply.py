"""An answer on its way: text from the model, sentences to the voice, the voice to the line.

Barge-in cancels the task that runs this; what is open is closed by the contexts that it stands in.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from voice_ai.call.latency import Latency
from voice_ai.call.speaker import Speaker
from voice_ai.call.tools import HANG_UP, MAX_TOOL_STEPS, ToolBox
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import (
    Audio,
    Dialogue,
    SpokenTo,
    TextDelta,
    ToolRequested,
    Utterance,
    Voice,
)
from voice_ai.turn.history import History
from voice_ai.turn.playout import Playout
from voice_ai.turn.sentences import SentenceStream


class Reply:
    """One answer of ours to the caller's turn."""

    def __init__(
        self,
        turn: int,
        speaker: Speaker,
        playout: Playout,
        history: History,
        tools: ToolBox,
        latency: Latency | None,
    ) -> None:
        """Prepare; nothing is asked of anybody yet."""
        self.turn = turn
        self.text = ""
        self.hang_up = False
        self._speaker = speaker
        self._playout = playout
        self._history = history
        self._tools = tools
        self._latency = latency
        self._failure: ProviderError | None = None

    async def run(self, dialogue: Dialogue, voice: Voice) -> None:
        """Write and speak the answer side by side, until its voice has been sent.

        Raises:
            ProviderError: the model failed; ExceptionGroup of it: the voice did.
        """
        async with voice.utter() as utterance, asyncio.TaskGroup() as group:
            group.create_task(self._write(dialogue, utterance))
            group.create_task(self._play(utterance))
        if self._failure:
            raise self._failure

    async def _write(self, dialogue: Dialogue, utterance: Utterance) -> None:
        """Hand sentences to the voice; if the model fails, those that it finished are spoken."""
        sentences = SentenceStream()
        try:
            async with aclosing(self._deltas(dialogue)) as deltas:
                async for delta in deltas:
                    self.text += delta
                    for sentence in sentences.feed(delta):
                        await self._send(utterance, sentence)
        except ProviderError as failure:
            if failure.stage != "llm":
                raise
            self._failure = failure
        else:
            for sentence in sentences.finish():
                await self._send(utterance, sentence)
        await utterance.finish()

    async def _send(self, utterance: Utterance, sentence: str) -> None:
        if self._latency and self._latency.first_text is None:
            self._latency.first_text = asyncio.get_running_loop().time()
        self._playout.text(self.turn, sentence)
        await utterance.send(sentence)

    async def _deltas(self, dialogue: Dialogue) -> AsyncGenerator[str, None]:
        """Yield the model's text, running the tools that it asks for in between."""
        for _ in range(MAX_TOOL_STEPS + 1):
            requests: list[ToolRequested] = []
            async with dialogue.reply(self.turn, self._history.said) as events:
                async for event in events:
                    match event:
                        case TextDelta(text):
                            yield text
                        case ToolRequested():
                            requests.append(event)
            for request in requests:
                await self._run_tool(request)
            if not requests or (self.hang_up and self.text.strip()):
                return

    async def _run_tool(self, request: ToolRequested) -> None:
        """Run a tool; its call and its answer enter the history together: neither stands alone."""
        if request.name == HANG_UP.name:
            self.hang_up = True
            output = "The call ends once you have been heard."
        else:
            output = await self._tools.run(request)
        self._history.tool_called(self.turn, request.call_id, request.name, request.arguments)
        self._history.tool_answered(self.turn, request.call_id, output)

    async def _play(self, utterance: Utterance) -> None:
        async for event in utterance:
            match event:
                case Audio(data):
                    if self._latency and self._latency.first_audio is None:
                        self._latency.first_audio = asyncio.get_running_loop().time()
                    await self._speaker.say(data)
                case SpokenTo(n_chars):
                    self._playout.spoken_to(self.turn, n_chars)
