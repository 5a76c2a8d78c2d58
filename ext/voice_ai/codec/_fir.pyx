"""Resampling among 8, 16, 24, 32 and 48 kHz by a polyphase FIR, with a constant, short delay.

The filters are the tables of fir_taps.h, the sums and the stream around them are C (fir.h); here is
their face.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from math import gcd

from voice_ai.codec._door cimport (
    FLOAT32, PCM16, RELEASE_GIL_AT, Kind, check_finite, check_room, close_both, close_source,
    misuse, open_both, open_source,
)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "fir.h" nogil:
    enum:
        FIR_LINEAR
        FIR_MINIMUM
        FIR_N_TABLES

    struct fir_table:
        int up, down, kind

    const fir_table* fir_tables
    Py_ssize_t fir_completed(const FirState* state, Py_ssize_t n_samples)
    Py_ssize_t fir_end_count(const FirState* state, Py_ssize_t n_samples)
    double fir_delay(const FirState* state, Py_ssize_t n_samples)
    void fir_begin(FirState* state, const fir_table* table)
    void fir_clear(FirState* state)
    void fir_copy(FirState* to, const FirState* state, size_t n_octets)

    ctypedef void fir_runner(
        FirState* state, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst,
    ) noexcept
    void fir_end(FirState* state, fir_runner* run, size_t n_octets, uint8_t* dst)

    struct fir_kernel:
        const char* name
        fir_runner* run16
        fir_runner* run32

    enum:
        FIR_N_KERNELS
    const fir_kernel* fir_kernels
    int fir_first_kernel()

cdef tuple RATES = (8000, 16000, 24000, 32000, 48000)
cdef tuple DTYPES = ("int16", "float32")
cdef tuple PHASES = ("linear", "minimum")
# So that no count of samples or octets overflows, at up to six times as many of four octets.
cdef Py_ssize_t MOST_SAMPLES = PY_SSIZE_T_MAX // 32
cdef int best = fir_first_kernel()
cdef const fir_kernel* chosen = &fir_kernels[best]


cdef Py_ssize_t fir_count(const FirState* state, Py_ssize_t n_samples) noexcept nogil:
    return fir_completed(state, n_samples)


cdef void fir_run(
    FirState* state, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst,
) noexcept nogil:
    chosen.run16(state, src, n_samples, dst)


cdef const fir_table* table_of(in_rate, out_rate, phase) except NULL:
    cdef int i, up, down, kind
    if in_rate not in RATES or out_rate not in RATES:
        raise misuse(
            f"cannot resample {in_rate} Hz to {out_rate} Hz by the FIR; it knows 8000, 16000, "
            "24000, 32000 and 48000"
        )
    if phase not in PHASES:
        raise misuse(f"phase is {phase!r}; 'linear' or 'minimum' is needed")
    up, down = out_rate // gcd(in_rate, out_rate), in_rate // gcd(in_rate, out_rate)
    kind = FIR_MINIMUM if phase == "minimum" and up != down else FIR_LINEAR
    for i in range(FIR_N_TABLES):
        if (fir_tables[i].up, fir_tables[i].down, fir_tables[i].kind) == (up, down, kind):
            return &fir_tables[i]
    raise misuse(f"no FIR of {phase} phase from {in_rate} Hz to {out_rate} Hz")


cdef Py_ssize_t n_made(const FirState* state, Py_ssize_t n_samples, bint last) noexcept nogil:
    cdef Py_ssize_t n = fir_completed(state, n_samples)
    return n + fir_end_count(state, n_samples) if last else n


cdef void run(
    FirState* state, bint is_float, const uint8_t* src, Py_ssize_t n_samples, uint8_t* dst,
    bint last,
) noexcept nogil:
    cdef fir_runner* runner = chosen.run32 if is_float else chosen.run16
    cdef Py_ssize_t n_octets = 4 if is_float else 2
    cdef Py_ssize_t n = fir_completed(state, n_samples)
    runner(state, src, n_samples, dst)
    if last:
        fir_end(state, runner, n_octets, dst + n * n_octets)


cdef Py_ssize_t item_of(Fir fir) noexcept:
    return 4 if fir.is_float else 2


cdef Py_ssize_t ready(Fir fir, const Py_buffer* src, bint last) except -1:
    """How many samples are to be made of `src`, which is fine."""
    if fir.is_float:
        check_finite(src)
    return n_made(&fir.state, src.len // item_of(fir), last)


cdef void work(Fir fir, const Py_buffer* src, uint8_t* dst, bint last) noexcept:
    cdef Py_ssize_t n_samples = src.len // item_of(fir)
    cdef FirState own
    if n_samples < RELEASE_GIL_AT:
        run(&fir.state, fir.is_float, <const uint8_t*>src.buf, n_samples, dst, last)
        return
    # On a copy: a second thread in the same stream meanwhile spoils the sound, and never memory.
    fir_copy(&own, &fir.state, item_of(fir))
    with nogil:
        run(&own, fir.is_float, <const uint8_t*>src.buf, n_samples, dst, last)
    fir_copy(&fir.state, &own, item_of(fir))


@cython.final
cdef class Fir:
    """Change the rate of a mono stream among 8, 16, 24, 32 and 48 kHz, at once.

    Whole frames of 10 ms make whole frames, from the first on, and the result is the same however
    the input is cut: samples are taken in groups, of two going from 16 to 8 kHz, and an incomplete
    one waits for its rest. One stream, one object, one thread.

    The output runs `delay()` samples behind: it begins with that much silence, and `last=True`
    brings out what is still inside; the next sample is then the first of a new stream. Linear phase
    takes 1.63 to 1.73 ms where the lower rate is 8 kHz, proportionally less where it is higher.
    Minimum phase takes 0.2 to 0.3 ms, and up to 0.6 at 3.4 kHz: the waveform changes its shape.
    Both are flat to 0.01 dB up to 0.85 of the lower rate's half, and keep images and aliases 70 dB
    down.

    int16 is exact to the last bit of the convolution with coefficients of 14 to 16 bits, rounded
    half up and saturated. Going up by a whole number, a sample of each group is an input sample,
    unchanged (linear phase). float32 does not saturate.

    Args:
        in_rate: Hz of what comes in.
        out_rate: Hz of what goes out; the same makes a copy.
        dtype: "int16" or "float32", of input and output.
        phase: "linear" or "minimum".

    Raises:
        UsageError: another rate, dtype or phase.

    Source: the class of filter of ITU-T G.191 (STL, FIR), designs of our own; the tests measure
        them.
    """

    def __cinit__(self):
        # Memory is safe also without an __init__: a plain copy.
        fir_begin(&self.state, &fir_tables[0])

    def __init__(self, in_rate, out_rate, *, dtype="int16", phase="linear"):
        if dtype not in DTYPES:
            raise misuse(f"dtype is {dtype!r}; 'int16' or 'float32' is needed")
        fir_begin(&self.state, table_of(in_rate, out_rate, phase))
        self.is_float = dtype == "float32"

    def delay(self):
        """Return how many output samples the output runs behind the input that has come.

        An end now would bring that many, rounded up. It is the filter's group delay (the mean over
        the pass band), and what the samples of an incomplete group are in output samples.
        """
        return fir_delay(&self.state, 0)

    def clear(self):
        """Forget the stream: the next sample is the first."""
        fir_clear(&self.state)

    def room(self, n_samples, last=False):
        """Return the number of samples that `n_samples` more will make.

        Raises:
            UsageError: `n_samples` is negative, or more than memory holds.
        """
        if not 0 <= n_samples <= MOST_SAMPLES:
            raise misuse(f"n_samples is {n_samples}; 0 to {MOST_SAMPLES} are possible")
        return n_made(&self.state, n_samples, last)

    def into(self, src, dst, /, last=False):
        """Resample into the caller's buffer.

        Args:
            src: n samples of the `dtype`, little-endian, or their octets; contiguous.
            dst: a writable contiguous buffer of at least `room(n, last)` samples, apart from `src`.
            last: bring out also what is still inside.

        Returns:
            `room(n, last)`, the number of samples written.

        Raises:
            UsageError: `src` ends within a sample or holds a NaN or an infinity, or `dst` is too
                short or overlaps it; nothing was written or kept.
            BufferError: a buffer is not contiguous, or `dst` is read-only.

        Cost: no allocation; the GIL is released from 65,536 samples on.
        """
        cdef Py_buffer a, b
        cdef Kind kind = FLOAT32 if self.is_float else PCM16
        cdef Py_ssize_t n
        open_both(src, kind, dst, kind, &a, &b)
        try:
            n = ready(self, &a, last)
            check_room(&a, &b, n * item_of(self))
            work(self, &a, <uint8_t*>b.buf, last)
            return n
        finally:
            close_both(&a, &b)

    def process(self, src, /, last=False):
        """Resample into new `bytes`; otherwise as `into`."""
        cdef Py_buffer a
        cdef Py_ssize_t n
        open_source(src, FLOAT32 if self.is_float else PCM16, &a)
        try:
            n = ready(self, &a, last)
            out = PyBytes_FromStringAndSize(NULL, n * item_of(self))
            work(self, &a, <uint8_t*>PyBytes_AS_STRING(out), last)
            return out
        finally:
            close_source(&a)


def kernels():
    """Name the kernels that this machine can run, the best first."""
    return tuple([fir_kernels[i].name.decode() for i in range(best, FIR_N_KERNELS)])


def kernel():
    """Name the kernel in use."""
    return chosen.name.decode()


def use(name, /):
    """Use another kernel from now on, for tests and benches; they differ in nothing but speed.

    Raises:
        UsageError: this machine has no kernel of that name.
    """
    global chosen
    if name not in kernels():
        raise misuse(f"no kernel {name!r} here; there are {', '.join(kernels())}")
    chosen = &fir_kernels[best + kernels().index(name)]
