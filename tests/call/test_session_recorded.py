"""Whole calls on virtual time: the recording is what both ends had, sample by sample.

The far end plays and says a frame in one step, and is at no distance: so what it has played is
exact, and the recording has to be the same.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import groupby

import pytest

from call_world import World, call
from fakes.inproc import MS_PER_CHAR, FakeLine, FakeLlm, last_words
from voice_ai.call.backlog import ConvertedAudio
from voice_ai.call.built_in import BuiltIn
from voice_ai.call.dtmf import tones
from voice_ai.call.recorded import MAX_GAP_MS
from voice_ai.codec.formats import ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_encode
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError
from voice_ai.phone.buffer import FRAME_MS, FRAME_OCTETS, SILENCE, PlayoutBuffer
from voice_ai.providers.protocols import ToolRequested
from voice_ai.server.recording import Recording
from voice_ai.server.recording_file import RecordingFile
from voice_ai.turn.rules import Rules

STORY = "one two three four five six seven eight nine ten eleven twelve."
OCTETS_A_MS = 8


class Kept(RecordingFile):
    """A file in memory."""

    def __init__(self) -> None:
        self.stereo = bytearray()
        self.failure = ""
        self.begins_ms = 0.0
        self.is_over = False

    @property
    def n_ms(self) -> float:
        return len(self.stereo) / 2 / OCTETS_A_MS

    @property
    def words(self) -> str:
        runs = [(code, len(list(run))) for code, run in groupby(self.stereo[1::2])]
        n_a_char = OCTETS_A_MS * MS_PER_CHAR
        return "".join(chr(code) * round(n / n_a_char) for code, n in runs if code != SILENCE[0])

    def put(self, stereo: bytes) -> bool:
        assert not self.is_over
        self.stereo += stereo
        return not self.failure

    def end(self) -> None:
        self.is_over = True


class FarEnd(FakeLine):
    """Hears and says a frame every 20 ms; some of what it says is lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.said = bytearray()
        self.heard = bytearray()
        self.lost: Callable[[int], bool] = lambda n: False
        self.late_ms = 0
        self._buffer = PlayoutBuffer()

    def tap(
        self,
        target: AudioFormat,
        n_octets: int,
        arrived: Callable[[], None],
        marked: Callable[[str], bool],
    ) -> ConvertedAudio:
        self.audio = ConvertedAudio(Transcoder(ULAW_8K, target))
        self._wanted, self._arrived, self._marked = n_octets, arrived, marked
        return self.audio

    async def talk(self) -> None:
        for n in range(10**6):
            sound, passed = self._buffer.play()
            self.heard += sound.ljust(FRAME_OCTETS, SILENCE)
            self._come_back(passed)
            frame = bytes([n % 100 + 1]) * FRAME_OCTETS
            is_lost = self.lost(n)
            self.said += SILENCE * FRAME_OCTETS if is_lost else frame
            if not is_lost:
                self.audio.put(frame, n * FRAME_MS + self.late_ms)
                if self.audio.n_waiting >= self._wanted:
                    self._arrived()
            await asyncio.sleep(FRAME_MS / 1000)

    def _play(self, data: bytes) -> None:
        super()._play(data)
        self._buffer.media(data)

    def _mark(self, name: str) -> None:
        self.sent.append(("mark", name, self.loop.time()))
        self._come_back(self._buffer.mark(name))

    async def clear(self) -> None:
        await super().clear()
        self._come_back(self._buffer.clear())

    def _come_back(self, names: list[str]) -> None:
        for name in names:
            assert self._marked(name)


class Tape:
    """One call's recording, and its far end."""

    def __init__(self, world: World) -> None:
        self.line = world.line = FarEnd()
        self.world = world
        self.file = Kept()
        world.recorder = lambda record, line, heard: Recording(record, self.file, line, heard)

    @property
    def words(self) -> str:
        """What the caller heard by the recording, as `voiced` spells it."""
        return self.file.words

    def check(self) -> None:
        """Compare it with what the far end knows."""
        said, heard = bytes(self.file.stereo[::2]), bytes(self.file.stereo[1::2])
        assert self.file.is_over and self.world.record.is_recorded
        # The far end goes on for a frame or two until the call has ended.
        assert len(self.line.said) - len(said) in range(3 * FRAME_OCTETS)
        assert said == self.line.said[: len(said)]
        assert heard == self.line.heard[: len(heard)]


