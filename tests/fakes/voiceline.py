"""A server at the other end of the phone: webhook, stream and record, played by a script.

`serve(script)` listens on loopback; the script is given each stream as a `Stream` and does to the
caller what a test wants done. It understands no speech: it counts frames and sends what it is told.
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from voice_ai.wire import twilio

TWIML = (
    '<Response><Connect><Stream url="{url}"><Parameter name="token" value="t1"/>'
    "</Stream></Connect></Response>"
)


def tone(n_ms):
    """Return audible µ-law: a square wave."""
    return (b"\x90" * 8 + b"\x10" * 8) * (n_ms // 2)


class Stream:
    """The server's end of one media stream."""

    def __init__(self, socket, transport):
        self.socket = socket
        self.abort = transport.abort
        self.start = None
        self.n_frames = 0
        self.marks = []
        self.messages = []

    async def begin(self):
        assert isinstance(await self.next(), twilio.Connected)
        self.start = await self.next()
        assert isinstance(self.start, twilio.Start)
        return self

    async def next(self):
        """Return the caller's next message, or None when the stream is over."""
        message = await self.socket.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        self.messages.append(message.data)
        parsed = twilio.parse_message(message.data)
        self.n_frames += isinstance(parsed, twilio.Media)
        if isinstance(parsed, twilio.Mark):
            self.marks.append((parsed.name, self.n_frames))
        return parsed

    async def hear(self, n_frames):
        """Read so many frames of the caller's; return their audio."""
        heard = b""
        until = self.n_frames + n_frames
        while self.n_frames < until and (message := await self.next()) is not None:
            heard += message.payload if isinstance(message, twilio.Media) else b""
        return heard

    async def hear_speech(self):
        """Read until the caller has spoken and been silent for 100 ms."""
        silent = 0
        spoke = False
        while silent < 5 or not spoke:
            message = await self.next()
            if message is None:
                return
            if isinstance(message, twilio.Media):
                silent = silent + 1 if message.payload == b"\xff" * 160 else 0
                spoke = spoke or not silent

    async def hear_all(self):
        while await self.next() is not None:
            pass

    async def say(self, n_ms, mark=""):
        await self.socket.send_str(twilio.media(self.start.stream_sid, tone(n_ms)))
        if mark:
            await self.socket.send_str(twilio.mark(self.start.stream_sid, mark))

    async def clear(self):
        await self.socket.send_str(twilio.clear(self.start.stream_sid))

    async def send(self, message):
        await (self.socket.send_str if isinstance(message, str) else self.socket.send_bytes)(
            message
        )


@dataclass
class Line:
    """What a running server was asked and how it answers."""

    script: object
    twiml: str = TWIML
    stream_url: str = ""
    webhook_status: int = 200
    handshake_status: int = 101
    record: object = field(default_factory=lambda: {"turns": [], "ended": True})
    record_status: int = 200
    url: str = ""
    webhooks: list = field(default_factory=list)
    handshakes: list = field(default_factory=list)
    streams: list = field(default_factory=list)
    n_records: int = 0

    async def webhook(self, request):
        self.webhooks.append((request.headers.copy(), dict(await request.post())))
        url = self.stream_url or self.url.replace("http", "ws") + "/ws/twilio"
        return web.Response(
            status=self.webhook_status,
            text=self.twiml.replace("{url}", url),
            content_type="text/xml",
        )

    async def stream(self, request):
        self.handshakes.append(request.headers.copy())
        if self.handshake_status != 101:
            return web.Response(status=self.handshake_status)
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        stream = Stream(socket, request.transport)
        self.streams.append(stream)
        await self.script(await stream.begin())
        await socket.close()
        return socket

    async def answer_record(self, request):
        self.n_records += 1
        if request.query["call_sid"] != self.streams[-1].start.call_sid:
            return web.Response(status=404)
        record = self.record(self.n_records) if callable(self.record) else self.record
        if isinstance(record, str):
            return web.Response(text=record)
        if record is None:
            request.transport.abort()
        return web.json_response(record, status=self.record_status)


@asynccontextmanager
async def serve(script=None, **settings):
    """Listen on loopback for as long as the block lasts."""
    line = Line(script, **settings)
    app = web.Application()
    app.router.add_post("/incoming-call", line.webhook)
    app.router.add_get("/ws/twilio", line.stream)
    app.router.add_get("/api/calls", line.answer_record)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        line.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield line
    finally:
        await runner.cleanup()
