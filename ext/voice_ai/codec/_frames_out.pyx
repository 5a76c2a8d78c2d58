"""Samples to `media` messages to Twilio, a call each, one message or many in one buffer.

Nothing is made for a sample or a frame; the result is one new `bytes`, or none.
"""

import json

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memmove

from voice_ai.codec._base64 cimport base64_encoded_size, encode_base64
from voice_ai.codec._door cimport (
    OCTETS, PCM16, RELEASE_GIL_AT, check_room, close_both, close_source, misuse, open_both,
    open_source,
)
from voice_ai.codec._fir cimport Fir, FirState, fir_count, fir_run
from voice_ai.codec._frames_in cimport check_stream
from voice_ai.codec._g711 cimport encode_ulaw

cdef extern from "media.h" nogil:
    Py_ssize_t frame_header_size(Py_ssize_t n_octets)
    uint8_t* put_frame_header(uint8_t* dst, Py_ssize_t n_octets)

# FRAME: octets of µ-law in 20 ms. BLOCK: samples at 8 kHz that are worked on at a time, within the
# first-level cache; SLACK: by how many a filter's phase may exceed it.
cdef enum:
    FRAME = 160
    BLOCK = 512
    SLACK = 8
    HZ = 8000

cdef bytes NOTHING = b""


# The text around every payload of a stream.
cdef struct Template:
    const uint8_t* head
    Py_ssize_t n_head
    const uint8_t* tail
    Py_ssize_t n_tail


# Audio on its way out: µ-law that has not been written yet, and where it goes.
cdef struct Out:
    uint8_t* dst
    bint is_framed
    Py_ssize_t n_ulaw
    uint8_t ulaw[FRAME + BLOCK + SLACK]


cdef Py_ssize_t message_size(const Template* t, Py_ssize_t n_octets) noexcept nogil:
    return t.n_head + base64_encoded_size(n_octets) + t.n_tail


cdef Py_ssize_t frame_size(const Template* t, Py_ssize_t n_octets) noexcept nogil:
    cdef Py_ssize_t n = message_size(t, n_octets)
    return frame_header_size(n) + n


cdef void put_base64(Out* out, const uint8_t* ulaw, Py_ssize_t n_octets) noexcept nogil:
    encode_base64(ulaw, n_octets, out.dst)
    out.dst += base64_encoded_size(n_octets)


cdef void put_text(Out* out, const uint8_t* text, Py_ssize_t n_octets) noexcept nogil:
    memcpy(out.dst, text, n_octets)
    out.dst += n_octets


cdef void put_frame(
    const Template* t, Out* out, const uint8_t* ulaw, Py_ssize_t n_octets,
) noexcept nogil:
    out.dst = put_frame_header(out.dst, message_size(t, n_octets))
    put_text(out, t.head, t.n_head)
    put_base64(out, ulaw, n_octets)
    put_text(out, t.tail, t.n_tail)


# Writes what is whole: frames, or groups of three octets of one message.
cdef void put_whole(const Template* t, Out* out) noexcept nogil:
    cdef Py_ssize_t done = 0
    if out.is_framed:
        while out.n_ulaw - done >= FRAME:
            put_frame(t, out, out.ulaw + done, FRAME)
            done += FRAME
    else:
        done = out.n_ulaw // 3 * 3
        put_base64(out, out.ulaw, done)
    out.n_ulaw -= done
    memmove(out.ulaw, out.ulaw + done, out.n_ulaw)


# What a stretch of audio becomes, behind the µ-law that waits; `ratio` is its rate in 8 kHz, or 0.
cdef void put_audio(
    const Template* t, FirState* fir, int ratio, Out* out, const uint8_t* src, Py_ssize_t n_left,
) noexcept nogil:
    cdef uint8_t[2 * (BLOCK + SLACK)] pcm16
    cdef Py_ssize_t n, n_made
    while n_left > 0:
        n = min(n_left, BLOCK * max(ratio, 1))
        n_made = n
        if ratio == 0:
            memcpy(out.ulaw + out.n_ulaw, src, n)
        elif ratio == 1:
            encode_ulaw(src, n, out.ulaw + out.n_ulaw)
        else:
            n_made = fir_count(fir, n)
            fir_run(fir, src, n, pcm16)
            encode_ulaw(pcm16, n_made, out.ulaw + out.n_ulaw)
        out.n_ulaw += n_made
        put_whole(t, out)
        src += n << (ratio > 0)
        n_left -= n


# What is left of a message, or a shorter last frame.
cdef void put_rest(const Template* t, Out* out) noexcept nogil:
    if out.is_framed:
        put_frame(t, out, out.ulaw, out.n_ulaw)
    else:
        put_base64(out, out.ulaw, out.n_ulaw)
        put_text(out, t.tail, t.n_tail)
    out.n_ulaw = 0


