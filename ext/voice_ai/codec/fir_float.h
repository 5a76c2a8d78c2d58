/* The sums of float32 for one width of vector: included by fir_kernels.h once for each.

   Every lane adds its products in the tables' order, so an output does not depend on its place.
   There is no fused multiply-and-add on x86-64: all its kernels give the same bits. */

static FIR_TARGET void FIR_NAME(fir_sums32)(
    const float *x, const struct fir_phase *phase, ptrdiff_t n, float *y) {
    const int lanes = sizeof(FIR_V) / sizeof(float);
    for (ptrdiff_t j = 0; j < n; j += 4 * lanes) {
        FIR_V a = {0}, b = {0}, c = {0}, d = {0};
        for (int p = 0; p < phase->n_taps; p++) {
            const float *z = x + phase->taps[p].at + j;
            const float tap = phase->taps[p].tap;
            a += *(const FIR_V *)z * tap;
            b += *(const FIR_V *)(z + lanes) * tap;
            c += *(const FIR_V *)(z + 2 * lanes) * tap;
            d += *(const FIR_V *)(z + 3 * lanes) * tap;
        }
        *(FIR_V *)(y + j) = a;
        *(FIR_V *)(y + j + lanes) = b;
        *(FIR_V *)(y + j + 2 * lanes) = c;
        *(FIR_V *)(y + j + 3 * lanes) = d;
    }
}

#undef FIR_V
