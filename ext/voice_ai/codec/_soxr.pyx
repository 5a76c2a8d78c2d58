"""libsoxr without compiling against it: `Library` is one that was found, `Soxr` a stream of it."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.string cimport strcmp

from voice_ai.codec._door cimport (
    FLOAT32, PCM16, check_finite, check_room, close_both, close_source, misuse, open_both,
    open_source,
)

import os

cdef extern from "soxr_load.h":
    const char* soxr_load(const char* path, soxr_calls* calls)

cdef enum:
    # In samples of the longer side, each 2-8 ns (QQ 8 to 16 kHz, VHQ 44.1 to 48): 0.03-0.13 ms of
    # work. A call's frames stay far below, so that no other thread takes the GIL from an event loop
    # in the middle of one.
    RELEASE_SOXR_GIL_AT = 16384
    # Beyond it a count in samples could overflow.
    MOST_SAMPLES = 1 << 30


@cython.final
cdef class Library:
    """The C functions of one libsoxr.

    Args:
        path: a shared object, or a name for the system's loader to find.

    Raises:
        OSError: it cannot be loaded, or lacks one of the functions.

    Its `version` is what it says of itself, e.g. "libsoxr-0.1.3". It stays loaded for good.
    """

    def __cinit__(self, path, /):
        cdef bytes name = os.fsencode(path)
        cdef const char* fault = soxr_load(name, &self.calls)
        if fault is not NULL:
            raise OSError(fault.decode("utf-8", "replace"))
        self.path = path
        self.version = self.calls.version().decode("ascii", "replace")

    def __repr__(self):
        return f"Library({self.path!r})"


@cython.final
cdef class Soxr:
    """One mono stream through libsoxr, by a checked `SoxrDesign`.

    One stream, one object, one thread. The output is the same, bit for bit, however the input is
    cut, but for dithered int16: libsoxr stirs the length of each call into its noise (or the time
    of day, in releases that are not python-soxr's). It comes in bursts: libsoxr works in blocks,
    and holds up to `delay()` samples. n samples make n * out_rate / in_rate in all, rounded to
    nearest, and stand where the input stood. Int16 is clipped, not wrapped.

    Args:
        library: whose functions run.
        design: what is wanted.

    Raises:
        UsageError: libsoxr refuses the design, in its own words.

    Cost: its filters are designed here, in 0.02-4 ms. 20 ms of speech take 0.9 µs at HQ.
    """

    def __cinit__(self, Library library not None, design, /):
        self.calls = library.calls
        self.in_rate = design.in_rate
        self.out_rate = design.out_rate
        self.kind = FLOAT32 if design.dtype == "float32" else PCM16
        item = SOXR_OF_FLOAT32 if self.kind == FLOAT32 else SOXR_OF_INT16
        self.io = self.calls.io_spec(item, item)
        self.io.flags = 0 if design.dither else SOXR_WITHOUT_DITHER
        self.quality = self.calls.quality_spec(design.recipe, 0)
        self.quality.phase = design.phase_percent
        if design.passband is not None:
            self.quality.passband = design.passband
        if design.stopband is not None:
            self.quality.stopband = design.stopband
        self.runtime = self.calls.runtime_spec(1)
        if design.log2_min_dft_size is not None:
            self.runtime.log2_min_dft = design.log2_min_dft_size
        if design.log2_large_dft_size is not None:
            self.runtime.log2_large_dft = design.log2_large_dft_size
        self.run.calls = &self.calls
        self.run.io_ratio = self.in_rate / self.out_rate
        self.run.n_octets = 4 if self.kind == FLOAT32 else 2
        self.run.handle = self.create()
        # The others ("cr32", "cr64") share a table of the process, which only OpenMP locks.
        engine = self.calls.engine(self.run.handle)
        self.free_of_gil = strcmp(engine, "cr32s") == 0 or strcmp(engine, "cr64s") == 0

    def __dealloc__(self):
        if self.run.handle is not NULL:
            self.calls.destroy(self.run.handle)

    cdef soxr_handle* create(self) except NULL:
        cdef soxr_fault fault = NULL
        cdef soxr_handle* handle = self.calls.create(
            self.in_rate, self.out_rate, 1, &fault, &self.io, &self.quality, &self.runtime,
        )
        if handle is NULL:
            why = "no memory" if fault is NULL else fault.decode("ascii", "replace")
            raise misuse(
                f"libsoxr refuses {self.in_rate:g} Hz to {self.out_rate:g} Hz with passband "
                f"{self.quality.passband:g} and stopband {self.quality.stopband:g}: {why}"
            )
        return handle

    cdef int check_ready(self) except -1:
        # With the GIL released, a second thread would find libsoxr's queues half moved.
        if self.busy:
            raise misuse("another thread is in this stream; one stream is for one thread")
        if self.run.ended:
            raise misuse("this stream has had its last chunk; clear() begins a new one")
        return 0

    cdef Py_ssize_t run_at_will(
        self, const Py_buffer* src, uint8_t* dst, Py_ssize_t n_room, bint last,
    ) except -1:
        cdef Py_ssize_t n = src.len // self.run.n_octets
        cdef Py_ssize_t n_before = self.run.n_out
        cdef const uint8_t* samples = <const uint8_t*>src.buf
        cdef soxr_fault fault
        if max(n, n_room) < RELEASE_SOXR_GIL_AT or not self.free_of_gil:
            fault = soxr_into(&self.run, samples, n, dst, last)
        else:
            self.busy = True
            with nogil:
                fault = soxr_into(&self.run, samples, n, dst, last)
            self.busy = False
        if fault is not NULL:
            raise RuntimeError(f"libsoxr: {fault.decode('ascii', 'replace')}")
        return self.run.n_out - n_before

    def delay(self):
        """Return how many output samples libsoxr holds: an end now brings them, to the nearest."""
        if self.busy:
            self.check_ready()
        return 0.0 if self.run.ended else self.calls.delay(self.run.handle)

    def clear(self):
        """Forget the stream, also its end: the next sample is the first, as in a new object.

        Cost: as much as a new stream, like libsoxr's own soxr_clear, which also designs anew, and
        leaves a stream without filters if it was made without an undocumented flag.
        """
        if self.busy:
            self.check_ready()
        cdef soxr_handle* handle = self.create()
        self.calls.destroy(self.run.handle)
        self.run.handle = handle
        self.run.n_in = self.run.n_out = 0
        self.run.ended = False

    def room(self, n_samples, last=False):
        """Return the most samples that `n_samples` more would make; with `last`, exactly."""
        cdef Py_ssize_t n = n_samples
        self.check_ready()
        if not 0 <= n <= MOST_SAMPLES:
            raise misuse(f"{n} samples at once; 0 to {<long>MOST_SAMPLES} are possible")
        return soxr_room(&self.run, n, last)

    def into(self, src, dst, /, last=False):
        """Resample into the caller's buffer.

        Args:
            src: samples of the design's dtype, little-endian; any contiguous buffer; may be empty.
            dst: a writable contiguous buffer, apart from `src`, for `room(n, last)` samples.
            last: no input follows: bring out also the tail.

        Returns:
            The number of samples written; often 0, and then many.

        Raises:
            UsageError: `src` ends within a sample or holds NaN or infinity, `dst` is too short or
                overlaps it, the stream has had its end, or another thread is in it; nothing was
                written or taken.
            BufferError: a buffer is not contiguous, or `dst` is read-only.

        Cost: no allocation of ours; the GIL is released from 16,384 samples on, where libsoxr's
            engine allows it.
        """
        cdef Py_buffer a, b
        cdef Py_ssize_t n_room
        cdef bint ends = last
        open_both(src, self.kind, dst, self.kind, &a, &b)
        try:
            self.check_ready()
            n_room = soxr_room(&self.run, a.len // self.run.n_octets, ends)
            check_room(&a, &b, n_room * self.run.n_octets)
            if self.kind == FLOAT32:
                check_finite(&a)
            return self.run_at_will(&a, <uint8_t*>b.buf, n_room, ends)
        finally:
            close_both(&a, &b)

    def process(self, src, /, last=False):
        """Resample into a new `bytes`; otherwise as `into`."""
        cdef Py_buffer a
        cdef Py_ssize_t n_room, n_made
        cdef bint ends = last
        open_source(src, self.kind, &a)
        try:
            self.check_ready()
            if self.kind == FLOAT32:
                check_finite(&a)
            n_room = soxr_room(&self.run, a.len // self.run.n_octets, ends)
            made = PyBytes_FromStringAndSize(NULL, n_room * self.run.n_octets)
            n_made = self.run_at_will(&a, <uint8_t*>PyBytes_AS_STRING(made), n_room, ends)
            # Shorter is a copy, of at most what the delay reserves.
            return made if n_made == n_room else made[:n_made * self.run.n_octets]
        finally:
            close_source(&a)
