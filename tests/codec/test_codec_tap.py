"""The tap on a websocket's octets: what it takes, what it passes on, and when."""

import pytest
from websockets.frames import Frame, Opcode

from reference.tap import MASK, SID, Library, TappedWay, frame, media
from voice_ai.codec.frames import MediaReader, MediaTap
from voice_ai.errors import UsageError
from voice_ai.wire import twilio

SPOKEN = frame(media(1))
PING = frame(b"?", Opcode.PING)
MARK = frame(twilio.mark_echo(SID, 9, "m"))
CLOSE = frame(b"\x03\xe8", Opcode.CLOSE)


def started(rate_hz: int | None = 16000, limit_ms: int = 15_000) -> MediaTap:
    tap = MediaTap(limit_ms=limit_ms)
    tap.start(SID, rate_hz=rate_hz)
    return tap


# Nothing, and too early.


def test_nothing_makes_nothing():
    tap = MediaTap()
    for nothing in (b"", bytearray(), memoryview(b"")):
        assert tap.feed(nothing) is None
        assert started().feed(nothing) is None
    tap.put(b"", 20)
    assert tap.take(0) == tap.take(100) == b""
    assert (tap.n_waiting, tap.n_passed, tap.n_read, tap.n_frames) == (0, 0, 0, 0)
    assert (tap.until_ms, tap.received_ms) == (0.0, 0.0)


def test_before_the_start_all_is_passed_and_counted():
    tap = MediaTap()
    assert tap.feed(SPOKEN) is SPOKEN
    assert tap.feed(SPOKEN[:50]) == SPOKEN[:50]
    tap.start(SID)  # in the middle of a frame
    assert tap.feed(SPOKEN[50:] + SPOKEN) == SPOKEN[50:] + SPOKEN
    assert tap.n_passed == 3
    assert (tap.n_frames, tap.n_waiting) == (0, 0)
    tap.n_read = 3
    assert tap.feed(SPOKEN) is None
    assert tap.n_frames == 1


# What is refused.


def test_rates_limits_and_ids_that_cannot_be():
    for limit_ms in (0, -1, 3_600_001, 10**30):
        with pytest.raises(UsageError, match=f"limit_ms is {limit_ms}; 1 to 3600000"):
            MediaTap(limit_ms=limit_ms)
    with pytest.raises(TypeError):
        MediaTap(limit_ms=None)
    with pytest.raises(TypeError):
        MediaTap(16000)
    tap = started()
    with pytest.raises(UsageError, match="rate_hz is 44100; 8000, 16000, 24000 or None"):
        tap.start(SID, rate_hz=44100)
    with pytest.raises(UsageError, match="holds 257 characters, at most 256"):
        tap.start("M" * 257)
    with pytest.raises(TypeError):
        tap.start(None)
    assert tap.feed(SPOKEN) is None
    assert tap.take(1000) == MediaReader(SID).read(media(1))


@pytest.mark.parametrize("more", [(), (20,)])
def test_what_is_no_buffer_of_octets_changes_nothing(more):
    tap, scattered = started(), memoryview(b"abcd")[::2]
    take = tap.put if more else tap.feed
    for wrong, error in ((None, TypeError), ("x", TypeError), (scattered, BufferError)):
        with pytest.raises(error):
            take(wrong, *more)
    with pytest.raises(UsageError, match="src holds items of 4 octets"):
        take(memoryview(bytes(8)).cast("i"), *more)
    assert tap.feed(SPOKEN) is None
    assert tap.take(1000) == MediaReader(SID).read(media(1))


def test_less_than_nothing_cannot_be_taken():
    with pytest.raises(UsageError, match="n_octets is -1, at least 0 is needed"):
        started().take(-1)


def test_the_buffer_is_let_go():
    data = bytearray(SPOKEN[:20])
    tap = started()
    assert tap.feed(data) is None
    data.append(0)  # raises BufferError while anybody holds it
    data[:] = bytes(len(data))
    assert tap.feed(SPOKEN[20:]) is None
    assert tap.n_frames == 1


# What is taken.


@pytest.mark.parametrize("rate_hz", [None, 8000, 16000, 24000])
def test_a_message_is_what_the_reader_makes_of_it(rate_hz):
    tap, reader = started(rate_hz=rate_hz), MediaReader(SID, rate_hz=rate_hz)
    expected = b"".join(reader.read(media(number)) for number in range(1, 6))
    frames = [frame(media(number)) for number in range(1, 6)]
    assert tap.feed(frames[0]) is None
    assert tap.feed(b"".join(frames[1:])) is None
    assert (tap.n_frames, tap.until_ms, tap.received_ms) == (5, 120.0, 100.0)
    assert tap.n_waiting == len(expected)
    assert tap.take(len(expected)) == expected
    assert (tap.n_waiting, tap.n_frames, tap.n_passed) == (0, 5, 0)


