/* G.711 by formulas that GCC and Clang vectorise for any machine: no table, no branch.

   A code without its sign is a small floating-point number, three bits of exponent and four of
   mantissa, so that the machine's own conversions between int and float do the work: the upper bits
   of (float)magnitude are the code.

   Source: ITU-T G.711 (11/1988), tables 1 and 2. A sample on the decision between two intervals is
   the outer one's. Negative samples are moved first: in µ-law and A-law of ITU-T G.191 one up (the
   one's complement of a sample is taken for its magnitude), in the µ-law of Python's former audioop
   (and of Sun's g711.c before it) down to the next multiple of 4. The two differ on 508 samples.

   PCM16 is passed as octets, little-endian, at any address. Buffers do not overlap. */

#ifndef VOICE_AI_G711_H
#define VOICE_AI_G711_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    /* Bits 19 to 26 of a float: the lower half of its exponent, four bits of its mantissa. */
    G711_SHIFT = 19,
    G711_HALF_STEP = 1 << (G711_SHIFT - 1),
    /* What a magnitude of 2^7 has there, with the rest of the exponent. In µ-law, with the bias, it
       has the code 0; in A-law 2^8 has the code 16, and below everything is linear. */
    G711_ZERO = (127 + 7) << 4,
    G711_ULAW_BIAS = 4 * 33,
    /* The bias of a negative sample. */
    G711_ULAW_BIAS_AUDIOOP = G711_ULAW_BIAS + 3,
    G711_ULAW_BIAS_ITU = G711_ULAW_BIAS - 1
};

static inline int g711_float_code(int magnitude) {
    float f = (float)magnitude;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return (int)(bits >> G711_SHIFT);
}

/* The middle of a code's interval. */
static inline int g711_float_middle(int code) {
    uint32_t bits = ((uint32_t)code << G711_SHIFT) + G711_HALF_STEP;
    float f;
    memcpy(&f, &bits, 4);
    return (int)f;
}

static inline int g711_signed(int magnitude, int negative) {
    return (magnitude ^ -negative) + negative;
}

static inline int16_t g711_ulaw_sample(uint8_t octet) {
    int code = ~octet & 0x7F;
    int magnitude = g711_float_middle(code + G711_ZERO) - G711_ULAW_BIAS;
    return (int16_t)g711_signed(magnitude, octet >> 7 ^ 1);
}

/* Segment 0 is as wide as segment 1 and has no leading one: 16 codes further on and back again. */
static inline int16_t g711_alaw_sample(uint8_t octet) {
    int code = (octet ^ 0x55) & 0x7F;
    int lift = code < 16 ? 16 : 0;
    int magnitude = g711_float_middle(code + lift + G711_ZERO) - 16 * lift;
    return (int16_t)g711_signed(magnitude, octet >> 7 ^ 1);
}

/* In 16 bits until the conversion: twice as many at once, and SSE2 has a minimum of them. */
static inline uint8_t g711_ulaw_code(int16_t sample, int16_t negative_bias) {
    const int16_t most = 32767 - G711_ULAW_BIAS, least = G711_ULAW_BIAS_AUDIOOP - 32767;
    int16_t x = sample < most ? sample : most;
    x = x > least ? x : least;
    int16_t up = (int16_t)(x + G711_ULAW_BIAS), down = (int16_t)(negative_bias - x);
    int16_t magnitude = up > down ? up : down;
    int16_t inversion = sample < 0 ? 0x7F : 0xFF;
    return (uint8_t)((g711_float_code(magnitude) - G711_ZERO) ^ inversion);
}

/* Below 256, where all is linear: 16 codes further on and back again. */
static inline uint8_t g711_alaw_code(int16_t sample) {
    int16_t magnitude = (int16_t)(sample < 0 ? ~sample : sample);
    int16_t lift = magnitude < 256 ? 16 : 0;
    int16_t lifted = (int16_t)(magnitude + 16 * lift);
    int16_t inversion = sample < 0 ? 0x55 : 0xD5;
    return (uint8_t)((g711_float_code(lifted) - G711_ZERO - lift) ^ inversion);
}

static void g711_ulaw_decode_portable(
    const uint8_t *__restrict ulaw, ptrdiff_t n_samples, uint8_t *__restrict pcm16) {
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        int16_t sample = g711_ulaw_sample(ulaw[i]);
        memcpy(pcm16 + 2 * i, &sample, 2);
    }
}

static void g711_alaw_decode_portable(
    const uint8_t *__restrict alaw, ptrdiff_t n_samples, uint8_t *__restrict pcm16) {
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        int16_t sample = g711_alaw_sample(alaw[i]);
        memcpy(pcm16 + 2 * i, &sample, 2);
    }
}

static void g711_ulaw_encode_portable(
    const uint8_t *__restrict pcm16, ptrdiff_t n_samples, uint8_t *__restrict ulaw) {
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        int16_t sample;
        memcpy(&sample, pcm16 + 2 * i, 2);
        ulaw[i] = g711_ulaw_code(sample, G711_ULAW_BIAS_AUDIOOP);
    }
}

static void g711_ulaw_encode_itu_portable(
    const uint8_t *__restrict pcm16, ptrdiff_t n_samples, uint8_t *__restrict ulaw) {
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        int16_t sample;
        memcpy(&sample, pcm16 + 2 * i, 2);
        ulaw[i] = g711_ulaw_code(sample, G711_ULAW_BIAS_ITU);
    }
}

static void g711_alaw_encode_portable(
    const uint8_t *__restrict pcm16, ptrdiff_t n_samples, uint8_t *__restrict alaw) {
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        int16_t sample;
        memcpy(&sample, pcm16 + 2 * i, 2);
        alaw[i] = g711_alaw_code(sample);
    }
}

#endif
