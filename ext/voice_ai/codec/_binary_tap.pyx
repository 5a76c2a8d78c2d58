"""A client's side of a websocket: the voice and what is told out of its octets, before any library
makes messages of them; and a caller's audio into it."""

import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from voice_ai.codec._door cimport OCTETS, close_source, open_source

cdef extern from "server_frame.h" nogil:
    enum:
        SERVER_CLOSE, SERVER_TEXT, SERVER_BINARY, SERVER_CONTROL, SERVER_MOST_HEAD

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
    """Take audio and texts out of a websocket's octets, as they come.

    It stands before a websocket library, at the client's end, and is given every octet from the
    first one behind the handshake. What unfragmented binary frames carry becomes `audio`, also
    before the whole of a frame has come; where one ends is not told, and audio has no need of it.
    Unfragmented text messages that come whole become `texts`. All else is for the library, octet
    for octet: pings, the close, fragments, and whatever is wrong, which the library then says.

    Nothing is overtaken within a read, if `audio` is handled first, then `texts`, then the rest:
    audio behind a text, and all that is behind the first octet for the library, is the library's.

    One connection, one object, one thread.

    Attributes:
        audio: what the last `feed` took; empty if nothing.
        texts: the messages that it took, as a list of str; an empty tuple if none.
        take: offered the audio by `data_received`; None if nobody wants it.
        otherwise: called by it with what is for the library, or None, if there is that, or texts,
            or audio that nobody took.
        before: called by it with all that comes, as the handshake's, until it is None.

    Cost: benches/bench_tap.py measures it.
    Source: RFC 6455, section 5.2.
    """

    cdef bint passes_all, in_message
    # Of the frame at hand: what is still to come, and whether it is taken.
    cdef uint64_t n_left
    cdef bint is_taken, is_text
    # A head that has not come whole.
    cdef uint8_t[SERVER_MOST_HEAD] held
    cdef Py_ssize_t n_held
    cdef readonly bytes audio
    cdef readonly object texts
    cdef public object take, otherwise, before

    def __cinit__(self):
        self.audio = b""
        self.texts = ()

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
        self.texts = ()
        if self.n_held:
            data = self.held[:self.n_held] + bytes(data)
            self.n_held = 0
        open_source(data, OCTETS, &a)
        try:
            return self.rest_of(data, <const uint8_t*>a.buf, a.len)
        finally:
            close_source(&a)

    def data_received(self, data, /):
        """Be an asyncio.Protocol's method of this name."""
        if self.before is not None:
            self.before(data)
            return
        rest = self.feed(data)
        if self.audio and self.take is not None and self.take(self.audio):
            self.audio = b""
        if rest is not None or self.audio or self.texts:
            self.otherwise(rest)

    cdef object rest_of(self, data, const uint8_t* src, Py_ssize_t n):
        cdef Py_ssize_t at = 0, passed = -1
        cdef Py_ssize_t size
        while at < n and not self.passes_all:
            if self.n_left == 0:
                size = self.begin(src + at, n - at, passed >= 0)
                if size < 0:
                    break
                if self.is_text and self.take_text(src + at + size, n - at - size):
                    at += size + <Py_ssize_t>self.n_left
                    self.n_left = 0
                    continue
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

    cdef bint take_text(self, const uint8_t* at, Py_ssize_t n) except -1:
        """Take the text of the frame at hand, if all of it has come and it is one."""
        if <uint64_t>n < self.n_left:
            return False
        try:
            text = PyUnicode_DecodeUTF8(<const char*>at, <Py_ssize_t>self.n_left, NULL)
        except UnicodeDecodeError:
            return False
        if not self.texts:
            self.texts = []
        self.texts.append(text)
        return True

    cdef Py_ssize_t begin(self, const uint8_t* at, Py_ssize_t n, bint must_pass) noexcept:
        """Judge the frame at `at`; returns its head's octets, or -1 if they have not all come."""
        cdef server_head head
        cdef int found = server_read_head(at, n, self.in_message, &head)
        if found == 0:
            self.n_held = n
            memcpy(self.held, at, n)
            return -1
        self.is_taken = self.is_text = False
        if found < 0:
            self.passes_all = True
            return 0
        if head.is_last and not must_pass and head.n_payload <= MOST_PAYLOAD:
            self.is_taken = head.opcode == SERVER_BINARY and not self.texts
            self.is_text = head.opcode == SERVER_TEXT
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