@cython.final
cdef class MediaWriter:
    """Turn the audio of one stream into `media` messages to Twilio, from a template made once.

    `message` makes one message of all that it is given, of any length. `messages` makes many of 20
    ms each, with their websocket headers, in one buffer for one write to the socket; what does not
    fill a message waits for the next call. Both may be used on one stream: what waits goes first.
    An utterance ends with `last=True`, which brings out what waits and what is still inside the
    filter; the next audio begins anew. At barge-in `clear` drops both.

    One stream, one object, one thread. At another rate than 8 kHz the message runs behind the
    samples by the delay of `ResampleStream` (1.6 ms).

    Args:
        stream_sid: the stream's id.
        rate_hz: the rate of the PCM16 that comes in: 8000, 16000 or 24000. None for µ-law octets at
            8 kHz, which go out untouched.

    Raises:
        UsageError: another rate, an id of more than 256 characters, or one with half of a surrogate
            pair.

    Cost: under a microsecond for 20 ms; benches/bench_frame_out.py measures it.
    Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages; RFC 6455, section
        5.2.
    """

    cdef bytes head, tail
    cdef Template template
    cdef Fir fir
    cdef int ratio
    cdef Py_ssize_t n_held
    cdef uint8_t[FRAME] held

    def __cinit__(self, str stream_sid not None, *, rate_hz=16000):
        self.ratio = check_stream(stream_sid, rate_hz) // HZ
        quoted = json.dumps(stream_sid, ensure_ascii=False)
        self.head = f'{{"event":"media","streamSid":{quoted},"media":{{"payload":"'.encode()
        self.tail = b'"}}'
        self.template.head = <const uint8_t*>PyBytes_AS_STRING(self.head)
        self.template.n_head = PyBytes_GET_SIZE(self.head)
        self.template.tail = <const uint8_t*>PyBytes_AS_STRING(self.tail)
        self.template.n_tail = PyBytes_GET_SIZE(self.tail)
        self.fir = Fir(rate_hz, HZ) if self.ratio > 1 else None

    def clear(self):
        """Forget what waits and the filter's past: the next audio begins an utterance."""
        self.n_held = 0
        if self.fir is not None:
            self.fir.clear()

    cdef Py_ssize_t n_octets(self, Py_ssize_t n_samples, bint last) except -1:
        """Octets of µ-law that wait or that so many samples make."""
        if self.fir is None:
            return self.n_held + n_samples
        if last:
            return self.n_held + <Py_ssize_t>self.fir.room(n_samples, True)
        return self.n_held + fir_count(&self.fir.state, n_samples)

    cdef Py_ssize_t size(self, Py_ssize_t n_octets, bint is_framed, bint last) noexcept:
        cdef const Template* t = &self.template
        cdef Py_ssize_t n_rest = n_octets % FRAME
        if not is_framed:
            return message_size(t, n_octets) if n_octets else 0
        return n_octets // FRAME * frame_size(t, FRAME) + (
            frame_size(t, n_rest) if last and n_rest else 0
        )

    cdef void put(self, const Py_buffer* a, Out* out) noexcept:
        cdef FirState* fir = NULL if self.fir is None else &self.fir.state
        cdef Template template = self.template
        cdef int ratio = self.ratio
        cdef const uint8_t* src = <const uint8_t*>a.buf
        cdef Py_ssize_t n_samples = a.len >> (ratio > 0)
        cdef FirState own
        if n_samples < RELEASE_GIL_AT:
            put_audio(&template, fir, ratio, out, src, n_samples)
            return
        # On a copy: a second thread in the same stream then spoils the sound, and never memory.
        if fir is not NULL:
            own = fir[0]
        with nogil:
            put_audio(&template, &own, ratio, out, src, n_samples)
        if fir is not NULL:
            fir[0] = own

    cdef int run(
        self, const Py_buffer* a, Py_ssize_t n_octets, bint is_framed, bint last, uint8_t* dst,
    ) except -1:
        cdef Out out
        out.dst = dst
        out.is_framed = is_framed
        out.n_ulaw = self.n_held
        memcpy(out.ulaw, self.held, self.n_held)
        if n_octets and not is_framed:
            put_text(&out, self.template.head, self.template.n_head)
        self.put(a, &out)
        if last and self.fir is not None:
            end = self.fir.process(NOTHING, True)
            put_audio(
                &self.template, NULL, 1, &out, <const uint8_t*>PyBytes_AS_STRING(end),
                PyBytes_GET_SIZE(end) >> 1,
            )
            self.fir.clear()
        if n_octets and not is_framed or last and out.n_ulaw:
            put_rest(&self.template, &out)
        self.n_held = out.n_ulaw
        memcpy(self.held, out.ulaw, out.n_ulaw)
        return 0

    cdef object as_frame(self, audio):
        cdef Py_buffer a
        cdef Py_ssize_t n_octets, n_text
        cdef uint8_t* dst
        open_source(audio, PCM16 if self.ratio else OCTETS, &a)
        try:
            n_octets = self.n_octets(a.len >> (self.ratio > 0), False)
            n_text = self.size(n_octets, False, False)
            if n_text == 0:
                self.run(&a, n_octets, False, False, NULL)
                return NOTHING
            made = PyBytes_FromStringAndSize(NULL, frame_header_size(n_text) + n_text)
            dst = put_frame_header(<uint8_t*>PyBytes_AS_STRING(made), n_text)
            self.run(&a, n_octets, False, False, dst)
            return made
        finally:
            close_source(&a)

    cdef object as_new(self, audio, bint is_framed, bint last):
        cdef Py_buffer a
        cdef Py_ssize_t n_octets
        open_source(audio, PCM16 if self.ratio else OCTETS, &a)
        try:
            n_octets = self.n_octets(a.len >> (self.ratio > 0), last)
            made = PyBytes_FromStringAndSize(NULL, self.size(n_octets, is_framed, last))
            self.run(&a, n_octets, is_framed, last, <uint8_t*>PyBytes_AS_STRING(made))
            return made
        finally:
            close_source(&a)

    cdef object as_into(self, audio, dst, bint is_framed, bint last):
        cdef Py_buffer a, b
        cdef Py_ssize_t n_octets, n_made
        open_both(audio, PCM16 if self.ratio else OCTETS, dst, OCTETS, &a, &b)
        try:
            n_octets = self.n_octets(a.len >> (self.ratio > 0), last)
            n_made = self.size(n_octets, is_framed, last)
            check_room(&a, &b, n_made)
            self.run(&a, n_octets, is_framed, last, <uint8_t*>b.buf)
            return n_made
        finally:
            close_both(&a, &b)

    def room(self, Py_ssize_t n_samples, *, bint last=False):
        """Return how many octets suffice for what `n_samples` more make now, in either form."""
        cdef Py_ssize_t n_octets
        if n_samples < 0:
            raise misuse(f"n_samples is {n_samples}, at least 0 is needed")
        n_octets = self.n_octets(n_samples, last)
        return max(self.size(n_octets, False, last), self.size(n_octets, True, last))

    def message(self, audio, /, *, bint last=False):
        """Make one message of all this audio, after what waits.

        Args:
            audio: n samples of int16, little-endian, or n octets of µ-law; any contiguous buffer.
            last: the utterance ends here.

        Returns:
            The message, a JSON text in UTF-8 without a websocket header; to the octet what
            `wire.twilio.media` builds. Nothing where there is no octet to send, as Twilio takes no
            empty payload.

        Raises:
            UsageError: `audio` ends within a sample; nothing was taken.
            BufferError: `audio` is not contiguous.
        """
        return self.as_new(audio, False, last)

    def frame(self, audio, /):
        """Make one message as `message` does, as a websocket frame.

        Args:
            audio: as for `message`.

        Returns:
            An unmasked text frame, as a server sends it; nothing where there is no octet to send.

        Raises:
            UsageError: `audio` ends within a sample; nothing was taken.
            BufferError: `audio` is not contiguous.
        """
        return self.as_frame(audio)

    def message_into(self, audio, dst, /, *, bint last=False):
        """Write one message of all this audio into the caller's buffer; otherwise as `message`.

        Args:
            audio: as for `message`.
            dst: a writable contiguous buffer of octets, apart from `audio`; `room` tells how many.
            last: the utterance ends here.

        Returns:
            The number of octets written.

        Raises:
            UsageError: `audio` ends within a sample, or `dst` is too short or overlaps it; nothing
                was written or taken.
            BufferError: a buffer is not contiguous, or `dst` is read-only.
        """
        return self.as_into(audio, dst, False, last)

    def messages(self, audio, /, *, bint last=False):
        """Make messages of 20 ms each, as websocket frames, of what waits and this audio.

        Args:
            audio: n samples of int16, little-endian, or n octets of µ-law; any contiguous buffer.
            last: the utterance ends here: what does not fill a message makes a shorter one.

        Returns:
            Unmasked text frames, as a server sends them, one behind the other; may be empty.

        Raises:
            UsageError: `audio` ends within a sample; nothing was taken.
            BufferError: `audio` is not contiguous.
        """
        return self.as_new(audio, True, last)

    def messages_into(self, audio, dst, /, *, bint last=False):
        """Write messages of 20 ms each into the caller's buffer; otherwise as `messages`.

        Args:
            audio: as for `messages`.
            dst: a writable contiguous buffer of octets, apart from `audio`; `room` tells how many.
            last: the utterance ends here.

        Returns:
            The number of octets written.

        Raises:
            UsageError: `audio` ends within a sample, or `dst` is too short or overlaps it; nothing
                was written or taken.
            BufferError: a buffer is not contiguous, or `dst` is read-only.
        """
        return self.as_into(audio, dst, True, last)
