"""Media messages to samples: the same as each step alone, and what is not taken or is refused."""

import ctypes
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import media as reference
from voice_ai.codec.frames import MediaReader, MediaWriter
from voice_ai.codec.g711 import ulaw_decode
from voice_ai.codec.resample import ResampleStream
from voice_ai.errors import UsageError
from voice_ai.wire import twilio

SID = "MZ0123456789abcdef0123456789abcdef"
ANY_RATE = pytest.mark.parametrize("rate_hz", [None, 8000, 16000, 24000])
FACES = pytest.mark.parametrize("face", [MediaReader, MediaWriter])


def noise(n_octets: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n_octets, np.uint8).tobytes()


def caller(payload: bytes, number: int = 1, sid: str = SID) -> str:
    return twilio.caller_media(sid, number + 2, number, 20 * number, payload)


class StepsIn:
    """What `MediaReader` does, a step at a time."""

    def __init__(self, rate_hz: int | None) -> None:
        self._rate_hz = rate_hz
        self._stream = ResampleStream(8000, rate_hz or 8000)

    def read(self, payload: bytes) -> bytes:
        return self._stream.resample_chunk(ulaw_decode(payload)) if self._rate_hz else payload


# What is not taken.

PLAIN = caller(b"\xff\x00\x7f", 4)
ALMOST = {
    "nothing": "",
    "another event": twilio.mark(SID, "m"),
    "an outbound message": twilio.media(SID, b"\xff"),
    "another stream": caller(b"\xff", sid=SID[:-1] + "0"),
    "a longer id": caller(b"\xff", sid=SID + "0"),
    "an empty payload": caller(b""),
    "bad base64": PLAIN.replace("/wB/", "/wB!"),
    "base64 without its padding": PLAIN.replace("/wB/", "/wA"),
    "base64 with a line break": PLAIN.replace("/wB/", "/wB/\\n"),
    "an escape in a value": PLAIN.replace("/wB/", "\\/wB/"),
    "an escape in a key": PLAIN.replace("chunk", "ch\\u0075nk"),
    "the other track": PLAIN.replace("inbound", "outbound"),
    "no track but null": PLAIN.replace('"inbound"', "null"),
    "no chunk": PLAIN.replace('"chunk":"4",', ""),
    "no timestamp": PLAIN.replace('"timestamp":"80",', ""),
    "no payload": PLAIN.replace(',"payload":"/wB/"', ""),
    "no sequence number": PLAIN.replace('"sequenceNumber":"6",', ""),
    "no event": PLAIN.replace('"event":"media",', ""),
    "no id": PLAIN.replace(f',"streamSid":"{SID}"', ""),
    "two chunks": PLAIN.replace('"chunk":"4"', '"chunk":"4","chunk":"4"'),
    "two events": PLAIN.replace('"event"', '"event":"media","event"'),
    "a negative number": PLAIN.replace('"4"', "-4"),
    "a broken number": PLAIN.replace('"4"', "4.0"),
    "a number with a leading zero": PLAIN.replace('"4"', "04"),
    "a number of 19 digits": PLAIN.replace('"4"', f'"{10**18}"'),
    "a bare number of 19 digits": PLAIN.replace('"4"', str(10**18)),
    "an empty number": PLAIN.replace('"4"', '""'),
    "digits of another script": PLAIN.replace('"4"', '"\u0664"'),
    "an unknown object": PLAIN.replace('"event"', '"x":{},"event"'),
    "an unknown array": PLAIN.replace('"chunk"', '"x":[1],"chunk"'),
    "an unknown fraction": PLAIN.replace('"chunk"', '"x":1.5,"chunk"'),
    "an accent": PLAIN.replace('"chunk"', '"x":"\u00e9","chunk"'),
    "a control character": PLAIN.replace('"chunk"', '"x":"\x1f","chunk"'),
    "white space of no JSON": PLAIN.replace(",", ",\x0b", 1),
    "a comma too many": PLAIN.replace("},", ",},"),
    "something behind it": PLAIN + "x",
    "two of them": PLAIN + PLAIN,
    "an array of it": f"[{PLAIN}]",
    "a mark of the order of octets": "\ufeff" + PLAIN,
    "a payload that is too long": caller(bytes(65537)),
}


@pytest.mark.parametrize("name", ALMOST)
def test_what_is_not_beyond_doubt_is_not_taken_and_nothing_changes(name):
    reader, steps, dst = MediaReader(SID), StepsIn(16000), bytearray(b"\x5a" * 200_000)
    assert reader.read(PLAIN) == steps.read(b"\xff\x00\x7f")
    for message in (ALMOST[name], ALMOST[name].encode()):
        assert reference.read(message, SID) is None
        assert reader.read(message) is None
        assert reader.read_into(message, dst) == -1
    assert dst == b"\x5a" * len(dst)
    assert (reader.timestamp_ms, reader.chunk, reader.sequence_number) == (80, 4, 6)
    assert reader.read(caller(noise(160))) == steps.read(noise(160))


