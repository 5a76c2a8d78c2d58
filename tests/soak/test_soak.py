"""Some calls, short ones and a longer one, and nothing left of them; `make soak` has the hours."""

import asyncio
import random
import tempfile

import pytest
import uvloop

from soak.census import census
from soak.fast import soak_fast
from soak.served import soak_served
from soak.slope import slope


def test_of_too_few_points_nothing_is_known():
    for points in ([], [(0, 1)], [(0, 1), (1, 2), (2, 3)], [(1.0, 5.0)] * 20):
        assert not slope(points).grows
        assert not slope(points).exceeds(0)


def test_a_line_is_found_and_its_growth_over_the_whole():
    found = slope([(n, 100 + 3 * n) for n in range(101)])
    assert found.per_x == pytest.approx(3)
    assert found.grows and found.exceeds(299) and not found.exceeds(301)


def test_noise_is_no_growth_and_growth_in_noise_is_seen():
    rng = random.Random(1)
    noise = [(float(n), rng.gauss(1000, 50)) for n in range(400)]
    assert not slope(noise).exceeds(20)
    assert slope([(x, y + x / 2) for x, y in noise]).exceeds(150)


def test_what_is_left_is_told():
    class Left:
        pass

    async def main():
        before = census()
        kept = [Left() for _ in range(30)]
        with tempfile.TemporaryFile():
            task = asyncio.create_task(asyncio.sleep(9))
            told = census().left(before, 100)
            task.cancel()
        assert len(kept) == 30
        return told

    told = " ".join(asyncio.run(main()))
    assert "2 tasks, 1 before" in told
    assert "files" in told and "Left, 0 before" in told


def test_calls_on_virtual_time_leave_nothing():
    found = soak_fast(n_short=5, hours=0.02)
    assert found.left == []
    assert found.turns >= 5 + 3


def test_calls_over_sockets_leave_nothing():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(soak_served(seconds=1.0, n_long=1, n_warm=4))
    assert found.n_calls > 0 and found.refused == []
    assert found.begin is not None and found.end is not None
    assert found.end.held(found.begin) == []
    assert found.losses == []