def record(
    script: Callable[[World], Awaitable[None]],
    llm: Callable[[], FakeLlm] = FakeLlm,
    prepare: Callable[[World], None] = lambda world: None,
) -> Tape:
    """Hold a call that is recorded, and check that."""
    tapes: list[Tape] = []

    def tape(world: World) -> None:
        tapes.append(Tape(world))
        prepare(world)

    call(script, llm, tape)
    tapes[0].check()
    return tapes[0]


def story() -> FakeLlm:
    return FakeLlm(lambda said: STORY if "Count" in last_words(said) else "Yes.")


async def told(world: World, n_chars: float) -> None:
    """Ask for the story and hear so much of it."""
    await world.listening()
    world.stt.hear("Count.")
    await asyncio.sleep(n_chars * MS_PER_CHAR / 1000)


def test_a_caller_who_hangs_up_at_once() -> None:
    async def script(world: World) -> None:
        return

    assert record(script).words == ""


def test_a_caller_who_hangs_up_while_we_speak_heard_no_more() -> None:
    async def script(world: World) -> None:
        await told(world, 20.5)

    words = record(script, story).words
    assert f"Hello.{STORY}".startswith(words[:-1]) and len(words) in range(20, 32)


def test_a_call_of_two_turns() -> None:
    async def script(world: World) -> None:
        for words in ("Count.", "Good?"):
            await world.listening()
            world.stt.hear(words)
        await world.quiet()

    tape = record(script, story)
    assert tape.words == f"Hello.{STORY} Yes. "
    notes = [note for note in tape.world.record.notes if note.kind == "mark"]
    assert notes[-1].text.endswith(":end")
    # Marks are where their sound ends, to the frame.
    ends = tape.line.heard.rstrip(SILENCE)
    assert abs(int(notes[-1].detail) - len(ends) / OCTETS_A_MS) <= FRAME_MS


def test_a_barge_in_drops_what_was_not_heard() -> None:
    async def script(world: World) -> None:
        await told(world, 20)
        world.stt.start()
        world.stt.update("Stop that")
        await asyncio.sleep(0.5)
        world.stt.end("Stop that.")
        await world.quiet()

    tape = record(script, story)
    assert tape.words.endswith("Yes. ") and "twelve" not in tape.words
    clears = [note for note in tape.world.record.notes if note.kind == "clear"]
    cleared = int(clears[0].detail) * OCTETS_A_MS
    heard = bytes(tape.file.stereo[1::2])
    assert heard[cleared - 1] != SILENCE[0]
    assert heard[cleared : cleared + 8 * FRAME_OCTETS].strip(SILENCE) == b""


@pytest.mark.parametrize("n_chars", [0, 4, 10, 30, 55])
def test_a_cough_stops_us_and_we_go_on_from_the_word_that_was_cut(n_chars: int) -> None:
    async def script(world: World) -> None:
        await told(world, n_chars)
        world.stt.start()
        await world.quiet()

    tape = record(script, story)
    assert tape.words.rstrip().endswith("twelve.")
    assert tape.line.kinds().count("clear") == bool(n_chars)


def test_a_filler_before_an_answer() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 3.0
        world.stt.hear("Well?")
        await world.until(lambda: "Yes" in world.line.played())
        await world.quiet()

    def filled(world: World) -> None:
        world.rules = Rules(filler_ms=1200, silence_ms=None)
        world.fillers["filler"] = [world.spoken("Hmm.")]

    assert record(script, story, filled).words == "Hello.Hmm.Yes. "


def test_a_filler_in_no_turn_and_an_answer_that_waits_for_its_end() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.start()
        world.stt.is_late = True
        await world.until(lambda: len(world.line.played()) > len("Hello."))
        world.stt.is_late = False
        world.stt.end("Well?")
        await world.quiet()

    def filled(world: World) -> None:
        world.rules = Rules(filler_ms=1200, silence_ms=None)
        world.fillers["filler"] = [world.spoken("Hmm, well.")]

    assert record(script, story, filled).words == "Hello.Hmm, well.Yes. "


