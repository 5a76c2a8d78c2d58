/* The kernels of fir.h against a plain loop over int64 (float32: over double), for every table.

   A plain program, so that it runs under the sanitizers and, cross-compiled, under qemu-user:
       cc -O3 -Wall -Wextra -Iext/voice_ai/codec tests/native/test_fir.c -o /tmp/test_fir -lm
   Source and destination end at a page that must not be touched, or begin after one, at any
   alignment. It prints the kernels that it ran, and fails with the first difference. */

#define _DEFAULT_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fir.h"

#define MOST_SAMPLES 6000
#define MOST_OCTETS (MOST_SAMPLES * 6 * 4 + 4096)

static uint32_t random_state = 12345;

static uint32_t random_bits(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* Memory between two pages that fault. */
struct guarded {
    uint8_t *begin, *end;
};

static struct guarded guarded(size_t n_octets) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (n_octets + page - 1) / page * page;
    uint8_t *memory = mmap(
        NULL, inner + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE)
        || mprotect(memory + page + inner, page, PROT_NONE)) {
        perror("guard pages");
        exit(2);
    }
    return (struct guarded){memory + page, memory + page + inner};
}

static void fail(
    const struct fir_table *table, const char *kernel, const char *what, ptrdiff_t at) {
    printf("%d/%d kind %d, kernel %s: %s at %td\n",
           table->up, table->down, table->kind, kernel, what, at);
    exit(1);
}

/* Sample of the stream at row q, `back` groups before group j; the past is zero. */
static ptrdiff_t place(int32_t at, ptrdiff_t j, int down) {
    const int row = at / FIR_ROW;
    return (j + at - FIR_AT(row, 0)) * down + row;
}

