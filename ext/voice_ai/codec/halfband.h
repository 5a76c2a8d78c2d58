/* The half-band low-pass of 55 taps behind the 2:1 resamplers: Q14, a gain of 2, two phases.

   A half-band's odd phase is one tap (its centre, 1.0: a delay). The even phase is below, 28 taps,
   symmetric, with a sum of exactly 1.0, so that a constant stays constant.
   tests/reference/halfband.py designs it and tests/codec/test_codec_fir.py measures it.

   Q14 and not Q15: with the centre the sum of absolute values is 2.38, and 2.38 * 2^15 * 2^15
   overflows int32, while 2.38 * 2^14 * 2^15 is 0.59 of it.

   Four zeros in front make 32 taps, four vectors of eight, without a remainder. */

#include <stddef.h>
#include <stdint.h>

#define HALFBAND_TAPS 32
#define HALFBAND_CENTRE 16384

static const int16_t halfband[HALFBAND_TAPS] = {
    0, 0, 0, 0,
    -10, 21, -41, 74, -121, 190, -284, 415, -595, 852, -1239, 1900, -3362, 10392,
    10392, -3362, 1900, -1239, 852, -595, 415, -284, 190, -121, 74, -41, 21, -10,
};

/* Left to itself GCC 12 vectorises the outer loop of halfband_sums, in widening multiplications.
   The empty statement forbids that, and the inner loop becomes multiply-and-add (pmaddwd on x86-64):
   half the time, by benches/bench_fir.py. */
#ifdef __GNUC__
#define ONE_BY_ONE __asm__ volatile("" ::: "memory")
#else
#define ONE_BY_ONE
#endif

/* sums[i] is the filter over x[i] .. x[i + 31]. */
static inline void halfband_sums(const int16_t *x, ptrdiff_t n, int32_t *sums) {
    for (ptrdiff_t i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int k = 0; k < HALFBAND_TAPS; k++)
            sum += (int32_t)x[i + k] * halfband[k];
        sums[i] = sum;
        ONE_BY_ONE;
    }
}
