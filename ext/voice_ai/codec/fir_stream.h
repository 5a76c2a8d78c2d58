/* The stream around the sums, for one type of sample and one kernel: included by fir_kernels.h for
   each.

   The loops have fixed strides, which GCC turns into shuffles; 6 is made of 2 and 3, since it knows
   no stride of 6. */

static FIR_TARGET inline void FIR_NAME(fir_split2)(
    const FIR_SAMPLE *restrict x, ptrdiff_t n, FIR_SAMPLE *restrict a, FIR_SAMPLE *restrict b) {
    for (ptrdiff_t j = 0; j < n; j++) {
        a[j] = x[2 * j];
        b[j] = x[2 * j + 1];
    }
}

static FIR_TARGET inline void FIR_NAME(fir_split3)(
    const FIR_SAMPLE *restrict x, ptrdiff_t n, FIR_SAMPLE *restrict a, FIR_SAMPLE *restrict b,
    FIR_SAMPLE *restrict c) {
    for (ptrdiff_t j = 0; j < n; j++) {
        a[j] = x[3 * j];
        b[j] = x[3 * j + 1];
        c[j] = x[3 * j + 2];
    }
}

/* Row q of n groups gets every `down`-th sample. */
static FIR_TARGET void FIR_NAME(fir_split)(
    const FIR_SAMPLE *x, int down, ptrdiff_t n, FIR_SAMPLE *row) {
    FIR_SAMPLE even[3 * FIR_BLOCK], odd[3 * FIR_BLOCK];
    switch (down) {
    case 1:
        memcpy(row, x, (size_t)n * sizeof(FIR_SAMPLE));
        break;
    case 2:
        FIR_NAME(fir_split2)(x, n, row, row + FIR_ROW);
        break;
    case 3:
        FIR_NAME(fir_split3)(x, n, row, row + FIR_ROW, row + 2 * FIR_ROW);
        break;
    case 4:
        FIR_NAME(fir_split2)(x, 2 * n, even, odd);
        FIR_NAME(fir_split2)(even, n, row, row + 2 * FIR_ROW);
        FIR_NAME(fir_split2)(odd, n, row + FIR_ROW, row + 3 * FIR_ROW);
        break;
    case 6:
        FIR_NAME(fir_split2)(x, 3 * n, even, odd);
        FIR_NAME(fir_split3)(even, n, row, row + 2 * FIR_ROW, row + 4 * FIR_ROW);
        FIR_NAME(fir_split3)(odd, n, row + FIR_ROW, row + 3 * FIR_ROW, row + 5 * FIR_ROW);
        break;
    }
}

static FIR_TARGET inline void FIR_NAME(fir_join2)(
    const FIR_SAMPLE *restrict a, const FIR_SAMPLE *restrict b, ptrdiff_t n,
    FIR_SAMPLE *restrict y) {
    for (ptrdiff_t j = 0; j < n; j++) {
        y[2 * j] = a[j];
        y[2 * j + 1] = b[j];
    }
}

static FIR_TARGET inline void FIR_NAME(fir_join3)(
    const FIR_SAMPLE *restrict a, const FIR_SAMPLE *restrict b, const FIR_SAMPLE *restrict c,
    ptrdiff_t n, FIR_SAMPLE *restrict y) {
    for (ptrdiff_t j = 0; j < n; j++) {
        y[3 * j] = a[j];
        y[3 * j + 1] = b[j];
        y[3 * j + 2] = c[j];
    }
}

/* The other way: output r of n groups is every `up`-th sample. */
static FIR_TARGET void FIR_NAME(fir_join)(
    const FIR_SAMPLE *const *made, int up, ptrdiff_t n, FIR_SAMPLE *y) {
    FIR_SAMPLE even[3 * FIR_BLOCK], odd[3 * FIR_BLOCK];
    switch (up) {
    case 1:
        if (made[0] != y)
            memcpy(y, made[0], (size_t)n * sizeof(FIR_SAMPLE));
        break;
    case 2:
        FIR_NAME(fir_join2)(made[0], made[1], n, y);
        break;
    case 3:
        FIR_NAME(fir_join3)(made[0], made[1], made[2], n, y);
        break;
    case 4:
        FIR_NAME(fir_join2)(made[0], made[2], n, even);
        FIR_NAME(fir_join2)(made[1], made[3], n, odd);
        FIR_NAME(fir_join2)(even, odd, 2 * n, y);
        break;
    case 6:
        FIR_NAME(fir_join3)(made[0], made[2], made[4], n, even);
        FIR_NAME(fir_join3)(made[1], made[3], made[5], n, odd);
        FIR_NAME(fir_join2)(even, odd, 3 * n, y);
        break;
    }
}

