/* What libsoxr 0.1.x promises to its callers, in our words: its structs, its constants and the
   functions that we call, none of which needs libsoxr to compile.

   Facts of the public API of libsoxr 0.1.3; the layouts are the same since 0.1.0. Its enumerations
   are an int wide. All functions take a null handle or pointer only where it is said here. */

#ifndef VOICE_AI_SOXR_ABI_H
#define VOICE_AI_SOXR_ABI_H

#include <stddef.h>

enum { SOXR_OF_FLOAT32 = 0, SOXR_OF_INT16 = 3 };
enum { SOXR_WITHOUT_DITHER = 8 };

typedef struct soxr soxr_handle;
/* NULL is success. The text is libsoxr's own and lives as long as the library. */
typedef const char *soxr_fault;

typedef struct {
    int in_type, out_type;
    double scale;
    void *reserved;
    unsigned long flags;
} soxr_io;

typedef struct {
    double precision; /* bits, 15 to 33; 0 is cubic interpolation */
    double phase;     /* 0 minimum, 50 linear, 100 maximum */
    double passband;  /* its end, and the stop band's beginning: 1 is half the lower rate */
    double stopband;
    void *reserved;
    unsigned long flags;
} soxr_quality;

typedef struct {
    unsigned log2_min_dft, log2_large_dft, coefficients_kib, n_threads;
    void *reserved;
    unsigned long flags;
} soxr_runtime;

typedef struct {
    const char *(*version)(void);
    soxr_io (*io_spec)(int in_type, int out_type);
    soxr_quality (*quality_spec)(unsigned long recipe, unsigned long flags);
    soxr_runtime (*runtime_spec)(unsigned n_threads);
    soxr_handle *(*create)(double in_rate, double out_rate, unsigned n_channels, soxr_fault *fault,
                           const soxr_io *, const soxr_quality *, const soxr_runtime *);
    void (*destroy)(soxr_handle *); /* also NULL */
    /* With a null `in` the input is over for good. With a null `n_taken` all input is taken. */
    soxr_fault (*process)(soxr_handle *, const void *in, size_t n_in, size_t *n_taken, void *out,
                          size_t n_room, size_t *n_out);
    double (*delay)(soxr_handle *);
    const char *(*engine)(soxr_handle *);
} soxr_calls;

#endif
