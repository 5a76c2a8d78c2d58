from libc.stdint cimport uint8_t

# PCM16 is passed as octets, little-endian, at any address. Buffers do not overlap. What runs is the
# chosen kernel.
cdef void decode_ulaw(const uint8_t* ulaw, Py_ssize_t n_samples, uint8_t* pcm16) noexcept nogil
cdef void encode_ulaw(const uint8_t* pcm16, Py_ssize_t n_samples, uint8_t* ulaw) noexcept nogil
