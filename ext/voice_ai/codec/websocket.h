/* Websocket frames from a client, as RFC 6455 section 5.2 draws them: where they end, what they do to
   the sequence of messages, and their masks taken off. */

#ifndef VOICE_AI_WEBSOCKET_H
#define VOICE_AI_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The bits of the first two octets. */
enum {
    WEBSOCKET_FIN = 0x80,
    WEBSOCKET_RSV = 0x70,
    WEBSOCKET_OPCODE = 0x0F,
    WEBSOCKET_CONTROL = 0x08, /* of the opcode */
    WEBSOCKET_MASK = 0x80,
    WEBSOCKET_LENGTH = 0x7F,
};

enum {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

/* Two octets, eight of length, four of mask. */
enum { WEBSOCKET_MOST_HEAD = 14, WEBSOCKET_MOST_CONTROL = 125 };

typedef struct {
    uint64_t n_payload;
    int n_head;
    int opcode, is_last;
    uint8_t mask[4];
} websocket_head;

/* Whether a client may begin a frame so. `in_message`: a fragment has come and its message's last
   one has not. */
static inline int websocket_may_begin(uint8_t first, uint8_t second, int in_message) {
    int opcode = first & WEBSOCKET_OPCODE;
    if ((first & WEBSOCKET_RSV) || !(second & WEBSOCKET_MASK))
        return 0;
    if (opcode & WEBSOCKET_CONTROL)
        return opcode <= WEBSOCKET_PONG && (first & WEBSOCKET_FIN) &&
               (second & WEBSOCKET_LENGTH) <= WEBSOCKET_MOST_CONTROL;
    return opcode <= WEBSOCKET_BINARY && (opcode == WEBSOCKET_CONTINUATION) == in_message;
}

static inline uint64_t websocket_big_endian(const uint8_t *at, int n_octets) {
    uint64_t number = 0;
    for (int i = 0; i < n_octets; i++)
        number = number << 8 | at[i];
    return number;
}

/* 1: `head` is filled in; 0: it needs more octets than these n; -1: no client may send this. A
   length in more octets than it needs is taken, as websockets does. */
static inline int websocket_read_head(
    const uint8_t *at, ptrdiff_t n, int in_message, websocket_head *head
) {
    if (n < 2)
        return 0;
    if (!websocket_may_begin(at[0], at[1], in_message))
        return -1;
    int length = at[1] & WEBSOCKET_LENGTH;
    int n_more = length == 127 ? 8 : length == 126 ? 2 : 0;
    head->n_head = 2 + n_more + 4;
    if (n < head->n_head)
        return 0;
    head->n_payload = n_more ? websocket_big_endian(at + 2, n_more) : (uint64_t)length;
    head->opcode = at[0] & WEBSOCKET_OPCODE;
    head->is_last = (at[0] & WEBSOCKET_FIN) != 0;
    memcpy(head->mask, at + 2 + n_more, 4);
    return 1;
}

/* A sequence of frames, from its first octet on; all zeros is its beginning. */
typedef struct {
    int64_t n_messages;        /* whole ones */
    uint64_t n_left;           /* octets to come of the frame that has begun */
    int in_message, ends_message; /* the latter: that frame, once it is whole */
    int is_over;               /* a close has begun, or what no client may send */
} websocket_flow;

/* As websocket_read_head; behind what no client may send, all is over. */
static inline int websocket_look(
    websocket_flow *flow, const uint8_t *at, ptrdiff_t n, websocket_head *head
) {
    int found = websocket_read_head(at, n, flow->in_message, head);
    if (found < 0)
        flow->is_over = 1;
    return found;
}

/* The frame of this head comes now: its head first. */
static inline void websocket_begin(websocket_flow *flow, const websocket_head *head) {
    int is_control = (head->opcode & WEBSOCKET_CONTROL) != 0;
    flow->n_left = (uint64_t)head->n_head + head->n_payload;
    flow->ends_message = head->is_last && !is_control;
    flow->is_over = head->opcode == WEBSOCKET_CLOSE;
    if (!is_control)
        flow->in_message = !head->is_last;
}

/* How many of n octets belong to the frame that has begun, or to what is behind the end of all. */
static inline ptrdiff_t websocket_pass(websocket_flow *flow, ptrdiff_t n) {
    if (flow->is_over)
        return n;
    if ((uint64_t)n > flow->n_left)
        n = (ptrdiff_t)flow->n_left;
    flow->n_left -= (uint64_t)n;
    if (flow->n_left == 0)
        flow->n_messages += flow->ends_message;
    return n;
}

/* Eight octets a step, which compilers make 16 or 32. Buffers do not overlap. */
static inline void websocket_unmask(
    const uint8_t *restrict src, ptrdiff_t n_octets, const uint8_t mask[4], uint8_t *restrict dst
) {
    uint8_t twice[8];
    uint64_t wide, octets;
    ptrdiff_t i = 0;
    memcpy(twice, mask, 4);
    memcpy(twice + 4, mask, 4);
    memcpy(&wide, twice, 8);
    for (; i + 8 <= n_octets; i += 8) {
        memcpy(&octets, src + i, 8);
        octets ^= wide;
        memcpy(dst + i, &octets, 8);
    }
    for (; i < n_octets; i++)
        dst[i] = src[i] ^ mask[i & 3];
}

#endif
