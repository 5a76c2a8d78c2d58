"""`media` messages of Twilio's to samples, a call each.

Nothing is made for a sample, a field or a frame; the result is one new `bytes`, or none.
"""

import json

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from voice_ai.codec._base64 cimport base64_decoded_size, decode_base64
from voice_ai.codec._door cimport (
    OCTETS, PCM16, Kind, check_room, close_both, misuse, open_both,
)
from voice_ai.codec._fir cimport Fir, fir_count, fir_run
from voice_ai.codec._g711 cimport decode_ulaw

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef extern from "media.h" nogil:
    enum:
        MEDIA_MAX_OCTETS

    bint media_scan(
        const uint8_t* text, Py_ssize_t n_chars, const uint8_t* quoted_sid, Py_ssize_t n_quoted,
        media_fields* fields,
    )

# BLOCK: samples at 8 kHz that are worked on at a time, within the first-level cache. Stream ids of
# Twilio's are 34 characters.
cdef enum:
    BLOCK = 512
    HZ = 8000
    MOST_SID_CHARS = 256

cdef bytes NOTHING = b""


cdef int check_stream(str stream_sid, object rate_hz) except -1:
    if len(stream_sid) > MOST_SID_CHARS:
        raise misuse(
            f"stream_sid holds {len(stream_sid)} characters, at most {MOST_SID_CHARS} are taken"
        )
    try:
        stream_sid.encode()
    except UnicodeEncodeError as error:
        raise misuse(
            f"stream_sid holds {stream_sid[error.start]!r} at {error.start}; UTF-8 cannot hold it"
        ) from None
    if rate_hz is None:
        return 0
    if not isinstance(rate_hz, int):
        raise TypeError(f"rate_hz is an int or None, not {type(rate_hz).__name__}")
    if rate_hz != 8000 and rate_hz != 16000 and rate_hz != 24000:
        raise misuse(f"rate_hz is {rate_hz}; 8000, 16000, 24000 or None are needed")
    return rate_hz


cdef int open_text(object message, Py_buffer* text) except -1:
    # Fills in only where the characters are: nothing is held, so nothing is to be closed.
    if isinstance(message, str):
        if not PyUnicode_IS_COMPACT_ASCII(message):
            return 0
        text.buf = PyUnicode_DATA(message)
        text.len = PyUnicode_GET_LENGTH(message)
    elif isinstance(message, bytes):
        text.buf = PyBytes_AS_STRING(message)
        text.len = PyBytes_GET_SIZE(message)
    else:
        raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
    return 1


