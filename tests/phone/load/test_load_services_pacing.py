"""One timer for many: who is due is called, in order, and how late is measured."""

import asyncio
import socket
import time
from time import monotonic

from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.pacing import EARLY_S, TICK_S, Pacer


async def called(pacer: Pacer, *after_s: float) -> list[tuple[int, float]]:
    """Which of them was called when after it was due."""
    calls: list[tuple[int, float]] = []
    all_called = asyncio.Event()

    def act(index: int, due_s: float) -> None:
        calls.append((index, monotonic() - due_s))
        if len(calls) == len(after_s):
            all_called.set()

    for index, wait_s in enumerate(after_s):
        due_s = monotonic() + wait_s
        pacer.at(due_s, lambda index=index, due_s=due_s: act(index, due_s))
    async with asyncio.timeout(5):
        await all_called.wait()
    return calls


async def test_what_is_due_at_once_is_not_called_at_once():
    calls = []
    pacer = Pacer(Measured())
    pacer.at(0.0, lambda: calls.append(1))
    assert calls == []
    assert [index for index, _ in await called(pacer, 0.0)] == [0]
    assert calls == [1]


async def test_after_its_end_nobody_is_called():
    calls = []
    pacer = Pacer(Measured())
    pacer.at(monotonic() + TICK_S, lambda: calls.append(1))
    pacer.close()
    await called(Pacer(Measured()), 4 * TICK_S)
    assert calls == []


async def test_all_are_called_in_order_and_not_before():
    pacer = Pacer(Measured())
    calls = await called(pacer, 0.05, 0.0, 0.11, 0.03, 0.031)
    assert [index for index, _ in calls][:1] == [1]
    assert [index for index, _ in calls][-2:] == [0, 2]
    assert min(late_s for _, late_s in calls) >= -EARLY_S


async def test_it_goes_on_after_it_had_nothing_to_do():
    pacer = Pacer(Measured())
    await called(pacer, 0.001)
    assert len(await called(pacer, 0.03, 0.01)) == 2


async def test_who_asks_again_from_within_is_called_again():
    pacer = Pacer(Measured())
    times: list[float] = []
    done = asyncio.Event()

    def act() -> None:
        times.append(monotonic())
        if len(times) < 5:
            pacer.at(times[0] + len(times) * 4 * TICK_S, act)
        else:
            done.set()

    pacer.at(monotonic(), act)
    async with asyncio.timeout(5):
        await done.wait()
    assert times[-1] - times[0] >= 16 * TICK_S - EARLY_S


async def test_lateness_is_measured_from_the_tick():
    measured = Measured()
    pacer = Pacer(measured)
    pacer.at(monotonic() - 0.2, lambda: None)
    await called(pacer, 0.02)
    assert 190 < measured.late.as_json()["max"] < 5000


async def test_one_that_is_behind_reads_between_two_ticks():
    pacer, done = Pacer(Measured()), asyncio.Event()
    order: list[str] = []
    ours, theirs = socket.socketpair()

    def stalls() -> None:
        theirs.send(b"?")
        time.sleep(4 * TICK_S)

    def is_read() -> None:
        ours.recv(1)
        order.append("read")

    with ours, theirs:
        asyncio.get_running_loop().add_reader(ours, is_read)
        begin_s = monotonic() + TICK_S
        pacer.at(begin_s, stalls)
        pacer.at(begin_s + 2 * TICK_S, lambda: order.append("acts"))
        pacer.at(begin_s + 3 * TICK_S, done.set)
        async with asyncio.timeout(5):
            await done.wait()
        asyncio.get_running_loop().remove_reader(ours)
    assert order == ["read", "acts"]
