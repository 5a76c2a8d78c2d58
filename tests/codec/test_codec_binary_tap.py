"""What a BinaryTap takes and leaves, with frames as websockets makes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from voice_ai.codec._binary_tap import BinaryTap, binary_frame

AUDIO = Frame(Opcode.BINARY, bytes(range(200)) * 4).serialize(mask=False)
TEXT = Frame(Opcode.TEXT, b'{"type":"Flushed"}').serialize(mask=False)
PING = Frame(Opcode.PING, b"there?").serialize(mask=False)
CLOSE = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)


def test_nothing():
    tap = BinaryTap()
    assert tap.feed(b"") is None
    assert tap.audio == b""
    assert list(tap.texts) == []


def test_audio_alone_leaves_nothing():
    tap = BinaryTap()
    assert tap.feed(AUDIO) is None
    assert tap.audio == bytes(range(200)) * 4
    assert tap.feed(AUDIO + AUDIO) is None
    assert tap.audio == bytes(range(200)) * 8


def test_what_is_no_message_is_given_back_as_it_is():
    tap = BinaryTap()
    for data in (PING, PING + TEXT, PING + AUDIO):
        assert tap.feed(data) is data
        assert (tap.audio, list(tap.texts)) == (b"", [])


def test_texts_that_come_whole_are_taken_and_what_is_behind_them_is_not_audio():
    tap = BinaryTap()
    assert tap.feed(TEXT + Frame(Opcode.TEXT, "é".encode()).serialize(mask=False)) is None
    assert tap.texts == ['{"type":"Flushed"}', "é"]
    assert tap.feed(b"") is None
    assert list(tap.texts) == []
    assert tap.feed(TEXT[:-1]) == TEXT[:-1]
    assert tap.feed(TEXT[-1:] + TEXT) == TEXT[-1:] + TEXT
    assert list(tap.texts) == []


@pytest.mark.parametrize("octets", [b"\xff", b"\xed\xa0\x80", b"\xc3"])
def test_a_text_that_is_no_utf_8_is_for_the_library_which_closes(octets):
    frame = Frame(Opcode.TEXT, octets).serialize(mask=False)
    tap = BinaryTap()
    assert tap.feed(TEXT + frame + TEXT) == frame + TEXT
    assert tap.texts == ['{"type":"Flushed"}']


def test_audio_behind_a_text_does_not_overtake_it():
    tap = BinaryTap()
    assert tap.feed(AUDIO + TEXT + AUDIO[:100]) == AUDIO[:100]
    assert tap.audio == bytes(range(200)) * 4
    assert tap.texts == ['{"type":"Flushed"}']
    assert tap.feed(AUDIO[100:]) == AUDIO[100:]
    assert tap.feed(AUDIO) is None


def test_audio_is_taken_before_its_frame_has_come_whole():
    tap = BinaryTap()
    taken = b""
    for octet in AUDIO:
        assert tap.feed(bytes([octet])) is None
        taken += tap.audio
    assert taken == bytes(range(200)) * 4


def test_all_is_passed_on_behind_a_close():
    tap = BinaryTap()
    assert tap.feed(CLOSE) == CLOSE
    assert tap.feed(AUDIO) == AUDIO


@pytest.mark.parametrize(
    "wrong",
    [
        b"\xc2\x01a",  # a reserved bit
        b"\x82\x81abcda",  # a mask
        b"\x83\x01a",  # an opcode of nobody's
        b"\x80\x01a",  # a continuation of nothing
        b"\x01\x01a\x82\x01a",  # a message within a message
        b"\x09\x01a",  # a fragment of a ping
        b"\x89\x7e\x00\x80" + bytes(128),  # a ping of 128 octets
    ],
)
def test_what_is_wrong_is_for_the_library_and_all_behind_it(wrong):
    tap = BinaryTap()
    assert tap.feed(wrong) == wrong
    assert tap.feed(AUDIO) == AUDIO


def test_a_message_that_the_library_would_refuse_is_for_the_library():
    head = b"\x82\x7f" + (2**20 + 1).to_bytes(8, "big")
    assert BinaryTap().feed(head) == head


FRAMES = st.one_of(
    st.builds(lambda n: Frame(Opcode.BINARY, bytes(n)), st.sampled_from([0, 1, 125, 126, 700])),
    st.builds(lambda n: Frame(Opcode.BINARY, b"\1" * n), st.sampled_from([2, 65535, 65536])),
    st.just(Frame(Opcode.TEXT, b"text")),
    st.just(Frame(Opcode.PING, b"ping")),
    st.sampled_from([Opcode.TEXT, Opcode.BINARY]).map(lambda code: Frame(code, b"fr", fin=False)),
)


def octets(frames):
    """Octets of the frames, each fragment followed by its last, and what they mean in order."""
    data, means = b"", []
    for frame in frames:
        data += frame.serialize(mask=False)
        if not frame.fin:
            data += PING + Frame(Opcode.CONT, b"ag").serialize(mask=False)
            means += ["fr", "ping there?", "ag"]
        elif frame.opcode is Opcode.BINARY:
            means.append(frame.data)
        else:
            means.append(frame.data.decode())
    return data, means


def together(means):
    """Octets of audio next to each other are one; none are none."""
    made = []
    for it in means:
        if isinstance(it, bytes) and made and isinstance(made[-1], bytes):
            made[-1] += it
        elif it != b"":
            made.append(it)
    return made


class Reader:
    """Whole frames out of octets that come in any pieces."""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data
        while len(self.data) >= 2:
            n, size = self.data[1], 2
            if n >= 126:
                size += 2 if n == 126 else 8
                if len(self.data) < size:
                    return
                n = int.from_bytes(self.data[2:size], "big")
            if len(self.data) < size + n:
                return
            opcode, payload = self.data[0] & 15, self.data[size : size + n]
            self.data = self.data[size + n :]
            if opcode == Opcode.BINARY and payload != b"fr":
                yield payload
            else:
                yield payload.decode().replace("there?", "ping there?")


@given(st.lists(FRAMES, max_size=12), st.data())
def test_any_frames_in_any_pieces_mean_the_same_in_the_same_order(frames, data):
    whole, means = octets(frames)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=20).map(sorted))
    tap, reader, found = BinaryTap(), Reader(), []
    for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        rest = tap.feed(whole[begin:end])
        found.append(tap.audio)
        found += tap.texts
        found += reader.feed(rest or b"")
    assert reader.data == b""
    assert together(found) == together(means)


# A client's frames.


@pytest.mark.parametrize("n_octets", [0, 1, 125, 126, 640, 2560, 65535, 65536])
def test_a_binary_frame_is_what_a_server_reads(n_octets):
    audio = bytes(range(256)) * (n_octets // 256 + 1)
    server = ServerProtocol(state=State.OPEN)
    server.receive_data(binary_frame(memoryview(audio)[:n_octets]))
    (frame,) = server.events_received()
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.BINARY, True, audio[:n_octets])


def test_no_two_masks_are_alike():
    # 5,000 of 2**32 keys: two alike in one of three hundred runs, so a hundredth may be.
    keys = {binary_frame(b"")[-4:] for _ in range(5000)}
    assert len(keys) > 4950
