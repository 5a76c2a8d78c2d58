# Resampling among the telephone's rates by a FIR. Samples are passed as octets, little-endian,
# anywhere; buffers do not overlap.

from libc.stdint cimport uint8_t

cdef extern from "fir_state.h" nogil:
    # Plain memory, some hundreds of octets; may be copied.
    ctypedef struct FirState:
        pass


# The samples that n more make.
cdef Py_ssize_t fir_count(const FirState* state, Py_ssize_t n_samples) noexcept nogil
# PCM16: takes n samples and writes fir_count() of them. The state is that of a Fir of int16.
cdef void fir_run(
    FirState* state, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst,
) noexcept nogil


cdef class Fir:
    cdef FirState state
    cdef bint is_float
