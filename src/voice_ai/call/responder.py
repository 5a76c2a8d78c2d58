"""Our side of a call: its dialogue, its voice, and what was heard of it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from voice_ai.call.clock import LineClock
from voice_ai.call.line import Line
from voice_ai.call.record import CallRecord, TurnRecord
from voice_ai.call.reply import Reply
from voice_ai.call.services import Services
from voice_ai.call.speaker import Speaker
from voice_ai.errors import PeerError, ProviderError, leaves
from voice_ai.providers.protocols import Dialogue, Voice
from voice_ai.turn.commands import Phrase
from voice_ai.turn.events import (
    CallerGone,
    Event,
    HangUpAsked,
    ProviderFailed,
    ReplySent,
    ReplyStarted,
)
from voice_ai.turn.history import History
from voice_ai.turn.playout import Playout

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open for the whole call; in `settling` the model's record follows."""

    dialogue: Dialogue
    voice: Voice
    settling: asyncio.TaskGroup


class Responder:
    """Speaks our turns when told to. `tell` takes the events that come of it and never waits."""

    def __init__(
        self,
        line: Line,
        services: Services,
        record: CallRecord,
        clock: LineClock,
        tell: Callable[[Event], None],
    ) -> None:
        """Prepare; nothing is dialled before `run`."""
        self.playout = Playout()
        self.history = History()
        self._line = line
        self._services = services
        self._record = record
        self._clock = clock
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._open: asyncio.Future[_Open] = self._loop.create_future()
        # A cancelled reply leaves its utterance before the next begins, which so hears none of it.
        self._uttering = asyncio.Lock()

    async def run(self) -> None:
        """Keep the dialogue and the voice open until cancelled; without them, replies fail."""
        services, call = self._services, self._record.call
        try:
            async with (
                services.llm.open(
                    call, services.agent.instructions, services.tools.specs
                ) as dialogue,
                services.tts.open(call) as voice,
                asyncio.TaskGroup() as settling,
            ):
                self._open.set_result(_Open(dialogue, voice, settling))
                await self._loop.create_future()
        except ProviderError as error:
            logger.warning("call %s: %s cannot be opened: %s", call.call_sid, error.stage, error)
            if not self._open.done():
                self._open.set_exception(error)
                self._open.exception()  # seen: a call without a reply may never look at it

    async def say_phrase(self, turn: int, phrase: Phrase) -> None:
        """Speak a phrase made at start-up, as this turn."""
        spoken = self._services.phrases[phrase]
        record = self._claim(turn) if phrase == "apology" else None
        if record:
            record.reply = spoken.text
        speaker = self._speaker(turn, record)
        self.playout.text(turn, spoken.text)

        async def play() -> None:
            await speaker.say(spoken.audio)
            self.playout.spoken_to(turn, len(spoken.text))

        await self._speak(turn, speaker, play())

    async def answer(self, turn: int) -> None:
        """Have the model answer what was said, and speak it as this turn."""
        record = self._claim(turn)
        speaker = self._speaker(turn, record)
        latency = record.latency if record else None
        reply = Reply(turn, speaker, self.playout, self.history, self._services.tools, latency)

        async def play() -> None:
            opened = await asyncio.shield(self._open)
            try:
                async with self._uttering:
                    await reply.run(opened.dialogue, opened.voice)
            finally:
                if record:
                    record.reply = reply.text.strip()
            if reply.hang_up:
                self._tell(HangUpAsked(turn))

        await self._speak(turn, speaker, play())

    def keep_heard(self, turn: int, complete: bool) -> None:
        """Write what was heard of this turn into the history; the model's record follows."""
        heard = self.playout.heard(turn, self._clock.timestamp_ms)
        self.history.agent(turn, heard.text, complete)
        record = self._record.turn(turn)
        if record:
            record.heard = heard.text.strip()
        elif not self._record.turns:
            self._record.greeting = heard.text.strip()
        if self._open.done() and self._open.exception() is None:
            opened = self._open.result()
            opened.settling.create_task(opened.dialogue.settle(turn, self.history.said))

    async def _speak(self, turn: int, speaker: Speaker, play: Coroutine[Any, Any, None]) -> None:
        """Run one turn's speech to its end on the wire, and tell how it went.

        What was sent before a failure is played to its end: the machine waits for the ReplySent
        that follows.
        """
        failure: PeerError | None = None
        try:
            await play
        except* PeerError as failures:
            failure = _first(failures)
        if isinstance(failure, ProviderError):
            sid = self._record.call.call_sid
            logger.warning("call %s: turn %d: %s failed: %s", sid, turn, failure.stage, failure)
            self._record.failures.append(failure.stage)
            self._tell(ProviderFailed(turn, failure.stage, str(failure)))
        elif failure:
            self._tell(CallerGone(str(failure)))
        if failure is None or speaker.n_ms:
            await speaker.finish(whole=failure is None)
            remaining_ms = self.playout.remaining_ms(turn, self._clock.timestamp_ms)
            self._tell(ReplySent(turn, speaker.n_ms, remaining_ms))

    def _speaker(self, turn: int, record: TurnRecord | None) -> Speaker:
        def first_frame() -> None:
            now = self._loop.time()
            if self._record.greeting_ms is None and not self._record.turns:
                self._record.greeting_ms = round((now - self._started) * 1000)
            if record and record.latency:
                record.latency.sent = now
            self._tell(ReplyStarted(turn))

        self.playout.begin(turn, self._clock.timestamp_ms)
        services, line = self._services, self._line
        transcoder = services.transcoder(services.tts.output_format, line.format)
        return Speaker(turn, line, self._clock, self.playout, transcoder, first_frame)

    def _claim(self, turn: int) -> TurnRecord | None:
        """Return the turn of the caller's that this answers: the last, if no answer was heard."""
        last = self._record.turns[-1] if self._record.turns else None
        if last is None or last.heard:
            return None
        last.turn = turn
        return last


def _first(failures: BaseExceptionGroup[PeerError]) -> PeerError:
    """The failure to act on: a provider's, whose stage is known, before the line's."""
    errors = [error for error in leaves(failures) if isinstance(error, PeerError)]
    return next((error for error in errors if isinstance(error, ProviderError)), errors[0])
