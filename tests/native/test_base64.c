/* Every kernel of base64.h that this machine can run, against bits moved one at a time, at every
   length to 300 and with buffers that begin or end where memory does.

   cc -I ext/voice_ai/codec tests/native/test_base64.c -o test_base64 && ./test_base64 */

#define _DEFAULT_SOURCE
#include "base64.h"
#include "guarded.h"

enum { LONGEST = 300, ROOM = 4096 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t seed = 1;

static uint8_t any(void) {
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

static ptrdiff_t slow_encode(const uint8_t *src, ptrdiff_t n, uint8_t *dst) {
    ptrdiff_t size = 0;
    for (ptrdiff_t bit = 0; bit < 8 * n; bit += 6) {
        int value = 0;
        for (ptrdiff_t i = bit; i < bit + 6; i++)
            value = 2 * value + (i < 8 * n ? src[i / 8] >> (7 - i % 8) & 1 : 0);
        dst[size++] = (uint8_t)letters[value];
    }
    while (size % 4)
        dst[size++] = '=';
    return size;
}

static ptrdiff_t slow_decode(const uint8_t *text, ptrdiff_t n, uint8_t *dst) {
    ptrdiff_t n_letters = n;
    if (n % 4)
        return -1;
    while (n_letters > 0 && n - n_letters < 2 && text[n_letters - 1] == '=')
        n_letters--;
    ptrdiff_t n_octets = n_letters * 6 / 8;
    memset(dst, 0, (size_t)n_octets);
    for (ptrdiff_t i = 0; i < n_letters; i++) {
        const char *at = text[i] ? strchr(letters, text[i]) : NULL;
        if (at == NULL)
            return -1;
        for (ptrdiff_t b = 0; b < 6; b++) {
            ptrdiff_t bit = 6 * i + b;
            if (bit < 8 * n_octets)
                dst[bit / 8] |= (uint8_t)(((at - letters) >> (5 - b) & 1) << (7 - bit % 8));
        }
    }
    return n_octets;
}

/* Where a buffer of n octets lies: at the end of its memory, or so far from the beginning. */
static uint8_t *place(guarded memory, ptrdiff_t n, int where) {
    return where < 0 ? memory.high - n : memory.low + where;
}

static void check_decode(
    const base64_kernel *k, guarded in, guarded out, int where, const uint8_t *text, ptrdiff_t n
) {
    uint8_t expected[ROOM];
    ptrdiff_t n_expected = slow_decode(text, n, expected);
    uint8_t *src = place(in, n, where);
    memcpy(src, text, (size_t)n);
    ptrdiff_t room = base64_decoded_size(src, n);
    uint8_t *dst = place(out, room < 0 ? 0 : room, where);
    ptrdiff_t n_octets = k->decode(src, n, dst);
    CHECK(n_octets == n_expected, "%s: %td characters: %td, not %td", k->name, n, n_octets,
          n_expected);
    CHECK(n_octets <= 0 || memcmp(dst, expected, (size_t)n_octets) == 0, "%s: %td characters",
          k->name, n);
}

static void check_length(
    const base64_kernel *k, guarded in, guarded out, int where, ptrdiff_t n
) {
    uint8_t data[LONGEST], text[ROOM];
    for (ptrdiff_t i = 0; i < n; i++)
        data[i] = any();
    ptrdiff_t size = slow_encode(data, n, text);
    uint8_t *src = place(in, n, where);
    uint8_t *dst = place(out, size, where);
    memcpy(src, data, (size_t)n);
    CHECK(base64_encoded_size(n) == size, "%td octets", n);
    k->encode(src, n, dst);
    CHECK(memcmp(dst, text, (size_t)size) == 0, "%s: %td octets", k->name, n);
    check_decode(k, in, out, where, text, size);
}

/* Any text of letters, at every length: also those that are no multiple of four. */
static void check_letters(const base64_kernel *k, guarded in, guarded out, int where) {
    uint8_t text[LONGEST + 1];
    for (ptrdiff_t n = 0; n <= LONGEST; n++) {
        for (ptrdiff_t i = 0; i < n; i++)
            text[i] = (uint8_t)letters[any() & 63];
        for (ptrdiff_t n_pads = 0; n_pads <= 3 && n_pads <= n; n_pads++) {
            memset(text + n - n_pads, '=', (size_t)n_pads);
            check_decode(k, in, out, where, text, n);
        }
    }
}

/* Every character at every place of a text that takes all paths. */
static void check_characters(const base64_kernel *k, guarded in, guarded out) {
    uint8_t text[132];
    for (int at = 0; at < (int)sizeof text; at++) {
        for (int c = 0; c < 256; c++) {
            for (size_t i = 0; i < sizeof text; i++)
                text[i] = (uint8_t)letters[(7 * i + (size_t)c) & 63];
            text[at] = (uint8_t)c;
            check_decode(k, in, out, -1, text, sizeof text);
        }
    }
}

int main(void) {
    base64_kernel kernels[BASE64_KERNELS];
    int n_kernels = base64_list_kernels(kernels);
    guarded in = guarded_new(ROOM), out = guarded_new(ROOM);
    for (int i = 0; i < n_kernels; i++) {
        for (int where = -1; where < 33; where++) {
            for (ptrdiff_t n = 0; n <= LONGEST; n++)
                check_length(&kernels[i], in, out, where, n);
            if (where < 2)
                check_letters(&kernels[i], in, out, where);
        }
        check_characters(&kernels[i], in, out);
        printf("base64 %s: ok\n", kernels[i].name);
    }
    return 0;
}
