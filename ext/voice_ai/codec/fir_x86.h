/* The sums of int16 on x86-64, for one width of vector: included by fir_kernels.h once for each.

   pmaddwd multiplies neighbours by two coefficients and adds them. A load at place `at` holds the
   neighbours of the even groups, one at `at + 1` those of the odd ones; so the even and the odd
   outputs have sums of their own, which interleave when they are narrowed. */

#define FIR_LANES ((ptrdiff_t)sizeof(FIR_V) / 2)
#define FIR_MADD(z) FIR_DO(madd_epi16)(FIR_LOAD(z), taps)

/* sums: even, odd, and the same one vector of outputs later. */
static FIR_TARGET inline void FIR_NAME(fir_add)(
    const int16_t *x, const struct fir_pair *pairs, int n_pairs, FIR_V *sums) {
    FIR_V even = sums[0], odd = sums[1], even2 = sums[2], odd2 = sums[3];
    for (int p = 0; p < n_pairs; p++) {
        const int16_t *z = x + pairs[p].at;
        int32_t both;
        memcpy(&both, pairs[p].taps, sizeof both);
        const FIR_V taps = FIR_DO(set1_epi32)(both);
        even = FIR_DO(add_epi32)(even, FIR_MADD(z));
        odd = FIR_DO(add_epi32)(odd, FIR_MADD(z + 1));
        even2 = FIR_DO(add_epi32)(even2, FIR_MADD(z + FIR_LANES));
        odd2 = FIR_DO(add_epi32)(odd2, FIR_MADD(z + FIR_LANES + 1));
    }
    sums[0] = even, sums[1] = odd, sums[2] = even2, sums[3] = odd2;
}

/* floor((a + b) / 2), without the sum. */
static FIR_TARGET inline FIR_V FIR_NAME(fir_mean)(FIR_V a, FIR_V b) {
    const FIR_V ones = FIR_AND(FIR_AND(a, b), FIR_DO(set1_epi32)(1));
    return FIR_DO(add_epi32)(
        FIR_DO(add_epi32)(FIR_DO(srai_epi32)(a, 1), FIR_DO(srai_epi32)(b, 1)), ones);
}

static FIR_TARGET inline FIR_V FIR_NAME(fir_narrowed)(FIR_V even, FIR_V odd, int shift) {
    const FIR_V half = FIR_DO(set1_epi32)(1 << (shift - 1));
    const __m128i by = _mm_cvtsi32_si128(shift);
    const FIR_V halves = FIR_DO(packs_epi32)(
        FIR_DO(sra_epi32)(FIR_DO(add_epi32)(even, half), by),
        FIR_DO(sra_epi32)(FIR_DO(add_epi32)(odd, half), by));
    return FIR_DO(unpacklo_epi16)(halves, FIR_HIGH(halves));
}

static FIR_TARGET void FIR_NAME(fir_sums16)(
    const int16_t *x, const struct fir_phase *phase, ptrdiff_t n, int16_t *y) {
    const FIR_V zero = FIR_DO(set1_epi32)(0);
    const int n_rest = phase->n_pairs - phase->n_first;
    for (ptrdiff_t j = 0; j < n; j += 2 * FIR_LANES) {
        FIR_V sums[4] = {zero, zero, zero, zero}, rest[4] = {zero, zero, zero, zero};
        FIR_NAME(fir_add)(x + j, phase->pairs, phase->n_first, sums);
        if (n_rest) {
            FIR_NAME(fir_add)(x + j, phase->pairs + phase->n_first, n_rest, rest);
            for (int k = 0; k < 4; k++)
                sums[k] = FIR_NAME(fir_mean)(sums[k], rest[k]);
        }
        FIR_STORE(y + j, FIR_NAME(fir_narrowed)(sums[0], sums[1], phase->shift));
        FIR_STORE(y + j + FIR_LANES, FIR_NAME(fir_narrowed)(sums[2], sums[3], phase->shift));
    }
}

#undef FIR_V
#undef FIR_DO
#undef FIR_AND
#undef FIR_HIGH
#undef FIR_LOAD
#undef FIR_STORE
#undef FIR_LANES
#undef FIR_MADD
