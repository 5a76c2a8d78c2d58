/* Octets that wait, first in, first out, in memory of which there is as much as they needed lately.

   All zeros is an empty store, which has no memory. */

#ifndef VOICE_AI_STORE_H
#define VOICE_AI_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* 128 ms at 16 kHz, of which 80 ms are taken at a time; kept while a store is empty. */
enum { STORE_FIRST_ROOM = 4096 };

typedef struct {
    uint8_t *octets;
    ptrdiff_t room, begin, end;
} store;

static inline ptrdiff_t store_waiting(const store *s) {
    return s->end - s->begin;
}

static inline void store_clear(store *s) {
    free(s->octets);
    memset(s, 0, sizeof *s);
}

/* What waits moves to the front: to memory of its own unless it is no more than has been taken, so
   that an octet moves once in the mean. */
static inline int store_make_room(store *s, ptrdiff_t n_more) {
    ptrdiff_t n = store_waiting(s), room = s->room;
    uint8_t *octets = s->octets;
    if (n > s->begin || room - n < n_more) {
        room = room ? 2 * room : STORE_FIRST_ROOM;
        while (room - n < n_more)
            room *= 2;
        octets = malloc((size_t)room);
        if (octets == NULL)
            return 0;
    }
    if (n > 0)
        memcpy(octets, s->octets + s->begin, (size_t)n);
    if (octets != s->octets)
        free(s->octets);
    *s = (store){octets, room, 0, n};
    return 1;
}

/* Where n more may be written, which `store_put` then keeps; NULL: there is no memory. */
static inline uint8_t *store_room(store *s, ptrdiff_t n) {
    if (s->room - s->end < n && !store_make_room(s, n))
        return NULL;
    return s->octets + s->end;
}

static inline void store_put(store *s, ptrdiff_t n) {
    s->end += n;
}

/* The oldest octets, which stay where they are until `store_drop`. */
static inline const uint8_t *store_oldest(const store *s) {
    return s->octets + s->begin;
}

static inline void store_drop(store *s, ptrdiff_t n) {
    s->begin += n;
    if (s->begin < s->end)
        return;
    s->begin = s->end = 0;
    if (s->room > STORE_FIRST_ROOM)
        store_clear(s);
}

#endif
