"""The virtual clock: order, jumps, and what it waits for."""

import asyncio
import time

import pytest

import clock


def test_a_result_comes_back_at_once():
    async def answer():
        return 42

    assert clock.run(answer()) == 42


def test_an_hour_passes_in_no_time_and_timers_keep_their_order():
    async def wait(seconds, seen):
        await asyncio.sleep(seconds)
        seen.append((seconds, asyncio.get_running_loop().time()))

    async def main():
        seen = []
        async with asyncio.TaskGroup() as group:
            for seconds in (3600.0, 0.02, 1.0):
                group.create_task(wait(seconds, seen))
        return seen

    began = time.monotonic()
    for seconds, woken_at in (seen := clock.run(main())):
        assert woken_at == pytest.approx(seconds)
    assert [seconds for seconds, _ in seen] == [0.02, 1.0, 3600.0]
    assert time.monotonic() - began < 5


def test_a_timeout_fires():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert clock.run(main()) == pytest.approx(30)


def test_a_loopback_peer_is_served_before_the_clock_moves():
    async def echo(reader, writer):
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            async with asyncio.timeout(0.5):
                answer = await reader.readexactly(5)
            writer.close()
            await writer.wait_closed()
        return answer

    assert clock.run(main(), patience_s=0.001) == b"hello"


def test_a_thread_is_waited_for():
    async def main():
        async with asyncio.timeout(0.5):
            return await asyncio.to_thread(sum, range(2_000_000))

    assert clock.run(main()) == 1999999000000
