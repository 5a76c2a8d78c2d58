"""Base64: every kernel against the standard library's, and what is refused."""

import string
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import media as reference
from voice_ai.codec import _base64
from voice_ai.errors import UsageError

LETTERS = string.ascii_letters + string.digits + "+/"
NEARLY = st.text(alphabet=f"{LETTERS}=", max_size=120).map(str.encode)


@pytest.fixture(params=_base64.kernels())
def kernel(request):
    before = _base64.kernel()
    _base64.use(request.param)
    yield request.param
    _base64.use(before)


# The degenerate ones.


def test_nothing_is_nothing(kernel):
    assert _base64.encode(b"") == b""
    assert _base64.decode(b"") == b""


@pytest.mark.parametrize(
    "text",
    ["=", "==", "====", "A", "AA", "AAA", "AA=", "A===", "AA=A", "A=A=", "=AAA", "AAAAA", "AAAA="]
    + ["AAAA====", "AAAAA===", "AA==AAAA", "AAA=AAAA", "AAA=AAA=", "AAAA\n", "AAA\n", " AAA"]
    + ["AA-_", "AA\0A", "AAA\x7f", "AAA\x80", "AAAé"],
)
def test_what_is_no_base64_is_refused(kernel, text):
    data = text.encode("latin-1")
    assert _base64.decode(data) is None
    assert reference.base64_decode(data) is None
    for n_before in (12, 16, 28, 32, 60, 64, 128):
        assert _base64.decode(b"A" * n_before + data) is None


def test_the_bits_that_padding_leaves_over_may_be_anything(kernel):
    assert _base64.decode(b"/////w==") == _base64.decode(b"//////==") == b"\xff" * 4
    assert _base64.decode(b"AAB=") == bytes(2)


def test_no_character_at_no_place_passes_for_another(kernel):
    for at in range(68):
        text = bytearray(LETTERS.encode() + b"abcd")
        for character in range(256):
            text[at] = character
            assert _base64.decode(text) == reference.base64_decode(bytes(text))


# Exact.


def test_rfc_4648s_own_examples(kernel):
    coded = (b"", b"Zg==", b"Zm8=", b"Zm9v", b"Zm9vYg==", b"Zm9vYmE=", b"Zm9vYmFy")
    for n_octets, text in enumerate(coded):
        assert _base64.encode(b"foobar"[:n_octets]) == text
        assert _base64.decode(text) == b"foobar"[:n_octets]


def test_every_length_around_the_vectors(kernel):
    data = bytes((i * i + 3 * i) & 0xFF for i in range(400))
    for n_octets in range(len(data)):
        text = b64encode(data[:n_octets])
        assert _base64.encode(data[:n_octets]) == text
        assert _base64.decode(text) == data[:n_octets]


def test_odd_addresses_serve(kernel):
    data = memoryview(bytes(range(256)) * 3)
    for offset in range(33):
        text = b"x" * offset + b64encode(data[offset:])
        assert _base64.encode(data[offset:]) == text[offset:]
        assert _base64.decode(memoryview(text)[offset:]) == data[offset:]


@given(data=st.binary(max_size=2000))
def test_a_round_trip(data):
    for name in _base64.kernels():
        _base64.use(name)
        assert _base64.encode(data) == b64encode(data)
        assert _base64.decode(_base64.encode(data)) == data
    _base64.use(_base64.kernels()[0])


@given(text=st.one_of(NEARLY, st.binary(max_size=120)))
def test_all_kernels_refuse_alike(text):
    expected = reference.base64_decode(text)
    for name in _base64.kernels():
        _base64.use(name)
        assert _base64.decode(text) == expected
    _base64.use(_base64.kernels()[0])


# The doors.


def test_what_is_no_buffer_of_octets_is_refused():
    for work in (_base64.encode, _base64.decode):
        with pytest.raises(TypeError):
            work("AAAA")
        with pytest.raises(BufferError):
            work(memoryview(bytes(8))[::2])
        with pytest.raises(UsageError, match="items of 4 octets"):
            work(memoryview(bytes(8)).cast("i"))


def test_a_refused_text_is_let_go_of():
    text = bytearray(b"AA!A")
    assert _base64.decode(text) is None
    text.append(0)  # raises BufferError while anybody holds it


def test_the_best_kernel_runs_and_an_unknown_one_is_refused():
    assert _base64.kernel() == _base64.kernels()[0]
    assert _base64.kernels()[-1] == "portable"
    with pytest.raises(UsageError, match="no kernel 'mmx' on this machine; there are .*portable"):
        _base64.use("mmx")
    assert _base64.kernel() == _base64.kernels()[0]
