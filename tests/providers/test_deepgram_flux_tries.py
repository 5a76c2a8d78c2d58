"""How often and how long a call looks for Flux, and what it tells of that; on virtual time."""

import asyncio

import pytest

import clock
from fakes.deepgram import KEY, FakeDeepgram
from fakes.faults import WELL, Fault
from fakes.flux import FakeFlux
from flux_calls import (
    AUDIO,
    CHUNK_MS,
    GOING,
    MS,
    SAID,
    Call,
    call,
    check_whole,
    late_s,
    listen,
    talk,
)
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import ProviderError
from voice_ai.providers.deepgram import flux_stream
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.deepgram.flux_stream import RING_MS
from voice_ai.providers.deepgram.flux_tries import OUT_S, WAITS_S
from voice_ai.providers.faults import log_fault
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.commands import KeepCaller
from voice_ai.turn.events import (
    CallStarted,
    PlayoutFinished,
    ReplySent,
    Update,
)
from voice_ai.turn.machine import TurnMachine

# Handshakes.


@pytest.mark.parametrize("status", [429, 500, 503])
def test_handshakes_refused_at_the_start_of_a_call(status: int) -> None:
    made = call([Fault(refuse=status)] * 3)
    check_whole(made)
    assert made.n_dialled == 4


@pytest.mark.parametrize("status", [429, 503])
def test_handshakes_refused_in_mid_word(status: int) -> None:
    made = call([GOING, *[Fault(refuse=status)] * 3])
    check_whole(made)
    assert made.n_dialled == 5
    assert sum(WAITS_S[:4]) < made.gap_s < sum(WAITS_S[:4]) + 1.5 and late_s(made) < 2.8


def test_five_tries_in_a_row_are_enough() -> None:
    made = call([GOING, *[Fault(refuse=503)] * 9])
    assert made.failure is not None and made.failure.retryable
    assert "socket is closed" in str(made.failure) and "status 503" in str(made.failure)
    assert "given up after 5 tries in 3.8 s" in str(made.failure)
    assert made.failed_s == pytest.approx(2.2 + sum(WAITS_S), abs=0.1)
    assert made.n_dialled == 6


def test_five_connections_that_hear_nothing_new_are_enough() -> None:
    made = call([GOING, *[Fault(1011, after_ms=400)] * 9])
    assert made.failure is not None and "given up after 5 tries" in str(made.failure)


def test_connections_that_hear_something_new_each_are_used() -> None:
    made = call([Fault(1011, after_ms=2500)] * 6, AUDIO + AUDIO)
    assert made.failure is None
    assert made.said == [" ".join(SAID)] * 2


def test_connections_that_all_fall_silent_are_not_used_for_ever() -> None:
    made = call([Fault()] * 20, AUDIO + AUDIO)
    assert made.failure is not None
    assert made.failed_s < 2.1 + OUT_S + 2.1


@pytest.mark.parametrize("status", [400, 401, 402, 403])
def test_a_refusal_that_is_final(status: int) -> None:
    made = call([GOING, Fault(refuse=status)])
    assert made.failure is not None and not made.failure.retryable
    assert f"status {status}" in str(made.failure)
    assert made.n_dialled == 2 and made.failed_s < 2.4


def test_handshakes_that_are_not_answered_are_given_up() -> None:
    left: list[bool] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        left.append(True)

    async def main() -> float:
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            recogniser = FluxSpeechToText(KEY, f"ws://127.0.0.1:{port}", audio=PCM16_16K)
            with pytest.raises(ProviderError, match="in time while .* after 3 tries in 4.0 s"):
                async with recogniser.open(CallInfo("CA7")):
                    pass
            given_up_s = asyncio.get_running_loop().time()
            while len(left) < 3:
                await asyncio.sleep(0.01)
            return given_up_s

    assert clock.run(main(), patience_s=0.001) == pytest.approx(OUT_S, abs=0.01)


def test_audio_that_no_longer_fits_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flux_stream, "RING_MS", 1000)
    made = call([GOING, *[Fault(refuse=503)] * 3])
    assert made.failure is None
    (lost,) = [it.__dict__["lost_ms"] for it in caplog.records if "lost_ms" in it.__dict__]
    # Of 1.8 s that came meanwhile a second is kept, and what more comes waits for its turn.
    assert 700 < int(lost) < 2500


def test_a_final_refusal_at_the_start_is_not_tried_again() -> None:
    made = call([Fault(refuse=401)])
    assert made.failure is not None and not made.failure.retryable and made.n_dialled == 1


# The end of a call in the middle of it.


