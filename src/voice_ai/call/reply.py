"""An answer on its way: text from the model, sentences to the voice, the voice to the line.

Barge-in cancels the task that runs this; what is open is closed by the contexts that it stands in.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeAlias

from voice_ai.call.built_in import BuiltIn, Wishes
from voice_ai.call.speaker import Speaker
from voice_ai.call.tools import MAX_TOOL_STEPS
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import (
    Audio,
    Dialogue,
    SpokenTo,
    TextDelta,
    TextEnded,
    ToolRequested,
    Utterance,
    Voice,
)
from voice_ai.turn.events import Said
from voice_ai.turn.history import History
from voice_ai.turn.playout import Playout
from voice_ai.turn.sentences import SentenceStream

# Runs the tools of one response.
RunTools: TypeAlias = Callable[[Sequence[ToolRequested]], Awaitable[None]]
Deltas: TypeAlias = AsyncGenerator[str | None, None]


class Reply:
    """One answer of ours to the caller's turn, or to what it will be (`unsaid`), if it is a draft.

    A draft's speaker is held, and tools wait as long as it is. `wishes` are what the model asks of
    the call, by its `built_in` tools. `first_token`, `first_text` and `first_audio` are when the
    model's text began, the first sentence went to the voice and its first audio came, by the loop's
    clock; `written` is when the text was whole.
    """

    def __init__(
        self,
        turn: int,
        speaker: Speaker,
        playout: Playout,
        history: History,
        built_in: BuiltIn,
        unsaid: Sequence[Said] = (),
    ) -> None:
        """Prepare; nothing is asked of anybody yet."""
        self.turn = turn
        self.text = ""
        self.wishes = Wishes()
        self.first_token: float | None = None
        self.first_text: float | None = None
        self.written: float | None = None
        self.first_audio: float | None = None
        self.unsaid = tuple(unsaid)
        self._speaker = speaker
        self._playout = playout
        self._history = history
        self._built_in = built_in
        self._failure: ProviderError | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(
        self, dialogue: Dialogue, voice: Voice, run_tools: RunTools, sentences: SentenceStream
    ) -> None:
        """Write and speak the answer side by side, until its voice has been sent.

        Args:
            dialogue: what writes it.
            voice: what speaks it.
            run_tools: runs the tools of one response, and keeps each call with its answer.
            sentences: cuts the text into what the voice is given.

        Raises:
            ProviderError: the model failed; ExceptionGroup of it: the voice did.
        """
        self._task = asyncio.current_task()
        async with voice.utter() as utterance, asyncio.TaskGroup() as group:
            deltas = self._deltas(dialogue, run_tools)
            group.create_task(self._write(deltas, sentences, utterance))
            group.create_task(self._play(utterance))
        if self._failure:
            raise self._failure

    async def _write(self, answer: Deltas, sentences: SentenceStream, utterance: Utterance) -> None:
        """Hand sentences to the voice; if the model fails, those that it finished are spoken."""
        n_sent = 0  # since tools have run: what was said before them promised more
        try:
            async with aclosing(answer) as deltas:
                async for delta in deltas:
                    if delta and self.first_token is None:
                        self.first_token = asyncio.get_running_loop().time()
                    self.text += " " if delta is None else delta
                    pieces = sentences.feed(delta) if delta else sentences.pause()
                    await self._send(utterance, pieces)
                    n_sent = 0 if delta is None else n_sent + len(pieces)
        except ProviderError as failure:
            if failure.stage != "llm":
                raise
            pieces = sentences.cut()
            await self._send(utterance, pieces)
            if failure.kind == "failed" and n_sent + len(pieces) and sentences.is_whole:
                failure = ProviderError("llm", str(failure), kind="cut")
            self._failure = failure
        else:
            await self._send(utterance, sentences.finish())
        self.written = asyncio.get_running_loop().time()
        await utterance.finish()

    async def _send(self, utterance: Utterance, pieces: Sequence[str]) -> None:
        for piece in pieces:
            if self.first_text is None:
                self.first_text = asyncio.get_running_loop().time()
            self._playout.text(self.turn, piece)
            await utterance.send(piece)

    async def _deltas(self, dialogue: Dialogue, run_tools: RunTools) -> Deltas:
        """Yield the model's text, "" at its end and None before tools run.

        At both what was written is spoken: where a sentence ends is else known by what follows, and
        that may take its time.
        """
        for _ in range(MAX_TOOL_STEPS + 1):
            requests: list[ToolRequested] = []
            said = (*self._history.said, *self.unsaid)
            async with dialogue.reply(self.turn, said) as events:
                async for event in events:
                    match event:
                        case TextDelta(text) if text:
                            yield text
                        case TextEnded():
                            yield ""
                        case ToolRequested():
                            requests.append(event)
            if not requests:
                return
            yield None
            # A tool may do something: it is not run on a guess.
            await self._speaker.free()
            own = [request for request in requests if not self._built_in.has(request)]
            self._take_wishes([request for request in requests if request not in own])
            if own:
                await run_tools(own)
            if self._has_said_all(own):
                return

    def _take_wishes(self, requests: Sequence[ToolRequested]) -> None:
        for request in requests:
            call = (self.turn, request.call_id)
            self._history.tool_called(*call, request.name, request.arguments)
            self._history.tool_answered(*call, self._built_in.take(request, self.wishes))

    def _has_said_all(self, own: Sequence[ToolRequested]) -> bool:
        """Whether the model need not be asked again: nobody leaves without a word."""
        if self.wishes.digits:
            return not own
        return bool((self.wishes.hang_up or self.wishes.transfer) and self.text.strip())

    async def _play(self, utterance: Utterance) -> None:
        utterance.offer(self._speaker.gated(self._take))
        async for event in utterance:
            match event:
                case Audio(data):
                    self._note_audio()
                    await self._speaker.say(data)
                case SpokenTo(n_chars):
                    self._playout.spoken_to(self.turn, n_chars)

    def _take(self, audio: bytes) -> bool:
        """Say audio in the read that brought it, unless this reply has been cancelled."""
        if self._task is None or self._task.cancelling():
            return False
        self._note_audio()
        return self._speaker.offer(audio)

    def _note_audio(self) -> None:
        if self.first_audio is None:
            self.first_audio = asyncio.get_running_loop().time()
