"""Flux connections that fail in the middle of a call: what the call sees of it, on virtual time."""

import asyncio
from socket import SO_SNDBUF, SOL_SOCKET
from typing import ClassVar

import pytest

import clock
from fakes.deepgram import KEY, FakeDeepgram
from fakes.faults import Fault
from fakes.flux import FakeFlux
from fakes.ledger import numbers
from fakes.spoken import spoken
from flux_calls import (
    AUDIO,
    CHUNK_MS,
    GOING,
    MS,
    SAID,
    SPEECH_MS,
    Call,
    call,
    check_ledger,
    check_stream_turns,
    check_whole,
    late_s,
    listen,
)
from voice_ai.codec.formats import PCM16_16K
from voice_ai.providers.deepgram import flux_socket, transport
from voice_ai.providers.deepgram.connection import Connection
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.deepgram.flux_stream import FluxStream
from voice_ai.providers.deepgram.transport import SEND_TIMEOUT_S
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import (
    EndOfTurn,
)

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
    check_ledger(made)
    check_stream_turns(made)
    # Less than a second is heard again, and nothing of the first turn.
    assert len(made.deepgram.flux.last.audio or b"") < len(audio) - 5600 * MS


def test_a_drop_when_the_call_says_goodbye() -> None:
    made = call([Fault(1011, at="CloseStream")])
    check_whole(made)
    assert made.n_dialled == 1


# A connection that is lost in the middle of a turn.


@pytest.mark.parametrize(
    "fault",
    [
        GOING,
        Fault(1000, 2200),
        Fault(abort=True, after_ms=2200),
        Fault(after_ms=2200, how="RST"),
        Fault(after_ms=2200, how="FIN"),
    ],
)
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


def test_a_long_pause_is_not_heard_again_and_positions_stay() -> None:
    parts = [bytes(1000 * MS), spoken(SAID[:4]), bytes(2500 * MS), spoken(SAID[4:])]
    audio = b"".join([*parts, bytes(5000 * MS)])
    unbroken, broken = call((), audio), call([Fault(1011, 2000), *[Fault(refuse=503)] * 3], audio)
    assert broken.failure is None and broken.said == unbroken.said and len(broken.said) == 2
    check_ledger(broken)
    ends, again = (
        [event for _, event in made.events if isinstance(event, EndOfTurn)]
        for made in (unbroken, broken)
    )
    assert [it.speech_end_ms for it in again] == pytest.approx(
        [it.speech_end_ms for it in ends], abs=25
    )
    assert [it.decided_ms for it in again] == pytest.approx([it.decided_ms for it in ends], abs=25)
    # Of the pause, and of the gap before it, 600 ms are heard.
    n_heard = len(broken.deepgram.flux.last.audio or b"")
    heard = numbers(bytes(broken.deepgram.flux.last.audio or b""))
    assert int(heard[-1] - heard[0]) + 1 - n_heard // MS == 60 + 2500 - 600


def test_what_waits_is_sent_a_quarter_faster_than_it_was_spoken() -> None:
    made = call([GOING, *[Fault(refuse=503)] * 3])
    check_whole(made)
    chunks = made.deepgram.flux.last.chunks
    assert max(chunks) == 100 * MS and chunks.count(100 * MS) > 30


# Open but silent.


def unheard_ms(made: Call) -> str:
    """What was told of the one stream that fell silent."""
    (said,) = [it.what for it in made.reports if "open but silent" in it.what]
    return said.partition("open but silent: ")[2].partition(" ms of audio")[0]


@pytest.mark.parametrize("fault", [Fault(after_ms=2200), Fault(at="StartOfTurn")])
def test_a_stream_that_falls_silent_in_a_turn_is_replaced(
    fault: Fault,
) -> None:
    made = call([fault])
    check_whole(made)
    assert made.n_dialled == 2
    told_s = max(at for at, _ in made.events if at < made.dialled_s[1])
    assert 0.9 < made.dialled_s[1] - told_s < 1.4
    assert late_s(made) < 2.2
    assert unheard_ms(made) == "1040"


@pytest.mark.parametrize(("fault", "told_s"), [(Fault(), 0.0), (Fault(after_ms=6500), 6.48)])
def test_a_stream_that_falls_silent_between_turns_is_given_longer(
    fault: Fault, told_s: float
) -> None:
    audio = AUDIO + AUDIO
    made = call([fault], audio)
    assert made.failure is None
    assert made.said == [" ".join(SAID)] * 2
    check_stream_turns(made)
    check_ledger(made)
    assert made.n_dialled == 2
    assert 1.9 < made.dialled_s[1] - told_s < 2.2
    assert unheard_ms(made) == "2000"


def test_a_stream_that_says_other_things_is_as_dead() -> None:
    made = call([Fault(after_ms=2200, how="UPDATES")])
    check_whole(made)
    assert made.n_dialled == 2 and late_s(made) < 2.2


@pytest.mark.parametrize("still_ms", [(2000, 3200), (2000, 4000), (5600, 8000)])
def test_that_we_stood_still_ourselves_is_no_silence_of_the_service(
    still_ms: tuple[int, int],
) -> None:
    """What came meanwhile is sent on before what the service told meanwhile can be read."""
    made = call(audio=AUDIO + bytes(2000 * MS), still_ms=still_ms)
    assert made.n_dialled == 1 and made.reports == []
    assert made.said == [" ".join(SAID)]
    check_ledger(made)


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
        for _ in range(200):  # the kernel may still move some of it
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
