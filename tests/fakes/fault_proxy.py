"""A TCP proxy that does to a connection what networks do: late, slow, cut, stuck, one bit wrong.

`FaultProxy` stands before a service on loopback. A fault is armed at a moment: it befalls the
connections that are open then, or else the next one. Where several services share a port, the path
of a connection's first request tells which is meant.
"""

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Literal

Kind = Literal["delay", "jitter", "rate", "stall", "reset", "fin", "corrupt"]
Direction = Literal["up", "down", "both"]

READ_OCTETS = 2**16
# SO_LINGER on, for no time: closing sends RST (man 7 socket).
RST = struct.pack("ii", 1, 0)
# Never within ASCII, so that neither JSON nor HTTP can hide it.
WRONG_BITS = 0x80


@dataclass(frozen=True, slots=True)
class WireFault:
    """What befalls one connection. `up` is from the client to the service.

    Args:
        kind: `delay` and `jitter` by up to `amount` ms, `rate` of `amount` octets a second; `stall`
            is open and silent; `reset` cuts both ways; `fin` ends one way only; `corrupt` changes
            one octet, `amount` into a read.
        way: whose octets.
        after: octets of that way that pass first, counted from when it is armed.
    """

    kind: Kind
    way: Direction = "down"
    amount: float = 0.0
    after: int = 0


class _Way:
    """One direction of a connection: what is under way there, and what befalls it."""

    def __init__(self, link: "_Link", writer: asyncio.StreamWriter) -> None:
        self._link = link
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._fault: WireFault | None = None
        self._n_first = 0
        self._is_silent = False
        # Unbounded, as is what a peer sends within the delay; None is the end of it.
        self._under_way: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def suffer(self, fault: WireFault) -> None:
        """Let this befall what comes from now on; where it needs no octets, at once."""
        self._fault, self._n_first = fault, fault.after
        if not fault.after and fault.kind in ("stall", "reset", "fin"):
            self._strike(fault, b"")

    def pass_on(self, data: bytes) -> None:
        """Send these on, as far and as soon as the fault allows."""
        if self._is_silent:
            return
        n = len(data) if self._fault is None else min(self._n_first, len(data))
        self._n_first -= n if self._fault else 0
        if n:
            self._send(data[:n])
        if self._fault and data[n:]:
            self._strike(self._fault, data[n:])

    def end(self) -> None:
        """Say that no more comes, behind what is under way."""
        if not self._is_silent:
            self._send(None)

    def forget(self) -> None:
        """Lose what is under way."""
        self._under_way.clear()
        self._is_silent = True
        if self._timer:
            self._timer.cancel()

    def _strike(self, fault: WireFault, data: bytes) -> None:
        self._link.is_struck = True
        match fault.kind:
            case "reset":
                self._link.reset()
            case "stall":
                self._is_silent = True
            case "fin":
                self.end()
                self._is_silent = True
            case "delay":
                self._send(data, fault.amount / 1000)
            case "jitter":
                self._send(data, self._link.rng.uniform(0, fault.amount) / 1000)
            case "rate":
                self._send(data, takes_s=len(data) / fault.amount)
            case "corrupt":
                at = min(int(fault.amount), len(data) - 1)
                self._fault = None
                self._send(data[:at] + bytes([data[at] ^ WRONG_BITS]) + data[at + 1 :])

    def _send(self, data: bytes | None, late_s: float = 0.0, takes_s: float = 0.0) -> None:
        now = self._loop.time()
        before = self._under_way[-1][0] if self._under_way else now
        self._under_way.append((max(before, now + late_s) + takes_s, data))
        if len(self._under_way) == 1:
            self._deliver()

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= self._loop.time():
            self._write(self._under_way.popleft()[1])
        if self._under_way:
            self._timer = self._loop.call_at(self._under_way[0][0], self._deliver)

    def _write(self, data: bytes | None) -> None:
        if self._writer.is_closing():
            return
        if data is not None:
            self._writer.write(data)
        else:
            with suppress(OSError):  # a peer that has reset it takes no FIN
                self._writer.write_eof()


class _Link:
    """A connection from a client to the service; `door` is the head of its first request."""

    def __init__(
        self,
        door: bytes,
        client: asyncio.StreamWriter,
        service: asyncio.StreamWriter,
        rng: Random,
    ) -> None:
        self.door = door
        self.rng = rng
        self.is_struck = False
        self.has_client = True
        self._writers = (client, service)
        self.up, self.down = _Way(self, service), _Way(self, client)

    def suffer(self, fault: WireFault) -> None:
        """Let this befall the connection from now on."""
        for name, way in (("up", self.up), ("down", self.down)):
            if fault.way in (name, "both"):
                way.suffer(fault)

    def reset(self) -> None:
        """Send RST to both."""
        self.drop()
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            if not writer.is_closing() and sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()

    def drop(self) -> None:
        """Lose what is under way."""
        self.up.forget()
        self.down.forget()

    async def carry(self, reader: asyncio.StreamReader, way: _Way) -> None:
        """Read one side to its end."""
        with suppress(ConnectionError):
            while data := await reader.read(READ_OCTETS):
                way.pass_on(data)
        way.end()


class FaultProxy:
    """`async with FaultProxy(port) as proxy`: connect to `proxy.port` instead of `port`.

    `n_struck` is how many connections a fault has touched.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self._service_port = port
        self._rng = Random(seed)
        self._links: list[_Link] = []
        self._clients: set[asyncio.StreamWriter] = set()
        self._next: list[tuple[str, WireFault, bool]] = []
        self._n_struck_before = 0
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "FaultProxy":
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cut what is still open."""
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.reset()
        for writer in self._clients:
            writer.transport.abort()
        await self._server.wait_closed()
        while self._clients:
            await asyncio.sleep(0.01)

    @property
    def n_struck(self) -> int:
        return self._n_struck_before + sum(link.is_struck for link in self._links)

    def n_open(self, door: str = "") -> int:
        """Connections through this door that their clients hold."""
        return sum(link.has_client and door.encode() in link.door for link in self._links)

    def arm(self, fault: WireFault, door: str = "", *, for_good: bool = False) -> None:
        """Let this befall what is open through this door, or else the next connection there.

        `door` is part of a request's first line, such as its path. With `for_good` it befalls what
        is open and all that come.
        """
        met = [one for one in self._links if one.has_client and door.encode() in one.door]
        for link in met:
            link.suffer(fault)
        if for_good or not met:
            self._next.append((door, fault, for_good))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            with suppress(ConnectionError):
                if head := await reader.read(READ_OCTETS):
                    await self._connect(head, reader, writer)
        finally:
            writer.close()
            self._clients.remove(writer)

    async def _connect(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ours, theirs = await asyncio.open_connection("127.0.0.1", self._service_port)
        link = _Link(head.partition(b"\r\n")[0], writer, theirs, self._rng)
        self._links.append(link)
        try:
            self._befall(link)
            link.up.pass_on(head)
            async with asyncio.TaskGroup() as group:
                up = group.create_task(link.carry(reader, link.up))
                group.create_task(link.carry(ours, link.down))
                await up
                link.has_client = False
                if link.is_struck:  # what it would tell the service may be stuck
                    link.reset()
        finally:
            self._n_struck_before += link.is_struck
            self._links.remove(link)
            link.drop()
            theirs.close()

    def _befall(self, link: _Link) -> None:
        for armed in list(self._next):
            door, fault, for_good = armed
            if door.encode() in link.door:
                link.suffer(fault)
                if not for_good:
                    self._next.remove(armed)
