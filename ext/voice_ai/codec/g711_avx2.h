/* G.711 for AVX2: 32 samples a step.

   A length that is no multiple of 32 ends with a step that does some samples over again; below 32
   the portable loop does it. So nothing outside the buffers is touched. */

#ifndef VOICE_AI_G711_AVX2_H
#define VOICE_AI_G711_AVX2_H

#include "cpu.h"
#include "g711.h"

#ifdef CPU_MAY_AVX2

#include <immintrin.h>

#define G711_AVX2 static inline FOR_AVX2

G711_AVX2 __m256i g711_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

G711_AVX2 void g711_store(uint8_t *p, __m256i x) { _mm256_storeu_si256((__m256i *)p, x); }

G711_AVX2 __m256i g711_twice(const void *sixteen_octets) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)sixteen_octets));
}

/* Half a sample is scale * steps + offset_scale * offset: one multiply-and-add of octets
   (pmaddubsw), each factor of which depends on one half of the code and is looked up (pshufb).
   `steps` is by the lower half, and is negated where `offset` is negative; the others are by the
   upper half. */
typedef struct {
    int8_t steps[16];
    uint8_t scale[16], offset_scale[16];
    int8_t offset[16];
} g711_factors;

typedef struct {
    __m256i steps, scale, offset_scale, offset;
} g711_lookups;

/* Segment s, interval m: (2 m + 33) * 2^s - 33, twice. All bits travel inverted, and a sign bit of
   1 is plus. */
static const g711_factors g711_ulaw_factors = {
    {-126, -122, -118, -114, -110, -106, -102, -98, -94, -90, -86, -82, -78, -74, -70, -66},
    {128, 64, 32, 16, 8, 4, 2, 1, 128, 64, 32, 16, 8, 4, 2, 1},
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {66, 66, 66, 66, 66, 66, 66, 66, -66, -66, -66, -66, -66, -66, -66, -66},
};

/* (2 m + 33) * 2^(s - 1) or, in segment 0, 2 m + 1, four times. Every second bit travels inverted,
   and a sign bit of 1 is plus. */
static const g711_factors g711_alaw_factors = {
    {44, 36, 60, 52, 12, 4, 28, 20, 108, 100, 124, 116, 76, 68, 92, 84},
    {16, 8, 64, 32, 1, 1, 4, 2, 16, 8, 64, 32, 1, 1, 4, 2},
    {32, 16, 128, 64, 2, 0, 8, 4, 32, 16, 128, 64, 2, 0, 8, 4},
    {-64, -64, -64, -64, -64, -64, -64, -64, 64, 64, 64, 64, 64, 64, 64, 64},
};

G711_AVX2 void g711_decode32(const uint8_t *codes, uint8_t *pcm16, const g711_lookups *by) {
    const __m256i half = _mm256_set1_epi8(0x0F);
    /* Quarters 0, 2, 1, 3: the unpacking below works within halves of the register. */
    __m256i code = _mm256_permute4x64_epi64(g711_load(codes), 0xD8);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(code, 4), half);
    __m256i scale = _mm256_shuffle_epi8(by->scale, upper);
    __m256i offset_scale = _mm256_shuffle_epi8(by->offset_scale, upper);
    __m256i offset = _mm256_shuffle_epi8(by->offset, upper);
    __m256i steps = _mm256_shuffle_epi8(by->steps, _mm256_and_si256(code, half));
    steps = _mm256_sign_epi8(steps, offset);
    __m256i x0 = _mm256_maddubs_epi16(
        _mm256_unpacklo_epi8(scale, offset_scale), _mm256_unpacklo_epi8(steps, offset));
    __m256i x1 = _mm256_maddubs_epi16(
        _mm256_unpackhi_epi8(scale, offset_scale), _mm256_unpackhi_epi8(steps, offset));
    g711_store(pcm16, _mm256_add_epi16(x0, x0));
    g711_store(pcm16 + 32, _mm256_add_epi16(x1, x1));
}

G711_AVX2 void g711_decode_all(
    const uint8_t *codes, ptrdiff_t n_samples, uint8_t *pcm16, const g711_factors *factors) {
    const g711_lookups by = {
        g711_twice(factors->steps), g711_twice(factors->scale),
        g711_twice(factors->offset_scale), g711_twice(factors->offset),
    };
    ptrdiff_t i = 0;
    for (; i + 32 <= n_samples; i += 32)
        g711_decode32(codes + i, pcm16 + 2 * i, &by);
    i = n_samples - 32;
    if (n_samples % 32)
        g711_decode32(codes + i, pcm16 + 2 * i, &by);
}

static FOR_AVX2 void g711_ulaw_decode_avx2(
    const uint8_t *ulaw, ptrdiff_t n_samples, uint8_t *pcm16) {
    if (n_samples < 32)
        g711_ulaw_decode_portable(ulaw, n_samples, pcm16);
    else
        g711_decode_all(ulaw, n_samples, pcm16, &g711_ulaw_factors);
}

static FOR_AVX2 void g711_alaw_decode_avx2(
    const uint8_t *alaw, ptrdiff_t n_samples, uint8_t *pcm16) {
    if (n_samples < 32)
        g711_alaw_decode_portable(alaw, n_samples, pcm16);
    else
        g711_decode_all(alaw, n_samples, pcm16, &g711_alaw_factors);
}

/* g711_float_code less that of code 0, for 16 magnitudes.

   A pair is converted twice: once without its second, once whole, which is the second times 2^16.
   The first below it may be rounded away, but being below 2^15 never rounds the second up. */
