"""WAV files in and out: what is none first, then every encoding, then the stereo of a call."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from voice_ai.codec import ulaw_decode, ulaw_encode
from voice_ai.errors import UsageError
from voice_ai.phone import read_recording, write_stereo

SINE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)


def wav(path, data, *, tag=1, channels=1, rate_hz=8000, bits=16, extensible=False, claimed=None):
    """Write a WAV file by hand, so that none of the code under test is its own judge."""
    body = struct.pack(
        "<HHIIHH",
        0xFFFE if extensible else tag,
        channels,
        rate_hz,
        rate_hz * channels * bits // 8,
        channels * bits // 8,
        bits,
    )
    if extensible:
        guid = struct.pack("<H", tag) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
        body += struct.pack("<HHI", 22, bits, 4) + guid
    n = len(data) if claimed is None else claimed
    chunks = b"fmt " + struct.pack("<I", len(body)) + body
    chunks += b"LIST\x03\x00\x00\x00abc\x00" + b"data" + struct.pack("<I", n) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def pcm16(samples):
    return (samples * 32767).astype("<i2").tobytes()


def refusal(path):
    with pytest.raises(UsageError) as caught:
        read_recording(path)
    return str(caught.value)


def test_a_missing_file(tmp_path):
    assert (
        refusal(tmp_path / "no.wav") == f"cannot read {tmp_path}/no.wav: No such file or directory"
    )


def test_a_folder(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path} is a folder; needed a WAV file"


def test_a_device():
    assert refusal("/dev/zero") == "/dev/zero is not a regular file; needed a WAV file"


def test_a_name_that_is_none():
    assert "cannot read" in refusal("x" * 5000)


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert refusal(tmp_path / "empty.wav") == "empty.wav is empty; needed a WAV file"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"Hello, world, this is text", "b'Hello'"),
        (b"R", "b'R'"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "b'RIFF\\x00'"),
        (b"RF64\xff\xff\xff\xffWAVE", "b'RF64\\xff'"),
    ],
)
def test_what_is_no_wav_file_is_shown(tmp_path, octets, shown):
    path = tmp_path / "notes.txt"
    path.write_bytes(octets)
    assert refusal(path) == f"notes.txt is not a WAV file (it begins with {shown})"


@pytest.mark.parametrize("n", [12, 20, 36, 40])
def test_a_file_cut_off_within_its_header(tmp_path, n):
    path = wav(tmp_path / "a.wav", pcm16(SINE))
    path.write_bytes(path.read_bytes()[:n])
    assert "a.wav is a damaged WAV file" in refusal(path)


def test_a_short_format(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x01\x00\x01\x00data")
    assert "4 octets of format, needed 16" in refusal(path)


@pytest.mark.parametrize("data", [b"", b"a"])
def test_no_samples(tmp_path, data):
    assert refusal(wav(tmp_path / "a.wav", data)) == "a.wav holds no samples"


@pytest.mark.parametrize(
    ("channels", "rate_hz"), [(0, 8000), (65, 8000), (1, 0), (1, 999), (1, 10**6)]
)
def test_an_absurd_header(tmp_path, channels, rate_hz):
    path = wav(tmp_path / "a.wav", bytes(1000), channels=channels, rate_hz=rate_hz)
    assert f"{channels} channels at {rate_hz} Hz" in refusal(path)


@pytest.mark.parametrize(("tag", "bits"), [(1, 12), (1, 0), (2, 4), (85, 0), (3, 16), (7, 16)])
def test_an_encoding_that_we_do_not_read(tmp_path, tag, bits):
    path = wav(tmp_path / "a.wav", bytes(1000), tag=tag, bits=bits)
    assert f"encoding {tag} with {bits} bits; needed PCM" in refusal(path)


def test_longer_than_ten_minutes(tmp_path):
    path = wav(tmp_path / "a.wav", bytes(601 * 2000), bits=16, rate_hz=1000)
    assert refusal(path) == "a.wav lasts 601 s; 600 s are the most"


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "1073741825 octets; 1073741824 are the most" in refusal(path)


def alaw(samples):
    """Encode by the standard's decision values, the slow way: the nearest decoded value."""
    codes = []
    for code in range(256):
        inverted = code ^ 0x55
        exponent, mantissa = (inverted >> 4) & 7, inverted & 15
        magnitude = 2 * mantissa + 1 if exponent == 0 else (2 * mantissa + 33) << (exponent - 1)
        codes.append(magnitude * 8 if inverted & 0x80 else -magnitude * 8)
    wanted = np.asarray(samples) * 32768
    return bytes(np.abs(np.array(codes)[None, :] - wanted[:, None]).argmin(axis=1).astype("u1"))


