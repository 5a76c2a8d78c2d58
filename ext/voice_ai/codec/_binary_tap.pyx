"""A client's side of a websocket: the voice out of its octets, before any library makes messages
of them; and a caller's audio into it."""

import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from voice_ai.codec._door cimport OCTETS, close_source, open_source

cdef extern from "server_frame.h" nogil:
    enum:
        SERVER_CLOSE, SERVER_BINARY, SERVER_CONTROL, SERVER_MOST_HEAD

    ctypedef struct server_head:
        uint64_t n_payload
        int n_head
        int opcode, is_last

    Py_ssize_t client_head_size(Py_ssize_t n_octets)
    void client_put(uint8_t* dst, const uint8_t* src, Py_ssize_t n_octets, const uint8_t* key)
    int server_read_head(const uint8_t* at, Py_ssize_t n, int in_message, server_head* head)

# Octets of a mask's key, and how many keys are drawn at a time.
cdef enum:
    KEY = 4
    KEYS = 1024

# A larger message is the library's, which refuses it: as its `max_size` by default.
cdef uint64_t MOST_PAYLOAD = 1 << 20


@cython.final
cdef class BinaryTap:
    """Take the payload of binary messages out of a websocket's octets, as it comes.

    It stands before a websocket library, at the client's end, and is given every octet from the
    first one behind the handshake. What unfragmented binary frames carry becomes `audio`, also
    before the whole of a frame has come; where one ends is not told, and audio has no need of it.
    All else is for the library, octet for octet: texts, pings, the close, fragments, and whatever
    is wrong, which the library then says.

    Nothing is overtaken within a read: behind the first octet that is for the library, all of it
    is.

    One connection, one object, one thread.

    Attributes:
        audio: what the last `feed` took; empty if nothing.

    Cost: benches/bench_tap.py measures it.
    Source: RFC 6455, section 5.2.
    """

    cdef bint passes_all, in_message
    # Of the frame at hand: what is still to come, and whether it is taken.
    cdef uint64_t n_left
    cdef bint is_taken
    # A head that has not come whole.
    cdef uint8_t[SERVER_MOST_HEAD] held
    cdef Py_ssize_t n_held
    cdef readonly bytes audio

    def __cinit__(self):
        self.audio = b""

    def feed(self, data, /):
        """Take what is to be taken of what came, and return the rest for the library.

        Args:
            data: any contiguous buffer of octets; it is not kept.

        Returns:
            The octets for the library, in order; None if there are none.

        Raises:
            BufferError: `data` is not contiguous.
            UsageError: `data` holds other items than octets.
        """
        cdef Py_buffer a
        self.audio = b""
        if self.n_held:
            data = self.held[:self.n_held] + bytes(data)
            self.n_held = 0
        open_source(data, OCTETS, &a)
        try:
            return self.rest_of(data, <const uint8_t*>a.buf, a.len)
        finally:
            close_source(&a)

    cdef object rest_of(self, data, const uint8_t* src, Py_ssize_t n):
        cdef Py_ssize_t at = 0, passed = -1
        cdef Py_ssize_t size
        while at < n and not self.passes_all:
            if self.n_left == 0:
                size = self.begin(src + at, n - at, passed >= 0)
                if size < 0:
                    break
                if passed < 0 and not self.is_taken:
                    passed = at
                at += size
            size = <Py_ssize_t>min(<uint64_t>(n - at), self.n_left)
            if self.is_taken:
                piece = PyBytes_FromStringAndSize(<const char*>src + at, size)
                self.audio = self.audio + piece if self.audio else piece
            elif passed < 0:
                passed = at
            self.n_left -= size
            at += size
        if self.passes_all:
            passed, at = (at if passed < 0 else passed), n
        if passed == 0 and at == n:
            return data
        if passed < 0 or passed == at:
            return None
        return PyBytes_FromStringAndSize(<const char*>src + passed, at - passed)

    cdef Py_ssize_t begin(self, const uint8_t* at, Py_ssize_t n, bint must_pass) noexcept:
        """Judge the frame at `at`; returns its head's octets, or -1 if they have not all come."""
        cdef server_head head
        cdef int found = server_read_head(at, n, self.in_message, &head)
        if found == 0:
            self.n_held = n
            memcpy(self.held, at, n)
            return -1
        self.is_taken = False
        if found < 0:
            self.passes_all = True
            return 0
        self.is_taken = (
            head.opcode == SERVER_BINARY and head.is_last and not must_pass
            and head.n_payload <= MOST_PAYLOAD
        )
        self.n_left = head.n_payload
        self.passes_all = head.opcode == SERVER_CLOSE
        if not head.opcode & SERVER_CONTROL:
            self.in_message = not head.is_last
        return head.n_head


cdef uint8_t[KEY * KEYS] keys
cdef Py_ssize_t n_keys_left = 0


cdef const uint8_t* next_key() except NULL:
    # A pool: a system call for each of them took as long as all the rest of a frame.
    global n_keys_left
    if n_keys_left == 0:
        drawn = os.urandom(KEY * KEYS)
        memcpy(keys, PyBytes_AS_STRING(drawn), KEY * KEYS)
        n_keys_left = KEYS
    n_keys_left -= 1
    return keys + KEY * n_keys_left


def binary_frame(data, /):
    """Make the frame of a binary message, masked as a client's are.

    Args:
        data: any contiguous buffer of octets.

    Returns:
        The frame, as new `bytes`. Its key is of the system's randomness.

    Raises:
        BufferError: `data` is not contiguous.

    Source: RFC 6455, section 5.3.
    """
    cdef Py_buffer a
    cdef uint8_t* dst
    cdef Py_ssize_t n_head
    open_source(data, OCTETS, &a)
    try:
        n_head = client_head_size(a.len)
        made = PyBytes_FromStringAndSize(NULL, n_head + a.len)
        dst = <uint8_t*>PyBytes_AS_STRING(made)
        client_put(dst, <const uint8_t*>a.buf, a.len, next_key())
        return made
    finally:
        close_source(&a)
