# libsoxr, called in C through a table of functions that is found at run time.

from libc.stdint cimport int64_t, uint8_t

from voice_ai.codec._door cimport Kind

cdef extern from "soxr_abi.h" nogil:
    enum:
        SOXR_OF_FLOAT32
        SOXR_OF_INT16
        SOXR_WITHOUT_DITHER
    ctypedef struct soxr_handle:
        pass
    ctypedef const char* soxr_fault
    ctypedef struct soxr_io:
        unsigned long flags
    ctypedef struct soxr_quality:
        double phase
        double passband
        double stopband
    ctypedef struct soxr_runtime:
        unsigned log2_min_dft
        unsigned log2_large_dft
    ctypedef struct soxr_calls:
        const char* (*version)() noexcept nogil
        soxr_io (*io_spec)(int in_type, int out_type) noexcept nogil
        soxr_quality (*quality_spec)(unsigned long recipe, unsigned long flags) noexcept nogil
        soxr_runtime (*runtime_spec)(unsigned n_threads) noexcept nogil
        soxr_handle* (*create)(
            double in_rate, double out_rate, unsigned n_channels, soxr_fault* fault,
            const soxr_io* io, const soxr_quality* quality, const soxr_runtime* runtime,
        ) noexcept nogil
        void (*destroy)(soxr_handle* handle) noexcept nogil
        double (*delay)(soxr_handle* handle) noexcept nogil
        const char* (*engine)(soxr_handle* handle) noexcept nogil

cdef extern from "soxr_run.h" nogil:
    ctypedef struct soxr_run:
        const soxr_calls* calls
        soxr_handle* handle
        double io_ratio
        int64_t n_in
        int64_t n_out
        int n_octets
        bint ended
    int64_t soxr_room(const soxr_run* run, int64_t n_samples, bint last)
    soxr_fault soxr_into(
        soxr_run* run, const uint8_t* src, int64_t n_samples, uint8_t* dst, bint last,
    )


cdef class Library:
    cdef soxr_calls calls
    cdef readonly str path
    cdef readonly str version


cdef class Soxr:
    # A copy: what `run` points to lives exactly as long as the stream.
    cdef soxr_calls calls
    cdef soxr_run run
    cdef Kind kind
    cdef double in_rate
    cdef double out_rate
    cdef soxr_io io
    cdef soxr_quality quality
    cdef soxr_runtime runtime
    # Whether this engine may run beside another thread's.
    cdef bint free_of_gil
    cdef bint busy
    cdef soxr_handle* create(self) except NULL
    cdef int check_ready(self) except -1
    cdef Py_ssize_t run_at_will(
        self, const Py_buffer* src, uint8_t* dst, Py_ssize_t n_room, bint last,
    ) except -1
