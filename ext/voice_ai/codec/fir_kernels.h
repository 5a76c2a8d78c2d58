/* The kernels of fir.h that this compiler can make, the best first.

   Each is sums and the stream around them. pmaddwd takes a third of the time of what GCC 12 makes
   of the portable sums for SSE2, and AVX2 half of that; the NEON sums are 0.6 of the instructions
   that it makes for aarch64. */

#define FIR_TARGET

static void fir_sums16_portable(
    const int16_t *x, const struct fir_phase *phase, ptrdiff_t n, int16_t *y) {
    int32_t both[2][FIR_BLOCK] = {{0}};
    for (int p = 0; p < phase->n_pairs; p++) {
        const struct fir_pair *pair = phase->pairs + p;
        const int16_t *z = x + pair->at;
        const int16_t first = pair->taps[0], second = pair->taps[1];
        int32_t *sums = both[p >= phase->n_first];
        for (ptrdiff_t j = 0; j < n; j++)
            sums[j] += z[j] * first + z[j + 1] * second;
    }
    const int is_split = phase->n_first < phase->n_pairs;
    for (ptrdiff_t j = 0; j < n; j++) {
        /* Right shifts keep the sign: GCC, Clang and MSVC promise it. */
        const int32_t a = both[0][j], b = both[1][j];
        const int32_t sum = is_split ? (a >> 1) + (b >> 1) + (a & b & 1) : a;
        const int32_t out = (sum + (1 << (phase->shift - 1))) >> phase->shift;
        y[j] = (int16_t)(out > 32767 ? 32767 : out < -32768 ? -32768 : out);
    }
}

#ifdef __GNUC__
typedef float fir_v4 __attribute__((vector_size(16), aligned(4), may_alias));
#define FIR_V fir_v4
#define FIR_NAME(name) name##_portable
#include "fir_float.h"
#undef FIR_NAME
#else
static void fir_sums32_portable(
    const float *x, const struct fir_phase *phase, ptrdiff_t n, float *y) {
    memset(y, 0, (size_t)n * sizeof(float));
    for (int p = 0; p < phase->n_taps; p++) {
        const float *z = x + phase->taps[p].at, tap = phase->taps[p].tap;
        for (ptrdiff_t j = 0; j < n; j++)
            y[j] += z[j] * tap;
    }
}
#endif

#define FIR_SAMPLE int16_t
#define FIR_MEMBER pcm16
#define FIR_NAME(name) name##16_portable
#include "fir_stream.h"

#define FIR_SAMPLE float
#define FIR_MEMBER float32
#define FIR_NAME(name) name##32_portable
#include "fir_stream.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#define FIR_V __m128i
#define FIR_DO(name) _mm_##name
#define FIR_AND _mm_and_si128
#define FIR_HIGH(v) _mm_srli_si128(v, 8)
#define FIR_LOAD(at) _mm_loadu_si128((const __m128i *)(at))
#define FIR_STORE(at, v) _mm_storeu_si128((__m128i *)(at), v)
#define FIR_NAME(name) name##_sse2
#include "fir_x86.h"
#undef FIR_NAME

#define FIR_SAMPLE int16_t
#define FIR_MEMBER pcm16
#define FIR_NAME(name) name##16_sse2
#include "fir_stream.h"

#undef FIR_TARGET
#define FIR_TARGET __attribute__((target("avx2")))

#define FIR_V __m256i
#define FIR_DO(name) _mm256_##name
#define FIR_AND _mm256_and_si256
#define FIR_HIGH(v) _mm256_srli_si256(v, 8)
#define FIR_LOAD(at) _mm256_loadu_si256((const __m256i *)(at))
#define FIR_STORE(at, v) _mm256_storeu_si256((__m256i *)(at), v)
#define FIR_NAME(name) name##_avx2
#include "fir_x86.h"

typedef float fir_v8 __attribute__((vector_size(32), aligned(4), may_alias));
#define FIR_V fir_v8
#include "fir_float.h"
#undef FIR_NAME

#define FIR_SAMPLE int16_t
#define FIR_MEMBER pcm16
#define FIR_NAME(name) name##16_avx2
#include "fir_stream.h"

#define FIR_SAMPLE float
#define FIR_MEMBER float32
#define FIR_NAME(name) name##32_avx2
#include "fir_stream.h"
#endif

#if defined(__GNUC__) && defined(__aarch64__)
#include "fir_neon.h"

#define FIR_SAMPLE int16_t
#define FIR_MEMBER pcm16
#define FIR_NAME(name) name##16_neon
#include "fir_stream.h"
#endif

struct fir_kernel {
    const char *name;
    fir_runner *run16, *run32;
};

static const struct fir_kernel fir_kernels[] = {
#if defined(__GNUC__) && defined(__x86_64__)
    {"avx2", fir_run16_avx2, fir_run32_avx2},
    {"sse2", fir_run16_sse2, fir_run32_portable},
#elif defined(__GNUC__) && defined(__aarch64__)
    {"neon", fir_run16_neon, fir_run32_portable},
#endif
    {"portable", fir_run16_portable, fir_run32_portable},
};

#define FIR_N_KERNELS ((int)(sizeof fir_kernels / sizeof *fir_kernels))

/* The first of the list that this machine can run; it can run all after it. */
static inline int fir_first_kernel(void) {
#if defined(__GNUC__) && defined(__x86_64__)
    return !__builtin_cpu_supports("avx2");
#else
    return 0;
#endif
}
