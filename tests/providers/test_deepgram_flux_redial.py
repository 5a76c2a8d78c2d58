"""Flux connections that fail in the middle of a call: what the call sees of it, on virtual time."""

import asyncio
import logging
import random
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from socket import SO_SNDBUF, SOL_SOCKET
from typing import ClassVar

import pytest

import clock
from fakes.deepgram import KEY, FakeDeepgram
from fakes.faults import WELL, Fault
from fakes.flux import FakeFlux
from fakes.spoken import WORDS, spoken
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import ProviderError, leaves
from voice_ai.providers.deepgram import flux_socket, flux_stream, transport
from voice_ai.providers.deepgram.connection import Connection
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.deepgram.flux_stream import OUT_S, RING_MS, WAITS_S, FluxStream
from voice_ai.providers.deepgram.transport import SEND_TIMEOUT_S
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.commands import KeepCaller
from voice_ai.turn.events import (
    CallStarted,
    EndOfTurn,
    PlayoutFinished,
    ReplySent,
    SpeechEvent,
    StartOfTurn,
    Update,
)
from voice_ai.turn.machine import TurnMachine

MS = 32  # octets
CHUNK_MS = 80
SAID = WORDS[:8]
SPEECH_MS = 300 * len(SAID)
# A second of silence, 2.4 s of speech, and time for all that waits.
AUDIO = bytes(1000 * MS) + spoken(SAID) + bytes(5000 * MS)
GOING = Fault(1011, after_ms=2200)  # in the middle of a word


@dataclass
class Call:
    """What became of a call."""

    deepgram: FakeDeepgram
    events: list[tuple[float, SpeechEvent]] = field(default_factory=list)
    failure: ProviderError | None = None
    failed_s: float = 0.0
    over_s: float = 0.0
    dialled_s: list[float] = field(default_factory=list)

    @property
    def said(self) -> list[str]:
        return [event.transcript for _, event in self.events if isinstance(event, EndOfTurn)]

    @property
    def gap_s(self) -> float:
        """The longest time from an event to the next; silence has none."""
        times = [at for at, _ in self.events]
        return max(after - before for before, after in zip(times, times[1:], strict=False))

    @property
    def n_dialled(self) -> int:
        return len(self.deepgram.requests)

    def note_dials(self) -> None:
        """Have the time of each handshake noted, whatever becomes of it."""
        flux, now = self.deepgram.flux, asyncio.get_running_loop().time
        refuse = flux.refuse

        def noted() -> tuple[int, str] | None:
            self.dialled_s.append(now())
            return refuse() if callable(refuse) else refuse

        flux.refuse = noted


async def talk(stream: FluxStream, audio: bytes) -> None:
    for start in range(0, len(audio), CHUNK_MS * MS):
        await asyncio.sleep(CHUNK_MS / 1000)
        stream.send(audio[start : start + CHUNK_MS * MS])


async def listen(stream: FluxStream, call: Call) -> None:
    now = asyncio.get_running_loop().time
    try:
        async for event in stream:
            call.events.append((now(), event))
    except ProviderError as failure:
        call.failed_s = now()
        raise failure


async def failure_of(holding: Coroutine[None, None, None]) -> ProviderError | None:
    try:
        await holding
    except ProviderError as failure:
        return failure
    except BaseExceptionGroup as failures:
        (failure,) = leaves(failures)
        assert isinstance(failure, ProviderError)
        return failure
    return None


async def hold(call: Call, audio: bytes) -> None:
    """A call as the session holds it: two tasks, both cancelled at its end."""
    recogniser = FluxSpeechToText(KEY, call.deepgram.url, audio=PCM16_16K)
    now = asyncio.get_running_loop().time
    async with recogniser.open(CallInfo("CA7")) as stream:
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(listen(stream, call))
                await group.create_task(talk(stream, audio))
                listening.cancel()
        finally:
            call.over_s = now()


def call(
    faults: Sequence[Fault] = (), audio: bytes = AUDIO, hang_up_s: float | None = None
) -> Call:
    """Hold a call with these faults; nothing of it may be left afterwards."""

    async def main() -> Call:
        flux = FakeFlux(hears_spoken=True)
        flux.keeps_audio = True
        flux.suffer(faults)
        async with FakeDeepgram(flux) as deepgram:
            made = Call(deepgram)
            made.note_dials()
            with suppress(TimeoutError):
                async with asyncio.timeout(hang_up_s):
                    made.failure = await failure_of(hold(made, audio))
            assert asyncio.get_running_loop().time() - made.over_s < 1.0
        assert len(asyncio.all_tasks()) == 1
        return made

    return clock.run(main(), patience_s=0.001)


