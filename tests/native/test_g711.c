/* The kernels of G.711 in plain C: exhaustive against formulas written out here, and between guard
   pages, where a touch of one octet before or after a buffer ends the program.

   cc -O2 -Iext/voice_ai/codec tests/native/test_g711.c && ./a.out */

#define _GNU_SOURCE

#include "g711_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N_SAMPLES = 65536, N_ALIGNMENTS = 32, MAX_LENGTH = 300, FILL = 0x5A };

/* ITU-T G.711 with its 14 bits of µ-law and 13 of A-law, one bit after the other. */

static int ulaw_sample(int code) {
    int inverted = ~code & 0xFF;
    int magnitude = ((2 * (inverted & 15) + 33) << (inverted >> 4 & 7)) - 33;
    return 4 * (inverted & 0x80 ? -magnitude : magnitude);
}

static int alaw_sample(int code) {
    int even = code ^ 0x55, segment = even >> 4 & 7;
    int magnitude = 2 * (even & 15) + 1;
    if (segment > 0)
        magnitude = (magnitude + 32) << (segment - 1);
    return 8 * (even & 0x80 ? magnitude : -magnitude);
}

static int ulaw_code_of(int magnitude, int negative) {
    int biased = magnitude + 33, segment = 0;
    if (biased > 0x1FFF)
        biased = 0x1FFF;
    while (biased >> segment > 63)
        segment++;
    int code = segment << 4 | (biased >> (segment + 1) & 15);
    return (negative ? 0x7F : 0xFF) ^ code;
}

/* Division that rounds down, without a shift of a negative number. */
static int quarter(int sample) { return (sample + 32768) / 4 - 8192; }

static int ulaw_code(int sample) {
    int sample14 = quarter(sample);
    return ulaw_code_of(sample14 < 0 ? -sample14 : sample14, sample14 < 0);
}

static int ulaw_itu_code(int sample) {
    return ulaw_code_of((sample < 0 ? -sample - 1 : sample) / 4, sample < 0);
}

static int alaw_code(int sample) {
    int magnitude = (sample < 0 ? -sample - 1 : sample) / 16, segment = 0;
    while (magnitude >> segment > 31)
        segment++;
    int code = magnitude < 16 ? magnitude : (segment + 1) << 4 | (magnitude >> segment & 15);
    return (sample < 0 ? 0x55 : 0xD5) ^ code;
}

typedef struct {
    const char *name;
    g711_loop loop;
    int (*formula)(int);
    int decodes;
} job;

typedef struct {
    uint8_t *first, *end;
} pages;

static pages guarded(size_t n_octets) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = (n_octets + page - 1) / page * page;
    uint8_t *all = mmap(
        NULL, inner + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all, page, PROT_NONE) != 0
        || mprotect(all + page + inner, page, PROT_NONE) != 0) {
        perror("guard pages");
        exit(2);
    }
    return (pages){all + page, all + page + inner};
}

static void put(uint8_t *p, int x, int n_octets) {
    for (int k = 0; k < n_octets; k++)
        p[k] = (uint8_t)((unsigned)x >> 8 * k);
}

static int get(const uint8_t *p, int n_octets) {
    unsigned x = p[0];
    if (n_octets == 1)
        return (int)x;
    x |= (unsigned)p[1] << 8;
    return x < 32768 ? (int)x : (int)x - 65536;
}

static void expect(
    const char *kernel, const job *j, const char *where, int n, int came, int input) {
    int needed = j->formula(input);
    if (came == needed)
        return;
    printf("%s %s, %s, %d samples: %d gives %d, not %d\n", kernel, j->name, where, n, input, came,
           needed);
    exit(1);
}

