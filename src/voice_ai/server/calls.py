"""The media streams' endpoint: from a handshake to the end of the call, whatever happens in
between."""

import logging
import time
from collections import deque

from websockets.asyncio.server import ServerConnection

from voice_ai.call.record import CallRecord
from voice_ai.call.services import Services
from voice_ai.call.session import VoiceSession
from voice_ai.errors import PeerError, ProtocolError, leaves
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.http import Request
from voice_ai.server.metrics import Metrics
from voice_ai.server.readiness import Readiness
from voice_ai.server.stream import POLICY_VIOLATION, TwilioLine, close, read_start
from voice_ai.server.webhook import Webhook
from voice_ai.wire.twilio import Start

logger = logging.getLogger(__name__)

# Calls that `/api/calls` shows; the oldest is forgotten. A call's record is a few kilobytes of
# text.
KEPT = 200
# RFC 6455 section 7.4.1: 1011 an error of ours, 1013 try again later.
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013


class Calls:
    """Every call of this server that is under way or was lately."""

    def __init__(self, readiness: Readiness[Services], webhook: Webhook, metrics: Metrics) -> None:
        """Take the streams that the webhook has sent here."""
        self.n_live = 0
        self._readiness = readiness
        self._webhook = webhook
        self._metrics = metrics
        self._records: deque[CallRecord] = deque(maxlen=KEPT)

    def records(self) -> list[CallRecord]:
        """Return the calls that are kept, newest first."""
        return list(reversed(self._records))

    def find(self, call_sid: str) -> CallRecord | None:
        """Return the newest call of this id."""
        return next((record for record in self.records() if record.call.call_sid == call_sid), None)

    async def serve(self, socket: ServerConnection, request: Request) -> None:
        """Hold a call over a media stream; raises nothing, and closes the socket with the code that
        fits."""
        call_sid = "unknown"
        code, reason = 1000, ""
        try:
            start = await read_start(socket)
            call_sid = start.call_sid
            await self._hold(socket, start)
        except* ProtocolError as faults:
            fault = leaves(faults)[0]
            assert isinstance(fault, ProtocolError)
            code, reason = fault.close_code, str(fault)
            self._metrics.protocol_violated()
            logger.warning("call %s: ended, close code %d: %s", call_sid, code, reason)
        except* PeerError as faults:
            code, reason = INTERNAL_ERROR, "a peer failed"
            logger.warning("call %s: ended, close code %d: %s", call_sid, code, leaves(faults)[0])
        except* Exception:  # the edge of a call: other calls go on
            code, reason = INTERNAL_ERROR, "an error of ours"
            logger.exception("call %s: ended by an error of ours", call_sid)
        await close(socket, code, reason)

    async def _hold(self, socket: ServerConnection, start: Start) -> None:
        if not self._webhook.redeem(start.parameters.get("token", ""), start.call_sid):
            raise ProtocolError("the token is not ours, was used, or is too old", POLICY_VIOLATION)
        try:
            services = await self._readiness.get(within_s=0.0)
            if services is None:
                why = self._readiness.waiting_for
                raise ProtocolError(f"no calls are taken: {why}", TRY_AGAIN_LATER)
            record = CallRecord(call_info(start), started_at=time.time())
            self._records.append(record)
            await self._run(TwilioLine(socket, start), services, record)
        finally:
            self._webhook.released(start.call_sid)

    async def _run(self, line: TwilioLine, services: Services, record: CallRecord) -> None:
        call_sid = record.call.call_sid
        logger.info("call %s: begun", call_sid)
        self.n_live += 1
        self._metrics.call_started()
        try:
            await VoiceSession(line, services, record).run()
        finally:
            self.n_live -= 1
            self._count(record, line)
            logger.info("call %s: over, %d turns: %s", call_sid, len(record.turns), record.reason)

    def _count(self, record: CallRecord, line: TwilioLine) -> None:
        self._metrics.call_ended(record.reason)
        self._metrics.frames(line.n_frames_in, line.n_frames_out)
        for stage in record.failures:
            self._metrics.provider_failed(stage)
        for turn in record.turns:
            for name, ms in (turn.latency.stages_ms() if turn.latency else {}).items():
                self._metrics.turn_latency(name, ms)


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