def test_a_plain_message_cut_short_is_not_taken():
    reader = MediaReader(SID)
    for n_chars in range(len(PLAIN)):
        assert reader.read(PLAIN[:n_chars]) is None
        assert reader.read(PLAIN[:n_chars].encode()) is None


def test_before_the_first_message_there_are_no_numbers():
    reader = MediaReader(SID)
    assert (reader.timestamp_ms, reader.chunk, reader.sequence_number) == (-1, -1, -1)


# What is refused.


@FACES
def test_ids_and_rates_that_cannot_be(face):
    with pytest.raises(UsageError, match="rate_hz is 44100; 8000, 16000, 24000 or None"):
        face(SID, rate_hz=44100)
    with pytest.raises(UsageError, match=f"rate_hz is {10**30}"):
        face(SID, rate_hz=10**30)
    with pytest.raises(TypeError, match="rate_hz is an int or None, not str"):
        face(SID, rate_hz="16000")
    with pytest.raises(UsageError, match="holds 257 characters, at most 256"):
        face("M" * 257)
    with pytest.raises(UsageError, match=r"holds '\\ud800' at 1"):
        face("M\ud800")
    for sid in (b"MZ", None, 1):
        with pytest.raises(TypeError):
            face(sid)


def test_what_is_no_text_is_a_type_error():
    for message in (None, 1, bytearray(PLAIN.encode()), memoryview(b"{}")):
        with pytest.raises(TypeError, match="a message is str or bytes, not"):
            MediaReader(SID).read(message)
        with pytest.raises(TypeError, match="a message is str or bytes, not"):
            MediaReader(SID).read_into(message, bytearray(640))


@pytest.mark.parametrize(("rate_hz", "needed"), [(None, 160), (8000, 320), (16000, 640)])
def test_a_short_dst_names_both_numbers_and_nothing_is_taken(rate_hz, needed):
    reader, dst = MediaReader(SID, rate_hz=rate_hz), bytearray(b"\x5a" * (needed - 1))
    with pytest.raises(UsageError, match=f"dst holds {needed - 1} octets, {needed} are needed"):
        reader.read_into(caller(noise(160)), dst)
    assert dst == b"\x5a" * (needed - 1)
    assert reader.timestamp_ms == -1
    assert reader.read(caller(noise(160))) == StepsIn(rate_hz).read(noise(160))


def test_dst_of_another_kind_is_refused():
    for dst in (bytes(640), memoryview(bytearray(1280))[::2]):
        with pytest.raises(BufferError):
            MediaReader(SID).read_into(PLAIN, dst)
    with pytest.raises(UsageError, match="dst holds items of 4 octets"):
        MediaReader(SID).read_into(PLAIN, np.zeros(640, np.float32))
    with pytest.raises(UsageError, match="dst holds items of 2 octets"):
        MediaReader(SID, rate_hz=None).read_into(PLAIN, np.zeros(640, np.int16))
    with pytest.raises(TypeError):
        MediaReader(SID).read_into(PLAIN, "text")


def test_a_dst_within_the_message_is_refused():
    message = PLAIN.encode()
    address = id(message) + bytes.__basicsize__ - 1
    dst = (ctypes.c_ubyte * len(message)).from_address(address)
    with pytest.raises(UsageError, match="overlap"):
        MediaReader(SID).read_into(message, dst)
    assert message == PLAIN.encode()


def test_an_error_lets_go_of_dst():
    dst = bytearray(10)
    with pytest.raises(UsageError):
        MediaReader(SID).read_into(PLAIN, dst)
    assert MediaReader(SID).read_into("{}", dst) == -1
    dst.append(0)  # raises BufferError while anybody holds it


# What is taken.


@ANY_RATE
def test_a_message_is_its_steps(rate_hz):
    reader, by_into = MediaReader(SID, rate_hz=rate_hz), MediaReader(SID, rate_hz=rate_hz)
    steps, dst = StepsIn(rate_hz), bytearray(200_000)
    for number, n_octets in enumerate((160, 1, 2, 3, 160, 511, 512, 513, 1024, 1025, 20_000), 1):
        payload = noise(n_octets, number)
        expected = steps.read(payload)
        assert reader.read(caller(payload, number)) == expected
        n_samples = by_into.read_into(caller(payload, number).encode(), dst)
        assert n_samples == n_octets * (rate_hz or 8000) // 8000
        assert dst[: len(expected)] == expected
        assert reader.timestamp_ms == by_into.timestamp_ms == 20 * number
        assert reader.chunk == by_into.chunk == number
        assert reader.sequence_number == by_into.sequence_number == number + 2


