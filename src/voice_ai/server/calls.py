"""The calls of this server: from a websocket's opening to its end, whatever happens in between."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from websockets.asyncio.server import ServerConnection

from voice_ai.call.record import CallRecord, Watcher
from voice_ai.call.services import Services
from voice_ai.call.session import VoiceSession
from voice_ai.errors import PeerError, ProtocolError, leaves
from voice_ai.providers.faults import MAX_WHAT_CHARS, Fault
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.admission import Places
from voice_ai.server.browser import BrowserLine
from voice_ai.server.http import Request
from voice_ai.server.logs import CALL
from voice_ai.server.media import MediaConnection
from voice_ai.server.metrics import Metrics
from voice_ai.server.metrics_watch import MetricsWatch
from voice_ai.server.readiness import Readiness
from voice_ai.server.redaction import unquoted
from voice_ai.server.stream import TwilioLine, read_start
from voice_ai.server.webhook import CALL_SID, Webhook
from voice_ai.server.websocket import INTERNAL_ERROR, POLICY_VIOLATION, TRY_AGAIN_LATER, close
from voice_ai.turn.events import MachineAnswered
from voice_ai.wire.twilio import Start

logger = logging.getLogger(__name__)

# Calls that `/api/calls` shows; the oldest is forgotten. A record is a few kilobytes of text.
KEPT = 200


# Why calls end, as metrics tell it. What else a record says may quote a stranger or a provider.
REASONS = frozenset(
    {
        "a machine answered",
        "asked for by the agent",
        "speech recognition failed",
        "the call has reached its limit",
        "the caller hung up",
        "the caller said nothing",
        "the server stopped",
        "the server stops",
    }
)


@dataclass(frozen=True, slots=True)
class Privacy:
    """How long the words of a call that is over are kept in memory, and whether they are logged."""

    retention_s: float = 3600.0
    log_transcripts: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody on a line, not let in yet; `token` is what a media stream shows of its webhook."""

    call: CallInfo
    line: TwilioLine | BrowserLine
    token: str | None = None


