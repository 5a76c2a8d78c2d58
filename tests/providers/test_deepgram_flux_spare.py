"""The spare connection to Flux: who gets it, when it is renewed, and that it is never dead."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

import clock
from fakes.deepgram import FakeDeepgram
from fakes.faults import WELL, Fault
from fakes.flux import FakeFlux
from fakes.ledger import numbered
from flux_calls import AUDIO, GOING, SAID, Call, check_whole, failure_of, hearing, hold
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.deepgram.flux_spare import AGE_S, BACKOFF_S, CHECK_S

Doing = Callable[[Call, FluxSpeechToText], Awaitable[None]]


def with_spare(faults: Sequence[Fault], doing: Doing) -> Call:
    """Keep a spare, whose handshake is the first; do something; nothing may be left afterwards."""

    async def main() -> Call:
        flux = FakeFlux(hears_spoken=True)
        flux.keeps_audio = True
        flux.suffer(faults)
        async with FakeDeepgram(flux) as deepgram:
            made = Call(deepgram, audio=numbered(AUDIO))
            made.note_dials()
            recogniser = hearing(made)
            async with recogniser.keeping_spare():
                await dialled(made, 1)
                await doing(made, recogniser)
                began_s = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began_s < 1.0
        assert len(asyncio.all_tasks()) == 1 and deepgram.n_open == 0
        return made

    return clock.run(main(), patience_s=0.001)


async def dialled(made: Call, n: int) -> None:
    async with asyncio.timeout(2 * AGE_S):
        while made.n_dialled < n:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)


async def one_call(made: Call, recogniser: FluxSpeechToText) -> None:
    made.failure = await failure_of(hold(made, recogniser))


async def no_call(made: Call, recogniser: FluxSpeechToText) -> None:
    pass


def test_nobody_needs_it() -> None:
    made = with_spare([], no_call)
    assert made.n_dialled == 1 and made.reports == []


def test_a_call_that_begins_dials_for_itself() -> None:
    made = with_spare([], one_call)
    check_whole(made)
    assert made.n_dialled == 2 and not made.deepgram.flux.connections[0].audio


def test_a_broken_call_takes_it_and_another_is_dialled() -> None:
    made = with_spare([WELL, GOING], one_call)
    check_whole(made)
    spare, first, renewed = made.deepgram.flux.connections
    assert spare.audio and first.audio and not renewed.audio
    assert [it.action for it in made.reports] == ["replaced"]
    assert made.deepgram.violations == []


def test_two_drops_take_two() -> None:
    made = with_spare([Fault(1011, after_ms=2000), GOING], one_call)
    check_whole(made)
    assert made.n_dialled == 4 and made.deepgram.flux.connections[2].audio


def test_of_two_calls_that_break_at_once_one_takes_it() -> None:
    calls: list[Call] = []

    async def two(made: Call, recogniser: FluxSpeechToText) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                calls.append(Call(made.deepgram, audio=made.audio, reports=made.reports))
                group.create_task(one_call(calls[-1], recogniser))

    made = with_spare([WELL, GOING, GOING], two)
    assert [call.said for call in calls] == [[" ".join(SAID)]] * 2
    assert made.n_dialled == 5 and [it.action for it in made.reports] == ["replaced"] * 2


# Dead ones.


def test_one_that_answers_no_ping_is_not_taken() -> None:
    async def frozen(made: Call, recogniser: FluxSpeechToText) -> None:
        made.deepgram.flux.connections[0].socket.transport.pause_reading()
        await one_call(made, recogniser)
        made.deepgram.flux.connections[0].socket.transport.abort()

    made = with_spare([WELL, GOING], frozen)
    check_whole(made)
    assert not made.deepgram.flux.connections[0].audio
    # Of the two that were dialled then, one is the next spare.
    assert made.n_dialled == 4
    assert max(made.dialled_s) - min(made.dialled_s[2:]) == pytest.approx(CHECK_S, abs=0.05)


def test_one_that_was_closed_is_told_of_and_renewed() -> None:
    async def closed(made: Call, recogniser: FluxSpeechToText) -> None:
        for n in (1, 2, 3):
            await made.deepgram.flux.last.socket.close(1011, "NET-0001")
            await dialled(made, n + 1)
        await one_call(made, recogniser)

    made = with_spare([WELL, WELL, WELL, WELL, GOING], closed)
    check_whole(made)
    waits = [b - a for a, b in zip(made.dialled_s, made.dialled_s[1:4], strict=False)]
    assert waits == [pytest.approx(BACKOFF_S[0] * 2**n, abs=0.3) for n in range(3)]
    told = [(it.call_sid, it.action) for it in made.reports]
    assert told == [("", "retried")] * 3 + [("CA7", "replaced")]
    assert "keeping a spare: it was closed" in made.reports[0].what


def test_one_that_cannot_be_had_is_tried_for_less_and_less_often() -> None:
    async def wait(made: Call, recogniser: FluxSpeechToText) -> None:
        await asyncio.sleep(300)

    made = with_spare([Fault(refuse=503)] * 100, wait)
    assert 8 <= made.n_dialled <= 11 and len(made.reports) == made.n_dialled
    assert {it.action for it in made.reports} == {"retried"}


def test_a_refusal_that_is_final_ends_it_and_calls_go_on() -> None:
    made = with_spare([Fault(refuse=401)], one_call)
    check_whole(made)
    assert [it.action for it in made.reports] == ["gave up"] and "401" in made.reports[0].what
    assert made.n_dialled == 2


def test_an_old_one_is_renewed_and_pings_keep_it_until_then() -> None:
    async def wait(made: Call, recogniser: FluxSpeechToText) -> None:
        await dialled(made, 2)
        assert made.deepgram.n_open == 1

    made = with_spare([], wait)
    assert made.dialled_s[1] - made.dialled_s[0] == pytest.approx(AGE_S, abs=1.0)
    assert made.reports == []