def test_the_library_reads_our_frames_and_we_its_own():
    library = Library()
    library.receive(SPOKEN + frame("") + frame("x" * 126) + frame("x" * 70_000))
    assert [len(message) for message in library.messages] == [len(media(1)), 0, 126, 70_000]
    tap = started()
    for number in range(1, 20):  # masks by chance
        written = Frame(Opcode.TEXT, media(number).encode()).serialize(mask=True)
        assert tap.feed(written) is None
    assert tap.n_frames == 19


@pytest.mark.parametrize("cast", [bytes, bytearray, memoryview])
def test_any_buffer_serves_and_comes_back_itself(cast):
    tap, data = started(), cast(MARK + PING)
    assert tap.feed(data) is data
    tap.n_read = 1
    rest = tap.feed(cast(SPOKEN + PING))
    assert type(rest) is bytes
    assert rest == PING
    assert tap.n_frames == 1


def test_masks_of_any_octets_and_texts_of_any_length():
    for n_octets in range(1, 40):
        for mask in (b"\0\0\0\0", b"\xff\0\0\0", b"\0\0\0\xff", MASK, bytes([n_octets] * 4)):
            tap = started(rate_hz=None)
            payload = bytes(range(n_octets))
            assert tap.feed(frame(media(1, payload), mask=mask)) is None
            assert tap.take(100) == payload


@pytest.mark.parametrize("n_more", [0, 1])
def test_the_longest_message_that_is_taken(n_more):
    text = media(1)
    text += " " * (4096 + n_more - len(text))
    tap = started()
    assert tap.feed(frame(text)[:-1]) == (frame(text)[:-1] if n_more else None)
    assert tap.feed(frame(text)[-1:]) == (frame(text)[-1:] if n_more else None)
    assert (tap.n_frames, tap.n_passed) == (1 - n_more, n_more)


def test_a_frame_is_taken_wherever_it_is_cut():
    expected = MediaReader(SID).read(media(1))
    for at in range(1, len(SPOKEN)):
        tap = started()
        assert tap.feed(PING + SPOKEN[:at]) == PING
        assert tap.n_waiting == 0
        assert tap.feed(SPOKEN[at:] + PING) == PING
        assert tap.take(1000) == expected


@pytest.mark.parametrize("other", [MARK, PING, frame(media(1), Opcode.BINARY), frame("x" * 5000)])
def test_other_frames_come_out_wherever_they_are_cut(other):
    for at in range(1, min(len(other), 300)):
        tap = started()
        first, second = tap.feed(SPOKEN + other[:at]), tap.feed(other[at:])
        assert (first or b"") + (second or b"") == other
        counts = other is not PING
        assert tap.n_passed == counts
        assert tap.feed(SPOKEN) is (SPOKEN if counts else None)


def test_octet_by_octet():
    tapped = TappedWay(16000)
    tapped.tap.start(SID)
    octets = SPOKEN + PING + SPOKEN + MARK + SPOKEN
    for at in range(len(octets)):
        tapped.receive(octets[at : at + 1])
    assert tapped.passed == PING + MARK + SPOKEN
    assert tapped.tap.n_frames == 2


# What is passed on as it comes, and what is held.


def test_of_frames_that_are_not_taken_no_octet_behind_the_head_is_held():
    others = {
        frame(bytes(200), Opcode.BINARY): 8,
        frame("x" * 5000): 8,
        frame("x", n_length=8, fin=False): 14,
        PING: 6,
    }
    for other, n_head in others.items():
        tap = started()
        assert tap.feed(other[: n_head - 1]) is None
        assert tap.feed(other[n_head - 1 : n_head]) == other[:n_head]
        for at in range(n_head, len(other)):
            assert tap.feed(other[at : at + 1]) == other[at : at + 1]


def test_what_ends_in_the_middle_is_held_and_no_more():
    tap = started()
    assert tap.feed(MARK + SPOKEN[:-1]) == MARK
    assert tap.feed(b"") is None
    assert (tap.n_passed, tap.n_waiting) == (1, 0)


# Order.


def test_media_overtake_no_message_that_has_not_been_read():
    tap = started()
    assert tap.feed(MARK) is MARK
    assert tap.feed(SPOKEN) is SPOKEN
    assert tap.n_passed == 2
    tap.n_read = 1
    assert tap.feed(SPOKEN + PING) == SPOKEN + PING
    tap.n_read = 3
    assert tap.feed(SPOKEN) is None