@cython.final
cdef class MediaReader:
    """Turn the `media` messages of one stream into samples, in one pass each.

    A fast path without opinions: what is not beyond doubt a plain message of this stream is not
    taken, and nothing has then changed. It may be another event, a message written in an unusual
    way or a wrong one; hand it to `wire.twilio.parse_message`, which says. What is taken, that
    would take too, with the same payload and numbers.

    Plain is: ASCII without escapes; the fields that count once each, in any order, with any white
    space between; counters of at most 18 digits, as strings or as numbers; the track `inbound` or
    missing; other fields, outside `media` and in it, only with strings, whole numbers, true, false
    or null; a payload of 1 to 65,536 octets in padded base64.

    One stream, one object, one thread. At another rate than 8 kHz the samples run behind the
    message by the delay of `ResampleStream` (1.7 ms at 16 kHz).

    Args:
        stream_sid: the stream's id; messages of another are not taken, and none of an id that is
            not ASCII.
        rate_hz: the rate of the PCM16 that is made: 8000, 16000 or 24000. None leaves the µ-law
            octets untouched.

    Raises:
        UsageError: another rate, or an id of more than 256 characters or with half of a surrogate
            pair.

    Attributes:
        timestamp_ms: of the last message taken, ms from the stream's start; -1 before the first.
        chunk: its number among the messages of audio; -1 before the first.
        sequence_number: its number among all messages; -1 before the first.

    Cost: under a microsecond for 20 ms; benches/bench_frame_in.py measures it.
    Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages
    """

    def __cinit__(self, str stream_sid not None, *, rate_hz=16000):
        cdef int hz = check_stream(stream_sid, rate_hz)
        # With its escapes: an id that has any is told by their usual spelling alone.
        self.quoted_sid = json.dumps(stream_sid).encode("ascii")
        self.decodes = hz > 0
        self.fir = Fir(HZ, hz) if hz > HZ else None
        self.timestamp_ms = self.chunk = self.sequence_number = -1

    def clear(self):
        """Forget the filter's past, after a gap in the audio; the numbers stay."""
        if self.fir is not None:
            self.fir.clear()

    cdef Py_ssize_t take(
        self, const uint8_t* text, Py_ssize_t n_chars, Payload* payload,
    ) except -2:
        cdef Py_ssize_t n_octets
        payload.borrowed = NULL
        if not media_scan(
            text, n_chars,
            <const uint8_t*>PyBytes_AS_STRING(self.quoted_sid), PyBytes_GET_SIZE(self.quoted_sid),
            &payload.fields,
        ):
            return -1
        n_octets = base64_decoded_size(payload.fields.payload, payload.fields.n_chars)
        if n_octets < 0 or n_octets > MEDIA_MAX_OCTETS:
            return -1
        payload.ulaw = payload.own
        if n_octets > OWN:
            payload.borrowed = payload.ulaw = <uint8_t*>PyMem_Malloc(n_octets)
            if payload.ulaw is NULL:
                raise MemoryError
        return decode_base64(payload.fields.payload, payload.fields.n_chars, payload.ulaw)

    cdef Py_ssize_t n_made(self, Py_ssize_t n_octets) noexcept:
        n_samples = n_octets if self.fir is None else fir_count(&self.fir.state, n_octets)
        return n_samples << self.decodes

    cdef void number(self, const media_fields* fields) noexcept:
        self.timestamp_ms = fields.timestamp_ms
        self.chunk = fields.chunk
        self.sequence_number = fields.sequence_number

    cdef void convert(self, const uint8_t* ulaw, Py_ssize_t n_octets, uint8_t* dst) noexcept:
        cdef uint8_t[2 * BLOCK] pcm16
        cdef Py_ssize_t n, n_made, done = 0
        if not self.decodes:
            memcpy(dst, ulaw, n_octets)
        elif self.fir is None:
            decode_ulaw(ulaw, n_octets, dst)
        else:
            while done < n_octets:
                n = min(BLOCK, n_octets - done)
                decode_ulaw(ulaw + done, n, pcm16)
                n_made = fir_count(&self.fir.state, n)
                fir_run(&self.fir.state, pcm16, n, dst)
                dst += 2 * n_made
                done += n

    def read(self, message, /):
        """Take a message and return its audio as new `bytes`.

        Args:
            message: the text of a websocket message.

        Returns:
            int16, little-endian, of `rate_hz`, or µ-law octets: `rate_hz` / 8000 samples for each
            octet of the payload. None if the message is not taken; nothing has then changed.

        Raises:
            TypeError: `message` is neither str nor bytes.
        """
        cdef Py_buffer text
        cdef Payload payload
        cdef Py_ssize_t n_octets
        if not open_text(message, &text):
            return None
        n_octets = self.take(<const uint8_t*>text.buf, text.len, &payload)
        try:
            if n_octets < 0:
                return None
            made = PyBytes_FromStringAndSize(NULL, self.n_made(n_octets))
            self.number(&payload.fields)
            self.convert(payload.ulaw, n_octets, <uint8_t*>PyBytes_AS_STRING(made))
            return made
        finally:
            PyMem_Free(payload.borrowed)

    def read_into(self, message, dst, /):
        """Take a message and write its audio into the caller's buffer.

        Args:
            message: the text of a websocket message.
            dst: a writable contiguous buffer with room for the samples, 2 octets each, or for the
                µ-law octets; apart from `message`.

        Returns:
            The number of samples written (a µ-law octet is one). -1 if the message is not taken;
            nothing has then changed.

        Raises:
            UsageError: `dst` is too short or overlaps `message`; nothing was written or taken.
            TypeError: `message` is neither str nor bytes.
            BufferError: `dst` is not contiguous, or read-only.

        Cost: no allocation for up to 1,024 octets of payload.
        """
        cdef Py_buffer text, nothing, b
        cdef Payload payload
        cdef Py_ssize_t n_octets = -1, n_made
        cdef Kind kind = PCM16 if self.decodes else OCTETS
        cdef bint is_ascii = open_text(message, &text)
        open_both(NOTHING, OCTETS, dst, kind, &nothing, &b)
        payload.borrowed = NULL
        try:
            if is_ascii:
                n_octets = self.take(<const uint8_t*>text.buf, text.len, &payload)
            if n_octets < 0:
                return -1
            n_made = self.n_made(n_octets)
            check_room(&text, &b, n_made)
            self.number(&payload.fields)
            self.convert(payload.ulaw, n_octets, <uint8_t*>b.buf)
            return n_made >> self.decodes
        finally:
            PyMem_Free(payload.borrowed)
            close_both(&nothing, &b)
