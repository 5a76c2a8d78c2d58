"""What the parts of a caller do without a socket: voice, ear, playout, histogram."""

from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.codec import ResampleStream, ulaw_encode
from voice_ai.phone.load import levels
from voice_ai.phone.load.ear import Ear, Segment
from voice_ai.phone.load.histogram import Histogram, spread
from voice_ai.phone.load.playout import Playout
from voice_ai.phone.load.progress import bar
from voice_ai.phone.load.voice import Voice
from voice_ai.wire import twilio

SID = "MZ" + "1" * 32
SILENCE = b"\xff" * 160


def frame(symbol: int) -> bytes:
    return ulaw_encode(levels.sample(symbol).to_bytes(2, "little", signed=True)) * 160


def frames(source: int, number: int, n: int) -> list[bytes]:
    return [frame(symbol) for symbol in islice(levels.segment(source, number), n)]


def heard(*messages: bytes) -> Ear:
    ear = Ear()
    for at, message in enumerate(messages):
        ear.hear(message, float(at))
    return ear


def wrong(ear: Ear) -> tuple[int, int, int, int]:
    one = ear.heard
    return one.n_lost, one.n_out_of_order, one.n_dead, one.n_garbled


def test_nothing_is_heard_in_nothing_and_in_silence():
    for ear in (heard(), heard(b""), heard(SILENCE, SILENCE)):
        assert (ear.segments, ear.n_begun, ear.within) == ([], 0, False)
        assert wrong(ear) == (0, 0, 0, 0)
    assert heard(SILENCE, SILENCE).heard.n_frames == 2


def test_a_segment_is_known_by_its_header_and_dated_by_its_first_frame():
    ear = heard(*frames(60_001, 255, 100))
    assert ear.segments == [Segment(0.0, 60_001, 255)]
    assert wrong(ear) == (0, 0, 0, 0)
    assert ear.heard.n_frames == 100


@given(
    st.lists(st.tuples(st.integers(8, 40), st.integers(0, 40)), min_size=1, max_size=3),
    st.lists(st.integers(1, 2000), min_size=1, max_size=9),
)
def test_any_pieces_of_segments_through_a_resampler_sound_the_same(segments, pieces):
    up, down = ResampleStream(8000, 16_000), ResampleStream(16_000, 8000)
    whole = b""
    for number, (n_frames, n_tail) in enumerate(segments):
        for symbol in islice(levels.segment(7, number), n_frames):
            pcm = levels.sample(symbol).to_bytes(2, "little", signed=True) * 160
            whole += ulaw_encode(down.resample_chunk(up.resample_chunk(pcm)))
        whole += b"\xff" * n_tail
    ear = Ear()
    for n in cycle(pieces):
        if not whole:
            break
        ear.hear(whole[:n], 0.0)
        whole = whole[n:]
    assert [segment.number for segment in ear.segments] == list(range(len(segments)))
    assert wrong(ear) == (0, 0, 0, 0)


def test_lost_frames_are_counted_in_the_body_and_in_the_header():
    sent = frames(1, 2, 60)
    assert wrong(heard(*sent[:20], *sent[23:])) == (3, 0, 0, 0)
    ear = heard(*sent[:4], *sent[6:])
    assert wrong(ear) == (2, 0, 0, 0)
    assert ear.segments == []


def test_frames_that_come_twice_or_late_are_out_of_order():
    sent = frames(1, 2, 60)
    assert wrong(heard(*sent[:20], *sent[19:])) == (0, 1, 0, 0)
    assert heard(*sent[:20], sent[21], sent[20], *sent[22:]).heard.n_out_of_order == 1
    assert wrong(heard(sent[0], *sent)) == (0, 1, 0, 0)


def test_after_a_clear_only_a_segment_that_begins_is_alive():
    sent = frames(1, 2, 40)
    ear = heard(*sent[:20])
    ear.clear()
    for late in sent[20:25]:
        ear.hear(late, 1.0)
    assert wrong(ear) == (0, 0, 5, 0)
    for new in frames(1, 3, 30):
        ear.hear(new, 2.0)
    assert wrong(ear) == (0, 0, 5, 0)
    assert ear.segments[-1] == Segment(2.0, 1, 3)


def test_a_fade_after_a_clear_is_no_dead_frame():
    ear = heard(*frames(1, 2, 20))
    ear.clear()
    ear.hear(frame(20)[:80], 1.0)
    for new in frames(1, 3, 30):
        ear.hear(new, 2.0)
    assert wrong(ear) == (0, 0, 0, 0)


