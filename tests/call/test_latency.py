"""Where a turn's time went: positions of audio as moments, and what each moment is of."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from call_world import World, call
from fakes.inproc import MS_PER_CHAR, FakeLlm
from voice_ai.call.clock import PACE_S, LineClock
from voice_ai.call.latency import Latency
from voice_ai.call.line import TextIn
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import ToolRequested

MESSAGE_MS = 80
LONG_STORY = "Well, that is a long story, and it goes on."


class Audio:
    """How much of the caller's audio there was."""

    n_waiting = 0
    until_ms = 0.0
    received_ms = 0.0

    def put(self, data: bytes, timestamp_ms: int, /) -> None: ...

    def take(self, n_octets: int, /) -> bytes:
        return b""


class Coming:
    """Audio that comes in messages of 80 ms, each as late as is said, from second 100 on."""

    def __init__(self) -> None:
        self.audio = Audio()
        self.clock = LineClock(self.audio)

    def comes(self, late_s: float = 0.0) -> None:
        self.audio.received_ms += MESSAGE_MS
        self.clock.came(self.due_s + late_s)

    @property
    def due_s(self) -> float:
        return 100 + self.audio.received_ms / 1000


def test_of_audio_that_never_came_nothing_is_known() -> None:
    assert Coming().clock.moment(500.0, 3.0) == 3.0


def test_a_position_is_when_it_came_whenever_that_is_asked() -> None:
    coming = Coming()
    for _ in range(10):
        coming.comes()
    for asked_s in (0.0, 0.013, 0.079):
        assert coming.clock.moment(700.0, coming.due_s + asked_s) == pytest.approx(100.7)


def test_nothing_has_come_after_now() -> None:
    coming = Coming()
    coming.comes()
    assert coming.clock.moment(1000.0, 100.1) == 100.1


def test_audio_that_was_held_back_counts_as_come_when_it_was_due() -> None:
    coming = Coming()
    for late_s in (0.0, 0.4, 0.32, 0.24, 0.16, 0.08, 0.3):
        coming.comes(late_s)
        assert coming.clock.moment(MESSAGE_MS, coming.due_s + late_s) == pytest.approx(100.08)


def test_audio_that_was_lost_shifts_what_follows_within_two_spans() -> None:
    coming = Coming()
    for _ in range(100):
        coming.comes()
    n = round(2 * PACE_S * 1000 / MESSAGE_MS) + 2
    for _ in range(n):
        coming.comes(0.5)
    at_ms = coming.audio.received_ms
    assert coming.clock.moment(at_ms, 10**6) == pytest.approx(coming.due_s + 0.5)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_one_message_in_a_second_that_is_not_late_is_enough(lateness: list[float]) -> None:
    coming = Coming()
    for n, late_s in enumerate(lateness):
        late_s = 0.0 if n % 6 == 0 else late_s
        coming.comes(late_s)
        assert coming.clock.moment(40.0, coming.due_s + late_s) == pytest.approx(100.04)


def test_a_draft_has_moments_before_the_turn_was_recognised() -> None:
    latency = Latency(10.0, 10.3, 10.35, first_text=10.25, first_audio=10.3, sent=10.36)
    latency.first_token = 10.2
    stages = {"endpointing": 300, "stt": 50, "llm": 0, "tts": 0, "first_frame": 10, "total": 360}
    assert latency.stages_ms() == stages
    assert latency.moments_ms()["first_token"] == 200


def latency_of(world: World, n: int = -1) -> Latency:
    latency = world.record.turns[n].latency
    assert latency is not None
    return latency


def test_who_types_is_not_taken_for_who_coughed_long_before() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("")
        await asyncio.sleep(10)
        world.line.inbox.put_nowait(TextIn("When are you open?"))
        await world.listening()

    latency = latency_of(call(script))
    assert latency.sent is not None
    assert latency.sent - latency.speech_end < 0.1


def test_the_first_token_is_of_the_text_and_not_of_a_tool() -> None:
    def llm() -> FakeLlm:
        asked = ToolRequested("call_1", "opening_hours", '{"day": "monday"}')
        answers = iter([asked, "Nine to six."])
        fake = FakeLlm(lambda said: next(answers))
        fake.delay_s = 0.5
        return fake

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("When are you open?")
        await world.quiet()

    latency = latency_of(call(script, llm))
    assert latency.first_token is not None and latency.first_text is not None
    assert latency.first_token - latency.recognised == pytest.approx(1.0, abs=0.01)


def test_what_was_said_before_a_tool_has_the_first_token() -> None:
    def llm() -> FakeLlm:
        asked = ToolRequested("call_1", "opening_hours", '{"day": "monday"}')
        answers = iter([["Let me look. ", asked], "Nine to six."])
        fake = FakeLlm(lambda said: next(answers))
        fake.delay_s = 0.5
        return fake

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("When are you open?")
        await world.quiet()

    latency = latency_of(call(script, llm))
    assert latency.first_token is not None
    assert latency.first_token - latency.recognised == pytest.approx(0.5, abs=0.01)


def test_of_an_answer_that_no_voice_spoke_it_is_known_when_it_was_written() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 0.5
        world.tts.delay_s = 0.5
        world.tts.fail = ProviderError("tts", "it broke")
        world.stt.hear("When are you open?")
        await world.quiet()

    moments = latency_of(call(script)).moments_ms()
    assert moments["first_token"] - moments["recognised"] == pytest.approx(500, abs=21)
    assert "first_voice" not in moments
    # The apology stands for it.
    assert moments["first_frame"] - moments["recognised"] == pytest.approx(1000, abs=21)


@pytest.mark.parametrize("cut_ms", [100, 300])
def test_a_reply_that_was_cut_before_its_first_mark_was_heard(cut_ms: int) -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Tell me more.")
        asked = world.line.loop.time()
        await world.until(lambda: world.line.audio_octets(asked) > 0)
        await asyncio.sleep(cut_ms / 1000)
        world.stt.start()
        world.stt.update("No, stop.")
        await asyncio.sleep(0.1)
        world.stt.end("No, stop.")
        await world.quiet()

    world = call(script, lambda: FakeLlm(lambda said: LONG_STORY))
    assert not world.record.turns[0].complete
    latency = latency_of(world, 0)
    assert latency.sent is not None and latency.heard is not None
    assert latency.heard - latency.sent == pytest.approx(0, abs=0.041)


def test_a_reply_that_was_held_was_heard_when_it_first_began() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Tell me more.")
        asked = world.line.loop.time()
        await world.until(lambda: world.line.audio_octets(asked) > 0)
        await asyncio.sleep(4 * MS_PER_CHAR / 1000)
        world.stt.start()
        await asyncio.sleep(0.5)
        world.stt.end("")
        await world.quiet()

    world = call(script, lambda: FakeLlm(lambda said: LONG_STORY))
    assert world.record.turns[0].complete
    latency = latency_of(world, 0)
    assert latency.sent is not None and latency.heard is not None
    assert latency.heard - latency.sent == pytest.approx(0, abs=0.041)
