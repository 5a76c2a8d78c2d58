# The doors of the compiled modules: what a caller hands in is checked here, once; kernels see
# pointers.
#
# PyBUF_SIMPLE takes any C-contiguous buffer as octets, whatever its item type, and refuses the rest
# with the exporter's own BufferError (NumPy: ValueError). Kernels may get odd addresses: they go
# through memcpy.

from libc.stdint cimport uint8_t

# Releasing the GIL costs 40-75 ns, a third of the work on one frame: below this many samples it is
# kept.
cdef enum:
    RELEASE_GIL_AT = 65536

# A successful open is followed by its close, whatever happens between.
cdef int open_source(object src, Py_buffer* a) except -1
cdef int open_both(object src, object dst, Py_buffer* a, Py_buffer* b) except -1
cdef void close_source(Py_buffer* a) noexcept
cdef void close_both(Py_buffer* a, Py_buffer* b) noexcept

# Whole samples of PCM16 in `a`; room for so many octets in `b`, apart from `a`. They raise
# UsageError.
cdef int check_whole(const Py_buffer* a) except -1
cdef int check_room(const Py_buffer* a, const Py_buffer* b, Py_ssize_t n_octets) except -1
