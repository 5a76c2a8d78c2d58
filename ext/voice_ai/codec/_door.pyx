"""The doors of the compiled modules; nothing here is for Python."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "PCM16 is little-endian here; this machine is not"
    #endif

    static inline void lend(Py_buffer *a, void *octets, Py_ssize_t n_octets) {
        a->obj = NULL;
        a->buf = octets;
        a->len = n_octets;
    }
    """
    # The octets of an argument, which its caller holds; closing does nothing. Python's own way
    # takes 5 ns more, a tenth of the work on one frame.
    void lend(Py_buffer* a, void* octets, Py_ssize_t n_octets) noexcept

cdef tuple NAMES = ("octets", "pcm16", "float32")
cdef int[3] N_OCTETS = [1, 2, 4]
# struct's letters, which stand alone or after an order of bytes that is this machine's.
cdef char[3] LETTERS = [c"B", c"h", c"f"]


cdef bint fits(const Py_buffer* a, Kind kind) noexcept:
    cdef const char* letters = a.format
    if letters is NULL:
        return a.itemsize == 1
    if letters[0] in (c"<", c"=", c"@", c"|"):
        letters += 1
    return letters[0] in (LETTERS[<int>kind], c"B", c"b", c"c") and letters[1] == 0


cdef int check_kind(const Py_buffer* a, Kind kind, str name) except -1:
    if not fits(a, kind):
        format = a.format.decode("ascii", "replace")
        raise misuse(
            f"{name} holds items of {a.itemsize} octets, format {format!r}; {NAMES[<int>kind]} "
            f"({N_OCTETS[<int>kind]} octets an item) or plain octets are needed"
        )
    if a.ndim > 1:
        raise misuse(f"{name} has {a.ndim} dimensions, 1 is needed")
    return 0


cdef int check_whole(const Py_buffer* a, Kind kind) except -1:
    if a.len % N_OCTETS[<int>kind]:
        raise misuse(
            f"{NAMES[<int>kind]} src holds {a.len} octets, no whole number of "
            f"{N_OCTETS[<int>kind]}-octet samples"
        )
    return 0


# With finally, not except, which saves the state of exceptions even when nothing is wrong.
cdef int open_source(object src, Kind kind, Py_buffer* a) except -1:
    cdef bint is_fine = False
    if PyBytes_CheckExact(src):
        lend(a, PyBytes_AS_STRING(src), PyBytes_GET_SIZE(src))
        return check_whole(a, kind)
    PyObject_GetBuffer(src, a, PyBUF_ND | PyBUF_FORMAT)
    try:
        check_kind(a, kind, "src")
        check_whole(a, kind)
        is_fine = True
    finally:
        if not is_fine:
            PyBuffer_Release(a)
    return 0


cdef int open_target(object dst, Kind kind, Py_buffer* b) except -1:
    cdef bint is_fine = False
    PyObject_GetBuffer(dst, b, PyBUF_ND | PyBUF_FORMAT | PyBUF_WRITABLE)
    try:
        check_kind(b, kind, "dst")
        is_fine = True
    finally:
        if not is_fine:
            PyBuffer_Release(b)
    return 0


cdef int open_both(
    object src, Kind src_kind, object dst, Kind dst_kind, Py_buffer* a, Py_buffer* b,
) except -1:
    cdef bint is_fine = False
    open_source(src, src_kind, a)
    try:
        open_target(dst, dst_kind, b)
        is_fine = True
    finally:
        if not is_fine:
            PyBuffer_Release(a)
    return 0


cdef int check_finite(const Py_buffer* a) except -1:
    cdef const uint8_t* p = <const uint8_t*>a.buf
    cdef Py_ssize_t i, n_samples = a.len >> 2
    cdef float x
    for i in range(n_samples):
        memcpy(&x, p + 4 * i, 4)
        if x - x != 0:
            raise misuse(
                f"src holds {x} at sample {i} of {n_samples}; finite numbers are needed"
            )
    return 0


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


cdef int check_room(const Py_buffer* a, const Py_buffer* b, Py_ssize_t n_octets) except -1:
    if b.len < n_octets:
        raise misuse(f"dst holds {b.len} octets, {n_octets} are needed")
    cdef const uint8_t* p = <const uint8_t*>a.buf
    cdef const uint8_t* q = <const uint8_t*>b.buf
    if p < q + b.len and q < p + a.len:
        raise misuse(f"src of {a.len} octets and dst of {b.len} overlap; they must be apart")
    return 0
