# What is done with a `media` message, for all modules that meet one.

from libc.stdint cimport int64_t, uint8_t

from voice_ai.codec._fir cimport Fir

cdef extern from "media.h" nogil:
    ctypedef struct media_fields:
        const uint8_t* payload
        Py_ssize_t n_chars
        int64_t timestamp_ms, chunk, sequence_number

# Payloads of up to 128 ms are decoded on the stack.
cdef enum:
    OWN = 1024

# What stood in a message. `borrowed` goes back to PyMem_Free, also where nothing was taken.
cdef struct Payload:
    media_fields fields
    uint8_t* ulaw
    uint8_t* borrowed
    uint8_t own[OWN]

# What a stream's id and rate may be: the rate, 0 for None; raises UsageError and TypeError.
cdef int check_stream(str stream_sid, object rate_hz) except -1


cdef class MediaReader:
    cdef bytes quoted_sid
    cdef Fir fir
    cdef bint decodes
    cdef readonly int64_t timestamp_ms, chunk, sequence_number

    # Octets of µ-law in `payload.ulaw`; -1 if the message is not taken.
    cdef Py_ssize_t take(
        self, const uint8_t* text, Py_ssize_t n_chars, Payload* payload,
    ) except -2
    # The octets that so many of µ-law make now.
    cdef Py_ssize_t n_made(self, Py_ssize_t n_octets) noexcept
    # Keep a message's numbers.
    cdef void number(self, const media_fields* fields) noexcept
    # The next n octets of the stream; writes n_made() of them.
    cdef void convert(self, const uint8_t* ulaw, Py_ssize_t n_octets, uint8_t* dst) noexcept
