"""G.711, µ-law and A-law, by the kernels of g711_kernels.h; the best is chosen at import."""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.stdint cimport uint8_t

from voice_ai.codec._door cimport (
    RELEASE_GIL_AT, OCTETS, PCM16, check_room, close_both, close_source, misuse, open_both,
    open_source,
)

cdef extern from "g711_kernels.h" nogil:
    ctypedef void (*g711_loop)(const uint8_t* src, ptrdiff_t n_samples, uint8_t* dst) noexcept
    ctypedef struct g711_kernel:
        const char* name
        g711_loop ulaw_decode
        g711_loop ulaw_encode
        g711_loop ulaw_encode_itu
        g711_loop alaw_decode
        g711_loop alaw_encode
    enum:
        G711_MAX_KERNELS
    int g711_find_kernels(g711_kernel* kernels)

cdef g711_kernel found[G711_MAX_KERNELS]
cdef int n_found = g711_find_kernels(found)
cdef g711_kernel chosen = found[0]


def kernels():
    """Name the kernels that this machine runs, the best first; for tests and benches."""
    return tuple([found[i].name.decode() for i in range(n_found)])


def kernel():
    """Name the kernel in use."""
    return chosen.name.decode()


def use(str name not None, /):
    """Choose a kernel for the whole process; for tests and benches.

    Raises:
        UsageError: this machine has no kernel of that name; the one in use stays.
    """
    global chosen
    for i in range(n_found):
        if found[i].name.decode() == name:
            chosen = found[i]
            return
    raise misuse(f"no kernel {name!r} on this machine; known are {', '.join(kernels())}")


cdef void decode_ulaw(const uint8_t* ulaw, Py_ssize_t n_samples, uint8_t* pcm16) noexcept nogil:
    chosen.ulaw_decode(ulaw, n_samples, pcm16)


cdef void encode_ulaw(const uint8_t* pcm16, Py_ssize_t n_samples, uint8_t* ulaw) noexcept nogil:
    chosen.ulaw_encode(pcm16, n_samples, ulaw)


cdef void run(g711_loop loop, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst) noexcept:
    if n_samples < RELEASE_GIL_AT:
        loop(src, n_samples, dst)
        return
    with nogil:
        loop(src, n_samples, dst)


cdef bytes decoded_octets(g711_loop loop, const uint8_t* src, Py_ssize_t n_samples):
    pcm16 = PyBytes_FromStringAndSize(NULL, 2 * n_samples)
    run(loop, src, n_samples, <uint8_t*>PyBytes_AS_STRING(pcm16))
    return pcm16


cdef bytes encoded_octets(g711_loop loop, const uint8_t* src, Py_ssize_t n_samples):
    codes = PyBytes_FromStringAndSize(NULL, n_samples)
    run(loop, src, n_samples, <uint8_t*>PyBytes_AS_STRING(codes))
    return codes


# Whole samples in bytes need no door: 9 of the 39 ns of a frame (Python 3.11).
cdef bytes decoded(g711_loop loop, object src):
    cdef Py_buffer a
    if PyBytes_CheckExact(src):
        return decoded_octets(loop, <const uint8_t*>PyBytes_AS_STRING(src), PyBytes_GET_SIZE(src))
    open_source(src, OCTETS, &a)
    try:
        return decoded_octets(loop, <const uint8_t*>a.buf, a.len)
    finally:
        close_source(&a)


cdef bytes encoded(g711_loop loop, object src):
    cdef Py_buffer a
    if PyBytes_CheckExact(src) and PyBytes_GET_SIZE(src) & 1 == 0:
        return encoded_octets(
            loop, <const uint8_t*>PyBytes_AS_STRING(src), PyBytes_GET_SIZE(src) >> 1,
        )
    open_source(src, PCM16, &a)
    try:
        return encoded_octets(loop, <const uint8_t*>a.buf, a.len >> 1)
    finally:
        close_source(&a)


cdef Py_ssize_t decode_into(g711_loop loop, object src, object dst) except -1:
    cdef Py_buffer a, b
    open_both(src, OCTETS, dst, PCM16, &a, &b)
    try:
        check_room(&a, &b, 2 * a.len)
        run(loop, <const uint8_t*>a.buf, a.len, <uint8_t*>b.buf)
        return a.len
    finally:
        close_both(&a, &b)