static int16_t saturated(int64_t x) {
    return (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
}

static int16_t plain16(const struct fir_table *t, const int16_t *x, ptrdiff_t j, int r) {
    const struct fir_phase *phase = t->phases + r;
    const int shift = phase->shift + (phase->n_first < phase->n_pairs);
    if (!phase->pairs) {
        const ptrdiff_t at = place(phase->copied, j, t->down);
        return at < 0 ? 0 : x[at];
    }
    int64_t sum = (int64_t)1 << (shift - 1);
    for (int p = 0; p < phase->n_pairs; p++)
        for (int k = 0; k < 2; k++) {
            const ptrdiff_t at = place(phase->pairs[p].at, j, t->down) + k * t->down;
            if (at >= 0 && phase->pairs[p].taps[k])
                sum += (int64_t)phase->pairs[p].taps[k] * x[at];
        }
    return saturated(sum >> shift);
}

static double plain32(const struct fir_table *t, const float *x, ptrdiff_t j, int r) {
    const struct fir_phase *phase = t->phases + r;
    double sum = 0;
    if (!phase->pairs) {
        const ptrdiff_t at = place(phase->copied, j, t->down);
        return at < 0 ? 0 : x[at];
    }
    for (int p = 0; p < phase->n_taps; p++) {
        const ptrdiff_t at = place(phase->taps[p].at, j, t->down);
        if (at >= 0)
            sum += (double)phase->taps[p].tap * x[at];
    }
    return sum;
}

/* Noise; the extremes at random; or one sign for each tap of the first output: its largest sum. */
static void fill(const struct fir_table *t, int16_t *x, ptrdiff_t n, int kind) {
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = kind == 0 ? (int16_t)(random_bits() & 0xFFFF) : random_bits() & 1 ? 32767 : -32768;
    if (kind < 2 || !t->phases[0].pairs)
        return;
    for (ptrdiff_t j = 40; j * t->down + t->down <= n; j += 40)
        for (int p = 0; p < t->phases[0].n_pairs; p++)
            for (int k = 0; k < 2; k++) {
                const struct fir_pair *pair = t->phases[0].pairs + p;
                const ptrdiff_t at = place(pair->at, j, t->down) + k * t->down;
                if (pair->taps[k])
                    x[at] = (pair->taps[k] > 0) == (kind == 2) ? 32767 : -32768;
            }
}

static void check_sums(const struct fir_table *t) {
    for (int r = 0; r < t->up; r++) {
        const struct fir_phase *phase = t->phases + r;
        int64_t most[2] = {0, 0};
        for (int p = 0; p < phase->n_pairs; p++)
            for (int k = 0; k < 2; k++)
                most[p >= phase->n_first] += abs(phase->pairs[p].taps[k]);
        for (int k = 0; k < 2; k++)
            if (most[k] * 32768 + (1 << 15) > INT32_MAX)
                fail(t, "any", "int32 overflows", r);
    }
}

/* Runs a stream in pieces, each in guarded memory, now at its end and now at its beginning. */
static ptrdiff_t run(
    FirState *state, fir_runner *runner, size_t n_octets, const uint8_t *x, ptrdiff_t n,
    ptrdiff_t piece, struct guarded from, struct guarded to, uint8_t *made) {
    ptrdiff_t n_made = 0, i = 0;
    for (int turn = 0; i < n; turn++) {
        ptrdiff_t taken = piece ? piece : (ptrdiff_t)(random_bits() % 2000);
        if (taken > n - i)
            taken = n - i;
        const size_t n_in = (size_t)taken * n_octets;
        const size_t n_out = (size_t)fir_completed(state, taken) * n_octets;
        const size_t odd = (size_t)turn / 2 % 9;
        uint8_t *src = turn % 2 ? from.end - n_in : from.begin + odd;
        uint8_t *dst = turn % 2 ? to.end - n_out : to.begin + odd;
        memcpy(src, x + (size_t)i * n_octets, n_in);
        if (turn % 2 == 0)
            dst[n_out] = 0x5A;
        runner(state, src, taken, dst);
        if (turn % 2 == 0 && dst[n_out] != 0x5A)
            fail(state->table, "any", "written past the end", i);
        memcpy(made + (size_t)n_made * n_octets, dst, n_out);
        n_made += (ptrdiff_t)(n_out / n_octets);
        i += taken;
    }
    return n_made;
}

int main(void) {
    static int16_t x[MOST_SAMPLES], made[MOST_SAMPLES * 6 + 1024];
    static float f[MOST_SAMPLES], made32[MOST_SAMPLES * 6 + 1024], before[MOST_SAMPLES * 6 + 1024];
    static const ptrdiff_t pieces[] = {0, 1, 7, 160, 319, 1920, MOST_SAMPLES};
    const struct guarded from = guarded(MOST_OCTETS), to = guarded(MOST_OCTETS);
    long n_checked = 0;
    for (int i = 0; i < FIR_N_TABLES; i++) {
        const struct fir_table *t = fir_tables + i;
        check_sums(t);
        for (int z = fir_first_kernel(); z < FIR_N_KERNELS; z++) {
            const struct fir_kernel *kernel = fir_kernels + z;
            FirState state;
            for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
                const ptrdiff_t n = pieces[k] == 1 ? 800 : MOST_SAMPLES - (ptrdiff_t)k;
                fill(t, x, n, (int)(k % 4));
                for (ptrdiff_t m = 0; m < n; m++)
                    f[m] = (float)x[m] / 32768;
                fir_begin(&state, t);
                ptrdiff_t n_made = run(&state, kernel->run16, 2, (uint8_t *)x, n, pieces[k], from,
                                       to, (uint8_t *)made);
                if (n_made != n / t->down * t->up)
                    fail(t, kernel->name, "wrong number of samples", n_made);
                for (ptrdiff_t m = 0; m < n_made; m++)
                    if (made[m] != plain16(t, x, m / t->up, (int)(m % t->up)))
                        fail(t, kernel->name, "int16 differs", m);
                /* The end is what silence brings. */
                const ptrdiff_t n_end = fir_end_count(&state, 0);
                FirState silent = state;
                static const uint8_t silence[4 * FIR_MOST_END];
                uint8_t tail[4 * FIR_MOST_END + 64];
                const ptrdiff_t n_needed = (n_end + t->up - 1) / t->up * t->down - state.n_late;
                kernel->run16(&silent, silence, n_needed, tail);
                fir_end(&state, kernel->run16, 2, to.end - 2 * n_end);
                if (memcmp(tail, to.end - 2 * n_end, 2 * (size_t)n_end))
                    fail(t, kernel->name, "another end", 0);

                fir_begin(&state, t);
                n_made = run(&state, kernel->run32, 4, (uint8_t *)f, n, pieces[k], from, to,
                             (uint8_t *)made32);
                for (ptrdiff_t m = 0; m < n_made; m++)
                    if (fabs(made32[m] - plain32(t, f, m / t->up, (int)(m % t->up))) > 2e-6)
                        fail(t, kernel->name, "float32 is away", m);
                fir_begin(&state, t);
                run(&state, kernel->run32, 4, (uint8_t *)f, n, n, from, to, (uint8_t *)before);
                if (memcmp(before, made32, (size_t)n_made * 4))
                    fail(t, kernel->name, "float32 depends on the pieces", 0);
                n_checked += 2 * n_made;
            }
        }
    }
    for (int z = fir_first_kernel(); z < FIR_N_KERNELS; z++)
        printf("%s ", fir_kernels[z].name);
    printf("agree on %ld samples of %d tables\n", n_checked, FIR_N_TABLES);
    return 0;
}