@pytest.fixture(autouse=True)
def full_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


def check_stream_turns(made: Call) -> None:
    turns = [event.stream_turn for _, event in made.events]
    assert turns == sorted(turns)
    starts = [event for _, event in made.events if isinstance(event, StartOfTurn)]
    assert len(starts) == len(set(starts))


def check_ledger(made: Call, audio: bytes = AUDIO) -> None:
    """Each connection heard the call's audio from some place on, and together all that was said."""
    until = 0
    for connection in made.deepgram.flux.connections:
        heard = bytes(connection.audio or b"")
        starts = [at for at in range(0, until + 1, MS) if audio.startswith(heard, at)]
        assert starts, "not the call's audio, or a gap before it"
        until = max(until, starts[-1] + len(heard))
    assert until >= len(audio.rstrip(b"\0"))


def late_s(made: Call) -> float:
    """How much later the turn was known to be over than its end allows."""
    (at,) = [at for at, event in made.events if isinstance(event, EndOfTurn)]
    return at - (1000 + SPEECH_MS - 60 + 400) / 1000


def check_whole(made: Call) -> None:
    assert made.failure is None
    assert made.said == [" ".join(SAID)]
    check_stream_turns(made)
    check_ledger(made)


# Nothing, or hardly anything.


def test_no_fault() -> None:
    made = call()
    check_whole(made)
    assert made.n_dialled == 1 and made.gap_s < 0.5


def test_a_caller_who_says_nothing_is_no_dead_stream() -> None:
    made = call([], bytes(10_000 * MS))
    assert made.n_dialled == 1 and made.failure is None
    assert made.events == []


def test_a_drop_before_any_audio() -> None:
    made = call([Fault(1011)])
    check_whole(made)
    assert made.n_dialled == 2


def test_a_drop_between_turns() -> None:
    audio = AUDIO + AUDIO
    made = call([Fault(1011, after_ms=6500)], audio)
    assert made.said == [" ".join(SAID)] * 2
    turns = {event.stream_turn for _, event in made.events if isinstance(event, EndOfTurn)}
    assert turns == {1, 2}
    check_ledger(made, audio)
    check_stream_turns(made)
    # Less than a second is heard again, and nothing of the first turn.
    assert len(made.deepgram.flux.last.audio or b"") < len(audio) - 5600 * MS


def test_a_drop_when_the_call_says_goodbye() -> None:
    made = call([Fault(1011, at="CloseStream")])
    check_whole(made)
    assert made.n_dialled == 1


# A connection that is lost in the middle of a turn.


@pytest.mark.parametrize("fault", [GOING, Fault(1000, 2200), Fault(abort=True, after_ms=2200)])
def test_a_drop_in_mid_word(fault: Fault) -> None:
    made = call([fault])
    check_whole(made)
    assert made.n_dialled == 2 and made.gap_s < 1.7 and late_s(made) < 1.0


@pytest.mark.parametrize("after_ms", range(1040, 4000, 160))
def test_a_drop_anywhere_in_a_turn(after_ms: int) -> None:
    check_whole(call([Fault(1011, after_ms)]))


def test_two_drops_in_a_row() -> None:
    made = call([GOING, Fault(1011)])
    check_whole(made)
    assert made.n_dialled == 3


def test_two_drops_in_one_turn() -> None:
    made = call([GOING, Fault(1011, after_ms=1600)])
    check_whole(made)
    assert made.n_dialled == 3


def test_positions_are_those_of_the_call() -> None:
    ends = [
        [event for _, event in made.events if isinstance(event, EndOfTurn)][0]
        for made in (call(), call([GOING]))
    ]
    assert ends[0].speech_end_ms == pytest.approx(1000 + SPEECH_MS - 60, abs=25)
    assert ends[1].speech_end_ms == pytest.approx(ends[0].speech_end_ms, abs=25)
    assert ends[1].decided_ms == pytest.approx(ends[0].decided_ms, abs=25)


def test_what_waits_is_sent_a_quarter_faster_than_it_was_spoken() -> None:
    made = call([GOING, *[Fault(refuse=503)] * 3])
    check_whole(made)
    chunks = made.deepgram.flux.last.chunks
    assert max(chunks) == 100 * MS and chunks.count(100 * MS) > 30


# Open but silent.


def unheard_ms(caplog: pytest.LogCaptureFixture) -> str:
    """What the log says of the one stream that fell silent."""
    (said,) = [text for it in caplog.records if "open but silent" in (text := it.getMessage())]
    return said.partition("open but silent: ")[2].partition(" ms of audio")[0]