/* A block of n groups, at most FIR_BLOCK. */
static FIR_TARGET void FIR_NAME(fir_block)(
    const struct fir_table *table, FIR_SAMPLE *past, const FIR_SAMPLE *x, ptrdiff_t n,
    FIR_SAMPLE *y) {
    FIR_SAMPLE rows[FIR_MOST_DOWN * FIR_ROW];
    FIR_SAMPLE sums[FIR_MOST_UP * FIR_BLOCK];
    const FIR_SAMPLE *made[FIR_MOST_UP];
    const size_t n_past = (size_t)table->n_past * sizeof(FIR_SAMPLE);
    /* The rows' ends, which kernels read but no output depends on. */
    const size_t n_more = (size_t)(-n & (FIR_STEP - 1)) * sizeof(FIR_SAMPLE);
    for (int q = 0; q < table->down; q++) {
        memcpy(rows + FIR_AT(q, -table->n_past), past + q * table->n_past, n_past);
        memset(rows + FIR_AT(q, n), 0, n_more);
    }
    FIR_NAME(fir_split)(x, table->down, n, rows + FIR_AT(0, 0));
    for (int r = 0; r < table->up; r++) {
        /* Kernels write whole steps: into `y` only where it holds just those. */
        FIR_SAMPLE *sink = table->up == 1 && n_more == 0 ? y : sums + r * FIR_BLOCK;
        made[r] = sink;
        if (table->phases[r].pairs)
            FIR_NAME(fir_sums)(rows, table->phases + r, n, sink);
        else
            made[r] = rows + table->phases[r].copied;
    }
    FIR_NAME(fir_join)(made, table->up, n, y);
    for (int q = 0; q < table->down; q++)
        memcpy(past + q * table->n_past, rows + FIR_AT(q, n - table->n_past), n_past);
}

/* Takes n samples, writes `up` for every group that is complete by then. */
static FIR_TARGET void FIR_NAME(fir_run)(
    FirState *state, const uint8_t *src, ptrdiff_t n, uint8_t *dst) {
    FIR_SAMPLE x[FIR_MOST_DOWN * FIR_BLOCK];
    FIR_SAMPLE y[FIR_MOST_UP * FIR_BLOCK];
    const struct fir_table *table = state->table;
    FIR_SAMPLE *late = state->kept.FIR_MEMBER, *past = late + table->down;
    while (n > 0) {
        const ptrdiff_t room = FIR_BLOCK * table->down - state->n_late;
        const ptrdiff_t n_taken = n < room ? n : room, n_there = state->n_late + n_taken;
        const ptrdiff_t n_groups = n_there / table->down, n_used = n_groups * table->down;
        const size_t n_octets = (size_t)(n_groups * table->up) * sizeof(FIR_SAMPLE);
        const FIR_SAMPLE *in = x;
        FIR_SAMPLE *out = y;
        /* Where they can, samples are read and written in place: a tenth of the time. */
        if (state->n_late == 0 && (uintptr_t)src % sizeof(FIR_SAMPLE) == 0) {
            in = (const FIR_SAMPLE *)(const void *)src;
        } else {
            memcpy(x, late, (size_t)state->n_late * sizeof(FIR_SAMPLE));
            memcpy(x + state->n_late, src, (size_t)n_taken * sizeof(FIR_SAMPLE));
        }
        if ((uintptr_t)dst % sizeof(FIR_SAMPLE) == 0)
            out = (FIR_SAMPLE *)(void *)dst;
        FIR_NAME(fir_block)(table, past, in, n_groups, out);
        if (out == y)
            memcpy(dst, y, n_octets);
        state->n_late = (int)(n_there - n_used);
        memcpy(late, in + n_used, (size_t)state->n_late * sizeof(FIR_SAMPLE));
        src += (size_t)n_taken * sizeof(FIR_SAMPLE);
        dst += n_octets;
        n -= n_taken;
    }
}

#undef FIR_SAMPLE
#undef FIR_MEMBER
#undef FIR_NAME
