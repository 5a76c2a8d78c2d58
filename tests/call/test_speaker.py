"""One turn's audio: what is kept of it, and for how long."""

import asyncio
import tracemalloc

import clock
from fakes.inproc import FakeLine
from voice_ai.call.clock import LineClock
from voice_ai.call.speaker import Speaker
from voice_ai.codec.formats import ULAW_8K
from voice_ai.codec.transcode import Transcoder
from voice_ai.turn.playout import Playout

TEXT = "one two three four five six seven eight nine ten "
# A second of the voice for each two words, every octet of it in its place.
N_CHARS = (8, 19, 28, 40, 49)
AUDIO = bytes(n * 7 % 251 for n in range(40_000))


class Audio:
    """What a LineClock reads of the caller's audio."""

    until_ms = 0.0
    received_ms = 0.0


def speaking() -> tuple[Speaker, FakeLine, Playout]:
    line, playout = FakeLine(), Playout()
    line.echo_marks = False
    playout.begin(1, 0.0)
    playout.text(1, TEXT)
    transcoder = Transcoder(ULAW_8K, ULAW_8K, "fir")
    speaker = Speaker(1, line, LineClock(Audio()), playout, transcoder, lambda: None)
    return speaker, line, playout


def say(speaker: Speaker, playout: Playout, n_seconds: int = 5) -> None:
    for n in range(n_seconds):
        assert speaker.offer(AUDIO[8000 * n : 8000 * (n + 1)])
        playout.spoken_to(1, N_CHARS[n])


def echo(speaker: Speaker, line: FakeLine, playout: Playout, until_ms: float) -> None:
    """Have the marks come back up to a position."""
    for kind, name, _ in line.sent:
        if kind == "mark" and isinstance(name, str) and float(name.split(":")[1]) <= until_ms:
            playout.echoed(name)
    speaker.forget()


def audio_of(line: FakeLine) -> bytes:
    return b"".join(data for kind, data, _ in line.sent if isinstance(data, bytes))


def test_nothing_said_nothing_to_give_up() -> None:
    async def check() -> None:
        speaker, line, _ = speaking()
        speaker.forget()
        speaker.end()
        await speaker.resume(0.0)
        assert not speaker.audible and not line.sent

    clock.run(check())


def test_what_goes_on_after_some_was_given_up_is_the_rest_octet_for_octet() -> None:
    async def check() -> None:
        speaker, line, playout = speaking()
        say(speaker, playout)
        echo(speaker, line, playout, 3500)
        line.sent.clear()
        speaker.hold()
        playout.hold(1, 0.0)
        position_ms = playout.resume(1)
        assert position_ms is not None and 2500 < position_ms <= 3500
        await speaker.resume(position_ms)
        assert audio_of(line) == AUDIO[int(position_ms) * 8 :]

    clock.run(check())


def test_what_was_heard_takes_no_memory() -> None:
    async def check() -> None:
        speaker, line, playout = speaking()
        tracemalloc.start()
        try:
            say(speaker, playout)
            whole = tracemalloc.get_traced_memory()[0]
            echo(speaker, line, playout, 4000)
            assert tracemalloc.get_traced_memory()[0] < whole - 20_000
            speaker.end()
            assert tracemalloc.get_traced_memory()[0] < whole - len(AUDIO)
        finally:
            tracemalloc.stop()
        assert speaker.audible  # it was, and the far end may still be told to clear

    clock.run(check())


def test_marks_that_come_back_while_it_is_sent_again_move_nothing() -> None:
    async def check() -> None:
        speaker, line, playout = speaking()
        say(speaker, playout)
        speaker.hold()
        playout.hold(1, 0.0)
        assert playout.resume(1) == 0.0
        line.sent.clear()
        line.stuck.clear()
        going_on = asyncio.create_task(speaker.resume(0.0))
        while len(audio_of(line)) < len(AUDIO):
            line.stuck.set()
            await asyncio.sleep(0)
            line.stuck.clear()
            echo(speaker, line, playout, 5000)
        line.stuck.set()
        await going_on
        assert audio_of(line) == AUDIO

    clock.run(check())
