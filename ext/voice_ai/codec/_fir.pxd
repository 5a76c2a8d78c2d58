# The 2:1 resamplers. PCM16 is passed as octets, little-endian, anywhere; buffers do not overlap.

from libc.stdint cimport int16_t, uint8_t

cdef extern from "halfband.h" nogil:
    enum:
        HALFBAND_TAPS
        HALFBAND_CENTRE


# The last samples that the filter still needs, the oldest first. All zeros is a stream's beginning.
cdef struct UpState:
    int16_t past[HALFBAND_TAPS - 1]

# Going down, `past` is of every second sample from the second on; `late` is of the others, which
# the centre tap delays by 13; `carried` waits for its partner.
cdef struct DownState:
    int16_t past[HALFBAND_TAPS - 1]
    int16_t late[13]
    int16_t carried
    bint carries

# Writes 2 n samples.
cdef void upsample(
    UpState* state, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst,
) noexcept nogil
# Writes (n + 1 if the state carries a sample, else n) // 2 samples.
cdef void downsample(
    DownState* state, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst,
) noexcept nogil


cdef class Upsample2:
    cdef UpState state


cdef class Downsample2:
    cdef DownState state