G711_AVX2 __m256i g711_codes16(__m256i magnitudes) {
    __m256i firsts = _mm256_and_si256(magnitudes, _mm256_set1_epi32(0xFFFF));
    __m256i a = _mm256_castps_si256(_mm256_cvtepi32_ps(firsts));
    __m256i b = _mm256_castps_si256(_mm256_cvtepi32_ps(magnitudes));
    a = _mm256_srli_epi32(a, G711_SHIFT);
    b = _mm256_srli_epi32(b, G711_SHIFT - 16);
    __m256i codes = _mm256_blend_epi16(a, b, 0xAA);
    const int zero_of_second = G711_ZERO + (16 << 4);
    return _mm256_sub_epi16(codes, _mm256_set1_epi32(zero_of_second << 16 | G711_ZERO));
}

/* `inversion` is of the codes of positive samples. */
G711_AVX2 void g711_finish32(
    __m256i x0, __m256i x1, __m256i codes, char inversion, uint8_t *octets) {
    __m256i signs = _mm256_and_si256(_mm256_packs_epi16(x0, x1), _mm256_set1_epi8(-128));
    codes = _mm256_xor_si256(_mm256_xor_si256(codes, _mm256_set1_epi8(inversion)), signs);
    /* Packing worked within halves of the register. */
    g711_store(octets, _mm256_permute4x64_epi64(codes, 0xD8));
}

/* Saturation is the clipping at the largest magnitude that has a code. */
G711_AVX2 __m256i g711_ulaw_magnitudes(__m256i x, short negative_bias) {
    return _mm256_max_epi16(
        _mm256_adds_epi16(x, _mm256_set1_epi16(G711_ULAW_BIAS)),
        _mm256_subs_epi16(_mm256_set1_epi16(negative_bias), x));
}

G711_AVX2 void g711_ulaw_step32(const uint8_t *pcm16, uint8_t *ulaw, short negative_bias) {
    __m256i x0 = g711_load(pcm16), x1 = g711_load(pcm16 + 32);
    __m256i codes = _mm256_packs_epi16(
        g711_codes16(g711_ulaw_magnitudes(x0, negative_bias)),
        g711_codes16(g711_ulaw_magnitudes(x1, negative_bias)));
    g711_finish32(x0, x1, codes, (char)0xFF, ulaw);
}

G711_AVX2 void g711_ulaw_encode32(const uint8_t *pcm16, uint8_t *ulaw) {
    g711_ulaw_step32(pcm16, ulaw, G711_ULAW_BIAS_AUDIOOP);
}

G711_AVX2 void g711_ulaw_encode_itu32(const uint8_t *pcm16, uint8_t *ulaw) {
    g711_ulaw_step32(pcm16, ulaw, G711_ULAW_BIAS_ITU);
}

G711_AVX2 __m256i g711_alaw_magnitudes(__m256i x) {
    return _mm256_max_epi16(x, _mm256_xor_si256(x, _mm256_set1_epi16(-1)));
}

/* Below 256 the code is the upper half of the lower octet, and the logarithm less than that; above
   it is more than the 15 that saturation leaves there. */
G711_AVX2 void g711_alaw_encode32(const uint8_t *pcm16, uint8_t *alaw) {
    __m256i x0 = g711_load(pcm16), x1 = g711_load(pcm16 + 32);
    __m256i magnitudes0 = g711_alaw_magnitudes(x0), magnitudes1 = g711_alaw_magnitudes(x1);
    __m256i codes = _mm256_packs_epi16(g711_codes16(magnitudes0), g711_codes16(magnitudes1));
    __m256i linear = _mm256_srli_epi16(_mm256_packus_epi16(magnitudes0, magnitudes1), 4);
    linear = _mm256_and_si256(linear, _mm256_set1_epi8(0x0F));
    g711_finish32(x0, x1, _mm256_max_epi8(codes, linear), (char)0xD5, alaw);
}

typedef void (*g711_step32)(const uint8_t *pcm16, uint8_t *codes);

/* `step` is a constant wherever this is called, and inlined. */
G711_AVX2 __attribute__((always_inline)) void g711_encode_all(
    const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *codes, g711_step32 step) {
    ptrdiff_t i = 0;
    for (; i + 32 <= n_samples; i += 32)
        step(pcm16 + 2 * i, codes + i);
    i = n_samples - 32;
    if (n_samples % 32)
        step(pcm16 + 2 * i, codes + i);
}

static FOR_AVX2 void g711_ulaw_encode_avx2(
    const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *ulaw) {
    if (n_samples < 32)
        g711_ulaw_encode_portable(pcm16, n_samples, ulaw);
    else
        g711_encode_all(pcm16, n_samples, ulaw, g711_ulaw_encode32);
}

static FOR_AVX2 void g711_ulaw_encode_itu_avx2(
    const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *ulaw) {
    if (n_samples < 32)
        g711_ulaw_encode_itu_portable(pcm16, n_samples, ulaw);
    else
        g711_encode_all(pcm16, n_samples, ulaw, g711_ulaw_encode_itu32);
}

static FOR_AVX2 void g711_alaw_encode_avx2(
    const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *alaw) {
    if (n_samples < 32)
        g711_alaw_encode_portable(pcm16, n_samples, alaw);
    else
        g711_encode_all(pcm16, n_samples, alaw, g711_alaw_encode32);
}

#endif

#endif
