"""A voice on its way to a media stream, while nothing has to be decided about it."""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.stdint cimport uint8_t

from voice_ai.codec._door cimport misuse
from voice_ai.codec._fir cimport Fir, fir_count, fir_run
from voice_ai.codec._g711 cimport encode_ulaw

# MOST_OCTETS: of a piece of the voice; 256 ms at 16 kHz. MOST_STRETCHES: between two looks at the
# books; a voice of 20 ms at a time that always comes a little late makes one of each piece.
cdef enum:
    OCTETS_A_MS = 8
    MOST_OCTETS = 8192
    MOST_STRETCHES = 128

cdef bytes NOTHING = b""


# Audio that is played without a break: when its first piece passed, and its octets of µ-law.
cdef struct Stretch:
    double now_ms
    Py_ssize_t n_octets


@cython.final
cdef class VoiceGate:
    """Let one turn's voice through to the caller while it is open; ask `otherwise` while it is not.

    It is called with each piece of audio, and returns whether that was taken. Open, it makes µ-law
    and a message of it and writes that, with a mark behind it wherever one is due; otherwise no
    Python function runs. `open` says how much may pass before whoever keeps the books sees the
    voice again; `take` tells what has passed since.

    One turn, one object, one thread.

    Args:
        frame: makes a message of octets of µ-law, e.g. `MediaWriter(sid, rate_hz=None).frame`.
        mark: makes a mark of this name.
        write: writes either.
        clock: has `until_ms`, the line's time.
        fir: from the voice's rate to 8 kHz, of int16, and shared with whoever else converts this
            voice; None if the voice is µ-law at 8 kHz.
        otherwise: called with what is not let through.

    Raises:
        UsageError: `fir` is of float32.

    Attributes:
        n_octets: octets of µ-law that have passed, in all.
        n_messages: messages made of them.

    Cost: benches/bench_gate.py measures it.
    """

    cdef object frame, mark, write, clock, otherwise
    cdef Fir fir
    cdef Py_ssize_t n_left
    cdef double dry_ms, sent_ms, mark_ms, every_ms
    cdef str label
    cdef list passed, marks
    cdef Stretch[MOST_STRETCHES] stretches
    cdef int n_stretches
    cdef readonly Py_ssize_t n_octets, n_messages

    def __cinit__(self, frame, mark, write, clock, Fir fir, otherwise):
        if fir is not None and fir.is_float:
            raise misuse("the gate's filter is of float32; int16 is needed")
        self.frame, self.mark, self.write, self.clock = frame, mark, write, clock
        self.fir, self.otherwise = fir, otherwise
        self.passed, self.marks, self.label = [], [], ""

    def open(
        self, Py_ssize_t n_octets, double dry_ms, str label not None, double sent_ms,
        double mark_ms, double every_ms, /,
    ):
        """Let so many octets of µ-law through.

        Args:
            n_octets: at most; none if it is 0 or less.
            dry_ms: when the far end will have played all that was sent, by the line's clock.
            label: marks are called by it, a colon, and how many ms of the turn were sent.
            sent_ms: how many have been.
            mark_ms: when so many have been or more, a mark is due.
            every_ms: and another whenever so many were sent behind the last.
        """
        self.n_left, self.dry_ms, self.label = n_octets, dry_ms, label
        self.sent_ms, self.mark_ms, self.every_ms = sent_ms, mark_ms, every_ms

    def shut(self):
        """Let nothing through until `open`."""
        self.n_left = 0

    def close(self):
        """Shut for good: what comes is declined."""
        self.n_left = 0
        self.otherwise = None

    def take(self):
        """Return what has passed since the last time.

        Returns:
            The octets of µ-law; a list of `(now_ms, n_octets)`, when a stretch of them that is
            played without a break began to pass, and how much it is; and a list of `(name,
            sent_ms)`, the marks behind so much of the turn.
        """
        if not self.passed:
            return NOTHING, [], []
        marks, self.marks = self.marks, []
        ulaw = NOTHING.join(self.passed)
        told = [(self.stretches[i].now_ms, self.stretches[i].n_octets)
                for i in range(self.n_stretches)]
        self.passed.clear()
        self.n_stretches = 0
        return ulaw, told, marks

    def __call__(self, audio, /):
        if self.n_left > 0 and PyBytes_CheckExact(audio):
            ulaw = self.ulaw_of(<bytes>audio)
            if ulaw is not None:
                self.send(<bytes>ulaw)
                return True
        return False if self.otherwise is None else self.otherwise(audio)

    cdef object ulaw_of(self, bytes audio):
        """The µ-law of this audio, or None if it may not pass as it is; then nothing is taken."""
        cdef uint8_t[MOST_OCTETS] pcm16
        cdef Py_ssize_t n = PyBytes_GET_SIZE(audio), n_made = n
        if self.fir is not None:
            n_made = fir_count(&self.fir.state, n >> 1)
        if (
            not 0 < n <= MOST_OCTETS or n_made > self.n_left
            or self.fir is not None and (n & 1 or 2 * n_made > MOST_OCTETS)
            or self.n_stretches == MOST_STRETCHES
        ):
            return None
        if self.fir is None:
            return audio
        fir_run(&self.fir.state, <const uint8_t*>PyBytes_AS_STRING(audio), n >> 1, pcm16)
        made = PyBytes_FromStringAndSize(NULL, n_made)
        encode_ulaw(pcm16, n_made, <uint8_t*>PyBytes_AS_STRING(made))
        return made

    cdef int send(self, bytes ulaw) except -1:
        cdef Py_ssize_t n = PyBytes_GET_SIZE(ulaw)
        cdef double now_ms
        if n == 0:
            return 0
        now_ms = self.clock.until_ms
        # The books before the write: that may shut us, and is told nothing wrong.
        self.enter(n, now_ms)
        self.passed.append(ulaw)
        data = self.frame(ulaw)
        if self.sent_ms >= self.mark_ms:
            data += self.mark(self.next_mark())
        self.write(data)
        return 0

    cdef object next_mark(self):
        self.mark_ms = self.sent_ms + self.every_ms
        name = f"{self.label}:{self.sent_ms:.0f}"
        self.marks.append((name, self.sent_ms))
        return name

    cdef void enter(self, Py_ssize_t n, double now_ms) noexcept:
        cdef bint is_dry = now_ms >= self.dry_ms
        if is_dry:
            self.dry_ms = now_ms
        if is_dry or self.n_stretches == 0:
            self.stretches[self.n_stretches].now_ms = now_ms
            self.stretches[self.n_stretches].n_octets = 0
            self.n_stretches += 1
        self.stretches[self.n_stretches - 1].n_octets += n
        self.dry_ms += n / <double>OCTETS_A_MS
        self.sent_ms += n / <double>OCTETS_A_MS
        self.n_left -= n
        self.n_octets += n
        self.n_messages += 1