cdef Py_ssize_t encode_into(g711_loop loop, object src, object dst) except -1:
    cdef Py_buffer a, b
    open_both(src, PCM16, dst, OCTETS, &a, &b)
    try:
        check_room(&a, &b, a.len >> 1)
        run(loop, <const uint8_t*>a.buf, a.len >> 1, <uint8_t*>b.buf)
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
        UsageError: `data` holds wider items than octets, or has more than one dimension.
        BufferError: `data` is not contiguous.

    Cost: one allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2b.
    """
    return decoded(chosen.ulaw_decode, data)


def ulaw_encode(pcm16, /, bint itu=False):
    """Encode PCM16 as µ-law and return a new `bytes`.

    For files and tests; a live path writes into its own buffer with `ulaw_encode_into`.

    Args:
        pcm16: n samples of int16, little-endian; any contiguous buffer, also an array of int16.
        itu: give ITU-T G.191's codes. They differ from the default's for 508 negative samples:
            those whose magnitude, rounded up to a multiple of 4, begins an interval of the
            quantiser. ITU-T's are then of the interval below.

    Returns:
        n octets; silence is 0xFF, and the default never gives 0x7F, the code of negative zero,
        which `itu` gives for -4 to -1.

    Raises:
        UsageError: `pcm16` ends within a sample, holds items that are neither int16 nor octets,
            or has more than one dimension.
        BufferError: `pcm16` is not contiguous.

    Cost: one allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2a; bit-exact to Python's former `audioop.lin2ulaw`, or with `itu`
        to `ulaw_compress` of ITU-T G.191's software tool library.
    """
    return encoded(chosen.ulaw_encode_itu if itu else chosen.ulaw_encode, pcm16)


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
        UsageError: a buffer holds items of another kind or has more than one dimension, or `dst`
            is too short or overlaps `src`; nothing was written.
        BufferError: a buffer is not contiguous, or `dst` is read-only; nothing was written.

    Cost: no allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 2b.
    """
    return decode_into(chosen.ulaw_decode, src, dst)


def ulaw_encode_into(src, dst, /, bint itu=False):
    """Encode PCM16 into the caller's buffer as µ-law.

    The form for a live path: nothing is allocated. The caller owns both buffers, which must not
    overlap; octets of `dst` beyond the samples written keep their value.

    Args:
        src: n samples of int16, little-endian; any contiguous buffer, also an array of int16.
        dst: a writable contiguous buffer of at least n octets.
        itu: give ITU-T G.191's codes, as `ulaw_encode` says.

    Returns:
        n, the number of samples written.

    Raises:
        UsageError: `src` ends within a sample, a buffer holds items of another kind or has more
            than one dimension, or `dst` is too short or overlaps `src`; nothing was written.
        BufferError: a buffer is not contiguous, or `dst` is read-only; nothing was written.

    Cost: no allocation; the GIL is released from 65,536 samples on.
    Source: as `ulaw_encode`.
    """
    return encode_into(chosen.ulaw_encode_itu if itu else chosen.ulaw_encode, src, dst)


def alaw_decode(data, /):
    """Decode A-law to PCM16 and return a new `bytes`.

    For files and tests; a live path writes into its own buffer with `alaw_decode_into`.

    Args:
        data: n octets of A-law; any contiguous buffer.

    Returns:
        2 n octets of int16, little-endian: odd multiples of 8 between -32,256 and 32,256.

    Raises:
        UsageError: `data` holds wider items than octets, or has more than one dimension.
        BufferError: `data` is not contiguous.

    Cost: one allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 1b.
    """
    return decoded(chosen.alaw_decode, data)


def alaw_encode(pcm16, /):
    """Encode PCM16 as A-law and return a new `bytes`.

    For files and tests; a live path writes into its own buffer with `alaw_encode_into`.

    Args:
        pcm16: n samples of int16, little-endian; any contiguous buffer, also an array of int16.

    Returns:
        n octets; silence is 0xD5.

    Raises:
        UsageError: `pcm16` ends within a sample, holds items that are neither int16 nor octets,
            or has more than one dimension.
        BufferError: `pcm16` is not contiguous.

    Cost: one allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 1a; bit-exact to Python's former `audioop.lin2alaw` and to
        `alaw_compress` of ITU-T G.191's software tool library.
    """
    return encoded(chosen.alaw_encode, pcm16)


def alaw_decode_into(src, dst, /):
    """Decode A-law into the caller's buffer as PCM16; otherwise as `ulaw_decode_into`.

    Args:
        src: n octets of A-law; any contiguous buffer.
        dst: a writable contiguous buffer of at least 2 n octets; receives int16, little-endian.

    Returns:
        n, the number of samples written.

    Raises:
        UsageError: a buffer holds items of another kind or has more than one dimension, or `dst`
            is too short or overlaps `src`; nothing was written.
        BufferError: a buffer is not contiguous, or `dst` is read-only; nothing was written.

    Cost: no allocation; the GIL is released from 65,536 samples on.
    Source: ITU-T G.711, table 1b.
    """
    return decode_into(chosen.alaw_decode, src, dst)


def alaw_encode_into(src, dst, /):
    """Encode PCM16 into the caller's buffer as A-law; otherwise as `ulaw_encode_into`.

    Args:
        src: n samples of int16, little-endian; any contiguous buffer, also an array of int16.
        dst: a writable contiguous buffer of at least n octets.

    Returns:
        n, the number of samples written.

    Raises:
        UsageError: `src` ends within a sample, a buffer holds items of another kind or has more
            than one dimension, or `dst` is too short or overlaps `src`; nothing was written.
        BufferError: a buffer is not contiguous, or `dst` is read-only; nothing was written.

    Cost: no allocation; the GIL is released from 65,536 samples on.
    Source: as `alaw_encode`.
    """
    return encode_into(chosen.alaw_encode, src, dst)
