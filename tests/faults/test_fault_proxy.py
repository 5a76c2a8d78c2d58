"""What the proxy does to a connection, seen from both its ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

import clock
from fakes.fault_proxy import Direction, FaultProxy, WireFault

GET = b"GET /v1/speak HTTP/1.1\r\n\r\n"


@dataclass
class Service:
    """Answers all that it is sent with the same octets."""

    port: int = 0
    got: bytearray = field(default_factory=bytearray)
    over: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                self.got += data
                writer.write(data)
            self.over.append("FIN")
        except ConnectionResetError:
            self.over.append("RST")
        writer.close()


@dataclass
class Ends:
    proxy: FaultProxy
    service: Service

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Client"]:
        """A client whose first request has been answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        client = Client(reader, writer)
        try:
            yield client
        finally:
            writer.transport.abort()


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, data: bytes) -> tuple[bytes, float]:
        """Send this; return as many octets as came back, and how long that took."""
        began_s = asyncio.get_running_loop().time()
        self.writer.write(data)
        try:
            async with asyncio.timeout(10):
                answer = await self.reader.readexactly(len(data))
        except asyncio.IncompleteReadError as error:
            answer = error.partial
        return answer, asyncio.get_running_loop().time() - began_s


def between(script: Callable[[Ends], Awaitable[None]]) -> Service:
    """Run this with a service and a proxy before it; nothing is left of them."""

    async def main() -> Service:
        service = Service()
        server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
        service.port = server.sockets[0].getsockname()[1]
        async with server, FaultProxy(service.port) as proxy:
            await script(Ends(proxy, service))
        await asyncio.sleep(1)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return service

    return clock.run(main(), patience_s=0.001)


def test_a_client_that_says_nothing_holds_nothing_up() -> None:
    async def main() -> None:
        async with FaultProxy(1) as proxy:
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            await asyncio.sleep(0.1)
        writer.transport.abort()

    clock.run(main(), patience_s=0.001)


def test_without_a_fault_it_only_passes_on() -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            assert await client.ask(GET) == (GET, 0.0)
            assert ends.proxy.n_open() == ends.proxy.n_open("/v1/speak") == 1
            assert ends.proxy.n_open("/v2/listen") == 0
            client.writer.write_eof()
            assert await client.reader.read() == b""
        assert ends.proxy.n_struck == 0

    assert between(script).over == ["FIN"]


def test_a_reset_is_a_reset_at_both_ends() -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            await client.ask(GET)
            ends.proxy.arm(WireFault("reset"))
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
        await asyncio.sleep(0.1)
        assert (ends.proxy.n_struck, ends.proxy.n_open()) == (1, 0)

    assert between(script).over == ["RST"]


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_fin_ends_one_way(way: Direction) -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            await client.ask(GET)
            ends.proxy.arm(WireFault("fin", way))
            await asyncio.sleep(0.1)
            assert ends.service.over == (["FIN"] if way == "up" else [])
            assert await client.reader.read() == b""
            client.writer.write(b"more")
            await asyncio.sleep(0.1)
            assert ends.service.got == GET + (b"more" if way == "down" else b"")

    between(script)


def test_a_stall_passes_what_it_may_and_stays_open() -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            await client.ask(GET)
            ends.proxy.arm(WireFault("stall", after=3))
            with pytest.raises(TimeoutError):
                await client.ask(b"hello")
            assert await client.reader.readexactly(3) == b"hel"
            assert not client.reader.at_eof()
        assert ends.service.got == GET + b"hello"

    between(script)


@pytest.mark.parametrize(
    ("fault", "least_s", "most_s"),
    [
        (WireFault("delay", "down", 300), 0.3, 0.3),
        (WireFault("delay", "both", 300), 0.6, 0.6),
        (WireFault("rate", "up", 100), 1.0, 1.0),
        (WireFault("jitter", "down", 600), 0.001, 0.6),
    ],
)
def test_what_is_late_comes_whole(fault: WireFault, least_s: float, most_s: float) -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            await client.ask(GET)
            ends.proxy.arm(fault)
            answer, took_s = await client.ask(b"x" * 100)
            assert answer == b"x" * 100
            assert least_s - 1e-6 <= took_s <= most_s + 1e-6

    between(script)


def test_one_octet_is_wrong_once() -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            await client.ask(GET)
            ends.proxy.arm(WireFault("corrupt", amount=1))
            assert (await client.ask(b"hello"))[0] == b"h\xe5llo"
            assert (await client.ask(b"hello"))[0] == b"hello"

    between(script)


def test_the_next_connection_through_the_door_is_met_if_none_is_open() -> None:
    async def script(ends: Ends) -> None:
        ends.proxy.arm(WireFault("reset"), "/v2/listen")
        async with ends.connected() as other:
            assert (await other.ask(GET))[0] == GET
        for answered in (b"", b"GET /v2/listen\r\n"):
            async with ends.connected() as client:
                try:
                    assert (await client.ask(b"GET /v2/listen\r\n"))[0] == answered
                except ConnectionResetError:
                    assert not answered

    between(script)


def test_for_good_is_now_and_ever_after() -> None:
    async def script(ends: Ends) -> None:
        async with ends.connected() as client:
            await client.ask(GET)
            ends.proxy.arm(WireFault("stall"), for_good=True)
            for _ in range(3):
                async with ends.connected() as later:
                    with pytest.raises(TimeoutError):
                        await later.ask(GET)
        assert ends.proxy.n_struck == 4

    between(script)