def test_a_frame_is_judged_when_it_is_whole():
    tap = started()
    assert tap.feed(MARK + SPOKEN[:30]) == MARK
    tap.n_read = 1
    assert tap.feed(SPOKEN[30:]) is None
    assert tap.n_frames == 1


def test_a_fragmented_message_counts_once_and_is_overtaken_by_none():
    tap = started()
    assert tap.feed(frame("a", fin=False) + PING) == frame("a", fin=False) + PING
    assert tap.n_passed == 0
    tap.feed(frame("b", Opcode.CONT, fin=False))
    assert tap.n_passed == 0
    assert tap.feed(frame("c", Opcode.CONT) + SPOKEN) == frame("c", Opcode.CONT) + SPOKEN
    assert tap.n_passed == 2


def test_behind_a_close_all_is_passed_and_nothing_counted():
    for at in range(1, len(CLOSE)):
        tap = started()
        parts = MARK + SPOKEN + CLOSE[:at], CLOSE[at:], SPOKEN + PING
        passed = [tap.feed(part) for part in parts]
        assert b"".join(filter(None, passed)) == MARK + SPOKEN + CLOSE + SPOKEN + PING
        assert (tap.n_passed, tap.n_frames) == (2, 0)
        assert tap.feed(SPOKEN) is SPOKEN


def test_behind_a_frame_that_no_client_may_send_all_is_passed_and_nothing_counted():
    for wrong in (frame(media(1), mask=None), frame("x", rsv=4), frame("x", 3), frame("x", 0)):
        for at in range(1, len(wrong)):
            tap = started()
            tap.n_read = 1
            passed = [tap.feed(MARK + SPOKEN + wrong[:at]), tap.feed(wrong[at:]), tap.feed(SPOKEN)]
            assert b"".join(filter(None, passed)) == MARK + wrong + SPOKEN
            assert (tap.n_passed, tap.n_frames) == (1, 1)


def test_a_message_that_the_library_refuses_is_overtaken_by_none():
    tapped = TappedWay(16000, max_size=1000)
    tapped.tap.start(SID)
    tapped.receive(SPOKEN + frame("x" * 1001) + SPOKEN)
    tapped.read_some(9)
    tapped.receive(SPOKEN)
    assert not tapped.library.messages
    assert (tapped.tap.n_frames, tapped.tap.received_ms) == (1, 20.0)


# Audio that waits.


def test_audio_of_both_ways_is_one_stream():
    tap, reader = started(), MediaReader(SID)
    payloads = [bytes([17 * number] * 160) for number in range(1, 7)]
    for number, payload in enumerate(payloads, 1):
        if number % 2:
            assert tap.feed(frame(media(number, payload))) is None
        else:
            tap.put(payload, 20 * number)
        assert tap.until_ms == 20 * number + 20
    expected = b"".join(reader.read(media(1, payload)) for payload in payloads)
    assert tap.take(len(expected)) == expected
    assert (tap.n_frames, tap.received_ms) == (3, 120.0)


def test_the_end_of_the_audio_is_that_of_the_latest_message():
    tap = started()
    tap.put(bytes(80), 100)
    assert tap.until_ms == 110.0
    assert tap.feed(SPOKEN) is None  # an earlier one
    assert tap.until_ms == 110.0
    tap.put(bytes(1), 2**64 - 1)  # the greatest that a peer can send
    assert tap.until_ms == 2.0**64


@pytest.mark.parametrize(("rate_hz", "most"), [(None, 320), (8000, 640), (16000, 1280)])
def test_more_than_the_limit_is_refused_or_passed_on_and_nothing_changes(rate_hz, most):
    tap = started(rate_hz=rate_hz, limit_ms=40)
    assert tap.feed(SPOKEN) is None
    tap.put(bytes(159), 20)
    with pytest.raises(UsageError, match=f"{most + most // 320} octets of .*, at most {most} may"):
        tap.put(bytes(2), 40)
    assert tap.feed(SPOKEN) is SPOKEN
    assert (tap.n_frames, tap.n_passed, tap.received_ms) == (1, 1, 39.875)
    assert tap.until_ms == 40.0
    tap.put(bytes(1), 40)
    assert tap.n_waiting == most
    assert len(tap.take(most // 2)) == most // 2
    tap.n_read = 1
    assert tap.feed(SPOKEN) is None
    assert tap.n_waiting == most


def test_as_much_audio_as_may_wait_comes_out_as_it_went_in():
    tap = started(rate_hz=None)
    payload = bytes(range(256)) * 469
    tap.put(payload[:120_000], 0)
    assert tap.n_waiting == 120_000
    assert b"".join(tap.take(641) for _ in range(188)) == payload[:120_000]
