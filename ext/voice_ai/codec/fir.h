/* Resampling by up / down with a polyphase FIR, for small whole numbers.

   The input is cut into groups of `down` samples, of which each makes `up` samples at once. The
   q-th samples of the groups are row q of a block; an output is a sum over fixed places of these
   rows, the same for every group, so that neighbouring groups fill a vector and no sum crosses its
   lanes. The tables (fir_taps.h) hold the places, and a copy where the filter's phase is a pure
   delay.

   int16: coefficients of 2^14 to 2^16 to the unit, sums in int32. The absolute coefficients of a
   sum add up to less than 65,535 (tests/codec/test_codec_fir_response.py), so that no input
   overflows it; where those of an output would be more, it has two sums, and their mean, which is
   exact.
   float32: products are added in the tables' order, wherever an output stands in its block. */

#ifndef VOICE_AI_FIR_H
#define VOICE_AI_FIR_H

#include <string.h>

#include "fir_state.h"

/* Groups in a block: 20 ms at 16 kHz, and all that it touches stays in the first-level cache. */
#define FIR_BLOCK 320
/* Kernels make so many outputs at once, up to the next multiple: rows have the room. */
#define FIR_STEP 32
#define FIR_ROW (FIR_PAST + FIR_BLOCK + 4)
/* The most samples of silence put in, or brought out, at an end. */
#define FIR_MOST_END (FIR_MOST_UP * (FIR_PAST + 1))
/* The place of the sample so many groups back, in row q. */
#define FIR_AT(q, back) ((q) * FIR_ROW + FIR_PAST + (back))

enum { FIR_LINEAR, FIR_MINIMUM };

struct fir_pair {
    int32_t at;
    int16_t taps[2];
};

struct fir_tap {
    int32_t at;
    float tap;
};

/* One of the outputs of a group: products, or without them a copy. */
struct fir_phase {
    const struct fir_pair *pairs;
    const struct fir_tap *taps;
    /* Pairs after n_first, if any, have a sum of their own: the output is the mean of both. */
    int n_pairs, n_first, n_taps;
    /* What the sum, or the mean, is shifted by. */
    int shift;
    int32_t copied;
};

struct fir_table {
    int up, down, kind, n_past;
    /* In output samples. */
    double delay;
    struct fir_phase phases[FIR_MOST_UP];
};

#include "fir_taps.h"

#define FIR_N_TABLES ((int)(sizeof fir_tables / sizeof *fir_tables))

/* The samples that n more complete. */
static inline ptrdiff_t fir_completed(const FirState *state, ptrdiff_t n) {
    return (state->n_late + n) / state->table->down * state->table->up;
}

/* How far the output runs behind when n more have come, in its own samples. */
static inline double fir_delay(const FirState *state, ptrdiff_t n) {
    const struct fir_table *table = state->table;
    return table->delay + (double)((state->n_late + n) % table->down) * table->up / table->down;
}

static inline ptrdiff_t fir_end_count(const FirState *state, ptrdiff_t n) {
    const double delay = fir_delay(state, n);
    const int whole = (int)delay;
    return whole + (whole < delay);
}

static inline void fir_begin(FirState *state, const struct fir_table *table) {
    memset(state, 0, sizeof *state);
    state->table = table;
}

static inline void fir_clear(FirState *state) {
    fir_begin(state, state->table);
}

/* Copies what the table needs of `kept`, in samples of so many octets. */
static inline void fir_copy(FirState *to, const FirState *from, size_t n_octets) {
    memcpy(to, from, offsetof(FirState, kept));
    const struct fir_table *table = from->table;
    memcpy(&to->kept, &from->kept, (size_t)(table->down * (table->n_past + 1)) * n_octets);
}

/* Takes n samples of src, writes fir_completed() of them to dst. */
typedef void fir_runner(FirState *state, const uint8_t *src, ptrdiff_t n, uint8_t *dst);

/* Writes the fir_end_count(state, 0) samples that silence brings out; a new stream begins. */
static inline void fir_end(FirState *state, fir_runner *run, size_t n_octets, uint8_t *dst) {
    static const uint8_t silence[sizeof(float) * FIR_MOST_END];
    uint8_t made[sizeof(float) * FIR_MOST_END];
    const ptrdiff_t n = fir_end_count(state, 0);
    const ptrdiff_t n_groups = (n + state->table->up - 1) / state->table->up;
    run(state, silence, n_groups * state->table->down - state->n_late, made);
    memcpy(dst, made, (size_t)n * n_octets);
    fir_clear(state);
}

#include "fir_kernels.h"

#endif