@pytest.mark.parametrize("fault", [Fault(after_ms=2200), Fault(at="StartOfTurn")])
def test_a_stream_that_falls_silent_in_a_turn_is_replaced(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    made = call([fault])
    check_whole(made)
    assert made.n_dialled == 2
    told_s = max(at for at, _ in made.events if at < made.dialled_s[1])
    assert 0.9 < made.dialled_s[1] - told_s < 1.4
    assert late_s(made) < 2.2
    assert unheard_ms(caplog) == "1040"


@pytest.mark.parametrize(("fault", "told_s"), [(Fault(), 0.0), (Fault(after_ms=6500), 6.48)])
def test_a_stream_that_falls_silent_between_turns_is_given_longer(
    fault: Fault, told_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    audio = AUDIO + AUDIO
    made = call([fault], audio)
    assert made.failure is None
    assert made.said == [" ".join(SAID)] * 2
    check_stream_turns(made)
    check_ledger(made, audio)
    assert made.n_dialled == 2
    assert 1.9 < made.dialled_s[1] - told_s < 2.2
    assert unheard_ms(caplog) == "2000"


def test_silence_before_two_seconds_of_audio_is_nothing() -> None:
    made = call([Fault()], bytes(1920 * MS))
    assert made.n_dialled == 1 and made.failure is None


# Open, but it takes nothing.


def numbered(n: int) -> bytes:
    """A message too quiet to be speech, which is told from its neighbours."""
    return (n % 251).to_bytes(2, "little") * (CHUNK_MS * MS // 2)


class Narrow(Connection):
    """One of which the kernel takes little, and that the test can ask."""

    made: ClassVar[list["Narrow"]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        super().connection_made(transport)
        self.made.append(self)


def test_audio_that_is_not_taken_for_a_while_is_kept_and_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Narrow, "made", [])
    monkeypatch.setattr(transport, "Connection", Narrow)
    monkeypatch.setattr(flux_socket, "STALL_MS", float("inf"))
    made: list[bytes] = []

    async def main() -> None:
        async with FakeDeepgram(FakeFlux()) as deepgram, asyncio.TaskGroup() as group:
            deepgram.flux.keeps_audio = True
            recogniser = FluxSpeechToText(KEY, deepgram.url, audio=PCM16_16K)
            async with recogniser.open(CallInfo("CA7")) as stream:
                group.create_task(listen(stream, Call(deepgram)))
                await deepgram.flux.until(lambda: bool(deepgram.flux.connections))
                for _ in range(3):  # each a little less than is too long, together far more
                    await hold_up(deepgram, stream, made)
                assert bytes(deepgram.flux.last.audio or b"") == b"".join(made)
            assert len(deepgram.requests) == 1 and deepgram.violations == []

    clock.run(main(), patience_s=0.001)
    assert not [it for it in caplog.records if it.name.startswith("voice_ai")]


async def hold_up(deepgram: FakeDeepgram, stream: FluxStream, made: list[bytes]) -> None:
    """Have the service take nothing for a time; afterwards it has all that was made."""
    connection, peer = Narrow.made[-1], deepgram.flux.last

    def say() -> None:
        made.append(numbered(len(made)))
        stream.send(made[-1])

    peer.socket.transport.pause_reading()
    while connection.is_writable:
        while connection.is_writable:
            assert len(made) < 10_000
            say()
        for _ in range(20):  # the kernel may still move some of it
            await asyncio.sleep(0.001)
    n_untaken = len(made)
    for _ in range(int((SEND_TIMEOUT_S - 0.1) * 1000 / CHUNK_MS)):
        say()
        await asyncio.sleep(CHUNK_MS / 1000)
    assert not connection.is_writable and peer.n_octets < n_untaken * CHUNK_MS * MS
    peer.socket.transport.resume_reading()
    async with asyncio.timeout(5):
        while not connection.is_writable:
            await asyncio.sleep(0.001)
    say()
    await deepgram.flux.until(lambda: peer.n_octets == len(made) * CHUNK_MS * MS)


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


@pytest.mark.parametrize("status", [400, 401, 403])
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


def test_one_event_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "voice_ai")
    call([GOING, Fault(refuse=503)])
    (record,) = [it for it in caplog.records if it.name.startswith("voice_ai")]
    told = {name: record.__dict__[name] for name in ("call_sid", "stage", "done", "n_tries")}
    assert told == {"call_sid": "CA7", "stage": "stt", "done": "connected anew", "n_tries": 2}
    assert 1000 < record.__dict__["again_ms"] < 2000
    assert record.getMessage().startswith("call CA7: stt: Deepgram's socket is closed")
    assert SAID[1] not in record.getMessage()


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
