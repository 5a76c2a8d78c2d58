/* Base64 in vectors of 64 letters: loads and stores that take apart and interleave do the moving of
   octets, and look-ups in tables of 64 entries the rest. */

#include <arm_neon.h>

static void base64_encode_neon(const uint8_t *src, ptrdiff_t n_octets, uint8_t *dst) {
    const uint8x16x4_t table = vld1q_u8_x4(base64_letters);
    const uint8x16_t six = vdupq_n_u8(63);
    for (; n_octets >= 48; n_octets -= 48, src += 48, dst += 64) {
        uint8x16x3_t in = vld3q_u8(src);
        uint8x16_t second = vorrq_u8(vshlq_n_u8(in.val[0], 4), vshrq_n_u8(in.val[1], 4));
        uint8x16_t third = vorrq_u8(vshlq_n_u8(in.val[1], 2), vshrq_n_u8(in.val[2], 6));
        uint8x16x4_t out;
        out.val[0] = vqtbl4q_u8(table, vshrq_n_u8(in.val[0], 2));
        out.val[1] = vqtbl4q_u8(table, vandq_u8(second, six));
        out.val[2] = vqtbl4q_u8(table, vandq_u8(third, six));
        out.val[3] = vqtbl4q_u8(table, vandq_u8(in.val[2], six));
        vst4q_u8(dst, out);
    }
    base64_encode_portable(src, n_octets, dst);
}

/* The values of the characters from 0x2B to 0x7A, in two tables: 64 entries and 16. Beyond both
   stays what `vqtbx` is given, BASE64_NONE. */
static inline uint8x16_t base64_values_neon(
    uint8x16_t letters, uint8x16x4_t low, uint8x16_t high
) {
    uint8x16_t at = vsubq_u8(letters, vdupq_n_u8(BASE64_FIRST));
    uint8x16_t values = vqtbx4q_u8(vdupq_n_u8(BASE64_NONE), low, at);
    return vqtbx1q_u8(values, high, vsubq_u8(at, vdupq_n_u8(64)));
}

static ptrdiff_t base64_decode_neon(const uint8_t *text, ptrdiff_t n_chars, uint8_t *dst) {
    ptrdiff_t n_octets = base64_decoded_size(text, n_chars);
    if (n_octets <= 0)
        return n_octets;
    const uint8x16x4_t low = vld1q_u8_x4(base64_values);
    const uint8x16_t high = vld1q_u8(base64_values + 64);
    uint8x16_t seen = vdupq_n_u8(0);
    /* The last four, which may be padded, are left to the end. */
    for (; n_chars > 64; n_chars -= 64, text += 64, dst += 48) {
        uint8x16x4_t in = vld4q_u8(text);
        uint8x16_t a = base64_values_neon(in.val[0], low, high);
        uint8x16_t b = base64_values_neon(in.val[1], low, high);
        uint8x16_t c = base64_values_neon(in.val[2], low, high);
        uint8x16_t d = base64_values_neon(in.val[3], low, high);
        seen = vorrq_u8(seen, vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d)));
        uint8x16x3_t out;
        out.val[0] = vorrq_u8(vshlq_n_u8(a, 2), vshrq_n_u8(b, 4));
        out.val[1] = vorrq_u8(vshlq_n_u8(b, 4), vshrq_n_u8(c, 2));
        out.val[2] = vorrq_u8(vshlq_n_u8(c, 6), d);
        vst3q_u8(dst, out);
    }
    if (vmaxvq_u8(seen) >= BASE64_NONE || base64_decode_portable(text, n_chars, dst) < 0)
        return -1;
    return n_octets;
}
