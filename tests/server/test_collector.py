"""When garbage is collected: the young always, the old when nobody waits or it is high time."""

import gc
import weakref

import pytest

from rawhttp import on_both_loops, until
from voice_ai.server.collector import CALL_SECONDS, FULL_S, IDLE_S, LONGEST_S, Collector, pause_s
from voice_ai.server.lag import BEAT_S, LagMeter


class Node:
    """One that only a collection frees: it refers to itself."""

    def __init__(self):
        self.itself = self


def dropped():
    return weakref.ref(Node())


def dropped_old():
    """Return a reference to garbage that has outlived the young generations."""
    node = Node()
    gc.collect(0)
    gc.collect(1)
    return weakref.ref(node)


class Clock:
    n_calls = 0
    now = 0.0

    def collector(self):
        return Collector(lambda: self.n_calls, clock=lambda: self.now)


@pytest.fixture
def clock():
    return Clock()


@on_both_loops
async def test_the_process_is_left_as_it_was_found(clock):
    found = gc.get_threshold()
    with clock.collector():
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold()[:2] == found[:2] and gc.get_threshold()[2] > 10**6
    assert gc.get_freeze_count() == 0 and gc.get_threshold() == found


@on_both_loops
async def test_without_a_call_since_there_is_nothing_to_collect(clock):
    with clock.collector() as collector:
        garbage, clock.now = dropped(), FULL_S * 2
        collector.collect()
        assert garbage()


@on_both_loops
async def test_what_is_young_is_collected_while_calls_are_up(clock):
    with clock.collector() as collector:
        clock.n_calls, garbage, old = 3, dropped(), dropped_old()
        collector.collect()
        assert not garbage() and old()


@on_both_loops
@pytest.mark.parametrize(("n_calls", "after_s"), [(3, FULL_S), (0, IDLE_S)])
async def test_what_is_old_waits_for_its_time(clock, n_calls, after_s):
    with clock.collector() as collector:
        clock.n_calls, old = 3, dropped_old()
        collector.collect()
        clock.n_calls, clock.now = n_calls, after_s - 0.1
        collector.collect()
        assert old()
        clock.now = after_s
        collector.collect()
        assert not old()
        later = dropped_old()  # the next full collection is as far away again
        clock.n_calls, clock.now = 3, after_s + IDLE_S
        collector.collect()
        assert later()


@on_both_loops
async def test_an_idle_server_collects_once(clock):
    with clock.collector() as collector:
        clock.n_calls = 1
        collector.collect()
        clock.n_calls, clock.now = 0, IDLE_S
        collector.collect()
        garbage, clock.now = dropped(), IDLE_S * 100
        collector.collect()
        assert garbage()


@on_both_loops
async def test_it_collects_by_itself_for_as_long_as_it_is_entered(clock):
    clock.n_calls = 300
    collector = clock.collector()
    with collector:
        garbage = dropped()
        await until(lambda: garbage() is None)
    garbage = dropped_old()
    clock.now = FULL_S
    beats = []
    with LagMeter(beats.append):
        await until(lambda: len(beats) * BEAT_S > pause_s(300) * 3)
    assert garbage()


@pytest.mark.parametrize("n_calls", [50, 300, 2000])
def test_however_many_calls_as_much_is_gone_through_at_a_time(n_calls):
    assert n_calls * pause_s(n_calls) == pytest.approx(CALL_SECONDS)


@pytest.mark.parametrize("n_calls", [0, 1, 10])
def test_few_calls_do_not_wait_for_ever(n_calls):
    assert pause_s(n_calls) == LONGEST_S