/* Each input as the first and as the second of a pair, whose other one must not matter. */
static void check_all(const char *kernel, const job *j, int other, int place) {
    static uint8_t src[4 * N_SAMPLES], dst[4 * N_SAMPLES];
    int n_src = j->decodes ? 1 : 2, n_dst = 3 - n_src, n = j->decodes ? 256 : N_SAMPLES;
    for (int i = 0; i < n; i++) {
        put(src + n_src * (2 * i + place), j->decodes ? i : i - 32768, n_src);
        put(src + n_src * (2 * i + 1 - place), other, n_src);
    }
    j->loop(src, 2 * n, dst);
    for (int i = 0; i < 2 * n; i++)
        expect(kernel, j, "all inputs", 2 * n, get(dst + n_dst * i, n_dst),
               get(src + n_src * i, n_src));
}

static void check_kept(const char *kernel, const job *j, const uint8_t *from, const uint8_t *to) {
    for (; from < to; from++)
        if (*from != FILL) {
            printf("%s %s wrote outside its buffer\n", kernel, j->name);
            exit(1);
        }
}

static void check_at(
    const char *kernel, const job *j, const char *where, int n, const uint8_t *src, uint8_t *dst,
    pages room) {
    int n_src = j->decodes ? 1 : 2, n_dst = 3 - n_src;
    memset(room.first, FILL, (size_t)(room.end - room.first));
    j->loop(src, n, dst);
    for (int i = 0; i < n; i++)
        expect(kernel, j, where, n, get(dst + n_dst * i, n_dst), get(src + n_src * i, n_src));
    check_kept(kernel, j, room.first, dst);
    check_kept(kernel, j, dst + n_dst * n, room.end);
}

/* Every length at both ends of the pages, and at every alignment behind the first guard. */
static void check_edges(const char *kernel, const job *j, pages from, pages to) {
    int n_src = j->decodes ? 1 : 2, n_dst = 3 - n_src;
    unsigned noise = 1;
    for (uint8_t *p = from.first; p < from.end; p++) {
        noise = noise * 1664525u + 1013904223u;
        *p = (uint8_t)(noise >> 24);
    }
    for (int n = 0; n <= MAX_LENGTH; n++) {
        check_at(kernel, j, "before the guard", n, from.end - n_src * n, to.end - n_dst * n, to);
        for (int a = 0; a < N_ALIGNMENTS; a++) {
            check_at(kernel, j, "aligned src", n, from.first + a, to.first, to);
            check_at(kernel, j, "aligned dst", n, from.first, to.first + a, to);
            check_at(kernel, j, "before the guard, aligned", n, from.end - n_src * n - a,
                     to.end - n_dst * n - (31 - a), to);
        }
    }
}

static void check_the_508(void) {
    int n_different = 0;
    for (int sample = -32768; sample < 32768; sample++)
        n_different += ulaw_code(sample) != ulaw_itu_code(sample);
    if (n_different != 508) {
        printf("the two forms of µ-law differ on %d samples, not on 508\n", n_different);
        exit(1);
    }
}

int main(void) {
    g711_kernel kernels[G711_MAX_KERNELS];
    int n_kernels = g711_find_kernels(kernels);
    const int others[] = {0, -1, 1, 32767, -32768};
    pages from = guarded(2 * MAX_LENGTH + N_ALIGNMENTS);
    pages to = guarded(2 * MAX_LENGTH + N_ALIGNMENTS);
    check_the_508();
    for (int k = 0; k < n_kernels; k++) {
        const job jobs[] = {
            {"ulaw_decode", kernels[k].ulaw_decode, ulaw_sample, 1},
            {"ulaw_encode", kernels[k].ulaw_encode, ulaw_code, 0},
            {"ulaw_encode itu", kernels[k].ulaw_encode_itu, ulaw_itu_code, 0},
            {"alaw_decode", kernels[k].alaw_decode, alaw_sample, 1},
            {"alaw_encode", kernels[k].alaw_encode, alaw_code, 0},
        };
        for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
            for (size_t other = 0; other < sizeof others / sizeof others[0]; other++)
                for (int place = 0; place < 2; place++)
                    check_all(kernels[k].name, &jobs[i], others[other], place);
            check_edges(kernels[k].name, &jobs[i], from, to);
        }
    }
    printf("g711:");
    for (int k = 0; k < n_kernels; k++)
        printf(" %s", kernels[k].name);
    printf(", all exact\n");
    return 0;
}
