"""The floor: uvloop moves a call's messages and octets, and nothing is done to any of them.

Audio is never unmasked, decoded or looked at. Octets of the caller's become messages to Flux, those
of Aura's silence for the phone, all of them written beforehand; a turn is over where `"EndOfTurn"`
stands in what Flux sends. So what the callers hear has no levels: no segment of it can be found.

What happens once a call is done properly: the handshakes, the stream's id, whose call it is.
"""

import asyncio
import signal
from functools import cache
from typing import Any

import framing
import uvloop
from framing import FRAMES_A_MESSAGE, HOST, PORT

# Of mu-law, between two marks: 400 ms, as ours.
OCTETS_A_MARK = 3200
TEXT, CLOSE, PING = 0x81, 0x88, 0x89
# A media message of a caller's is longer than this, and of two it is less than half.
MEDIA_OCTETS = 370
# A client's close with a code.
CLOSE_OCTETS = 8


class Vendor(asyncio.Protocol):
    """A connection of ours to a vendor; what comes goes to `take`, and pings are answered."""

    def __init__(self, take: Any) -> None:
        self.take = take
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        if data[0] == PING:
            self.transport.write(framing.pong(data))
        else:
            self.take(data)


class Phone(asyncio.Protocol):
    """One connection of Twilio's: two kinds of request, or a call's stream."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.pending = b""
        self.is_stream = self.dialling = False
        self.flux: Vendor | None = None
        self.aura: Vendor | None = None
        self.llm: Vendor | None = None
        self.speaking = False
        self.n_frames = 0
        self.n_until_mark = OCTETS_A_MARK

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Leave the vendors."""
        for vendor in (self.flux, self.aura, self.llm):
            if vendor is not None:
                vendor.transport.close()

    def data_received(self, data: bytes) -> None:
        """Count the caller's octets; before the stream begins, answer and read its start."""
        if self.flux is None:
            self._begin(data)
            return
        if len(data) < MEDIA_OCTETS or data[-CLOSE_OCTETS] == CLOSE:
            self._control(data)
        self.n_frames += len(data) // MEDIA_OCTETS
        while self.n_frames >= FRAMES_A_MESSAGE:
            self.n_frames -= FRAMES_A_MESSAGE
            self.flux.transport.write(next(self.messages))

    def _control(self, data: bytes) -> None:
        """Answer a ping and a close, of what may be one; a mark's echo is thrown away."""
        if data[0] == PING:
            self.transport.write(framing.pong(data))
        elif framing.closes(data):
            self.transport.write(framing.CLOSED)
            self.transport.close()

    def on_flux(self, data: bytes) -> None:
        """Speak when a turn is over; be silent when one begins."""
        if b'"EndOfTurn"' in data:
            assert self.llm is not None and self.aura is not None
            self.llm.transport.write(framing.LLM_REQUEST)
            self.aura.transport.write(self.server.speak)
            self.speaking = True
        elif self.speaking and b'"StartOfTurn"' in data:
            assert self.aura is not None
            self.speaking = False
            self.transport.write(self.clear)
            self.aura.transport.write(framing.CLEAR)

    def on_aura(self, data: bytes) -> None:
        """Send as much silence as there came of voice, with a mark now and then."""
        if data[0] == TEXT:
            if b'"Flushed"' in data:
                self.transport.write(self.mark)
            return
        if not self.speaking:
            return
        audio = self.media(len(data))
        self.transport.write(audio.message)
        self.n_until_mark -= audio.n_ulaw
        if self.n_until_mark <= 0:
            self.n_until_mark = OCTETS_A_MARK
            self.transport.write(self.mark)

    def on_llm(self, data: bytes) -> None:
        """Throw the model's answer away."""

    def _begin(self, data: bytes) -> None:
        self.pending += data
        if not self.is_stream:
            self._answer()
        if self.is_stream and not self.dialling and (begun := framing.beginning(self.pending)):
            self.dialling = True
            sid = begun.stream_sid
            self.mark, self.clear = framing.mark(sid), framing.clear(sid)
            self.media = cache(lambda n_octets: framing.media(sid, n_octets))
            self.messages = framing.flux_messages(begun.call)
            self.server.group.create_task(self._dial())

    def _answer(self) -> None:
        head, end, body = self.pending.partition(b"\r\n\r\n")
        if not end or len(body) < framing.body_length(head):
            return
        self.pending = body[framing.body_length(head) :]
        self.is_stream = b"sec-websocket-key:" in head.lower()
        self.transport.write(framing.answer(head))

    async def _dial(self) -> None:
        """Open the three connections, and catch up with the caller."""
        aura = await _connect(Vendor(self.on_aura), framing.AURA)
        self.aura, self.llm = aura, await _connect(Vendor(self.on_llm), framing.LLM)
        flux = await _connect(Vendor(self.on_flux), framing.FLUX)
        begun = framing.beginning(self.pending)
        assert begun is not None
        n_messages, self.n_frames = divmod(begun.n_frames, FRAMES_A_MESSAGE)
        for _ in range(n_messages):
            flux.transport.write(next(self.messages))
        self.flux = flux


async def _connect(vendor: Vendor, address: framing.Address) -> Vendor:
    sock, rest = await framing.dial(address)
    await asyncio.get_running_loop().create_connection(lambda: vendor, sock=sock)
    if rest:
        vendor.data_received(rest)
    return vendor


class Server:
    """What all calls share."""

    def __init__(self, group: asyncio.TaskGroup, speak: bytes) -> None:
        self.group = group
        self.speak = speak


async def run() -> None:
    """Serve until terminated."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    speak = framing.speak(await framing.ask_once())
    async with asyncio.TaskGroup() as group:
        server = Server(group, speak)
        listener = await loop.create_server(lambda: Phone(server), HOST, PORT)
        await stop.wait()
        listener.close()


if __name__ == "__main__":
    uvloop.run(run())
