/* Feeds one mono stream through libsoxr: whole blocks in, everything that is ready out.

   What libsoxr leaves to its caller is seen to here:
   - it reads and writes items at their natural addresses only; others go through a small buffer;
   - it counts in int within a call, and slows down on a long one (its queues move): blocks;
   - input after the end writes to a null pointer: there is none;
   - an end with more output than it expects underflows: the end is asked for only what is missing;
   - on x86 it finds clipped int16 by the x87's sticky invalid flag, and one that somebody else left
     behind turns the first sample of a short chunk into full scale: the flag is cleared. */

#ifndef VOICE_AI_SOXR_RUN_H
#define VOICE_AI_SOXR_RUN_H

#include <stdint.h>
#include <string.h>

#include "soxr_abi.h"

/* In samples, of the larger of both sides. */
#define SOXR_BLOCK 16384
#define SOXR_BOUNCE 2048

typedef struct {
    const soxr_calls *calls;
    soxr_handle *handle;
    double io_ratio;
    int64_t n_in, n_out;
    int n_octets; /* of a sample */
    int ended;
} soxr_run;

/* All samples that `n_in` make with the end: libsoxr's own expression, which rounds to nearest. */
static inline int64_t soxr_whole(const soxr_run *run, int64_t n_in) {
    return (int64_t)((double)n_in / run->io_ratio + .5);
}

/* Clears the x87's invalid flag. */
static inline void soxr_forget_invalid(void) {
#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
    uint16_t status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    if (status & 1)
        __asm__ volatile("fnclex");
#endif
}

/* The most that `n` more samples bring; with `last` exactly what they bring. libsoxr never runs
   ahead of its input's time. */
static inline int64_t soxr_room(const soxr_run *run, int64_t n, int last) {
    const int64_t n_in = run->n_in + n;
    const double exact = (double)n_in / run->io_ratio;
    const int64_t below = (int64_t)exact;
    const int64_t whole = last ? soxr_whole(run, n_in) : below + ((double)below < exact);
    return whole > run->n_out ? whole - run->n_out : 0;
}

/* One call of soxr_process whose output may stand anywhere. */
static inline soxr_fault soxr_step(soxr_run *run, const void *in, size_t n, uint8_t *dst,
                                   size_t n_room, size_t *n_made) {
    float bounce[SOXR_BOUNCE];
    if ((uintptr_t)dst % (unsigned)run->n_octets == 0)
        return run->calls->process(run->handle, in, n, NULL, dst, n_room, n_made);
    if (n_room > SOXR_BOUNCE)
        n_room = SOXR_BOUNCE;
    const soxr_fault fault =
        run->calls->process(run->handle, in, n, NULL, bounce, n_room, n_made);
    memcpy(dst, bounce, *n_made * (size_t)run->n_octets);
    return fault;
}

/* Takes `n` samples (NULL: the end) and then all output that is ready, up to `n_room`. */
static inline soxr_fault soxr_block(soxr_run *run, const void *in, size_t n, uint8_t **dst,
                                    size_t *n_room) {
    const void *const more = in == NULL ? NULL : *dst;
    size_t n_made;
    soxr_fault fault;
    do {
        const size_t n_asked = *n_room < 1 << 20 ? *n_room : 1 << 20;
        n_made = 0;
        fault = soxr_step(run, in, n, *dst, n_asked, &n_made);
        *dst += n_made * (size_t)run->n_octets;
        *n_room -= n_made;
        run->n_out += (int64_t)n_made;
        in = more, n = 0;
    } while (fault == NULL && n_made > 0 && *n_room > 0);
    return fault;
}

static inline size_t soxr_block_length(const soxr_run *run, const uint8_t *src) {
    const double n = SOXR_BLOCK * (run->io_ratio < 1 ? run->io_ratio : 1);
    const int apart = (uintptr_t)src % (unsigned)run->n_octets != 0;
    return apart && n > SOXR_BOUNCE ? SOXR_BOUNCE : n < 1 ? 1 : (size_t)n;
}

static inline soxr_fault soxr_feed(soxr_run *run, const uint8_t *src, int64_t n, uint8_t **dst,
                                   size_t *n_room) {
    float bounce[SOXR_BOUNCE];
    const size_t n_block = soxr_block_length(run, src);
    soxr_fault fault = NULL;
    while (n > 0 && fault == NULL) {
        const size_t n_now = n < (int64_t)n_block ? (size_t)n : n_block;
        const void *in = src;
        if ((uintptr_t)src % (unsigned)run->n_octets != 0)
            in = memcpy(bounce, src, n_now * (size_t)run->n_octets);
        run->n_in += (int64_t)n_now;
        fault = soxr_block(run, in, n_now, dst, n_room);
        src += n_now * (size_t)run->n_octets;
        n -= (int64_t)n_now;
    }
    return fault;
}

/* Takes `n` samples and writes what they make, at most soxr_room(run, n, last) samples. */
static inline soxr_fault soxr_into(soxr_run *run, const uint8_t *src, int64_t n, uint8_t *dst,
                                   int last) {
    size_t n_room = (size_t)soxr_room(run, n, last);
    soxr_forget_invalid();
    const soxr_fault fault = soxr_feed(run, src, n, &dst, &n_room);
    if (!last || fault != NULL)
        return fault;
    run->ended = 1;
    return n_room > 0 ? soxr_block(run, NULL, 0, &dst, &n_room) : NULL;
}

#endif
