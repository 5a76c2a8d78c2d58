"""Base64 for whole frames, and its doors for tests and benches; nothing here is a public name.

Source: RFC 4648, section 4.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from voice_ai.codec._door cimport OCTETS, close_source, misuse, open_source

cdef extern from "base64.h" nogil:
    ctypedef struct base64_kernel:
        const char* name
        void (*encode)(const uint8_t* src, Py_ssize_t n_octets, uint8_t* dst) noexcept nogil
        Py_ssize_t (*decode)(const uint8_t* text, Py_ssize_t n_chars, uint8_t* dst) noexcept nogil
    enum:
        BASE64_KERNELS
    int base64_list_kernels(base64_kernel* kernels)

cdef base64_kernel[BASE64_KERNELS] KERNELS
cdef int n_kernels = base64_list_kernels(KERNELS)
cdef base64_kernel chosen = KERNELS[0]


cdef void encode_base64(const uint8_t* src, Py_ssize_t n_octets, uint8_t* dst) noexcept nogil:
    chosen.encode(src, n_octets, dst)


cdef Py_ssize_t decode_base64(
    const uint8_t* text, Py_ssize_t n_chars, uint8_t* dst,
) noexcept nogil:
    return chosen.decode(text, n_chars, dst)


def kernels():
    """Name the kernels that this machine can run, the best first."""
    return tuple([KERNELS[i].name.decode("ascii") for i in range(n_kernels)])


def kernel():
    """Name the kernel that runs."""
    return chosen.name.decode("ascii")


def use(name, /):
    """Run this kernel from now on; for tests and benches."""
    global chosen
    for i in range(n_kernels):
        if KERNELS[i].name.decode("ascii") == name:
            chosen = KERNELS[i]
            return
    raise misuse(f"no kernel {name!r} on this machine; there are {', '.join(kernels())}")


def encode(data, /):
    """Encode any contiguous buffer of octets as new `bytes`."""
    cdef Py_buffer a
    open_source(data, OCTETS, &a)
    try:
        text = PyBytes_FromStringAndSize(NULL, base64_encoded_size(a.len))
        encode_base64(<const uint8_t*>a.buf, a.len, <uint8_t*>PyBytes_AS_STRING(text))
        return text
    finally:
        close_source(&a)


def decode(text, /):
    """Decode any contiguous buffer of octets as new `bytes`; None if it is not base64."""
    cdef Py_buffer a
    cdef Py_ssize_t n_octets
    open_source(text, OCTETS, &a)
    try:
        n_octets = base64_decoded_size(<const uint8_t*>a.buf, a.len)
        if n_octets < 0:
            return None
        data = PyBytes_FromStringAndSize(NULL, n_octets)
        if decode_base64(<const uint8_t*>a.buf, a.len, <uint8_t*>PyBytes_AS_STRING(data)) < 0:
            return None
        return data
    finally:
        close_source(&a)
