"""One call's recording, whatever the formats of its two ends."""

import numpy as np
import pytest

from voice_ai.call.record import CallRecord, Note
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode
from voice_ai.codec.transcode import Transcoder
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.recording import Recording
from voice_ai.server.recording_file import RecordingFile

FORMATS = (ULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K)


class Kept(RecordingFile):
    def __init__(self, begins_ms: float = 0.0) -> None:
        self.stereo = b""
        self.failure = ""
        self.begins_ms = begins_ms

    def put(self, stereo: bytes) -> bool:
        self.stereo += stereo
        return True

    def end(self) -> None:
        pass


class Watcher:
    def __init__(self) -> None:
        self.n_changes = 0

    def call_changed(self, record: CallRecord) -> None:
        self.n_changes += 1

    def call_moved(self, record: CallRecord) -> None:
        pass

    def turn_changed(self, record: CallRecord, turn: object) -> None:
        pass

    def noted(self, record: CallRecord, note: Note) -> None:
        pass


def tone(form: AudioFormat, n_ms: int, pitch_hz: int) -> bytes:
    n = np.arange(n_ms * form.rate_hz // 1000)
    pcm = (8000 * np.sin(2 * np.pi * pitch_hz * n / form.rate_hz)).astype("<i2").tobytes()
    if form.encoding == "linear16":
        return pcm
    return Transcoder(PCM16_8K, ULAW_8K).convert(pcm)


def pitch_of(ulaw: bytes) -> float:
    pcm = np.frombuffer(ulaw_decode(ulaw), "<i2").astype(float)
    assert 7000 < np.abs(pcm).max() < 9500
    return float(np.fft.rfft(pcm).__abs__().argmax() * 8000 / len(pcm))


@pytest.mark.parametrize("heard", FORMATS, ids=str)
@pytest.mark.parametrize("line", FORMATS, ids=str)
def test_both_sides_are_what_they_were_in_any_format(line: AudioFormat, heard: AudioFormat) -> None:
    file = Kept()
    with Recording(CallRecord(CallInfo("CA1"), started_at=0.0), file, line, heard) as recording:
        for n in range(10):
            said = tone(heard, 1000, 500)[n * 100 * heard.n_octets_per_ms :]
            sent = tone(line, 1000, 1500)[n * 100 * line.n_octets_per_ms :]
            recording.agent(sent[: 100 * line.n_octets_per_ms], n * 100.0)
            recording.caller(said[: 100 * heard.n_octets_per_ms], 0.0)
    assert len(file.stereo) == 16_000
    assert pitch_of(file.stereo[::2]) == 500
    assert pitch_of(file.stereo[1::2]) == 1500


def test_nothing_of_what_was_cleared_is_left_in_the_filter() -> None:
    file = Kept()
    record = CallRecord(CallInfo("CA1"), started_at=0.0)
    with Recording(record, file, PCM16_16K, ULAW_8K) as recording:
        recording.agent(tone(PCM16_16K, 100, 1500), 0.0)
        recording.clear(0.0)
        recording.agent(bytes(3200), 0.0)
        recording.caller(b"\xff" * 800, 0.0)
    assert set(file.stereo) == {0xFF}


def test_notes_tell_the_place_in_the_file() -> None:
    record = CallRecord(CallInfo("CA1"), started_at=0.0)
    with Recording(record, Kept(begins_ms=1000.0), ULAW_8K, ULAW_8K) as recording:
        recording.mark("1:400", 420.0)
        recording.clear(500.0)
    assert [(note.kind, note.text, note.detail) for note in record.notes] == [
        ("mark", "1:400", "1420"),
        ("clear", "", "1500"),
    ]


def test_who_follows_the_call_is_told_that_it_is_recorded() -> None:
    watcher = Watcher()
    record = CallRecord(CallInfo("CA1"), started_at=0.0, watchers=[watcher])
    recording = Recording(record, Kept(), ULAW_8K, ULAW_8K)
    assert not record.is_recorded
    with recording:
        assert record.is_recorded and watcher.n_changes == 1
