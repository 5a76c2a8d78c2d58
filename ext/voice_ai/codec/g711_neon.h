/* G.711 for NEON: 16 samples a step.

   A length that is no multiple of 16 ends with a step that does some samples over again; below 16
   the portable loop does it. So nothing outside the buffers is touched. */

#ifndef VOICE_AI_G711_NEON_H
#define VOICE_AI_G711_NEON_H

#include "cpu.h"
#include "g711.h"

#ifdef CPU_MAY_NEON

#include <arm_neon.h>

/* A magnitude is ((steps + lead) * scale - bias) << shift: `steps` by the lower half of a code, the
   leading one of its segment and `scale` by the upper half (tbl). */
typedef struct {
    uint8_t steps[16], lead[16], scale[16];
    uint8_t bias;
    int8_t shift;
} g711_factors;

/* All bits travel inverted. */
static const g711_factors g711_ulaw_factors = {
    {31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1},
    {32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32},
    {128, 64, 32, 16, 8, 4, 2, 1, 128, 64, 32, 16, 8, 4, 2, 1},
    33, 2,
};

/* Every second bit travels inverted; segment 0 has no leading one, and the scale of segment 1. */
static const g711_factors g711_alaw_factors = {
    {11, 9, 15, 13, 3, 1, 7, 5, 27, 25, 31, 29, 19, 17, 23, 21},
    {32, 32, 32, 32, 32, 0, 32, 32, 32, 32, 32, 32, 32, 0, 32, 32},
    {16, 8, 64, 32, 1, 1, 4, 2, 16, 8, 64, 32, 1, 1, 4, 2},
    0, 3,
};

static inline int16x8_t g711_samples8(
    uint8x8_t codes, uint8x8_t steps, uint8x8_t scale, const g711_factors *factors) {
    uint16x8_t magnitudes = vsubq_u16(vmull_u8(steps, scale), vdupq_n_u16(factors->bias));
    int16x8_t samples = vshlq_s16(vreinterpretq_s16_u16(magnitudes), vdupq_n_s16(factors->shift));
    uint16x8_t positive = vtstq_u16(vmovl_u8(codes), vdupq_n_u16(0x80));
    return vbslq_s16(positive, samples, vnegq_s16(samples));
}

static inline void g711_decode16(
    const uint8_t *octets, uint8_t *pcm16, const g711_factors *factors) {
    uint8x16_t codes = vld1q_u8(octets), upper = vshrq_n_u8(codes, 4);
    uint8x16_t steps = vaddq_u8(
        vqtbl1q_u8(vld1q_u8(factors->steps), vandq_u8(codes, vdupq_n_u8(0x0F))),
        vqtbl1q_u8(vld1q_u8(factors->lead), upper));
    uint8x16_t scale = vqtbl1q_u8(vld1q_u8(factors->scale), upper);
    int16x8_t x0 = g711_samples8(
        vget_low_u8(codes), vget_low_u8(steps), vget_low_u8(scale), factors);
    int16x8_t x1 = g711_samples8(
        vget_high_u8(codes), vget_high_u8(steps), vget_high_u8(scale), factors);
    vst1q_u8(pcm16, vreinterpretq_u8_s16(x0));
    vst1q_u8(pcm16 + 16, vreinterpretq_u8_s16(x1));
}

static inline void g711_decode_all(
    const uint8_t *codes, ptrdiff_t n_samples, uint8_t *pcm16, const g711_factors *factors) {
    ptrdiff_t i = 0;
    for (; i + 16 <= n_samples; i += 16)
        g711_decode16(codes + i, pcm16 + 2 * i, factors);
    i = n_samples - 16;
    if (n_samples % 16)
        g711_decode16(codes + i, pcm16 + 2 * i, factors);
}

static void g711_ulaw_decode_neon(const uint8_t *ulaw, ptrdiff_t n_samples, uint8_t *pcm16) {
    if (n_samples < 16)
        g711_ulaw_decode_portable(ulaw, n_samples, pcm16);
    else
        g711_decode_all(ulaw, n_samples, pcm16, &g711_ulaw_factors);
}

static void g711_alaw_decode_neon(const uint8_t *alaw, ptrdiff_t n_samples, uint8_t *pcm16) {
    if (n_samples < 16)
        g711_alaw_decode_portable(alaw, n_samples, pcm16);
    else
        g711_decode_all(alaw, n_samples, pcm16, &g711_alaw_factors);
}

static inline int16x8_t g711_load8(const uint8_t *pcm16) {
    return vreinterpretq_s16_u8(vld1q_u8(pcm16));
}

/* 16 for each of the `zeros` before the leading one that are fewer than 7, and the leading one with
   the four bits after it, which are 16 to 31. */