def pcm24(samples):
    return b"".join(int(x).to_bytes(3, "little", signed=True) for x in samples * (2**23 - 1))


@pytest.mark.parametrize(
    ("tag", "bits", "data"),
    [
        (1, 8, ((SINE * 127) + 128).round().astype("u1").tobytes()),
        (1, 16, pcm16(SINE)),
        (1, 24, pcm24(SINE)),
        (1, 32, (SINE * (2**31 - 1)).astype("<i4").tobytes()),
        (3, 32, SINE.astype("<f4").tobytes()),
        (3, 64, SINE.astype("<f8").tobytes()),
        (6, 8, alaw(SINE)),
        (7, 8, ulaw_encode(pcm16(SINE))),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_every_encoding_sounds_the_same(tmp_path, tag, bits, data, extensible):
    path = wav(tmp_path / "a.wav", data, tag=tag, bits=bits, extensible=extensible)
    heard = np.frombuffer(ulaw_decode(read_recording(path)), "<i2") / 32768
    assert len(heard) == len(SINE)
    error = np.sqrt(np.mean((heard - SINE) ** 2) / np.mean(SINE**2))
    assert error < 0.03


def test_mulaw_at_8_khz_is_not_touched(tmp_path):
    ulaw = bytes(code for code in range(256) if code != 0x7F)
    assert read_recording(wav(tmp_path / "a.wav", ulaw, tag=7, bits=8)) == ulaw


@pytest.mark.parametrize("rate_hz", [11025, 16000, 44100, 48000])
def test_every_rate_sounds_the_same(tmp_path, rate_hz):
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    heard = ulaw_decode(read_recording(wav(tmp_path / "a.wav", pcm16(sine), rate_hz=rate_hz)))
    samples = np.frombuffer(heard, "<i2")[200:-200] / 32768
    assert len(heard) // 2 == pytest.approx(8000, abs=2)
    assert np.sqrt(np.mean((samples - SINE[200 : 200 + len(samples)]) ** 2)) < 0.02


def test_channels_are_averaged(tmp_path):
    both = np.stack([SINE, np.zeros_like(SINE)], axis=1)
    heard = read_recording(wav(tmp_path / "a.wav", pcm16(both), channels=2))
    assert heard == read_recording(wav(tmp_path / "b.wav", pcm16(SINE / 2)))


def test_what_a_float_file_may_hold(tmp_path):
    data = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0], "<f4").tobytes()
    heard = ulaw_decode(read_recording(wav(tmp_path / "a.wav", data, tag=3, bits=32)))
    assert list(np.frombuffer(heard, "<i2")) == [0, 32124, -32124, 32124, -32124]


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 10**6])
def test_a_streamed_or_cut_file_gives_what_is_there(tmp_path, claimed):
    path = wav(tmp_path / "a.wav", pcm16(SINE) + b"\x01", claimed=claimed)
    assert len(read_recording(path)) == len(SINE)


def test_a_human_voice(tmp_path):
    path = Path(__file__).parent.parent / "data" / "speech" / "goforward.wav"
    with wave.open(str(path)) as file:
        seconds = file.getnframes() / file.getframerate()
    heard = read_recording(path)
    assert len(heard) / 8000 == pytest.approx(seconds, abs=0.001)
    assert np.abs(np.frombuffer(ulaw_decode(heard), "<i2")).max() > 1000


def test_a_call_is_written_caller_left(tmp_path):
    left, right = ulaw_encode(pcm16(SINE)), b"\xff" * 4000
    write_stereo(tmp_path / "call.wav", left, right)
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert samples[:, 0].tobytes() == ulaw_decode(left)
    assert not samples[:, 1].any()


def test_an_empty_call_is_written(tmp_path):
    write_stereo(tmp_path / "call.wav", b"", b"")
    assert (tmp_path / "call.wav").stat().st_size == 44


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/dev/full", "No space left on device"),
        ("/no/such/folder/call.wav", "No such file or directory"),
        ("/", "Is a directory"),
    ],
)
def test_what_cannot_be_written_is_named(path, why):
    with pytest.raises(UsageError, match=f"cannot write {path}: {why}"):
        write_stereo(path, b"\xff" * 10_000, b"")
