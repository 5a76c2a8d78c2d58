/* The sums of int16 on aarch64: a lane is a group, and each tap a widening multiply-and-add. */

#include <arm_neon.h>

#define FIR_QUADS 8

static inline void fir_add_neon(
    const int16_t *x, const struct fir_pair *pairs, int n_pairs, int32x4_t *to) {
    int32x4_t sums[FIR_QUADS];
    memcpy(sums, to, sizeof sums);
    for (int p = 0; p < n_pairs; p++) {
        int16x4_t taps = {0};
        memcpy(&taps, pairs[p].taps, sizeof pairs[p].taps);
        const int16_t *z = x + pairs[p].at;
        for (int k = 0; k < FIR_QUADS; k += 2) {
            const int16x8_t first = vld1q_s16(z + 4 * k), second = vld1q_s16(z + 4 * k + 1);
            sums[k] = vmlal_lane_s16(sums[k], vget_low_s16(first), taps, 0);
            sums[k + 1] = vmlal_high_lane_s16(sums[k + 1], first, taps, 0);
            sums[k] = vmlal_lane_s16(sums[k], vget_low_s16(second), taps, 1);
            sums[k + 1] = vmlal_high_lane_s16(sums[k + 1], second, taps, 1);
        }
    }
    memcpy(to, sums, sizeof sums);
}

static void fir_sums16_neon(
    const int16_t *x, const struct fir_phase *phase, ptrdiff_t n, int16_t *y) {
    /* A rounding shift to the right is one to the left by a negative number. */
    const int32x4_t by = vdupq_n_s32(-phase->shift);
    const int n_rest = phase->n_pairs - phase->n_first;
    for (ptrdiff_t j = 0; j < n; j += 4 * FIR_QUADS) {
        int32x4_t sums[FIR_QUADS] = {{0}}, rest[FIR_QUADS] = {{0}};
        fir_add_neon(x + j, phase->pairs, phase->n_first, sums);
        if (n_rest) {
            fir_add_neon(x + j, phase->pairs + phase->n_first, n_rest, rest);
            for (int k = 0; k < FIR_QUADS; k++)
                sums[k] = vhaddq_s32(sums[k], rest[k]);
        }
        for (int k = 0; k < FIR_QUADS; k += 2) {
            const int16x4_t low = vqmovn_s32(vrshlq_s32(sums[k], by));
            vst1q_s16(y + j + 4 * k, vqmovn_high_s32(low, vrshlq_s32(sums[k + 1], by)));
        }
    }
}
