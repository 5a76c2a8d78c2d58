"""The caller's audio out of the octets of a websocket, before any library makes objects of them.

`websocket.h` reads frames, `_frames_in` messages; here is which frame is taken, and where its audio
waits.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from voice_ai.codec._door cimport OCTETS, close_source, misuse, open_source
from voice_ai.codec._frames_in cimport MediaReader, Payload

cdef extern from "websocket.h" nogil:
    enum:
        WEBSOCKET_TEXT, WEBSOCKET_MOST_HEAD

    ctypedef struct websocket_head:
        uint64_t n_payload
        int n_head
        int opcode, is_last
        uint8_t mask[4]

    ctypedef struct websocket_flow:
        int64_t n_messages
        uint64_t n_left
        bint is_over

    int websocket_look(
        websocket_flow* flow, const uint8_t* at, Py_ssize_t n, websocket_head* head,
    )
    void websocket_begin(websocket_flow* flow, const websocket_head* head)
    Py_ssize_t websocket_pass(websocket_flow* flow, Py_ssize_t n)
    void websocket_unmask(
        const uint8_t* src, Py_ssize_t n_octets, const uint8_t* mask, uint8_t* dst,
    )

cdef extern from "store.h" nogil:
    ctypedef struct store:
        pass

    Py_ssize_t store_waiting(const store* s)
    void store_clear(store* s)
    uint8_t* store_room(store* s, Py_ssize_t n)
    void store_put(store* s, Py_ssize_t n)
    const uint8_t* store_oldest(const store* s)
    void store_drop(store* s, Py_ssize_t n)

# MOST_TEXT: octets of a message that may be taken, 370 ms of audio; Twilio's have 250 for 20 ms.
cdef enum:
    MOST_TEXT = 4096
    MOST_FRAME = WEBSOCKET_MOST_HEAD + MOST_TEXT
    ULAW_OCTETS_A_MS = 8

# An hour: far beyond what anybody can want, far below what could overflow.
cdef Py_ssize_t MOST_LIMIT_MS = 3_600_000

cdef bytes NOTHING = b""
# How Twilio begins the echo of a mark.
cdef const char* MARK = b'{"event":"mark"'
cdef Py_ssize_t MARK_OCTETS = 15
# What becomes of a frame that is not taken: it waits for its rest, or goes to the library.
cdef Py_ssize_t HOLD = 0, PASS = -1


cdef list extended(list parts, const uint8_t* src, Py_ssize_t n):
    """`parts`, None at first, and these octets."""
    if n == 0:
        return parts
    part = PyBytes_FromStringAndSize(<const char*>src, n)
    if parts is None:
        return [part]
    parts.append(part)
    return parts


@cython.final
cdef class MediaTap:
    """Take the `media` messages of one stream out of a websocket's octets, as samples.

    It stands before a websocket library, at the server's end, and is given every octet from the
    first one behind the handshake. Masked, unfragmented text frames that `MediaReader` would take
    become audio that waits here, and echoes of marks may be taken; all else is for the library, as
    it came: other messages, pings, the close, and whatever is wrong, which the library then says.
    No Python object is made for audio that is taken.

    A media message overtakes nothing: while the library has messages that its reader has not
    handled (`n_passed` != `n_read`), media messages take the slow way behind them, and their
    audio comes back by `put`. Nothing is taken any more behind a close, or behind a frame that no
    client may send: unmasked, with reserved bits (as a compressed one has), out of sequence.

    Audio of both ways is one stream of samples, by one filter. One connection, one object, one
    thread.

    Args:
        limit_ms: audio that may wait, at most an hour.

    Raises:
        UsageError: another limit.

    Attributes:
        n_read: to be written by whoever reads the library's messages: how many text and binary
            messages it has handled.
        n_frames: messages taken.
        until_ms: the end of the latest message, by its timestamp, taken or put.
        told: offered the text of a message that looks like the echo of a mark, as bytes; returns
            whether it is done with. None leaves all of them to the library. Raises nothing.
        passes: called by `data_received` with what is for the library.
        arrived: called by it when a message was taken and `wanted` octets of audio or more wait.

    Cost: benches/bench_tap.py measures it. At rest some 5 KB.
    Source: RFC 6455; https://www.twilio.com/docs/voice/media-streams/websocket-messages
    """

    cdef MediaReader reader
    cdef bint has_started
    # What the library gets; and a frame that may be taken, as far as it has come.
    cdef websocket_flow passed
    cdef store held
    cdef store audio
    cdef Py_ssize_t limit_ms, limit
    cdef int64_t n_received
    cdef readonly int64_t n_frames
    cdef readonly double until_ms
    cdef public int64_t n_read
    cdef public object passes, arrived, told
    cdef public Py_ssize_t wanted

    def __cinit__(self, *, limit_ms=15000):
        if not 0 < limit_ms <= MOST_LIMIT_MS:
            raise misuse(f"limit_ms is {limit_ms}; 1 to {MOST_LIMIT_MS} are possible")
        self.limit_ms = limit_ms
        self.read_as(MediaReader("", rate_hz=None))

    def __dealloc__(self):
        store_clear(&self.held)
        store_clear(&self.audio)

    @property
    def n_passed(self):
        """Text and binary messages that were passed on whole, up to a close or what is wrong."""
        return self.passed.n_messages

    @property
    def n_waiting(self):
        """Octets of audio that wait."""
        return store_waiting(&self.audio)

    @property
    def received_ms(self):
        """Milliseconds of all audio that was taken and put."""
        return self.n_received / <double>ULAW_OCTETS_A_MS

    def start(self, str stream_sid not None, *, rate_hz=16000):
        """Take the media messages of this stream from now on.

        Args:
            stream_sid: the stream's id.
            rate_hz: the rate of the PCM16 that is made: 8000, 16000 or 24000. None leaves the µ-law
                octets untouched.

        Raises:
            UsageError: another rate; an id of more than 256 characters or with half of a surrogate
                pair.
        """
        self.read_as(MediaReader(stream_sid, rate_hz=rate_hz))
        self.has_started = True

    cdef void read_as(self, MediaReader reader):
        self.reader = reader
        self.limit = reader.n_made(self.limit_ms * ULAW_OCTETS_A_MS)

    def data_received(self, data, /):
        """Be an asyncio.Protocol's method of this name: `feed`, then `passes` and `arrived`."""
        cdef int64_t n_frames = self.n_frames
        rest = self.feed(data)
        if rest is not None:
            self.passes(rest)
        if self.n_frames != n_frames and store_waiting(&self.audio) >= self.wanted:
            self.arrived()

    def feed(self, data, /):
        """Take what is to be taken of what came, and return the rest for the library.

        A frame that may be a media message, of up to 4,096 octets, is held back until all of it is
        there; so is a frame's head. Of other frames every octet is passed on as it comes.

        Args:
            data: any contiguous buffer of octets; it is not kept.

        Returns:
            The octets for the library, in order, as new `bytes`; `data` itself if that is all of
            it; None if there are none.

        Raises:
            BufferError: `data` is not contiguous.
            UsageError: `data` holds other items than octets.
        """
        cdef Py_buffer a
        open_source(data, OCTETS, &a)
        try:
            return self.rest_of(data, <const uint8_t*>a.buf, a.len) if a.len else None
        finally:
            close_source(&a)

    cdef object rest_of(self, data, const uint8_t* src, Py_ssize_t n):
        cdef list parts = None
        # From `begin` to `at` is to be passed on.
        cdef Py_ssize_t n_held = store_waiting(&self.held), size, at = 0, begin = 0
        if n_held:
            at = begin = self.fill(src, n)
            if at == 0:
                parts = extended(parts, store_oldest(&self.held), n_held)
                store_clear(&self.held)
        while at < n:
            if self.passed.n_left or self.passed.is_over:
                at += websocket_pass(&self.passed, n - at)
                continue
            size = self.judge(src + at, n - at)
            if size == HOLD:
                self.hold(src + at, n - at)
                break
            if size > 0:
                parts = extended(parts, src + begin, at - begin)
                at = begin = at + size
        if begin == 0 and at == n and parts is None:
            return data
        parts = extended(parts, src + begin, at - begin)
        return None if parts is None else NOTHING.join(parts)

    cdef Py_ssize_t judge(self, const uint8_t* at, Py_ssize_t n) except -2:
        """The size of the frame at `at`, if it has been taken; else HOLD or PASS."""
        cdef websocket_head head
        cdef int found = websocket_look(&self.passed, at, n, &head)
        cdef Py_ssize_t size
        if found <= 0:
            return PASS if found else HOLD
        if (
            self.has_started and head.opcode == WEBSOCKET_TEXT and head.is_last
            and head.n_payload <= MOST_TEXT
        ):
            size = head.n_head + <Py_ssize_t>head.n_payload
            if n < size:
                return HOLD
            if self.passed.n_messages == self.n_read and self.take_text(at + head.n_head, &head):
                return size
        websocket_begin(&self.passed, &head)
        return PASS

    cdef bint take_text(self, const uint8_t* masked, const websocket_head* head) except -1:
        cdef uint8_t[MOST_TEXT] text
        cdef Payload payload
        cdef Py_ssize_t n_octets
        websocket_unmask(masked, head.n_payload, head.mask, text)
        n_octets = self.reader.take(text, head.n_payload, &payload)
        try:
            if n_octets < 0:
                return self.tell(text, head.n_payload)
            if self.n_with(n_octets) > self.limit:
                return False
            self.append(payload.ulaw, n_octets, payload.fields.timestamp_ms)
            self.n_frames += 1
            return True
        finally:
            PyMem_Free(payload.borrowed)

    cdef bint tell(self, const uint8_t* text, Py_ssize_t n) except -1:
        """Offer a message that is no audio to whoever reads marks; whether they have."""
        if self.told is None or n < MARK_OCTETS or memcmp(text, MARK, MARK_OCTETS):
            return False
        return self.told(PyBytes_FromStringAndSize(<const char*>text, n))

    cdef int hold(self, const uint8_t* src, Py_ssize_t n) except -1:
        cdef uint8_t* dst = store_room(&self.held, n)
        if dst is NULL:
            raise MemoryError
        memcpy(dst, src, n)
        store_put(&self.held, n)
        return 0

    cdef Py_ssize_t fill(self, const uint8_t* src, Py_ssize_t n) except -1:
        """How much of `src` belongs to the frame that is held, all of it if that is still held; 0
        if it is to be passed on from its beginning."""
        cdef Py_ssize_t n_held = store_waiting(&self.held), size
        self.hold(src, min(n, MOST_FRAME - n_held))
        size = self.judge(store_oldest(&self.held), store_waiting(&self.held))
        if size == HOLD:
            return n
        if size == PASS:
            websocket_pass(&self.passed, n_held)
            return 0
        store_clear(&self.held)
        return size - n_held

    def put(self, ulaw, double timestamp_ms, /):
        """Append audio that came the slow way.

        Args:
            ulaw: µ-law octets at 8 kHz; any contiguous buffer.
            timestamp_ms: of its message, ms from the stream's start; any int of JSON.

        Raises:
            UsageError: more than `limit_ms` would wait; nothing was appended.
            BufferError: `ulaw` is not contiguous.
        """
        cdef Py_buffer a
        open_source(ulaw, OCTETS, &a)
        try:
            if self.n_with(a.len) > self.limit:
                raise misuse(
                    f"{self.n_with(a.len)} octets of audio would wait, at most {self.limit} may"
                )
            if a.len:
                self.append(<const uint8_t*>a.buf, a.len, timestamp_ms)
        finally:
            close_source(&a)

    cdef Py_ssize_t n_with(self, Py_ssize_t n_octets) noexcept:
        """Octets that would wait with so many more of µ-law."""
        return store_waiting(&self.audio) + self.reader.n_made(n_octets)

    cdef int append(
        self, const uint8_t* ulaw, Py_ssize_t n_octets, double timestamp_ms,
    ) except -1:
        cdef Py_ssize_t n_made = self.reader.n_made(n_octets)
        cdef uint8_t* dst = store_room(&self.audio, n_made)
        if dst is NULL:
            raise MemoryError
        self.reader.convert(ulaw, n_octets, dst)
        store_put(&self.audio, n_made)
        self.n_received += n_octets
        self.until_ms = max(self.until_ms, timestamp_ms + n_octets / <double>ULAW_OCTETS_A_MS)
        return 0

    def take(self, Py_ssize_t n_octets, /):
        """Return the oldest `n_octets` of audio as new `bytes`, fewer if fewer wait.

        Raises:
            UsageError: `n_octets` is negative.
        """
        cdef Py_ssize_t n = min(n_octets, store_waiting(&self.audio))
        if n < 0:
            raise misuse(f"n_octets is {n_octets}, at least 0 is needed")
        if n == 0:
            return NOTHING
        made = PyBytes_FromStringAndSize(<const char*>store_oldest(&self.audio), n)
        store_drop(&self.audio, n)
        return made
