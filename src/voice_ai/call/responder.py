"""Our side of a call: its dialogue, its voice, and what was heard of it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from voice_ai.call.built_in import Transfer
from voice_ai.call.clock import LineClock
from voice_ai.call.dtmf import tones
from voice_ai.call.first_sound import FirstSounds
from voice_ai.call.line import Line
from voice_ai.call.quota import Uses
from voice_ai.call.record import CallRecord, TurnRecord
from voice_ai.call.reply import Reply, RunTools
from voice_ai.call.services import Services
from voice_ai.call.speaker import Speaker
from voice_ai.call.tools import ToolRuns
from voice_ai.call.transfer import Switchboard
from voice_ai.codec.formats import PCM16_8K
from voice_ai.errors import PeerError, ProviderError, leaves
from voice_ai.providers.protocols import Dialogue, ToolRequested, Voice
from voice_ai.turn.commands import Filler, Phrase
from voice_ai.turn.events import (
    CallerGone,
    CallerSaid,
    Event,
    HangUpAsked,
    ProviderFailed,
    ReplySent,
    ReplyStarted,
    ToolEnded,
    ToolStarted,
)
from voice_ai.turn.history import History
from voice_ai.turn.playout import Playout
from voice_ai.turn.sentences import SentenceStream

logger = logging.getLogger(__name__)

# Phrases that stand for an answer.
EXCUSES: Final = ("apology", "refusal")


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
        self._firsts = FirstSounds(record, self.playout, self._loop.time())
        self._open: asyncio.Future[_Open] = self._loop.create_future()
        # A cancelled reply leaves its utterance before the next begins, which so hears none of it.
        self._uttering = asyncio.Lock()
        self._speaking: Speaker | None = None
        self._replying: Reply | None = None
        self._n_filled = 0
        self._aside = (0.0, b"")  # the last filler that was said in no turn, and when it ends
        self._uses = Uses()
        self._voicemail = 0  # the turn of the message left on a machine
        record.tell = tell
        self._switchboard = Switchboard(record, services.control, self._keep_tool, tell)

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

    # What is begun here can be held, resumed and cleared before its task has run a step.

    def say_phrase(self, turn: int, phrase: Phrase) -> Coroutine[Any, Any, None]:
        """Begin this turn with a phrase made at start-up; returns the work of speaking it."""
        spoken = self._services.phrases[phrase]
        record = self._claim(turn) if phrase in EXCUSES else None
        if record:
            record.reply = spoken.text
        if phrase == "voicemail":
            self._voicemail = turn
        speaker = self._speaker(turn)
        self.playout.text(turn, spoken.text)

        async def play() -> None:
            await speaker.say(spoken.audio)
            self.playout.spoken_to(turn, len(spoken.text))

        return self._speak(turn, speaker, play)

    def answer(self, turn: int, draft: str | None = None) -> Coroutine[Any, Any, None]:
        """Begin this turn with the model's answer to what was said; returns the work of it.

        A draft answers what the caller has not been taken at yet, and is held until `resume`.
        """
        speaker = self._speaker(turn)
        unsaid = () if draft is None else (CallerSaid(turn, draft),)
        if draft is None:
            self._claim(turn)
        else:
            speaker.hold()
        built_in = self._services.tools.built_in
        reply = Reply(turn, speaker, self.playout, self.history, built_in, unsaid)
        self._replying = reply
        return self._answer(turn, speaker, reply)

    async def _answer(self, turn: int, speaker: Speaker, reply: Reply) -> None:
        transfer: Transfer | None = None

        async def play() -> None:
            nonlocal transfer
            opened = await asyncio.shield(self._open)
            try:
                async with self._uttering:
                    run_tools = self._run_tools(turn, opened.settling)
                    sentences = SentenceStream(self._services.agent.language)
                    await reply.run(opened.dialogue, opened.voice, run_tools, sentences)
            finally:
                self._firsts.wrote(reply, self._loop.time())
            if reply.wishes.digits:
                await self._press(speaker, reply.wishes.digits)
            transfer = reply.wishes.transfer
            if transfer and not speaker.n_ms:
                await self._switchboard.put_through(turn, transfer)
            elif reply.wishes.hang_up and not transfer:
                self._tell(HangUpAsked(turn))

        try:
            await self._speak(turn, speaker, play)
            if speaker.n_ms and (transfer or reply.wishes.digits):
                await speaker.over.wait()
        except asyncio.CancelledError:
            self._switchboard.withdraw(turn, reply.wishes)
            raise
        if transfer and speaker.n_ms:
            # As long as the call, not as the turn: the caller may begin another one meanwhile.
            settling = (await asyncio.shield(self._open)).settling
            settling.create_task(self._switchboard.put_through(turn, transfer))

    def audible(self, turn: int) -> bool:
        """Whether any of this turn was sent, and may be heard."""
        speaker = self._speaking
        return speaker is not None and speaker.turn == turn and speaker.audible

    def shut(self) -> None:
        """Let nothing more through of a reply that is being cancelled."""
        if self._speaking:
            self._speaking.shut()

    async def clear(self, turn: int) -> None:
        """Let no more of this turn be heard, if any of it was sent."""
        self._firsts.stopped(turn, self._clock.timestamp_ms, self._loop.time())
        self.playout.clear(turn, self._clock.timestamp_ms)
        if self.audible(turn):
            await self._line.clear()

    async def hold(self, turn: int) -> float | None:
        """Stop this turn's sound at once; returns what was left of it, None while more is made."""
        speaker = self._speaking
        if speaker is None or speaker.turn != turn:
            return None
        speaker.hold()
        self._firsts.stopped(turn, self._clock.timestamp_ms, self._loop.time())
        remaining_ms = self.playout.hold(turn, self._clock.timestamp_ms)
        if speaker.audible:
            await self._line.clear()
        return remaining_ms if speaker.finished else None

    async def resume(self, turn: int) -> None:
        """Go on with a turn that was held, or release a draft."""
        speaker = self._speaking
        if speaker is None or speaker.turn != turn:
            return
        if self._replying and self._replying.turn == turn:
            self._replying.unsaid = ()
            self._claim(turn)
        await speaker.resume(self.playout.resume(turn) or 0.0)
        if speaker.finished:
            self._tell_sent(speaker)

    async def fill(self, turn: int, filler: Filler) -> None:
        """Bridge the silence before this turn's first sound, never twice alike in a row.

        In turn 0 it is part of no turn, unless one begins while it is played.
        """
        fillers, speaker = self._services.fillers[filler], self._speaking
        if not fillers or speaker is None or (turn and speaker.turn != turn):
            return
        self._n_filled += 1
        spoken = fillers[self._n_filled % len(fillers)]
        self._record.note("filler", spoken.text)
        transcoder = self._services.transcoder(self._services.tts.output_format, self._line.format)
        audio = transcoder.convert(spoken.audio, last=True)
        if turn:
            await speaker.fill(audio)
            return
        ends_ms = self._clock.timestamp_ms + self._line.format.duration_ms(len(audio))
        self._aside = (ends_ms, audio)
        await self._line.send_audio(audio)

    def echoed(self, name: str) -> int | None:
        """Take a mark that came back; returns its turn if all of that has been heard."""
        self._firsts.echoed(name, self._loop.time())
        turn = self.playout.echoed(name)
        if self._speaking:
            self._speaking.forget()
        return turn

    def keep_heard(self, turn: int, complete: bool) -> None:
        """Write what was heard of this turn into the history; the model's record follows."""
        heard = self.playout.heard(turn, self._clock.timestamp_ms)
        self.history.agent(turn, heard.text, complete)
        if self._speaking and self._speaking.turn == turn:
            self._record.call.cost.voice_s += self._speaking.n_ms / 1000
            self._speaking.end()
        record = self._record.turn(turn)
        self._firsts.over()
        if record:
            record.heard = heard.text.strip()
            record.over, record.complete = True, complete
            self._record.turn_changed(record)
        elif turn == self._voicemail:
            self._record.voicemail = heard.text.strip()
        elif not self._record.turns:
            self._record.greeting = heard.text.strip()
        if self._open.done() and self._open.exception() is None:
            opened = self._open.result()
            opened.settling.create_task(opened.dialogue.settle(turn, self.history.said))

    async def _speak(
        self, turn: int, speaker: Speaker, play: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Run one turn's speech to its end on the wire, and tell how it went.

        What was sent before a failure is played to its end: the machine waits for the ReplySent
        that follows.
        """
        failure: PeerError | None = None
        try:
            await play()
        except* PeerError as failures:
            failure = _first(failures)
        if isinstance(failure, ProviderError):
            sid = self._record.call.call_sid
            logger.warning("call %s: turn %d: %s failed: %s", sid, turn, failure.stage, failure)
            self._record.failures.append(failure.stage)
            self._record.changed()
            self._tell(ProviderFailed(turn, failure.stage, str(failure), failure.kind))
        elif failure:
            self._tell(CallerGone(str(failure)))
        if failure is None or speaker.n_ms:
            await speaker.finish(whole=failure is None)
            self._tell_sent(speaker)

    def _tell_sent(self, speaker: Speaker) -> None:
        remaining_ms = self.playout.remaining_ms(speaker.turn, self._clock.timestamp_ms)
        self._tell(ReplySent(speaker.turn, speaker.n_ms, remaining_ms))

    def _speaker(self, turn: int) -> Speaker:
        services, line = self._services, self._line
        transcoder = services.transcoder(services.tts.output_format, line.format)
        self._speaking = Speaker(
            turn, line, self._clock, self.playout, transcoder, partial(self._first_frame, turn)
        )
        now_ms = self._clock.timestamp_ms
        self.playout.begin(turn, now_ms, self._speaking.passed)
        (ends_ms, aside), self._aside = self._aside, (0.0, b"")
        if (left := int(ends_ms - now_ms) * line.format.n_octets_per_ms) > 0:
            self._speaking.follow(aside[-left:])
        return self._speaking

    def _first_frame(self, turn: int) -> None:
        n_ms = self._speaking.n_ms if self._speaking else 0.0
        self._firsts.sent(turn, self._replying, n_ms, self._loop.time())
        self._tell(ReplyStarted(turn))

    def _run_tools(self, turn: int, group: asyncio.TaskGroup) -> RunTools:
        runs = ToolRuns(
            self._services.tools,
            group,
            self._services.late or group,
            partial(self._keep_tool, turn),
            self._uses,
        )

        async def run(requests: Sequence[ToolRequested]) -> None:
            self._tell(ToolStarted(turn))
            await runs.run(requests)
            self._tell(ToolEnded(turn))

        return run

    def _keep_tool(self, turn: int, request: ToolRequested, output: str) -> None:
        """A call and its answer enter the history together: neither stands alone."""
        if self._record.ended:
            self._record.late_tools.append({"tool": request.name, "output": output})
            self._record.changed()
            logger.info("call %s: tool %s ended after it", self._record.call.call_sid, request.name)
            return
        self._record.note("tool", request.name, f"{request.arguments} -> {output}")
        self.history.tool_called(turn, request.call_id, request.name, request.arguments)
        self.history.tool_answered(turn, request.call_id, output)

    async def _press(self, speaker: Speaker, digits: str) -> None:
        transcoder = self._services.transcoder(PCM16_8K, self._line.format)
        await speaker.sound(transcoder.convert(tones(digits), last=True))

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