class Calls:
    """Every call of this server that is under way or was lately."""

    def __init__(
        self,
        readiness: Readiness[Services],
        webhook: Webhook,
        admission: Places,
        metrics: Metrics,
        privacy: Privacy | None = None,
    ) -> None:
        """Take the media streams that the webhook has sent here, and browsers."""
        self.n_live = 0
        self.n_open = 0  # with those that have not been let in yet
        self.watched_by: list[Callable[[CallRecord], Watcher]] = []  # asked for each call
        self._sessions: set[VoiceSession] = set()
        self._readiness = readiness
        self._webhook = webhook
        self._admission = admission
        self._metrics = metrics
        self._privacy = privacy or Privacy()
        self._records: deque[CallRecord] = deque(maxlen=KEPT)
        self._forgetting: asyncio.TimerHandle | None = None

    def records(self) -> list[CallRecord]:
        """Return the calls that are kept, newest first."""
        return list(reversed(self._records))

    def find(self, call_sid: str) -> CallRecord | None:
        """Return the newest call of this id."""
        return next((record for record in self.records() if record.call.call_sid == call_sid), None)

    def forget(self, call_sid: str) -> bool:
        """Forget a call that is over; returns whether it was known."""
        kept = [one for one in self._records if one.call.call_sid != call_sid or not one.ended]
        is_known = len(kept) < len(self._records)
        self._records = deque(kept, KEPT)
        return is_known

    def fault(self, fault: Fault) -> None:
        """Note a provider's fault in the record of its call, while that is under way."""
        record = self.find(fault.call_sid)
        if record is not None and not record.ended:
            text = f"{fault.stage}, {fault.provider}: {fault.action}"
            record.note("fault", text, fault.what[:MAX_WHAT_CHARS])

    def answered_by(self, call_sid: str, who: str, speaks: bool) -> bool:
        """Keep which machine has answered, and have the voicemail left if the call `speaks`.

        Returns whether it will be: only while the call is under way, and here.
        """
        record = self.find(call_sid)
        if record is None:
            return False
        record.answered_by = who
        if record.tell is None or record.ended or not speaks:
            return False
        record.tell(MachineAnswered())
        return True

    def say_goodbye(self, reason: str) -> None:
        """End every call with its agent's last words."""
        for session in tuple(self._sessions):
            session.say_goodbye(reason)

    async def serve_twilio(self, socket: ServerConnection, request: Request) -> None:
        """Hold a call over a media stream."""
        await self._serve(socket, _from_twilio)

    async def serve_browser(self, socket: ServerConnection, request: Request) -> None:
        """Hold a call with a browser."""
        await self._serve(socket, _from_browser)

    async def _serve(self, socket: ServerConnection, arrive: "Arrive") -> None:
        """Raise nothing, and close the socket with the code that fits."""
        call_sid = "unknown"
        code, reason = 1000, ""
        self.n_open += 1
        try:
            arrived = await arrive(socket)
            call_sid = arrived.call.call_sid
            CALL.set(call_sid)
            await self._hold(arrived)
        except* ProtocolError as faults:
            fault = leaves(faults)[0]
            assert isinstance(fault, ProtocolError)
            code, reason = fault.close_code, str(fault)
            self._metrics.protocol_violated()
            logger.warning("call %s: ended, close code %d: %s", call_sid, code, unquoted(reason))
        except* PeerError as faults:
            code, reason = INTERNAL_ERROR, "a peer failed"
            logger.warning("call %s: ended, close code %d: %s", call_sid, code, leaves(faults)[0])
        except* Exception:  # the edge of a call: other calls go on
            code, reason = INTERNAL_ERROR, "an error of ours"
            logger.exception("call %s: ended by an error of ours", call_sid)
        finally:
            self.n_open -= 1
        await close(socket, code, reason)

    async def _hold(self, arrived: Arrived) -> None:
        call = arrived.call
        if arrived.token is None and not self._admission.begin(call.call_sid):
            self._metrics.call_refused("full")
            raise ProtocolError("all lines are busy", TRY_AGAIN_LATER)
        if arrived.token is not None and not self._webhook.redeem(arrived.token, call.call_sid):
            raise ProtocolError("the token is not ours, was used, or is too old", POLICY_VIOLATION)
        try:
            services = await self._readiness.get(within_s=0.0)
            if services is None:
                why = self._readiness.waiting_for
                raise ProtocolError(f"no calls are taken: {why}", TRY_AGAIN_LATER)
            record = CallRecord(call, started_at=time.time())
            self._records.append(record)
            await self._run(arrived.line, services, record)
        finally:
            self._admission.release(call.call_sid)

    async def _run(
        self, line: TwilioLine | BrowserLine, services: Services, record: CallRecord
    ) -> None:
        record.watchers.append(MetricsWatch(self._metrics, line))
        record.watchers.extend(watch(record) for watch in self.watched_by)
        if isinstance(line, BrowserLine):
            record.watchers.append(line.feed)
        session = VoiceSession(line, services, record)
        record.changed()
        call_sid = record.call.call_sid
        logger.info("call %s: begun", call_sid)
        self.n_live += 1
        self._metrics.call_started()
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self.n_live -= 1
            self._sessions.discard(session)
            if not self._readiness.serving:
                record.reason = "the server stopped"
            elif record.answered_by:
                record.reason = "a machine answered"
            record.changed()
            if isinstance(line, BrowserLine):
                line.feed.close()
                record.watchers.remove(line.feed)
            self._metrics.call_ended(_known(record.reason))
            why = unquoted(record.reason)
            logger.info("call %s: over, %d turns: %s", call_sid, len(record.turns), why)
            self._let_go(record)

    def _let_go(self, record: CallRecord) -> None:
        """Tell the log what was said if it is asked for, and forget it when its time is over."""
        if self._privacy.log_transcripts:
            for turn in record.turns:
                told = record.call.call_sid, turn.caller, turn.heard
                logger.info("call %s: caller: %r, agent: %r", *told)
        record.tell = None  # it holds on to the call
        self._forget_old()

    def _forget_old(self) -> None:
        """Forget the calls whose time is over; one timer, for the next of them."""
        loop, retention_s = asyncio.get_running_loop(), self._privacy.retention_s
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        due_s = loop.time() - retention_s
        kept = [one for one in self._records if not one.ended or one.ended_s > due_s]
        self._records = deque(kept, KEPT)
        ends_s = [one.ended_s for one in kept if one.ended]
        if ends_s:
            self._forgetting = loop.call_at(min(ends_s) + retention_s, self._forget_old)


def _known(reason: str) -> str:
    if "put through to" in reason:
        return "put through"
    return reason if reason in REASONS else "a fault"


Arrive = Callable[[ServerConnection], Awaitable[Arrived]]


async def _from_twilio(socket: ServerConnection) -> Arrived:
    assert isinstance(socket, MediaConnection), "its route says so"
    start = await read_start(socket)
    if not CALL_SID.fullmatch(start.call_sid):  # it goes into logs
        raise ProtocolError(f"start.callSid is {len(start.call_sid)} characters that are no id")
    return Arrived(call_info(start), TwilioLine(socket, start), start.parameters.get("token", ""))


async def _from_browser(socket: ServerConnection) -> Arrived:
    call = CallInfo("BR" + uuid4().hex, caller="browser")
    line = BrowserLine(socket)
    await line.begin(call.call_sid)
    return Arrived(call, line)


def call_info(start: Start) -> CallInfo:
    """Return who is on the line; the token is not passed on."""
    parameters = {name: value for name, value in start.parameters.items() if name != "token"}
    return CallInfo(
        start.call_sid,
        start.stream_sid,
        caller=parameters.get("caller", ""),
        called=parameters.get("called", ""),
        parameters=parameters,
    )
