"""Samples to media messages: the same as each step alone, and what is refused."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from reference import media as reference
from voice_ai.codec.frames import MediaWriter
from voice_ai.codec.g711 import ulaw_decode, ulaw_encode
from voice_ai.codec.resample import ResampleStream
from voice_ai.errors import ProtocolError, UsageError
from voice_ai.wire import twilio

SID = "MZ0123456789abcdef0123456789abcdef"
RATES = (8000, 16000, 24000)
ANY_RATE = pytest.mark.parametrize("rate_hz", [None, *RATES])
PCM_RATE = pytest.mark.parametrize("rate_hz", RATES)
FRAME = 160


def noise(n_octets: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n_octets, np.uint8).tobytes()


def ulaw_of(rate_hz: int | None, *pieces: bytes) -> bytes:
    """What `MediaWriter` puts into its messages of a whole utterance."""
    if rate_hz is None:
        return b"".join(pieces)
    stream = ResampleStream(rate_hz, 8000)
    made = [stream.resample_chunk(piece) for piece in pieces]
    return ulaw_encode(b"".join([*made, stream.resample_chunk(b"", last=True)]))


def framed(ulaw: bytes, sid: str = SID) -> bytes:
    pieces = (ulaw[at : at + FRAME] for at in range(0, len(ulaw), FRAME))
    return b"".join(reference.frame(reference.message(sid, piece)) for piece in pieces)


# The degenerate ones, and what is refused.


@ANY_RATE
def test_nothing_sends_nothing(rate_hz):
    writer = MediaWriter(SID, rate_hz=rate_hz)
    assert writer.message(b"") == writer.messages(b"") == b""
    assert writer.message_into(b"", bytearray()) == writer.messages_into(b"", bytearray()) == 0
    assert writer.room(0) == 0
    if rate_hz in (None, 8000):
        assert writer.messages(b"", last=True) == b""


@PCM_RATE
def test_audio_that_ends_within_a_sample_is_refused_and_nothing_is_taken(rate_hz):
    writer, dst = MediaWriter(SID, rate_hz=rate_hz), bytearray(1000)
    for work in (writer.message, writer.messages):
        with pytest.raises(UsageError, match="src holds 321 octets"):
            work(b"\x7f" * 321)
    for work_into in (writer.message_into, writer.messages_into):
        with pytest.raises(UsageError, match="src holds 321 octets"):
            work_into(b"\x7f" * 321, dst)
    assert not any(dst)
    ulaw = ulaw_of(rate_hz, noise(960))
    assert writer.message(noise(960), last=True) == reference.message(SID, ulaw)


@ANY_RATE
def test_a_short_dst_of_messages_names_both_numbers_and_nothing_is_taken(rate_hz):
    audio, whole = noise(2000), MediaWriter(SID, rate_hz=rate_hz).messages(noise(2000), last=True)
    writer, dst = MediaWriter(SID, rate_hz=rate_hz), bytearray(len(whole) - 1)
    message = f"dst holds {len(whole) - 1} octets, {len(whole)} are needed"
    with pytest.raises(UsageError, match=message):
        writer.messages_into(audio, dst, last=True)
    with pytest.raises(UsageError, match=r"dst holds 10 octets, \d+ are needed"):
        writer.message_into(audio, memoryview(dst)[:10])
    assert not any(dst)
    assert writer.messages(audio, last=True) == whole


def test_overlap_and_foreign_objects_are_refused():
    writer, memory = MediaWriter(SID), memoryview(bytearray(3000))
    for work in (writer.message_into, writer.messages_into):
        with pytest.raises(UsageError, match="src of 640 octets and dst of 2001 overlap"):
            work(memory[999:1639], memory[999:])
        with pytest.raises(BufferError):
            work(bytes(640), bytes(3000))
        with pytest.raises(UsageError, match="src holds items of 4 octets"):
            work(np.zeros(640, np.float32), memory)
    for work in (writer.message, writer.messages):
        with pytest.raises(TypeError):
            work("text")
        with pytest.raises(BufferError):
            work(memory[::2])
    with pytest.raises(UsageError, match="src holds items of 2 octets"):
        MediaWriter(SID, rate_hz=None).message(np.zeros(640, np.int16))
    with pytest.raises(UsageError, match="n_samples is -1, at least 0"):
        writer.room(-1)


def test_an_error_lets_go_of_both_buffers():
    audio, dst = bytearray(641), bytearray(10)
    with pytest.raises(UsageError):
        MediaWriter(SID).messages(audio)
    with pytest.raises(UsageError):
        MediaWriter(SID, rate_hz=None).messages_into(audio, dst)
    audio.append(0)  # raises BufferError while anybody holds it
    dst.append(0)


# What is sent.


@pytest.mark.parametrize("n_octets", [1, 2, 3, 159, 160, 161, 511, 512, 513, 5000])
def test_a_message_is_twilios_to_the_octet(n_octets):
    payload = noise(n_octets)
    message = MediaWriter(SID, rate_hz=None).message(payload)
    assert message.decode() == twilio.media(SID, payload)
    pcm16 = ulaw_decode(payload.replace(b"\x7f", b"\xff"))
    message = MediaWriter(SID, rate_hz=8000).message(pcm16)
    assert message.decode() == twilio.media(SID, payload.replace(b"\x7f", b"\xff"))


@pytest.mark.parametrize(
    "sid",
    ["", 'a"b\\c/d', "\x00\x01\b\f\n\r\t\x1f\x7f", "\u00e9\u20ac\u2028\U0001f600", "x" * 256],
)
def test_ids_are_quoted_as_twilio_takes_them(sid):
    writer = MediaWriter(sid, rate_hz=None)
    assert writer.message(b"\xff").decode() == twilio.media(sid, b"\xff")
    assert writer.messages(bytes(160)) == framed(bytes(160), sid)


@ANY_RATE
def test_a_long_message_is_its_steps(rate_hz):
    audio = noise(200_000)
    ulaw = ulaw_of(rate_hz, audio)
    assert MediaWriter(SID, rate_hz=rate_hz).message(audio, last=True) == reference.message(
        SID, ulaw
    )


@ANY_RATE
def test_a_long_piece_without_the_gil_is_the_same(rate_hz):
    audio = noise(400_002)
    writer = MediaWriter(SID, rate_hz=rate_hz)
    made = writer.messages(audio) + writer.messages(audio, last=True)
    assert made == framed(ulaw_of(rate_hz, audio, audio))


def test_two_threads_in_one_stream_stay_within_their_buffers():
    writer, audio = MediaWriter(SID, rate_hz=16000), noise(2 * 70_001)
    written: list[int] = []
    rooms = [bytearray(b"\x5a" * (writer.room(100_000) + 1)) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda dst=dst: written.append(writer.messages_into(audio, dst)))
        for dst in rooms
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    n_frame = len(framed(bytes(FRAME)))
    assert [n % n_frame for n in written] == [0] * 4
    assert all(set(dst[max(written) :]) == {0x5A} for dst in rooms)


def test_a_frame_makes_a_frame_from_the_first_on():
    writer, audio = MediaWriter(SID, rate_hz=16000), noise(640)
    assert {len(writer.messages(audio)) for _ in range(20)} == {len(framed(bytes(160)))}


def test_frames_of_any_length_have_their_form_of_header():
    lengths = set()
    for n_characters in range(90):
        sid = "M" * n_characters
        frame = MediaWriter(sid, rate_hz=None).messages(b"\xff", last=True)
        assert frame == framed(b"\xff", sid)
        lengths.add(len(reference.message(sid, b"\xff")))
    assert {125, 126, 127} <= lengths


@ANY_RATE
@given(data=st.data())
def test_any_chunking_makes_the_same_frames(rate_hz, data):
    n_samples = st.integers(0, 1600)
    size = 1 if rate_hz is None else 2
    pieces = [noise(n * size, n) for n in data.draw(st.lists(n_samples, max_size=6))]
    writer, by_into = (MediaWriter(SID, rate_hz=rate_hz) for _ in range(2))
    made, made_into = b"", b""
    for i, piece in enumerate(pieces, 1):
        is_last = i == len(pieces)
        dst = bytearray(by_into.room(len(piece) // size, last=is_last))
        n_octets = by_into.messages_into(piece, dst, last=is_last)
        made_into += dst[:n_octets]
        made += writer.messages(piece, last=is_last)
    expected = framed(ulaw_of(rate_hz, *pieces)) if pieces else b""
    assert made == made_into == expected


@ANY_RATE
@given(n_held=st.integers(0, 300), n_samples=st.integers(0, 2000), last=st.booleans())
def test_room_suffices_for_either_form_and_not_for_more(rate_hz, n_held, n_samples, last):
    size = 1 if rate_hz is None else 2
    sizes = []
    for way in ("message", "messages"):
        writer = MediaWriter(SID, rate_hz=rate_hz)
        writer.messages(bytes(n_held * size))
        room = writer.room(n_samples, last=last)
        dst = bytearray(room)
        sizes.append(getattr(writer, f"{way}_into")(bytes(n_samples * size), dst, last=last))
    assert room == max(sizes)


@ANY_RATE
def test_what_waits_goes_first_and_an_end_begins_anew(rate_hz):
    writer, size = MediaWriter(SID, rate_hz=rate_hz), 1 if rate_hz is None else 2
    some, more = noise(100 * size), noise(777 * size, 2)
    for _ in range(2):
        assert writer.messages(some) == b""
        ulaw = ulaw_of(rate_hz, some, more)
        assert writer.message(more, last=True) == reference.message(SID, ulaw)
    writer.messages(some)
    assert writer.message(b"") != b""
    assert writer.message(b"") == b""


@ANY_RATE
def test_clear_forgets_all(rate_hz):
    writer, size = MediaWriter(SID, rate_hz=rate_hz), 1 if rate_hz is None else 2
    writer.messages(noise(1001 * size))
    writer.clear()
    audio = noise(999 * size, 2)
    assert writer.messages(audio, last=True) == framed(ulaw_of(rate_hz, audio))


def test_twilio_would_take_what_is_sent():
    writer, audio = MediaWriter(SID, rate_hz=24000), noise(48_000)
    command = twilio.parse_command(writer.message(audio, last=True).decode(), SID)
    assert command == twilio.PlayMedia(ulaw_of(24000, audio))
    with pytest.raises(ProtocolError):
        twilio.parse_command(writer.message(audio).decode(), "another")


# One message with its head.


@pytest.mark.parametrize("n_octets", [0, 1, 20, 160, 3200, 60_000])
def test_a_frame_is_the_message_behind_a_head(n_octets):
    ulaw = bytes(range(256)) * (n_octets // 256 + 1)
    ulaw = ulaw[:n_octets]
    message = MediaWriter("MZ1", rate_hz=None).message(ulaw)
    frame = MediaWriter("MZ1", rate_hz=None).frame(ulaw)
    assert frame == (Frame(Opcode.TEXT, message).serialize(mask=False) if n_octets else b"")


def test_frames_and_messages_are_one_stream():
    writer, other = MediaWriter("MZ1", rate_hz=24000), MediaWriter("MZ1", rate_hz=24000)
    pcm16 = bytes(range(240)) * 8
    for piece in (pcm16[:2], pcm16[2:700], pcm16[700:]):
        message = other.message(piece)
        assert writer.frame(piece) == (
            Frame(Opcode.TEXT, message).serialize(mask=False) if message else b""
        )
