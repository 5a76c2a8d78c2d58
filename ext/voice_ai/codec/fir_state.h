/* What a FIR remembers between two calls: see fir.h. It may be copied as a whole. */

#ifndef VOICE_AI_FIR_STATE_H
#define VOICE_AI_FIR_STATE_H

#include <stddef.h>
#include <stdint.h>

#define FIR_MOST_UP 6
#define FIR_MOST_DOWN 6
/* The most groups that a filter looks back. */
#define FIR_PAST 28
#define FIR_KEPT (FIR_MOST_DOWN * (FIR_PAST + 1))

struct fir_table;

typedef struct {
    const struct fir_table *table;
    /* Samples of the group that is not complete yet; fewer than table->down. */
    int n_late;
    /* These samples, then the past, row by row. All zeros is a stream's beginning. */
    union {
        int16_t pcm16[FIR_KEPT];
        float float32[FIR_KEPT];
    } kept;
} FirState;

#endif