@pytest.mark.parametrize("hang_up_s", [2.25, 2.5, 3.0, 5.0])
def test_a_hang_up_while_dialling_leaves_nothing(hang_up_s: float) -> None:
    made = call([GOING, *[Fault(refuse=503)] * 9], hang_up_s=hang_up_s)
    assert made.failure is None and made.deepgram.n_open == 0


def test_leaving_while_another_task_still_dials() -> None:
    async def main() -> None:
        flux = FakeFlux(hears_spoken=True)
        flux.suffer([Fault(1011), Fault(refuse=503), Fault(refuse=503), WELL])
        async with FakeDeepgram(flux) as deepgram, asyncio.TaskGroup() as group:
            recogniser = FluxSpeechToText(KEY, deepgram.url, audio=PCM16_16K)
            async with recogniser.open(CallInfo("CA7")) as stream:
                listening = group.create_task(listen(stream, Call(deepgram)))
                await asyncio.sleep(0.1)
                stream.send(bytes(CHUNK_MS * MS))
            async with asyncio.timeout(OUT_S):
                await listening
            assert deepgram.n_open == 0

    clock.run(main(), patience_s=0.001)


def test_leaving_a_connection_that_has_gone_unseen() -> None:
    async def main() -> None:
        async with FakeDeepgram(FakeFlux()) as deepgram:
            recogniser = FluxSpeechToText(KEY, deepgram.url, audio=PCM16_16K)
            async with recogniser.open(CallInfo("CA7")):
                await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
                deepgram.flux.last.socket.transport.abort()
                await asyncio.sleep(0.1)
            assert deepgram.flux.last.messages == [] and len(deepgram.requests) == 1

    clock.run(main(), patience_s=0.001)


def test_sending_after_the_last_try_is_kept_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        flux = FakeFlux(hears_spoken=True)
        flux.suffer([Fault(1011), Fault(refuse=401)])
        async with FakeDeepgram(flux) as deepgram:
            recogniser = FluxSpeechToText(KEY, deepgram.url, audio=PCM16_16K)
            async with recogniser.open(CallInfo("CA7")) as stream:
                with pytest.raises(ProviderError, match="401"):
                    await listen(stream, Call(deepgram))
                await talk(stream, bytes((RING_MS + 2000) * MS))
            assert len(deepgram.requests) == 2 and deepgram.n_open == 0

    clock.run(main(), patience_s=0.001)
    assert [it.__dict__["lost_ms"] for it in caplog.records if "lost_ms" in it.__dict__] == [2000]


# What the log says.


def test_each_fault_is_told_once_with_what_was_done() -> None:
    made = call([GOING, Fault(refuse=503)])
    refused, lost = made.reports
    assert {(it.call_sid, it.stage, it.provider) for it in made.reports} == {
        ("CA7", "stt", "Deepgram Flux")
    }
    assert refused.action == "retried" and "status 503" in refused.what
    assert lost.action == "replaced" and "socket is closed" in lost.what and "503" not in lost.what
    assert "another connection after 2" in lost.what and "tries 2, heard again 1" in lost.what
    assert SAID[1] not in lost.what


def test_giving_up_is_told_once_with_the_first_fault_and_the_last() -> None:
    made = call([GOING, *[Fault(refuse=503)] * 9])
    assert [it.action for it in made.reports] == ["retried"] * 4 + ["gave up"]
    assert str(made.failure) == made.reports[-1].what
    assert made.reports[-1].what.startswith("Deepgram's socket is closed")


def test_what_nobody_takes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    call([GOING], report=log_fault)
    (record,) = [it for it in caplog.records if it.name.startswith("voice_ai")]
    assert record.getMessage().startswith("call CA7: stt: Deepgram Flux: Deepgram's socket")
    assert record.getMessage().endswith(": replaced")


def test_words_are_not_taken_back_meanwhile() -> None:
    texts = [event.transcript for _, event in call([GOING]).events if isinstance(event, Update)]
    lengths = [len(text.split()) for text in texts if text]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize(
    "faults",
    [[], [GOING], [GOING, Fault(1011, after_ms=1600)], [Fault(after_ms=2200)]],
)
def test_the_machine_takes_the_turn_once_and_whole(faults: list[Fault]) -> None:
    machine = TurnMachine()
    for event in (CallStarted(), ReplySent(1, 400.0, 400.0), PlayoutFinished(1)):
        machine.handle(event)
    kept = [command for _, event in call(faults).events for command in machine.handle(event)]
    said = [command.transcript for command in kept if isinstance(command, KeepCaller)]
    assert said == [" ".join(SAID)]
