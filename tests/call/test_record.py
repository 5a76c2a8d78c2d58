"""What a call's record tells of it, and when who watches is told: on virtual time."""

import asyncio
from typing import Any

import pytest

from call_world import World, call
from fakes.inproc import FakeLlm
from voice_ai.call.latency import Latency
from voice_ai.call.line import TextIn
from voice_ai.call.record import MAX_MARKS, MAX_NOTES, CallRecord, Note, TurnRecord
from voice_ai.providers.protocols import CallInfo, ToolRequested


class Seen:
    """A watcher that keeps what it could read at each moment."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.turns: list[dict[str, Any]] = []
        self.notes: list[Note] = []

    def call_changed(self, record: CallRecord) -> None:
        self.calls.append(record.summary())

    call_moved = call_changed

    def turn_changed(self, record: CallRecord, turn: TurnRecord) -> None:
        self.turns.append(turn.as_json())

    def noted(self, record: CallRecord, note: Note) -> None:
        self.notes.append(note)


def watched(
    script: Any, llm: Any = FakeLlm, prepare: Any = lambda world: None
) -> tuple[World, Seen]:
    seen = Seen()

    def watch(world: World) -> None:
        world.record.watchers.append(seen)
        prepare(world)

    return call(script, llm, watch), seen


def test_a_record_that_was_not_begun_has_no_time() -> None:
    record = CallRecord(CallInfo("CA1"), started_at=0.0)
    assert record.now_ms == 0 and record.summary()["duration_ms"] == 0
    record.note("key", "a key was pressed")
    assert record.notes == [Note(0, "key", "a key was pressed")]


def test_notes_are_bounded_and_watched_beyond() -> None:
    record, seen = CallRecord(CallInfo("CA1"), started_at=0.0), Seen()
    record.watchers.append(seen)
    for n in range(MAX_NOTES + 3):
        record.note("fault", str(n))
    assert len(record.notes) == MAX_NOTES and len(seen.notes) == MAX_NOTES + 3
    for n in range(MAX_MARKS + 3):
        record.note("mark", str(n))
    assert len(record.notes) == MAX_NOTES + MAX_MARKS, "marks take no other note's place"


def test_moments_are_those_that_came_to_pass() -> None:
    latency = Latency(10.0, 10.5, 10.52)
    assert latency.moments_ms() == {"end_of_turn": 500, "recognised": 520}
    latency.first_token, latency.heard = 10.7, 11.0
    assert latency.moments_ms() == {
        **{"end_of_turn": 500, "recognised": 520},
        **{"first_token": 700, "first_heard": 1000},
    }
    assert Latency(10.0, 9.9, 10.1).moments_ms()["end_of_turn"] == 0


async def say_hello(world: World) -> None:
    await world.listening()
    world.stt.start()
    world.stt.update("When are you")
    await asyncio.sleep(0.25)
    world.stt.end("When are you open?")
    await world.quiet()


def test_a_turn_is_told_when_it_comes_is_sent_heard_and_over() -> None:
    world, seen = watched(say_hello, lambda: FakeLlm(lambda said: "Nine to six."))
    states = [
        (turn["reply"], "first_frame" in turn["moments_ms"], "first_heard" in turn["moments_ms"])
        for turn in seen.turns
    ]
    assert states[0] == ("", False, False)
    assert ("Nine to six.", True, False) in states
    last = seen.turns[-1]
    assert (last["n"], last["caller"], last["heard"]) == (1, "When are you open?", "Nine to six.")
    assert last["over"] and last["complete"]
    assert {turn["n"] for turn in seen.turns} == {1}
    partials = [call["partial"] for call in seen.calls]
    assert "When are you" in partials and partials[-1] == ""
    phases = [call["phase"] for call in seen.calls]
    assert "the caller speaks" in phases and phases[-1] == "after the call"
    assert seen.calls[-1]["ended"] and seen.calls[-1]["duration_ms"] > 1000
    assert seen.calls[-1]["greeting"] == "Hello."
    assert world.record.as_json()["turns"] == [last]


def test_the_first_sound_was_heard_when_the_far_end_began_to_play_it() -> None:
    """The fake plays at once; the mark comes 400 ms of audio later, and is reckoned back."""
    sent: list[float] = []

    async def script(world: World) -> None:
        await say_hello(world)
        since = [at for kind, data, at in world.line.sent if kind == "audio"]
        sent.append(since[-1])

    world, _ = watched(script, lambda: FakeLlm(lambda said: "Nine to six on all days but one."))
    latency = world.record.turns[0].latency
    assert latency and latency.sent is not None and latency.heard is not None
    assert latency.heard - latency.sent == pytest.approx(0, abs=0.021)


def test_a_filler_is_no_first_sound() -> None:
    def prepare(world: World) -> None:
        world.fillers["filler"] = [world.spoken("Hmm, one moment.")]
        world.rules = type(world.rules)(filler_ms=200)

    def llm() -> FakeLlm:
        fake = FakeLlm(lambda said: "Nine to six on all days.")
        fake.delay_s = 0.5
        return fake

    world, seen = watched(say_hello, llm, prepare)
    assert [note.text for note in seen.notes if note.kind == "filler"] == ["Hmm, one moment."]
    latency = world.record.turns[0].latency
    assert latency and latency.sent is not None and latency.heard is not None
    # The filler's 0.8 s began after 0.2 s, the answer was sent after 0.5: it waits for its turn.
    assert latency.heard - latency.recognised == pytest.approx(1.0, abs=0.05)
    assert latency.sent - latency.recognised == pytest.approx(0.5, abs=0.05)


def test_a_barge_in_is_noted_with_the_time_that_it_took_to_stop() -> None:
    began: list[int] = []

    async def script(world: World) -> None:
        await say_hello(world)
        world.stt.start()
        world.stt.end("Tell me more.")
        await asyncio.sleep(1)
        began.append(world.record.now_ms)
        world.stt.start()
        await asyncio.sleep(0.1)
        world.stt.update("No wait")
        await asyncio.sleep(0.1)
        world.stt.end("No, wait.")
        await world.quiet()

    world, seen = watched(script, lambda: FakeLlm(lambda said: "Well, that is a long story."))
    (cut,) = [note for note in seen.notes if note.kind == "barge_in"]
    assert cut.ms is not None and 0 <= cut.ms < 5
    assert began == [cut.at_ms], "when our sound stopped, not when the words came"
    second = world.record.turns[1]
    assert second.over and not second.complete and second.heard != second.reply


def test_a_false_start_is_noted_as_such() -> None:
    async def script(world: World) -> None:
        await say_hello(world)
        world.stt.start()
        world.stt.end("Tell me more.")
        await asyncio.sleep(0.5)
        world.stt.start()
        await asyncio.sleep(0.9)
        world.stt.end("")
        await world.quiet()

    world, seen = watched(script, lambda: FakeLlm(lambda said: "Well, that is a long story."))
    assert [note.kind for note in seen.notes] == ["held"]
    assert world.record.turns[1].complete


def test_keys_and_words_that_are_typed_are_noted_without_what_they_were() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.line.press("7")
        world.line.press("#")
        await world.quiet()
        world.line.inbox.put_nowait(TextIn("And on Sunday?"))
        await world.listening()

    world, seen = watched(script)
    assert [note.kind for note in seen.notes] == ["key", "key", "typed"]
    assert not any("7" in f"{note.text}{note.detail}" for note in seen.notes)
    assert [turn.caller for turn in world.record.turns] == ["(pressed 7)", "And on Sunday?"]
    assert all(turn.latency and turn.latency.sent for turn in world.record.turns)


def test_words_that_are_typed_cut_in_like_spoken_ones() -> None:
    async def script(world: World) -> None:
        world.line.inbox.put_nowait(TextIn("..."))
        await world.listening()
        world.line.inbox.put_nowait(TextIn("Tell me more."))
        await asyncio.sleep(0.5)
        world.line.inbox.put_nowait(TextIn("Stop."))
        await world.quiet()

    world, seen = watched(script, lambda: FakeLlm(lambda said: "Well, that is a long story."))
    assert [note.kind for note in seen.notes].count("barge_in") == 1
    assert "clear" in world.line.kinds()
    assert [turn.caller for turn in world.record.turns] == ["Tell me more.", "Stop."]
    assert world.record.turns[1].complete


def test_a_tool_is_noted_with_what_it_was_asked_and_said() -> None:
    def llm() -> FakeLlm:
        asked = ToolRequested("call_1", "opening_hours", '{"day": "monday"}')
        answers = iter([asked, "Nine to six."])
        return FakeLlm(lambda said: next(answers))

    world, seen = watched(say_hello, llm)
    (note,) = [note for note in seen.notes if note.kind == "tool"]
    assert note.text == "opening_hours"
    assert note.detail == '{"day": "monday"} -> nine to six'
