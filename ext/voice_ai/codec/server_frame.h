/* A client's side of RFC 6455: heads of frames from a server (section 5.2), which are never masked,
   and whole frames to it, which are (section 5.3). */

#ifndef VOICE_AI_SERVER_FRAME_H
#define VOICE_AI_SERVER_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SERVER_CONTINUATION = 0, SERVER_TEXT = 1, SERVER_BINARY = 2, SERVER_CLOSE = 8, SERVER_CONTROL = 8 };
enum { SERVER_PONG = 10, SERVER_MOST_CONTROL = 125 };

/* Two octets, eight of length. */
enum { SERVER_MOST_HEAD = 10 };

typedef struct {
    uint64_t n_payload;
    int n_head;
    int opcode, is_last;
} server_head;

/* Whether a server may begin a frame so; 0x70 are the reserved bits, 0x80 of `second` the mask's. */
static inline int server_may_begin(uint8_t first, uint8_t second, int in_message) {
    int opcode = first & 0x0F;
    if ((first & 0x70) || (second & 0x80))
        return 0;
    if (opcode & SERVER_CONTROL)
        return opcode <= SERVER_PONG && (first & 0x80) && second <= SERVER_MOST_CONTROL;
    return opcode <= SERVER_BINARY && (opcode == SERVER_CONTINUATION) == in_message;
}

/* 1: `head` is filled in; 0: it needs more octets than these n; -1: no server may send this. */
static inline int server_read_head(
    const uint8_t *at, ptrdiff_t n, int in_message, server_head *head
) {
    if (n < 2)
        return 0;
    if (!server_may_begin(at[0], at[1], in_message))
        return -1;
    int n_more = at[1] == 127 ? 8 : at[1] == 126 ? 2 : 0;
    head->n_head = 2 + n_more;
    if (n < head->n_head)
        return 0;
    head->n_payload = n_more ? 0 : at[1];
    for (int i = 0; i < n_more; i++)
        head->n_payload = head->n_payload << 8 | at[2 + i];
    head->opcode = at[0] & 0x0F;
    head->is_last = (at[0] & 0x80) != 0;
    return 1;
}

/* Two octets, those of the length, the key. */
static inline ptrdiff_t client_head_size(ptrdiff_t n_octets) {
    return 6 + (n_octets < 126 ? 0 : n_octets < 65536 ? 2 : 8);
}

/* A binary message in one frame; `dst` has room for the head and the octets, apart from `src`. */
static inline void client_put(
    uint8_t *restrict dst, const uint8_t *restrict src, ptrdiff_t n_octets, const uint8_t key[4]
) {
    int n_more = (int)client_head_size(n_octets) - 6;
    *dst++ = 0x80 | SERVER_BINARY;
    *dst++ = (uint8_t)(0x80 | (n_more == 0 ? n_octets : n_more == 2 ? 126 : 127));
    for (int i = n_more - 1; i >= 0; i--)
        *dst++ = (uint8_t)((uint64_t)n_octets >> 8 * i);
    memcpy(dst, key, 4);
    dst += 4;
    for (ptrdiff_t i = 0; i < n_octets; i++)
        dst[i] = src[i] ^ key[i & 3];
}

#endif