def test_a_partial_frame_before_a_mark_is_dropped_when_a_segment_begins_behind_it():
    for n_octets in (1, 67, 80, 81, 159):
        ear = heard(*frames(1, 2, 20), frame(levels.FIRST_COUNT + 13)[:n_octets])
        ear.mark()
        for new in frames(1, 3, 30):
            ear.hear(new, 50.0)
        assert wrong(ear) == (0, 0, 0, 0), n_octets
        assert ear.segments[-1].at == 50.0


def test_a_mark_within_a_frame_changes_nothing():
    whole = b"".join(frames(1, 2, 60))
    ear = Ear()
    for start in range(0, len(whole), 264):
        ear.hear(whole[start : start + 264], 0.0)
        ear.mark()
    assert wrong(ear) == (0, 0, 0, 0)


def test_noise_is_garbled():
    assert wrong(heard(frame(3), frame(20))) == (0, 0, 0, 2)
    sent = frames(1, 2, 40)
    assert wrong(heard(*sent[:20], frame(3), *sent[20:])) == (0, 0, 0, 1)


def test_a_voice_speaks_as_twilio_writes():
    voice = Voice(300, SID, "CA1", "AC1")
    start = twilio.parse_message(voice.start({"token": "t1"}))
    assert isinstance(start, twilio.Start)
    assert (start.stream_sid, start.call_sid, start.parameters) == (SID, "CA1", {"token": "t1"})
    ear = Ear()
    for n in range(40):
        message = voice.frame()
        parsed = twilio.parse_message(message)
        assert isinstance(parsed, twilio.Media)
        assert (parsed.sequence_number, parsed.chunk, parsed.timestamp_ms) == (n + 2, n + 1, n * 20)
        assert message.decode() == twilio.caller_media(SID, n + 2, n + 1, n * 20, parsed.payload)
        ear.hear(parsed.payload, float(n))
    assert ear.segments == [Segment(0.0, 300, 0)]
    assert wrong(ear) == (0, 0, 0, 0)
    assert twilio.parse_message(voice.echo('a "mark"')) == twilio.Mark(SID, 'a "mark"')
    assert twilio.parse_message(voice.stop()) == twilio.Stop(SID, "CA1")


def test_a_frame_that_is_skipped_is_missing():
    voice = Voice(1, SID, "CA1", "AC1")
    said = [twilio.parse_message(voice.frame()) for _ in range(10)]
    voice.skip()
    said += [twilio.parse_message(voice.frame()) for _ in range(10)]
    ear = heard(*(one.payload for one in said if isinstance(one, twilio.Media)))
    assert wrong(ear) == (1, 0, 0, 0)
    assert (voice.n_frames, said[-1].sequence_number) == (21, 21)


def test_marks_pass_when_what_was_before_them_is_played():
    playout = Playout()
    playout.mark("empty")
    assert playout.passed(10.0) == ["empty"]
    assert playout.media(800, 10.0)
    playout.mark("a")
    assert not playout.media(800, 10.05)
    playout.mark("b")
    assert playout.passed(10.09) == []
    assert playout.passed(10.11) == ["a"]
    assert playout.passed(10.3) == ["b"]
    assert playout.media(800, 20.0)
    playout.mark("c")
    assert playout.clear(20.01) == ["c"]
    assert playout.clear(20.02) == playout.passed(30.0) == []
    assert playout.media(800, 20.03)


@given(st.lists(st.floats(0, 250), min_size=1))
def test_a_histogram_tells_what_sorting_tells_to_its_bin(times):
    histogram = Histogram()
    for ms in times:
        histogram.add(ms)
    counted, exact = histogram.spread(), spread(times)
    assert counted is not None and exact is not None
    assert (counted.n, counted.max) == (exact.n, exact.max)
    for name in ("p50", "p99", "p99_9"):
        true = getattr(exact, name)
        if true < 199.98:
            assert true - 1e-9 <= getattr(counted, name) <= true + 0.0101


def test_no_times_have_no_spread():
    assert Histogram().spread() is None
    assert spread([]) is None


@pytest.mark.parametrize(
    ("values", "p50", "p99"), [([1.0], 1, 1), ([2.0, 1.0], 1, 2), (list(range(1, 101)), 50, 99)]
)
def test_quantiles_are_of_the_nearest_rank(values, p50, p99):
    found = spread(values)
    assert found is not None
    assert (found.p50, found.p99) == (p50, p99)


def test_a_bar():
    assert bar("measuring", 0, 60) == f"measuring   [{'-' * 30}]  0/60"
    assert bar("measuring", 30.2, 60) == f"measuring   [{'#' * 15}{'-' * 15}]  30/60"
    assert bar("opening", 7, 5) == f"opening     [{'#' * 30}]  7/5"
    assert bar("opening", 0, 0) == f"opening     [{'#' * 30}]  0/0"
