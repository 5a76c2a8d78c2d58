"""A caller that speaks Twilio's protocol: one phone call, from the webhook to the hang-up.

Two tasks share the stream. One is the frame clock: every 20 ms it plays a frame of the outbound
buffer to the caller's ear, asks `Conduct` what the caller says, and sends that. The other takes the
server's messages into the buffer. What to say and when is decided in `conduct`, what is heard in
`buffer`.
"""

import asyncio
from collections.abc import Callable, Iterable
from uuid import uuid4

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voice_ai.errors import ProtocolError
from voice_ai.phone import webhook
from voice_ai.phone.buffer import FRAME_MS, FRAME_OCTETS, SILENCE, PlayoutBuffer
from voice_ai.phone.conduct import Conduct
from voice_ai.phone.dial import close, dial_for, open_stream
from voice_ai.phone.plan import CallPlan, CallResult, Progress
from voice_ai.phone.record import fetch_record
from voice_ai.wire import twilio

# A send waits only for the kernel's buffer: a server that takes nothing for this long is gone.
SEND_TIMEOUT_S = 10.0

# Progress is told five times a second.
PROGRESS_EVERY_FRAMES = 10

# What a server may close a stream with (RFC 6455 section 7.4.1): done, or going away.
GOOD_CLOSE_CODES = (1000, 1001)

OnProgress = Callable[[Progress], None]


async def place_call(plan: CallPlan, *, on_progress: OnProgress | None = None) -> CallResult:
    """Place a call, go through it in real time, and return what became of it.

    Any number may run at once on one event loop; each has its own connections. Cancelling hangs up.

    Args:
        plan: whom to call, what to say, how long to wait.
        on_progress: told a few times a second where the call is; it must not block.

    Raises:
        PeerError: the call could not be put through: no server, no TwiML, no stream. What goes
            wrong later is in the result.
    """
    call_sid = "CA" + uuid4().hex
    async with webhook.client() as http:
        answer = await webhook.ask(http, plan, call_sid)
        if isinstance(answer, webhook.Refused):
            return CallResult(
                call_sid, refused=answer.words, transcript_missing="the call was refused"
            )
        phone = _Phone(plan, call_sid, on_progress)
        for violation in dial_for(plan, answer.url).violations:
            phone.conduct.note(0.0, violation)
        async with open_stream(plan, answer.url) as stream:
            await phone.talk(stream, answer.parameters)
        result = phone.result(stream)
        result.transcript, result.transcript_missing = await fetch_record(
            http, plan.server_url, call_sid
        )
    return result


