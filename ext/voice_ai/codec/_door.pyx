"""The doors of the compiled modules; nothing here is for Python."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "PCM16 is little-endian here; this machine is not"
    #endif
    """


cdef int open_source(object src, Py_buffer* a) except -1:
    return PyObject_GetBuffer(src, a, PyBUF_SIMPLE)


cdef int open_both(object src, object dst, Py_buffer* a, Py_buffer* b) except -1:
    PyObject_GetBuffer(src, a, PyBUF_SIMPLE)
    try:
        return PyObject_GetBuffer(dst, b, PyBUF_WRITABLE)
    except BaseException:
        PyBuffer_Release(a)
        raise


cdef void close_source(Py_buffer* a) noexcept:
    PyBuffer_Release(a)


cdef void close_both(Py_buffer* a, Py_buffer* b) noexcept:
    PyBuffer_Release(a)
    PyBuffer_Release(b)


cdef object misuse(str text):
    # Imported here: a tool that loads our Python modules afresh (coverage's --source does) cannot
    # load a compiled one twice, which would go on raising the class of before.
    from voice_ai.errors import UsageError
    return UsageError(text)


cdef int check_whole(const Py_buffer* a) except -1:
    if a.len & 1:
        raise misuse(f"pcm16 holds {a.len} octets, no whole number of 2-octet samples")
    return 0


cdef int check_room(const Py_buffer* a, const Py_buffer* b, Py_ssize_t n_octets) except -1:
    if b.len < n_octets:
        raise misuse(f"dst holds {b.len} octets, {n_octets} are needed")
    cdef const uint8_t* p = <const uint8_t*>a.buf
    cdef const uint8_t* q = <const uint8_t*>b.buf
    if p < q + b.len and q < p + a.len:
        raise misuse(f"src of {a.len} octets and dst of {b.len} overlap; they must be apart")
    return 0
