"""One call: bytes to events, events to commands, commands to awaits; the machine decides.

The tasks of a call, all of one group:
- `_receive`  the line's events: marks to the ledger, keys and the end to the machine;
- `_hear`     the recogniser, open for the whole call: the backlog poured in, speech events out;
- the responder's `run`, which keeps the dialogue and the voice open, and one reply at a time;
- `_decide`   the machine's loop, whose end is the call's.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import nullcontext

from voice_ai.call.backlog import LEAD_MS, Backlog, ConvertedAudio
from voice_ai.call.latency import Latency
from voice_ai.call.line import AudioIn, CallerAudio, DigitIn, Line, MarkIn, TextIn
from voice_ai.call.record import CallRecord
from voice_ai.call.recorded import RecordedLine
from voice_ai.call.responder import Responder
from voice_ai.call.services import Services
from voice_ai.call.stops import Stops
from voice_ai.errors import PeerError, ProtocolError, ProviderError
from voice_ai.turn import commands as do
from voice_ai.turn import events as on
from voice_ai.turn.machine import TurnMachine
from voice_ai.turn.rules import Phase

logger = logging.getLogger(__name__)

# Events waiting for the machine, which takes microseconds for each of about ten a second. Full
# means that the line takes no `clear`; what overflows then raises and ends this call.
EVENTS = 256
# RFC 6455 section 7.4.1.
POLICY_VIOLATION = 1008


class VoiceSession:
    """Runs one call over a line, whatever its format. Made for each call and used once."""

    def __init__(self, line: Line, services: Services, record: CallRecord) -> None:
        """Prepare; nothing is dialled before `run`."""
        target = services.stt.input_format
        self._recorded: RecordedLine | None = None
        if services.recorder:
            recorder = services.recorder(record, line.format, target)
            self._recorded = RecordedLine(line, recorder)
        self._line = line = self._recorded or line
        self._services = services
        self._record = record
        self._machine = TurnMachine(services.rules)
        self._loop = asyncio.get_running_loop()
        tap = self._recorded.tapping(self._tap, target) if self._recorded else self._tap
        self._backlog = Backlog(tap, target, self._loop.time, self._flooded)
        self._clock = self._backlog.clock
        self._events: asyncio.Queue[on.Event] = asyncio.Queue(EVENTS)
        self._responder = Responder(line, services, record, self._clock, self._events.put_nowait)
        self._timers: dict[tuple[int, on.Timer], asyncio.TimerHandle] = {}
        self._reply: asyncio.Task[None] | None = None
        self._latency: Latency | None = None
        self._stops = Stops(record, self._responder.audible)
        self._fault: PeerError | None = None
        record.begin(self._loop.time)
        record.arrivals = self._backlog.arrivals

    async def run(self) -> None:
        """Hold the call until one side hangs up; everything that it opened is closed then.

        Raises:
            PeerError: the line broke its protocol; the call is over all the same.
        """
        try:
            async with self._recorded or nullcontext(), asyncio.TaskGroup() as group:
                works = (self._receive, self._hear, self._responder.run)
                tasks = [group.create_task(work()) for work in works]
                await self._decide(group)
                for task in [*tasks, *([self._reply] if self._reply else [])]:
                    task.cancel()
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._record.end()
        if self._fault:
            raise self._fault

    def say_goodbye(self, reason: str) -> None:
        """End the call with its agent's last words."""
        self._events.put_nowait(on.GoodbyeAsked(reason))

    # Bytes to events.

    def _tap(self, n_octets: int, arrived: Callable[[], None]) -> CallerAudio:
        """Have the line convert its audio by itself, past `_receive`, if it can."""
        services, line = self._services, self._line
        target = services.stt.input_format
        fir = services.resampler == "fir"
        audio = line.tap(target, n_octets, arrived, self._marked) if fir else None
        return audio or ConvertedAudio(services.transcoder(line.format, target))

    def _marked(self, name: str) -> bool:
        """Enter a mark in the read that brings it, unless too much waits for the machine."""
        if self._events.full():
            return False
        turn = self._responder.echoed(name)
        if turn is not None:
            self._events.put_nowait(on.PlayoutFinished(turn))
        return True

    def _flooded(self) -> None:
        """End the call of a line that sends what nobody can have spoken."""
        what = f"more than {LEAD_MS / 1000:g} s of audio ahead of the clock"
        self._fault = self._fault or ProtocolError(what, POLICY_VIOLATION)
        self._events.put_nowait(on.CallerGone(what))

    async def _receive(self) -> None:
        self._events.put_nowait(on.CallStarted())
        reason = "the caller hung up"
        try:
            async for event in self._line:
                match event:
                    case AudioIn():
                        self._backlog.put(event)
                    case MarkIn(name):
                        turn = self._responder.echoed(name)
                        if turn is not None:
                            await self._events.put(on.PlayoutFinished(turn))
                    case DigitIn(digit):
                        self._stops.told()
                        self._record.note("key", "a key was pressed")
                        await self._events.put(on.DigitPressed(digit))
                    case TextIn(text):
                        self._stops.told()
                        self._record.note("typed", "typed")
                        await self._events.put(on.CallerTyped(text))
        except PeerError as fault:
            self._fault = self._fault or fault
            reason = str(self._fault)
        await self._events.put(on.CallerGone(reason))

    async def _hear(self) -> None:
        try:
            async with self._services.stt.open(self._record.call) as stream:
                with self._backlog.poured_into(stream.send, self._unheard):
                    async for event in stream:
                        self._stops.told()
                        await self._events.put(event)
            raise ProviderError("stt", "the recogniser ended its stream in the middle of the call")
        except ProviderError as failure:
            reason = str(failure)
            logger.warning("call %s: stt failed: %s", self._record.call.call_sid, reason)
            self._record.failures.append("stt")
            await self._events.put(on.ProviderFailed(0, "stt", reason))

    def _unheard(self) -> None:
        """Have a caller who waits while the recogniser is late told something, if there is room."""
        if not self._events.full():
            self._events.put_nowait(on.CallerUnheard())

    def _measure(self, event: on.EndOfTurn) -> Latency:
        now = self._loop.time()
        speech_end = self._clock.moment(event.speech_end_ms, now)
        return Latency(speech_end, self._clock.moment(event.decided_ms, now), now)

    # Events to commands, commands to awaits.

    async def _decide(self, group: asyncio.TaskGroup) -> None:
        while self._machine.phase is not Phase.ENDED:
            event = await self._events.get()
            if isinstance(event, on.CallerGone):
                self._record.reason = event.reason
            elif isinstance(event, on.EndOfTurn):
                self._latency = self._measure(event)
            elif isinstance(event, on.StartOfTurn | on.DigitPressed | on.CallerTyped):
                self._latency = None  # of a cough, or of words that keys have followed
            elif isinstance(event, on.Update):
                self._record.hears(event.transcript)
            for command in self._machine.handle(event):
                await self._execute(command, group)
                self._stops.done(event, command)
            self._record.stands(self._machine.phase.value)

    async def _execute(self, command: do.Command, group: asyncio.TaskGroup) -> None:
        match command:
            case do.SayPhrase(turn, phrase):
                self._reply = group.create_task(self._responder.say_phrase(turn, phrase))
            case do.StartReply(turn, draft):
                self._reply = group.create_task(self._responder.answer(turn, draft))
            case do.HoldReply(turn):
                left_ms = await self._responder.hold(turn)
                self._events.put_nowait(on.ReplyHeld(turn, left_ms))
            case do.ResumeReply(turn):
                await self._responder.resume(turn)
            case do.SayFiller(turn, filler):
                await self._responder.fill(turn, filler)
            case do.CancelReply():
                self._responder.shut()
                if self._reply:
                    self._reply.cancel()
            case do.ClearPlayout(turn):
                await self._responder.clear(turn)
            case do.KeepCaller(turn, transcript):
                self._responder.history.caller(turn, transcript)
                now = self._loop.time()
                self._record.add_turn(transcript, self._latency or Latency(now, now, now))
                self._latency = None
            case do.KeepHeard(turn, complete):
                self._responder.keep_heard(turn, complete)
            case do.StartTimer(turn, timer, after_ms):
                self._timers[turn, timer] = self._loop.call_later(
                    after_ms / 1000, self._fire, turn, timer
                )
            case do.CancelTimer(turn, timer):
                # It may have fired, its event still waiting: the machine drops that by its number.
                handle = self._timers.pop((turn, timer), None)
                if handle:
                    handle.cancel()
            case do.HangUp(_, reason):
                self._record.reason = reason
                await self._line.hang_up()

    def _fire(self, turn: int, timer: on.Timer) -> None:
        del self._timers[turn, timer]
        self._events.put_nowait(on.TimerFired(turn, timer))