def test_keys_that_we_press() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Press it.")
        await world.quiet()

    def prepare(world: World) -> None:
        world.built_in = BuiltIn(sends_digits=True)

    keys = ToolRequested("c1", "send_digits", '{"digits":"1#"}')
    tape = record(script, lambda: FakeLlm(lambda said: [keys]), prepare)
    assert ulaw_encode(tones("1#")) in tape.file.stereo[1::2]


def test_a_recogniser_that_is_dialled_for_long_hears_all_and_so_does_the_recording() -> None:
    async def script(world: World) -> None:
        await asyncio.sleep(5.0)
        n_before = len(world.stt.received)
        world.stt.dial.set()
        await world.until(lambda: len(world.stt.received) > 5 * 16_000)
        assert n_before == 0

    def slow(world: World) -> None:
        world.stt.dial.clear()

    tape = record(script, prepare=slow)
    received = ulaw_encode(bytes(tape.world.stt.received))
    assert received == tape.line.said[: len(received)]


def test_a_recogniser_that_fails_leaves_the_recording_going_on() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.events.put_nowait(ProviderError("stt", "gone"))
        await world.until(lambda: world.line.hung_up)

    assert record(script).words.endswith("Goodbye.")


@pytest.mark.parametrize("n_lost", [1, 2, 7, 100])
def test_frames_that_are_lost_are_silent_and_nothing_moves(n_lost: int) -> None:
    async def script(world: World) -> None:
        await told(world, 70)
        await asyncio.sleep(2.0)

    def lossy(world: World) -> None:
        # Where a message to the recogniser begins: in its middle the place would be a frame off.
        world.line.lost = lambda n: n in range(48, 48 + n_lost)  # type: ignore[attr-defined]

    assert record(script, story, lossy).words == f"Hello.{STORY} "


def test_timestamps_that_are_years_ahead_are_no_years_of_silence() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.line.late_ms = 10**12  # type: ignore[attr-defined]
        await asyncio.sleep(2.0)

    tapes: list[Tape] = []
    call(script, prepare=lambda world: tapes.append(Tape(world)))
    assert tapes[0].file.n_ms == len(tapes[0].line.said) / OCTETS_A_MS + MAX_GAP_MS


def test_a_recording_that_fails_is_told_once_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(world: World) -> None:
        await world.listening()
        tapes[0].file.failure = "No space left on device"
        world.stt.hear("Count.")
        await world.quiet()

    tapes: list[Tape] = []
    world = call(script, story, lambda world: tapes.append(Tape(world)))
    faults = [note for note in world.record.notes if note.kind == "fault"]
    assert [(note.text, note.detail) for note in faults] == [
        ("the recording has ended", "No space left on device")
    ]
    assert [line for line in caplog.messages if "recording" in line] == [
        "call CA1: its recording has ended: No space left on device"
    ]
    assert world.record.turns[0].heard == STORY


def test_a_line_that_yields_its_audio() -> None:
    """As a browser's: every frame comes as a message."""

    async def script(world: World) -> None:
        await told(world, 70)

    files: list[Kept] = []

    def prepare(world: World) -> None:
        files.append(Kept())
        world.recorder = lambda record, line, heard: Recording(record, files[0], line, heard)

    world = call(script, story, prepare)
    assert files[0].words == f"Hello.{STORY} "
    assert set(files[0].stereo[::2]) == {SILENCE[0]}
    notes = [note.text for note in world.record.notes if note.kind == "mark"]
    assert len(notes) == len(set(notes)) and notes[-1].endswith(":end")


def test_a_call_that_is_not_recorded_tells_nothing_of_marks() -> None:
    async def script(world: World) -> None:
        await told(world, 20)
        world.stt.hear("Stop.")
        await world.quiet()

    world = call(script, story)
    assert not world.record.is_recorded
    assert [note.kind for note in world.record.notes if note.kind in ("mark", "clear")] == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_whenever(seed: int) -> None:
    dice = random.Random(seed)

    async def script(world: World) -> None:
        world.tts.delay_s = 0.02
        for _ in range(15):
            world.stt.hear("Count.")
            await asyncio.sleep(dice.choice([0, 0.001, 0.5, dice.random() * 4]))
            world.stt.start()
            await asyncio.sleep(dice.choice([0, 0.05, 0.3, 1.5]))
            if dice.random() < 0.5:
                world.stt.update("No wait")
                await asyncio.sleep(dice.random())
            world.stt.end("No, wait.")
            await asyncio.sleep(dice.random() * 2)

    record(script, story)
