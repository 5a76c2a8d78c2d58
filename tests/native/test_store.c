/* The store of store.h against a plain array: what comes out, and how much memory it takes.

   cc -I ext/voice_ai/codec tests/native/test_store.c -o test_store && ./test_store */

#define _DEFAULT_SOURCE
#include "guarded.h"
#include "store.h"

enum { STEPS = 20000, MOST = 3000 };

static uint32_t state = 1;

static ptrdiff_t below(ptrdiff_t n) {
    state = state * 1664525 + 1013904223;
    return (ptrdiff_t)((state >> 8) % (uint32_t)n);
}

/* The n-th octet that ever went in. */
static uint8_t octet(int64_t n) {
    return (uint8_t)(n * 7 + n / 251);
}

static void put(store *s, int64_t *n_in, ptrdiff_t n) {
    uint8_t *dst = store_room(s, n);
    CHECK(dst != NULL, "%td", n);
    for (ptrdiff_t i = 0; i < n; i++)
        dst[i] = octet(*n_in + i);
    store_put(s, n);
    *n_in += n;
}

static void take(store *s, int64_t *n_out, ptrdiff_t n) {
    const uint8_t *src = store_oldest(s);
    for (ptrdiff_t i = 0; i < n; i++)
        CHECK(src[i] == octet(*n_out + i), "octet %lld", (long long)(*n_out + i));
    store_drop(s, n);
    *n_out += n;
}

static void check_nothing(void) {
    store s = {0};
    CHECK(store_waiting(&s) == 0, "%td", store_waiting(&s));
    store_clear(&s);
    CHECK(store_room(&s, 1) != NULL && store_waiting(&s) == 0, "%td", store_waiting(&s));
    store_put(&s, 1);
    store_drop(&s, 1);
    CHECK(s.room == STORE_FIRST_ROOM, "%td", s.room);
    store_clear(&s);
    CHECK(s.octets == NULL && s.room == 0, "%td", s.room);
}

/* A call: 640 octets in, 2,560 out. Memory does not grow. */
static void check_call(void) {
    store s = {0};
    int64_t n_in = 0, n_out = 0;
    for (int i = 0; i < 1000; i++) {
        put(&s, &n_in, 640);
        if (store_waiting(&s) >= 2560)
            take(&s, &n_out, 2560);
        CHECK(s.room == STORE_FIRST_ROOM, "%td after %d", s.room, i);
    }
    store_clear(&s);
}

static void check_backlog(void) {
    store s = {0};
    int64_t n_in = 0, n_out = 0;
    while (n_in < 480000)
        put(&s, &n_in, 640);
    CHECK(s.room <= 2 * 480000, "%td", s.room);
    /* A constant backlog: it stays within what it has. */
    ptrdiff_t room = s.room;
    for (int i = 0; i < 5000; i++) {
        put(&s, &n_in, 640);
        take(&s, &n_out, 640);
    }
    CHECK(s.room <= 2 * room, "%td, first %td", s.room, room);
    while (n_out < n_in)
        take(&s, &n_out, 640);
    CHECK(s.room == 0, "%td", s.room);
}

static void check_any(void) {
    store s = {0};
    int64_t n_in = 0, n_out = 0;
    for (int i = 0; i < STEPS; i++) {
        /* Long tides: for a while more comes in than goes out. */
        put(&s, &n_in, below(i / 500 % 2 ? MOST : MOST / 4));
        CHECK(store_waiting(&s) == n_in - n_out, "step %d", i);
        take(&s, &n_out, below(store_waiting(&s) + 1) % MOST);
    }
    take(&s, &n_out, store_waiting(&s));
    CHECK(n_in == n_out && s.room <= STORE_FIRST_ROOM, "%td", s.room);
    store_clear(&s);
}

int main(void) {
    check_nothing();
    check_call();
    check_backlog();
    check_any();
    printf("store: ok\n");
    return 0;
}
