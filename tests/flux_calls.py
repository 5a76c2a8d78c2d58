"""A call through the real SDK whose Flux connections fail, on virtual time."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import clock
from fakes.deepgram import KEY, FakeDeepgram
from fakes.faults import Fault
from fakes.flux import FakeFlux
from fakes.ledger import n_lost, numbered
from fakes.spoken import WORDS, spoken
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import ProviderError, leaves
from voice_ai.providers import faults
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.deepgram.flux_stream import FluxStream
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.events import (
    EndOfTurn,
    SpeechEvent,
    StartOfTurn,
)

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
    audio: bytes = b""
    reports: list[faults.Fault] = field(default_factory=list)
    still_ms: tuple[int, int] = (0, 0)

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


async def talk(stream: FluxStream, audio: bytes, still_ms: tuple[int, int] = (0, 0)) -> None:
    """Speak in real time; between `still_ms` the whole process stands still and then catches up."""
    loop = asyncio.get_running_loop()
    begin, end = (ms * MS for ms in still_ms)
    for start in range(0, len(audio), CHUNK_MS * MS):
        if not begin <= start < end:
            await asyncio.sleep(CHUNK_MS / 1000)
        elif start == begin:
            assert isinstance(loop, clock.VirtualTimeLoop)
            loop.now_s += (end - begin) / MS / 1000
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


def full(_: float, most: float) -> float:
    """Jitter that leaves all of every wait."""
    return most


def hearing(call: Call, **options: Any) -> FluxSpeechToText:
    """The recogniser of a call; what it reports is kept."""
    given: dict[str, Any] = {
        "audio": PCM16_16K,
        "jitter": full,
        "report": call.reports.append,
    } | options
    return FluxSpeechToText(KEY, call.deepgram.url, **given)


async def hold(call: Call, recogniser: FluxSpeechToText, info: CallInfo | None = None) -> None:
    """A call as the session holds it: two tasks, both cancelled at its end."""
    now = asyncio.get_running_loop().time
    async with recogniser.open(info or CallInfo("CA7")) as stream:
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(listen(stream, call))
                await group.create_task(talk(stream, call.audio, call.still_ms))
                listening.cancel()
        finally:
            call.over_s = now()


def call(
    faults: Sequence[Fault] = (),
    audio: bytes = AUDIO,
    hang_up_s: float | None = None,
    *,
    still_ms: tuple[int, int] = (0, 0),
    info: CallInfo | None = None,
    **options: Any,
) -> Call:
    """Hold a call with these faults; nothing of it may be left afterwards."""

    async def main() -> Call:
        flux = FakeFlux(hears_spoken=True)
        flux.keeps_audio = True
        flux.suffer(faults)
        async with FakeDeepgram(flux) as deepgram:
            made = Call(deepgram, audio=numbered(audio), still_ms=still_ms)
            made.note_dials()
            with suppress(TimeoutError):
                async with asyncio.timeout(hang_up_s):
                    made.failure = await failure_of(hold(made, hearing(made, **options), info))
            assert asyncio.get_running_loop().time() - made.over_s < 1.0
        assert len(asyncio.all_tasks()) == 1
        return made

    return clock.run(main(), patience_s=0.001)


def check_stream_turns(made: Call) -> None:
    turns = [event.stream_turn for _, event in made.events]
    assert turns == sorted(turns)
    starts = [event for _, event in made.events if isinstance(event, StartOfTurn)]
    assert len(starts) == len(set(starts))


def check_ledger(made: Call) -> None:
    """Each connection heard the call's audio from some place on, and together all that was said."""
    connections = made.deepgram.flux.connections
    assert n_lost(made.audio, [bytes(one.audio or b"") for one in connections]) == 0


def late_s(made: Call) -> float:
    """How much later the turn was known to be over than its end allows."""
    (at,) = [at for at, event in made.events if isinstance(event, EndOfTurn)]
    return at - (1000 + SPEECH_MS - 60 + 400) / 1000


def check_whole(made: Call) -> None:
    assert made.failure is None
    assert made.said == [" ".join(SAID)]
    check_stream_turns(made)
    check_ledger(made)
