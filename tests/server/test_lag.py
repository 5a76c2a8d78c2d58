"""How late the loop is, and how much of a core it takes."""

import asyncio
import time

import pytest

from rawhttp import on_both_loops, until
from voice_ai.server.cpu import CpuMeter
from voice_ai.server.lag import LagMeter
from voice_ai.server.metrics import LAG_BUCKETS_S, Metrics


@on_both_loops
async def test_a_loop_that_was_held_up_is_late(caplog):
    seen = []
    with LagMeter(seen.append):
        await until(lambda: len(seen) > 2)
        assert all(late_s >= 0 for late_s in seen) and "loop lag" not in caplog.text
        time.sleep(0.2)  # noqa: ASYNC251 (what holds up a loop)
        await until(lambda: max(seen) > 0.1)
    assert 0.13 < max(seen) < 5 and "loop lag: late_ms=1" in caplog.text


@on_both_loops
async def test_a_meter_that_is_left_beats_no_more():
    seen = []
    with LagMeter(seen.append):
        await until(lambda: seen)
    n_beats = len(seen)
    async with asyncio.timeout(1):
        with LagMeter(lambda late_s: other.append(late_s)):
            other = []
            await until(lambda: len(other) > 2)
    assert len(seen) == n_beats


def test_lag_is_counted_where_it_is_aimed_at():
    metrics = Metrics()
    for late_s in (0.0, 0.0049, 0.0051, 3.0):
        metrics.loop_lag(late_s)
    value = metrics.registry.get_sample_value
    assert value("voice_ai_loop_lag_seconds_bucket", {"le": "0.005"}) == 2
    assert value("voice_ai_loop_lag_seconds_bucket", {"le": "0.5"}) == 3
    assert value("voice_ai_loop_lag_seconds_count") == 4
    assert LAG_BUCKETS_S[0] == 0.00025 and list(LAG_BUCKETS_S) == sorted(LAG_BUCKETS_S)


class Clocks:
    def __init__(self):
        self.now = self.cpu = 0.0

    def meter(self, max_percent=90.0):
        return CpuMeter(max_percent, clock=lambda: self.now, cpu=lambda: self.cpu)

    def go_on(self, meter, percent, n_samples=1):
        for _ in range(n_samples):
            self.now += 0.5
            self.cpu += 0.5 * percent / 100
            meter.sample()


def test_before_two_samples_nothing_is_known():
    meter = Clocks().meter()
    assert meter.percent == 0 and not meter.over
    meter.sample()
    assert meter.percent == 0 and not meter.over


def test_a_core_that_is_full_takes_no_more_until_it_has_been_quiet():
    clocks = Clocks()
    meter = clocks.meter()
    clocks.go_on(meter, 95, 5)
    assert meter.percent == pytest.approx(95) and meter.over
    clocks.go_on(meter, 10, 1)
    assert not meter.over
    clocks.go_on(meter, 10, 4)
    assert meter.percent == pytest.approx(10)


def test_a_burst_is_no_load():
    clocks = Clocks()
    meter = clocks.meter()
    clocks.go_on(meter, 20, 4)
    clocks.go_on(meter, 100)
    assert not meter.over


def test_a_hundred_never_refuses():
    clocks = Clocks()
    meter = clocks.meter(100)
    clocks.go_on(meter, 101, 5)
    assert not meter.over


@on_both_loops
async def test_the_thread_of_the_loop_is_measured(monkeypatch):
    monkeypatch.setattr("voice_ai.server.cpu.EVERY_S", 0.02)
    with CpuMeter(50) as meter:
        until_s = time.perf_counter() + 0.1
        while time.perf_counter() < until_s:
            await asyncio.sleep(0)
        assert meter.percent > 5
    assert meter.percent == 0