static inline uint8x8_t g711_codes8(uint16x8_t magnitudes, uint16x8_t zeros) {
    uint16x8_t leading = vshlq_u16(magnitudes, vreinterpretq_s16_u16(zeros));
    uint16x8_t segments = vsubq_u16(vdupq_n_u16(7), zeros);
    return vmovn_u16(vsraq_n_u16(vshlq_n_u16(segments, 4), leading, 11));
}

/* Saturation is the clipping at the largest magnitude that has a code. */
static inline uint8x8_t g711_ulaw_codes8(int16x8_t x, int16_t negative_bias) {
    uint16x8_t magnitudes = vreinterpretq_u16_s16(vmaxq_s16(
        vqaddq_s16(x, vdupq_n_s16(G711_ULAW_BIAS)), vqsubq_s16(vdupq_n_s16(negative_bias), x)));
    return g711_codes8(magnitudes, vclzq_u16(magnitudes));
}

/* Below 256 the code is linear, as if the leading one stood there. */
static inline uint8x8_t g711_alaw_codes8(int16x8_t x) {
    uint16x8_t magnitudes = vreinterpretq_u16_s16(vmaxq_s16(x, vmvnq_s16(x)));
    return g711_codes8(magnitudes, vminq_u16(vclzq_u16(magnitudes), vdupq_n_u16(7)));
}

/* `inversion` is of the codes of positive samples. */
static inline void g711_finish16(
    int16x8_t x0, int16x8_t x1, uint8x8_t codes0, uint8x8_t codes1, uint8_t inversion,
    uint8_t *octets) {
    uint8x16_t negative = vcombine_u8(vmovn_u16(vcltzq_s16(x0)), vmovn_u16(vcltzq_s16(x1)));
    uint8x16_t codes = veorq_u8(vcombine_u8(codes0, codes1), vdupq_n_u8(inversion));
    vst1q_u8(octets, veorq_u8(codes, vandq_u8(negative, vdupq_n_u8(0x80))));
}

static inline void g711_ulaw_step16(const uint8_t *pcm16, uint8_t *ulaw, int16_t negative_bias) {
    int16x8_t x0 = g711_load8(pcm16), x1 = g711_load8(pcm16 + 16);
    uint8x8_t codes0 = g711_ulaw_codes8(x0, negative_bias);
    g711_finish16(x0, x1, codes0, g711_ulaw_codes8(x1, negative_bias), 0xFF, ulaw);
}

static inline void g711_ulaw_encode16(const uint8_t *pcm16, uint8_t *ulaw) {
    g711_ulaw_step16(pcm16, ulaw, G711_ULAW_BIAS_AUDIOOP);
}

static inline void g711_ulaw_encode_itu16(const uint8_t *pcm16, uint8_t *ulaw) {
    g711_ulaw_step16(pcm16, ulaw, G711_ULAW_BIAS_ITU);
}

static inline void g711_alaw_encode16(const uint8_t *pcm16, uint8_t *alaw) {
    int16x8_t x0 = g711_load8(pcm16), x1 = g711_load8(pcm16 + 16);
    g711_finish16(x0, x1, g711_alaw_codes8(x0), g711_alaw_codes8(x1), 0xD5, alaw);
}

typedef void (*g711_step16)(const uint8_t *pcm16, uint8_t *codes);

/* `step` is a constant wherever this is called, and inlined. */
static inline __attribute__((always_inline)) void g711_encode_all(
    const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *codes, g711_step16 step) {
    ptrdiff_t i = 0;
    for (; i + 16 <= n_samples; i += 16)
        step(pcm16 + 2 * i, codes + i);
    i = n_samples - 16;
    if (n_samples % 16)
        step(pcm16 + 2 * i, codes + i);
}

static void g711_ulaw_encode_neon(const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *ulaw) {
    if (n_samples < 16)
        g711_ulaw_encode_portable(pcm16, n_samples, ulaw);
    else
        g711_encode_all(pcm16, n_samples, ulaw, g711_ulaw_encode16);
}

static void g711_ulaw_encode_itu_neon(const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *ulaw) {
    if (n_samples < 16)
        g711_ulaw_encode_itu_portable(pcm16, n_samples, ulaw);
    else
        g711_encode_all(pcm16, n_samples, ulaw, g711_ulaw_encode_itu16);
}

static void g711_alaw_encode_neon(const uint8_t *pcm16, ptrdiff_t n_samples, uint8_t *alaw) {
    if (n_samples < 16)
        g711_alaw_encode_portable(pcm16, n_samples, alaw);
    else
        g711_encode_all(pcm16, n_samples, alaw, g711_alaw_encode16);
}

#endif

#endif