def test_arrays_and_odd_addresses_serve():
    pcm16, octets = np.zeros(320, np.int16), memoryview(bytearray(641))[1:]
    assert MediaReader(SID).read_into(caller(noise(160)), pcm16) == 320
    assert MediaReader(SID).read_into(caller(noise(160)), octets) == 320
    assert pcm16.tobytes() == octets == MediaReader(SID).read(caller(noise(160)))


def test_clear_forgets_the_past_and_keeps_the_numbers():
    reader = MediaReader(SID)
    reader.read(caller(noise(160), 7))
    reader.clear()
    assert reader.chunk == 7
    assert reader.read(caller(noise(160, 2))) == StepsIn(16000).read(noise(160, 2))
    MediaReader(SID, rate_hz=None).clear()


@pytest.mark.parametrize(
    "change",
    [
        ('"chunk":"4"', '"chunk":4'),
        ('"chunk":"4"', '"chunk" : "4"'),
        ('"track":"inbound",', ""),
        ('"4"', '"000000000000000004"'),
        ("{", "{\n\t"),
        (",", " ,\r"),
        ('"event"', '"x":null,"event"'),
        ('"chunk"', '"x":-12,"x":true,"y":false,"z":" {}[],:/","event":0,"chunk"'),
        ("}", "}\n "),
    ],
)
def test_plain_messages_may_be_written_so(change):
    message = PLAIN.replace(*change)
    assert message != PLAIN
    reader = MediaReader(SID, rate_hz=None)
    assert reader.read(message) == reader.read(message.encode()) == b"\xff\x00\x7f"
    assert (reader.timestamp_ms, reader.chunk, reader.sequence_number) == (80, 4, 6)


def test_the_longest_payload():
    assert MediaReader(SID, rate_hz=None).read(caller(noise(65536))) == noise(65536)


@pytest.mark.parametrize(
    "sid", ["", "a/b", 'quo"te', "back\\slash", "tab\t", "\x00\x1f", "x" * 256]
)
def test_an_id_with_escapes_is_taken_as_we_write_it(sid):
    assert MediaReader(sid, rate_hz=None).read(caller(b"\x01", sid=sid)) == b"\x01"
    assert MediaReader(SID, rate_hz=None).read(caller(b"\x01", sid=sid)) is None


@pytest.mark.parametrize("sid", ["\u00e9", "\U0001f600"])
def test_an_id_beyond_ascii_is_never_taken(sid):
    reader = MediaReader(sid, rate_hz=None)
    assert reader.read(caller(b"\x01", sid=sid)) is None
    assert reader.read(caller(b"\x01", sid=sid).encode()) is None


COUNTER = st.integers(0, 10**18 - 1)


@given(
    sequence=COUNTER, chunk=COUNTER, time_ms=COUNTER, payload=st.binary(min_size=1, max_size=400)
)
def test_what_twilio_sends_is_taken_as_the_slow_reader_takes_it(sequence, chunk, time_ms, payload):
    message = twilio.caller_media(SID, sequence, chunk, time_ms, payload)
    reader = MediaReader(SID, rate_hz=None)
    assert reader.read(message) == payload
    numbers = (reader.timestamp_ms, reader.chunk, reader.sequence_number)
    assert twilio.Media(SID, payload, *numbers) == twilio.parse_message(message)
    assert (payload, *numbers) == reference.read(message, SID)


# From a plain message a few changes away.
CHARACTERS = st.sampled_from('"\\{}[]:, \n0123456789-.eE=/+Ax\x00\x7f\u00e9')
CHANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), CHARACTERS), max_size=3)


@given(changes=CHANGES)
def test_what_is_taken_the_slow_reader_takes_alike(changes):
    message = PLAIN
    for at, n_removed, character in changes:
        message = message[:at] + character + message[at + n_removed :]
    reader = MediaReader(SID, rate_hz=None)
    payload = reader.read(message)
    expected = reference.read(message, SID)
    if payload is None:
        assert expected is None
        return
    numbers = (reader.timestamp_ms, reader.chunk, reader.sequence_number)
    assert (payload, *numbers) == expected
    assert twilio.parse_message(message) == twilio.Media(SID, payload, *numbers)


def test_the_fuzz_in_short():
    fuzz = runpy.run_path(str(Path(__file__).parents[1] / "fuzz" / "fuzz_frames.py"))
    counts = fuzz["run_batch"](seed=7, n=20_000)
    assert counts.total() == 20_000
    assert set(counts) == {
        *("base64 taken", "base64 not taken", "message taken", "message not taken"),
        *("stream taken from", "stream not taken from"),
    }
    assert min(counts.values()) > 50
