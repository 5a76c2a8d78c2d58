/* Base64 by RFC 4648, section 4: padded, no line breaks, nothing outside the alphabet.

   What is decoded is what `binascii.a2b_base64(text, strict_mode=True)` of Python 3.13 decodes: the
   bits that padding leaves over may be anything (section 3.5 lets a decoder ignore them).
   Every kernel takes and refuses the same texts, and touches nothing beyond its buffers; after a
   refusal `dst` holds no meaning. */

#ifndef VOICE_AI_BASE64_H
#define VOICE_AI_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

static const uint8_t base64_letters[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/',
};

/* By a character less 0x2B ('+'); 64 stands for no letter, as does all that lies beyond 'z'. */
enum { BASE64_NONE = 64, BASE64_FIRST = '+', BASE64_SPAN = 'z' - '+' + 1 };
static const uint8_t base64_values[BASE64_SPAN] = {
    62, 64, 64, 64, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64,
    64, 64, 64, 64, 64, 64, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
    10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    64, 64, 64, 64, 64, 64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
    36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
};

static inline uint32_t base64_value(uint8_t letter) {
    uint8_t at = (uint8_t)(letter - BASE64_FIRST);
    return at < BASE64_SPAN ? base64_values[at] : BASE64_NONE;
}

static inline ptrdiff_t base64_encoded_size(ptrdiff_t n_octets) {
    return (n_octets + 2) / 3 * 4;
}

/* -1 if no text of this length and ending is base64; the rest of it is not looked at. */
static inline ptrdiff_t base64_decoded_size(const uint8_t *text, ptrdiff_t n_chars) {
    if (n_chars % 4)
        return -1;
    if (n_chars == 0)
        return 0;
    int n_pads = text[n_chars - 1] != '=' ? 0 : text[n_chars - 2] != '=' ? 1 : 2;
    return n_chars / 4 * 3 - n_pads;
}

static inline void base64_encode_three(const uint8_t *src, uint8_t *dst) {
    uint32_t bits = (uint32_t)src[0] << 16 | (uint32_t)src[1] << 8 | src[2];
    dst[0] = base64_letters[bits >> 18];
    dst[1] = base64_letters[bits >> 12 & 63];
    dst[2] = base64_letters[bits >> 6 & 63];
    dst[3] = base64_letters[bits & 63];
}

/* Writes base64_encoded_size(n_octets). */
static inline void base64_encode_portable(const uint8_t *src, ptrdiff_t n_octets, uint8_t *dst) {
    for (; n_octets >= 3; n_octets -= 3, src += 3, dst += 4)
        base64_encode_three(src, dst);
    if (n_octets > 0) {
        uint8_t three[3] = {src[0], n_octets == 2 ? src[1] : 0, 0};
        base64_encode_three(three, dst);
        dst[3] = '=';
        if (n_octets == 1)
            dst[2] = '=';
    }
}

/* The 24 bits of four letters; a bit above them where one is none. */
static inline uint32_t base64_four(const uint8_t *text) {
    uint32_t a = base64_value(text[0]), b = base64_value(text[1]);
    uint32_t c = base64_value(text[2]), d = base64_value(text[3]);
    return a << 18 | b << 12 | c << 6 | d | ((a | b | c | d) & BASE64_NONE) << 18;
}

/* Writes base64_decoded_size(text, n_chars) and returns it; -1 if the text is not base64. */
static inline ptrdiff_t base64_decode_portable(
    const uint8_t *text, ptrdiff_t n_chars, uint8_t *dst
) {
    ptrdiff_t n_octets = base64_decoded_size(text, n_chars);
    if (n_octets <= 0)
        return n_octets;
    uint32_t bits, seen = 0;
    for (; n_chars > 4; n_chars -= 4, text += 4, dst += 3) {
        seen |= bits = base64_four(text);
        dst[0] = (uint8_t)(bits >> 16);
        dst[1] = (uint8_t)(bits >> 8);
        dst[2] = (uint8_t)bits;
    }
    ptrdiff_t n_left = (n_octets - 1) % 3 + 1;
    uint8_t last[4] = {text[0], text[1], n_left > 1 ? text[2] : 'A', n_left > 2 ? text[3] : 'A'};
    seen |= bits = base64_four(last);
    for (ptrdiff_t i = 0; i < n_left; i++)
        dst[i] = (uint8_t)(bits >> (16 - 8 * i));
    return seen >> 24 ? -1 : n_octets;
}

#ifdef CPU_MAY_AVX2
#include "base64_avx2.h"
#endif
#ifdef CPU_MAY_NEON
#include "base64_neon.h"
#endif

typedef struct {
    const char *name;
    void (*encode)(const uint8_t *src, ptrdiff_t n_octets, uint8_t *dst);
    ptrdiff_t (*decode)(const uint8_t *text, ptrdiff_t n_chars, uint8_t *dst);
} base64_kernel;

enum { BASE64_KERNELS = 2 };

/* Lists the kernels that this machine can run, the best first, and returns how many. */
static inline int base64_list_kernels(base64_kernel *kernels) {
    int n = 0;
#ifdef CPU_MAY_AVX2
    if (cpu_runs_avx2())
        kernels[n++] = (base64_kernel){"avx2", base64_encode_avx2, base64_decode_avx2};
#endif
#ifdef CPU_MAY_NEON
    kernels[n++] = (base64_kernel){"neon", base64_encode_neon, base64_decode_neon};
#endif
    kernels[n++] = (base64_kernel){"portable", base64_encode_portable, base64_decode_portable};
    return n;
}

#endif
