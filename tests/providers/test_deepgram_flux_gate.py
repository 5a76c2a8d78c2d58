"""Flux that is down for all calls of a process: how often it is tried, and who survives it."""

import asyncio
import random

import pytest

import clock
from fakes.deepgram import FakeDeepgram
from fakes.faults import Fault
from fakes.flux import FakeFlux
from fakes.ledger import numbered
from flux_calls import AUDIO, GOING, SAID, Call, call, check_whole, failure_of, hearing, hold
from voice_ai.providers.breaker import MAX_FAILURES, Breaker, Budget
from voice_ai.providers.deepgram.flux_gate import PROBE_S, FluxGate
from voice_ai.providers.deepgram.flux_tries import OUT_S, WAITS_S, Tries
from voice_ai.providers.protocols import CallInfo

N_CALLS = 24


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def down(breaker: Breaker) -> None:
    for _ in range(MAX_FAILURES):
        breaker.failed()


def test_everybody_passes_while_flux_is_well() -> None:
    now = Clock()
    gate = FluxGate(Breaker(now), now)
    assert [gate.ask() for _ in range(100)] == [0.0] * 100


def test_one_at_a_time_passes_while_it_is_down() -> None:
    now = Clock()
    gate = FluxGate(Breaker(now), now)
    down(gate.breaker)
    assert [gate.ask() for _ in range(3)] == [0.0, PROBE_S, PROBE_S]
    now.now_s += PROBE_S - 0.1
    assert gate.ask() == pytest.approx(0.1)
    now.now_s += 0.1
    assert [gate.ask() for _ in range(2)] == [0.0, PROBE_S]
    gate.breaker.succeeded()
    assert [gate.ask() for _ in range(3)] == [0.0] * 3


def outage(back_s: float | None, n_calls: int = N_CALLS) -> tuple[list[Call], int]:
    """Have all of many calls lose Flux at once, which is back after a while, or never.

    Return the calls and how often it was dialled meanwhile.
    """

    async def main() -> tuple[list[Call], int]:
        flux = FakeFlux(hears_spoken=True)
        async with FakeDeepgram(flux) as deepgram, asyncio.TaskGroup() as group:
            first = Call(deepgram)
            recogniser = hearing(first, jitter=random.Random(7).uniform)
            calls = [Call(deepgram, audio=numbered(AUDIO)) for _ in range(n_calls)]

            async def one(call: Call, n: int) -> None:
                call.failure = await failure_of(hold(call, recogniser, CallInfo(f"CA{n}")))

            for n, made in enumerate(calls):
                group.create_task(one(made, n))
            await asyncio.sleep(2.2)
            flux.refuse = (503, "{}")
            for connection in flux.connections:
                connection.socket.transport.abort()
            await asyncio.sleep(OUT_S + 0.5 if back_s is None else back_s)
            n_dialled = len(deepgram.requests) - n_calls
            flux.refuse = None
            calls.append(first)
        return calls, n_dialled

    return clock.run(main(), patience_s=0.01)


def test_calls_survive_an_outage_and_do_not_hammer() -> None:
    (*calls, told), n_dialled = outage(back_s=1.5)
    assert [(call.failure, call.said) for call in calls] == [(None, [" ".join(SAID)])] * N_CALLS
    # All at once before anybody knew; then one at a time. Without the gate it were three each.
    assert n_dialled <= N_CALLS + 1.5 / PROBE_S + 1
    actions = [it.action for it in told.reports]
    assert actions.count("replaced") == N_CALLS and actions.count("gave up") == 0
    assert actions.count("skipped") >= N_CALLS / 2


def test_two_hundred_calls_survive_what_two_dozen_do() -> None:
    """All of them within their four seconds, though four a second are tried before it is back."""
    (*calls, told), _ = outage(back_s=2.0, n_calls=200)
    assert [call.failure for call in calls] == [None] * 200
    assert [" ".join(call.said) for call in calls] == [" ".join(SAID)] * 200
    assert [it.action for it in told.reports].count("replaced") == 200


def test_calls_end_in_time_when_it_stays_down() -> None:
    (*calls, told), n_dialled = outage(back_s=None)
    assert all(call.failure is not None and call.failure.retryable for call in calls)
    assert max(call.failed_s for call in calls) < 2.2 + OUT_S + 0.1
    assert n_dialled <= N_CALLS + OUT_S / PROBE_S + 1
    assert [it.action for it in told.reports].count("gave up") == N_CALLS


def test_a_limit_of_the_account_is_no_outage() -> None:
    breaker = Breaker(Clock())
    made = call([GOING, *[Fault(refuse=429)] * 3], breaker=breaker)
    check_whole(made)
    made = call([GOING, *[Fault(refuse=429)] * 9], breaker=breaker)
    assert made.failure is not None and breaker.allows()
    made = call([GOING, *[Fault(refuse=503)] * 9], breaker=breaker)
    assert made.failure is not None and not breaker.allows()


# The call's budget.


def test_tries_in_a_row_are_taken_from_the_budget_but_for_the_first() -> None:
    info = CallInfo("CA7", budget=Budget(2))
    made = call([GOING, *[Fault(refuse=503)] * 9], info=info)
    assert made.failure is not None and "given up after 3 tries" in str(made.failure)
    assert made.n_dialled == 4


def test_a_call_without_retries_is_replaced_all_the_same() -> None:
    made = call([GOING, Fault(1011, after_ms=2000)], info=CallInfo("CA7", budget=Budget(0)))
    check_whole(made)


# The waits.


def test_the_waits_have_jitter_and_an_end() -> None:
    tries = Tries(Budget(), random.Random(1).uniform)
    tries.lost(0.0, 0.0)
    waits = [tries.next_wait_s(0.0) for _ in range(len(WAITS_S) + 1)]
    assert waits[0] == 0.0 and waits[-1] is None
    for wait_s, most_s in zip(waits[1:-1], WAITS_S[1:], strict=True):
        assert wait_s is not None and most_s / 2 <= wait_s < most_s


def test_nobody_waits_for_a_try_that_would_come_too_late() -> None:
    tries = Tries(Budget(), lambda low, high: high)
    tries.lost(0.0, 0.0)
    assert [tries.next_wait_s(0.0), tries.next_wait_s(OUT_S - 0.3)] == [0.0, 0.25]
    assert tries.next_wait_s(OUT_S - 0.3) is None and tries.n == 2
    assert tries.next_wait_s(OUT_S) is None


def test_a_row_ends_only_with_what_is_new() -> None:
    tries = Tries(Budget(), lambda low, high: high)
    assert not tries.lost(0.0, 500.0)
    tries.next_wait_s(0.0)
    assert not tries.heard(500.0)
    assert tries.lost(1.0, 500.0), "the row goes on"
    tries.next_wait_s(1.0)
    assert tries.heard(501.0) and tries.n == 0
    assert not tries.heard(502.0) and not tries.lost(2.0, 502.0)
