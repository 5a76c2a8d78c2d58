/* The kernels of G.711 that this machine runs. */

#ifndef VOICE_AI_G711_KERNELS_H
#define VOICE_AI_G711_KERNELS_H

#include "g711.h"
#include "g711_avx2.h"
#include "g711_neon.h"

typedef void (*g711_loop)(const uint8_t *src, ptrdiff_t n_samples, uint8_t *dst);

typedef struct {
    const char *name;
    g711_loop ulaw_decode, ulaw_encode, ulaw_encode_itu, alaw_decode, alaw_encode;
} g711_kernel;

enum { G711_MAX_KERNELS = 2 };

static const g711_kernel g711_portable = {
    "portable", g711_ulaw_decode_portable, g711_ulaw_encode_portable,
    g711_ulaw_encode_itu_portable, g711_alaw_decode_portable, g711_alaw_encode_portable,
};

#ifdef CPU_MAY_AVX2
static const g711_kernel g711_avx2 = {
    "avx2", g711_ulaw_decode_avx2, g711_ulaw_encode_avx2,
    g711_ulaw_encode_itu_avx2, g711_alaw_decode_avx2, g711_alaw_encode_avx2,
};
#endif

#ifdef CPU_MAY_NEON
static const g711_kernel g711_neon = {
    "neon", g711_ulaw_decode_neon, g711_ulaw_encode_neon,
    g711_ulaw_encode_itu_neon, g711_alaw_decode_neon, g711_alaw_encode_neon,
};
#endif

/* Fills in `kernels`, the best first, and returns how many they are. */
static inline int g711_find_kernels(g711_kernel kernels[G711_MAX_KERNELS]) {
    int n_kernels = 0;
#ifdef CPU_MAY_AVX2
    if (cpu_runs_avx2())
        kernels[n_kernels++] = g711_avx2;
#endif
#ifdef CPU_MAY_NEON
    kernels[n_kernels++] = g711_neon;
#endif
    kernels[n_kernels++] = g711_portable;
    return n_kernels;
}

#endif
