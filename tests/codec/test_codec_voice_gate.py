"""What a VoiceGate lets through, and what the books are told of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.codec import MediaWriter, Transcoder
from voice_ai.codec._fir import Fir
from voice_ai.codec._voice_gate import VoiceGate
from voice_ai.codec.formats import PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.errors import UsageError
from voice_ai.turn.playout import Passed, Playout

SID = "MZ0123456789abcdef0123456789abcdef"
FOREVER = float("inf")


class Line:
    """What a gate writes to, and its clock."""

    def __init__(self, source: AudioFormat = ULAW_8K) -> None:
        self.until_ms = 0.0
        self.voice = Transcoder(source, ULAW_8K)
        self.written: list[bytes] = []
        self.declined: list[bytes] = []
        self.takes_declined = True
        self.writer = MediaWriter(SID, rate_hz=None)
        self.gate = self.new_gate(self.voice.fir)

    def new_gate(self, fir: Fir | None) -> VoiceGate:
        return VoiceGate(self.writer.frame, str.encode, self.write, self, fir, self.otherwise)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def otherwise(self, audio: bytes) -> bool:
        self.declined.append(audio)
        return self.takes_declined

    def open(self, n_octets: int = 10**6, dry_ms: float = 0.0, **books: Any) -> None:
        given = {"label": "3", "sent_ms": 0.0, "mark_ms": FOREVER, "every_ms": 400.0, **books}
        self.gate.open(n_octets, dry_ms, *given.values())


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_gate_that_was_never_opened_asks(line: Line) -> None:
    assert line.gate(b"a") is True
    line.takes_declined = False
    assert line.gate(b"b") is False
    assert (line.declined, line.written) == ([b"a", b"b"], [])
    assert line.gate.take() == (b"", [], [])


def test_a_closed_gate_takes_nothing_and_asks_nobody(line: Line) -> None:
    line.open()
    line.gate.close()
    assert line.gate(b"a") is False
    assert (line.declined, line.written) == ([], [])


def test_nothing_at_all_is_for_others(line: Line) -> None:
    line.open()
    assert line.gate(b"")
    assert line.declined == [b""]


def test_ulaw_passes_as_it_is(line: Line) -> None:
    line.open()
    assert line.gate(b"\x2a" * 160)
    assert line.written == [line.writer.frame(b"\x2a" * 160)]
    assert line.gate.take() == (b"\x2a" * 160, [(0.0, 160)], [])
    assert line.gate.take() == (b"", [], [])
    assert (line.gate.n_octets, line.gate.n_messages) == (160, 1)


def test_no_more_passes_than_was_allowed(line: Line) -> None:
    line.open(300)
    assert line.gate(b"a" * 160)
    assert line.gate(b"b" * 160)
    assert line.declined == [b"b" * 160]
    assert line.gate(b"c" * 140)
    assert line.gate(b"d")
    assert line.declined == [b"b" * 160, b"d"]


def test_what_is_no_whole_samples_or_too_much_is_for_others() -> None:
    line = Line(PCM16_16K)
    line.open()
    odd, large = b"\0" * 3, b"\0" * 8194
    assert line.gate(odd)
    assert line.gate(large)
    assert line.gate(memoryview(b"\0\0"))  # type: ignore[arg-type]
    assert line.declined == [odd, large, b"\0\0"]
    assert line.gate(b"\0" * 8192)
    assert line.gate.n_octets == 2048


def test_a_filter_of_floats_is_refused(line: Line) -> None:
    with pytest.raises(UsageError, match="float32"):
        line.new_gate(Fir(16000, 8000, dtype="float32"))


def test_a_write_may_shut_the_gate(line: Line) -> None:
    def write(data: bytes) -> None:
        line.written.append(data)
        line.gate.shut()

    line.gate = VoiceGate(line.writer.frame, str.encode, write, line, None, line.otherwise)
    line.open()
    assert line.gate(b"a")
    assert line.gate(b"b")
    assert (len(line.written), line.declined) == (1, [b"b"])
    assert line.gate.take() == (b"a", [(0.0, 1)], [])


def test_an_error_of_the_writers_is_told(line: Line) -> None:
    def write(data: bytes) -> None:
        raise OSError("gone")

    line.gate = VoiceGate(line.writer.frame, str.encode, write, line, None, line.otherwise)
    line.open()
    with pytest.raises(OSError, match="gone"):
        line.gate(b"a")


def test_marks_stand_behind_the_audio_that_makes_them_due(line: Line) -> None:
    line.open(sent_ms=380.0, mark_ms=400.0)
    for _ in range(22):
        assert line.gate(b"a" * 160)
    frame = line.writer.frame(b"a" * 160)
    assert line.written[0] == frame + b"3:400"
    assert line.written[1:20] == [frame] * 19
    assert line.written[20] == frame + b"3:800"
    assert line.gate.take()[2] == [("3:400", 400.0), ("3:800", 800.0)]


def test_a_stretch_ends_where_the_far_end_has_played_all(line: Line) -> None:
    line.open(dry_ms=25.0)
    for now in (10.0, 20.0, 60.0, 70.0, 120.0):
        line.until_ms = now
        assert line.gate(b"a" * 160)
    # Four pieces of 20 ms are played at 105.
    assert line.gate.take()[1] == [(10.0, 640), (120.0, 160)]


def test_stretches_that_nobody_asked_for_end_the_passing(line: Line) -> None:
    line.open()
    for n in range(200):
        line.until_ms = 100.0 * n
        assert line.gate(b"a")
    stretches = line.gate.take()[1]
    assert len(stretches) + len(line.declined) == 200
    assert 100 < len(stretches) < 200


@pytest.mark.parametrize("source", [PCM16_16K, PCM16_24K])
@given(sizes=st.lists(st.integers(1, 1500), max_size=12), data=st.data())
def test_what_passes_and_what_others_convert_is_one_stream(
    source: AudioFormat, sizes: list[int], data: st.DataObject
) -> None:
    line, whole = Line(source), Transcoder(source, ULAW_8K)
    pcm = data.draw(st.binary(min_size=2 * sum(sizes), max_size=2 * sum(sizes)))
    made, at = b"", 0
    line.open()
    for n in sizes:
        piece, at = pcm[at : at + 2 * n], at + 2 * n
        if data.draw(st.booleans()):
            line.open() if data.draw(st.booleans()) else line.gate.shut()
        line.gate(piece)
        if line.declined:
            made += line.gate.take()[0] + line.voice.convert(line.declined.pop())
    assert made + line.gate.take()[0] == whole.convert(pcm)


@given(
    steps=st.lists(st.tuples(st.integers(1, 600), st.integers(0, 300)), max_size=40),
    looks=st.sets(st.integers(0, 40)),
)
def test_the_ledger_knows_what_it_would_have_been_told(
    steps: list[tuple[int, int]], looks: set[int]
) -> None:
    line, told, asked = Line(), Playout(), Playout()

    def passed() -> Passed:
        _, stretches, marks = line.gate.take()
        return Passed([(now, n / 8) for now, n in stretches], marks)

    told.begin(3, 0.0)
    asked.begin(3, 0.0, passed)
    told_marks = [told.sent(3, 20.0, 0.0)]
    asked_marks = [asked.sent(3, 20.0, 0.0)]
    ahead = asked.ahead(3)
    assert ahead is not None
    line.gate.open(10**6, ahead.dry_ms, ahead.label, ahead.sent_ms, ahead.mark_ms, ahead.every_ms)
    for n, (n_octets, later_ms) in enumerate(steps):
        line.until_ms += later_ms
        assert line.gate(b"a" * n_octets)
        told_marks.append(told.sent(3, n_octets / 8, line.until_ms))
        if n in looks:
            assert asked.remaining_ms(3, line.until_ms) == pytest.approx(
                told.remaining_ms(3, line.until_ms)
            )
    assert not line.declined
    asked_marks += [data[data.rindex(b"}") + 1 :].decode() or None for data in line.written]
    assert asked_marks == told_marks
    for name in filter(None, told_marks):
        assert asked.echoed(name) == told.echoed(name)
    assert asked.hold(3, line.until_ms) == pytest.approx(told.hold(3, line.until_ms))
    assert asked.heard(3, line.until_ms).position_ms == pytest.approx(
        told.heard(3, line.until_ms).position_ms
    )
