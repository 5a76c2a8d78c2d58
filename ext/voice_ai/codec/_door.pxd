# The doors of the compiled modules: what a caller hands in is checked here, once; kernels see
# pointers.
#
# A door takes any C-contiguous buffer of one dimension that holds octets, or items of its kind, and
# refuses scattered or read-only ones with the exporter's own BufferError (NumPy: ValueError).
# Kernels may get odd addresses: they go through memcpy or unaligned loads.

from libc.stdint cimport uint8_t

# Releasing the GIL costs 40-75 ns, a third of the work on one frame: below this many samples it is
# kept.
cdef enum:
    RELEASE_GIL_AT = 65536

# What a buffer is for. Octets are taken for any of them, as long as they make whole items.
cdef enum Kind:
    OCTETS
    PCM16
    FLOAT32

# A successful open is followed by its close, whatever happens between. They raise UsageError for
# items of another kind, for more than one dimension and for part of an item. Only `buf` and `len`
# are filled in for sure.
cdef int open_source(object src, Kind kind, Py_buffer* a) except -1
cdef int open_both(
    object src, Kind src_kind, object dst, Kind dst_kind, Py_buffer* a, Py_buffer* b,
) except -1
cdef void close_source(Py_buffer* a) noexcept
cdef void close_both(Py_buffer* a, Py_buffer* b) noexcept

# Room for so many octets in `b`, apart from `a`; raises UsageError.
cdef int check_room(const Py_buffer* a, const Py_buffer* b, Py_ssize_t n_octets) except -1

# No NaN and no infinity in a FLOAT32 source; raises UsageError.
cdef int check_finite(const Py_buffer* a) except -1

# A UsageError to raise.
cdef object misuse(str text)
