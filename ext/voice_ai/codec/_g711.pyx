"""G.711 µ-law by tables.

Source: ITU-T G.711 (11/1988), tables 2a and 2b, with the 14-bit quantiser of Sun's g711.c, which
Python's `audioop` was (up to 3.12): the two low bits are shifted out before the sign is taken.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from voice_ai.codec._door cimport (
    RELEASE_GIL_AT, OCTETS, PCM16, check_room, close_both, close_source, open_both,
    open_source,
)

# What the standard adds to a magnitude so that segments begin at powers of two, and the largest
# magnitude that still has a code, both in units of the 14-bit scale.
cdef enum:
    BIAS = 33
    CLIP = 8158

# Octets 0 and 1 hold the sample: four of them are put together in a register and stored at once,
# which takes 0.75 of the time of four stores (decoding) and half (encoding).
cdef uint64_t DECODED[256]
# By the upper 14 bits of a sample. One of 65,536 entries does not fit a first-level cache and lost
# at every size.
cdef uint8_t ENCODED[16384]


cdef int16_t sample_of(int code) noexcept nogil:
    cdef int inverted = ~code
    cdef int magnitude = ((((inverted & 0x0F) << 1) + BIAS) << ((inverted & 0x70) >> 4)) - BIAS
    return <int16_t>(-4 * magnitude if inverted & 0x80 else 4 * magnitude)


cdef uint8_t code_of(int sample14) noexcept nogil:
    cdef int inversion = 0x7F if sample14 < 0 else 0xFF
    cdef int magnitude = min(-sample14 if sample14 < 0 else sample14, CLIP) + BIAS
    cdef int segment = 0
    while magnitude >> (segment + 6):
        segment += 1
    return <uint8_t>((segment << 4 | (magnitude >> (segment + 1)) & 0x0F) ^ inversion)


cdef void fill_tables() noexcept nogil:
    cdef int i
    for i in range(256):
        DECODED[i] = <uint16_t>sample_of(i)
    for i in range(16384):
        ENCODED[i] = code_of(i if i < 8192 else i - 16384)


fill_tables()


cdef void decode_ulaw(const uint8_t* ulaw, Py_ssize_t n_samples, uint8_t* pcm16) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint64_t four
    while i + 4 <= n_samples:
        four = (
            DECODED[ulaw[i]] | DECODED[ulaw[i + 1]] << 16
            | DECODED[ulaw[i + 2]] << 32 | DECODED[ulaw[i + 3]] << 48
        )
        memcpy(pcm16 + 2 * i, &four, 8)
        i += 4
    while i < n_samples:
        memcpy(pcm16 + 2 * i, &DECODED[ulaw[i]], 2)
        i += 1


cdef void encode_ulaw(const uint8_t* pcm16, Py_ssize_t n_samples, uint8_t* ulaw) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint64_t four
    cdef uint32_t codes
    cdef uint16_t sample
    while i + 4 <= n_samples:
        memcpy(&four, pcm16 + 2 * i, 8)
        codes = (
            ENCODED[four >> 2 & 0x3FFF] | <uint32_t>ENCODED[four >> 18 & 0x3FFF] << 8
            | <uint32_t>ENCODED[four >> 34 & 0x3FFF] << 16 | <uint32_t>ENCODED[four >> 50] << 24
        )
        memcpy(ulaw + i, &codes, 4)
        i += 4
    while i < n_samples:
        memcpy(&sample, pcm16 + 2 * i, 2)
        ulaw[i] = ENCODED[sample >> 2]
        i += 1


cdef void decode_at_will(const uint8_t* ulaw, Py_ssize_t n_samples, uint8_t* pcm16) noexcept:
    if n_samples < RELEASE_GIL_AT:
        decode_ulaw(ulaw, n_samples, pcm16)
        return
    with nogil:
        decode_ulaw(ulaw, n_samples, pcm16)


cdef void encode_at_will(const uint8_t* pcm16, Py_ssize_t n_samples, uint8_t* ulaw) noexcept:
    if n_samples < RELEASE_GIL_AT:
        encode_ulaw(pcm16, n_samples, ulaw)
        return
    with nogil:
        encode_ulaw(pcm16, n_samples, ulaw)


def ulaw_decode_into(src, dst, /):
    """Decode µ-law into the caller's buffer as PCM16.

    The form for a live path: nothing is allocated. The caller owns both buffers, which must not
    overlap; octets of `dst` beyond the samples written keep their value.

    Args:
        src: n octets of µ-law; any contiguous buffer.
        dst: a writable contiguous buffer of at least 2 n octets; receives int16, little-endian.

    Returns:
        n, the number of samples written.

    Raises:
        UsageError: `dst` is too short or overlaps `src`; nothing was written.
        BufferError: a buffer is not contiguous, or `dst` is read-only.

    Cost: no allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2b.
    """
    cdef Py_buffer a, b
    open_both(src, OCTETS, dst, PCM16, &a, &b)
    try:
        check_room(&a, &b, 2 * a.len)
        decode_at_will(<const uint8_t*>a.buf, a.len, <uint8_t*>b.buf)
        return a.len
    finally:
        close_both(&a, &b)


def ulaw_encode_into(src, dst, /):
    """Encode PCM16 into the caller's buffer as µ-law.

    The form for a live path: nothing is allocated. The caller owns both buffers, which must not
    overlap; octets of `dst` beyond the samples written keep their value.

    Args:
        src: n samples of int16, little-endian; any contiguous buffer, also an array of int16.
        dst: a writable contiguous buffer of at least n octets.

    Returns:
        n, the number of samples written.

    Raises:
        UsageError: `src` ends within a sample, or `dst` is too short or overlaps it; nothing was
            written.
        BufferError: a buffer is not contiguous, or `dst` is read-only.

    Cost: no allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2a; bit-exact to Python's former `audioop.lin2ulaw`.
    """
    cdef Py_buffer a, b
    open_both(src, PCM16, dst, OCTETS, &a, &b)
    try:
        check_room(&a, &b, a.len >> 1)
        encode_at_will(<const uint8_t*>a.buf, a.len >> 1, <uint8_t*>b.buf)
        return a.len >> 1
    finally:
        close_both(&a, &b)


def ulaw_decode(data, /):
    """Decode µ-law to PCM16 and return a new `bytes`.

    For files and tests; a live path writes into its own buffer with `ulaw_decode_into`.

    Args:
        data: n octets of µ-law; any contiguous buffer.

    Returns:
        2 n octets of int16, little-endian, in steps of 4 between -32,124 and 32,124.

    Raises:
        BufferError: `data` is not contiguous.

    Cost: one allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2b.
    """
    cdef Py_buffer a
    open_source(data, OCTETS, &a)
    try:
        pcm16 = PyBytes_FromStringAndSize(NULL, 2 * a.len)
        decode_at_will(<const uint8_t*>a.buf, a.len, <uint8_t*>PyBytes_AS_STRING(pcm16))
        return pcm16
    finally:
        close_source(&a)


def ulaw_encode(pcm16, /):
    """Encode PCM16 as µ-law and return a new `bytes`.

    For files and tests; a live path writes into its own buffer with `ulaw_encode_into`.

    Args:
        pcm16: n samples of int16, little-endian; any contiguous buffer, also an array of int16.

    Returns:
        n octets; silence is 0xFF, and 0x7F, the code of negative zero, is never given.

    Raises:
        UsageError: `pcm16` ends within a sample.
        BufferError: `pcm16` is not contiguous.

    Cost: one allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2a; bit-exact to Python's former `audioop.lin2ulaw`.
    """
    cdef Py_buffer a
    open_source(pcm16, PCM16, &a)
    try:
        ulaw = PyBytes_FromStringAndSize(NULL, a.len >> 1)
        encode_at_will(<const uint8_t*>a.buf, a.len >> 1, <uint8_t*>PyBytes_AS_STRING(ulaw))
        return ulaw
    finally:
        close_source(&a)
