# Base64 by the kernel that was chosen. Octets lie anywhere; buffers do not overlap.

from libc.stdint cimport uint8_t

cdef extern from "base64.h" nogil:
    Py_ssize_t base64_encoded_size(Py_ssize_t n_octets)
    # -1 if no text of this length and ending is base64.
    Py_ssize_t base64_decoded_size(const uint8_t* text, Py_ssize_t n_chars)

# Writes base64_encoded_size(n_octets).
cdef void encode_base64(const uint8_t* src, Py_ssize_t n_octets, uint8_t* dst) noexcept nogil
# Writes base64_decoded_size(text, n_chars) and returns it; -1 if the text is not base64, and `dst`
# then holds no meaning.
cdef Py_ssize_t decode_base64(
    const uint8_t* text, Py_ssize_t n_chars, uint8_t* dst,
) noexcept nogil