class _Phone:
    """One call's stream, from connected to stop."""

    def __init__(self, plan: CallPlan, call_sid: str, on_progress: OnProgress | None) -> None:
        self.conduct = Conduct(plan)
        self._plan = plan
        self._call_sid = call_sid
        self._stream_sid = "MZ" + uuid4().hex
        self._on_progress = on_progress
        self._buffer = PlayoutBuffer()
        self._said = bytearray()
        self._heard = bytearray()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._late_ms = 0.0
        self._n_sent = 0
        self._ended_by = ""

    async def talk(self, stream: ClientConnection, parameters: dict[str, str]) -> None:
        """Go through the call until either side hangs up."""
        self._n_sent = 1
        await self._send(stream, twilio.connected())
        await self._send(
            stream,
            twilio.start(self._stream_sid, self._call_sid, self._plan.account_sid, parameters),
        )
        self._began = self._loop.time()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(stream))
            await self._run_clock(stream)
            await close(stream)

    def result(self, stream: ClientConnection) -> CallResult:
        """Return what became of the call, its stream being closed."""
        code, reason = stream.close_code, stream.close_reason or ""
        if self._ended_by == "server" and code not in GOOD_CLOSE_CODES:
            self.conduct.note(
                self._now_ms(), f"31921: the server closed the stream with {code} {reason}".rstrip()
            )
        return CallResult(
            self._call_sid,
            self._stream_sid,
            said=bytes(self._said),
            heard=bytes(self._heard),
            greeting_ms=self.conduct.greeting_ms,
            turns=self.conduct.turns,
            violations=self.conduct.violations,
            close_code=code,
            close_reason=reason,
            ended_by=self._ended_by,
            unplayed_ms=self._buffer.n_octets * FRAME_MS / FRAME_OCTETS,
            late_ms=self._late_ms,
        )

    def _now_ms(self) -> float:
        return (self._loop.time() - self._began) * 1000

    async def _run_clock(self, stream: ClientConnection) -> None:
        """Play and speak a frame every 20 ms, on a schedule that does not drift, until the end."""
        n_frames = 0
        while not self._ended_by:
            await self._wait_for_frame(n_frames)
            sound, passed = self._buffer.play()
            await self._echo(stream, passed)
            frame = self.conduct.frame(self._now_ms(), len(sound) * FRAME_MS / FRAME_OCTETS)
            if frame is None:
                await self._hang_up(stream)
                return
            self._heard += sound.ljust(FRAME_OCTETS, SILENCE)
            self._said += frame
            await self._send_media(stream, n_frames, frame)
            if n_frames % PROGRESS_EVERY_FRAMES == 0:
                self._tell_progress()
            n_frames += 1

    async def _wait_for_frame(self, n_frames: int) -> None:
        due = self._began + n_frames * FRAME_MS / 1000
        await asyncio.sleep(max(0.0, due - self._loop.time()))
        self._late_ms = max(self._late_ms, (self._loop.time() - due) * 1000)

    async def _listen(self, stream: ClientConnection) -> None:
        """Take the server's messages until the stream is closed, whoever closed it."""
        try:
            while True:
                await self._take(stream, await stream.recv())
        except ConnectionClosed:
            self._ended_by = self._ended_by or "server"

    async def _take(self, stream: ClientConnection, message: str | bytes) -> None:
        try:
            command = twilio.parse_command(message, self._stream_sid)
        except ProtocolError as error:
            self.conduct.note(self._now_ms(), str(error))
            return
        match command:
            case twilio.PlayMedia(payload):
                self.conduct.media(self._now_ms())
                if n_lost := self._buffer.media(payload):
                    self.conduct.note(
                        self._now_ms(), f"31931: the buffer is full, {n_lost} octets are lost"
                    )
            case twilio.SendMark(name):
                await self._echo(stream, self._buffer.mark(name))
            case twilio.ClearBuffer():
                self.conduct.cleared()
                await self._echo(stream, self._buffer.clear())

    async def _echo(self, stream: ClientConnection, names: Iterable[str]) -> None:
        for name in names:
            self._n_sent += 1
            await self._send(stream, twilio.mark_echo(self._stream_sid, self._n_sent, name))

    async def _send_media(self, stream: ClientConnection, n_frames: int, frame: bytes) -> None:
        self._n_sent += 1
        at_ms = n_frames * FRAME_MS
        await self._send(
            stream, twilio.caller_media(self._stream_sid, self._n_sent, n_frames + 1, at_ms, frame)
        )

    async def _hang_up(self, stream: ClientConnection) -> None:
        self._ended_by = self._ended_by or "caller"
        self._n_sent += 1
        await self._send(
            stream,
            twilio.stop(self._stream_sid, self._n_sent, self._plan.account_sid, self._call_sid),
        )

    async def _send(self, stream: ClientConnection, message: str) -> None:
        """Send a message; a stream that is closed or takes nothing ends the call."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await stream.send(message)
        except ConnectionClosed:
            self._ended_by = self._ended_by or "server"
        except TimeoutError:
            self.conduct.note(self._now_ms(), f"the server read nothing for {SEND_TIMEOUT_S:g} s")
            self._ended_by = self._ended_by or "server"

    def _tell_progress(self) -> None:
        if self._on_progress is not None:
            n_turns = len(self._plan.utterances)
            self._on_progress(
                Progress(self._now_ms(), self.conduct.doing, len(self.conduct.turns), n_turns)
            )
