/* The frames of websocket.h: heads cut anywhere, masks of every alignment, the sequence of messages.

   cc -I ext/voice_ai/codec tests/native/test_websocket.c -o test_websocket && ./test_websocket */

#define _DEFAULT_SOURCE
#include "guarded.h"
#include "websocket.h"

enum { ROOM = 4096, MOST = 200 };

#define MASK 0xA1, 0x02, 0x7F, 0xD4

static const struct {
    int n_head;
    uint64_t n_payload;
    uint8_t head[WEBSOCKET_MOST_HEAD];
} heads[] = {
    {6, 0, {0x81, 0x80, MASK}},
    {6, 125, {0x82, 0xFD, MASK}},
    {8, 126, {0x81, 0xFE, 0, 126, MASK}},
    {8, 65535, {0x01, 0xFE, 0xFF, 0xFF, MASK}},
    {8, 3, {0x81, 0xFE, 0, 3, MASK}},
    {14, 65536, {0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, MASK}},
    {14, 7, {0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 7, MASK}},
    {14, UINT64_MAX, {0x81, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255, MASK}},
    {6, 2, {0x88, 0x82, MASK}},
    {6, 125, {0x89, 0xFD, MASK}},
    {6, 0, {0x8A, 0x80, MASK}},
};

/* Each head ends where memory does, and so does each part of it. */
static void check_heads(guarded memory) {
    static const uint8_t mask[4] = {MASK};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        websocket_head head;
        for (int n = 0; n <= heads[i].n_head; n++) {
            uint8_t *at = memory.high - n;
            memcpy(at, heads[i].head, (size_t)n);
            int found = websocket_read_head(at, n, 0, &head);
            CHECK(found == (n == heads[i].n_head), "%d octets of head %zu", n, i);
        }
        CHECK(head.n_head == heads[i].n_head, "head %zu", i);
        CHECK(head.n_payload == heads[i].n_payload, "head %zu", i);
        CHECK(head.opcode == (heads[i].head[0] & 15), "head %zu", i);
        CHECK(head.is_last == heads[i].head[0] >> 7, "head %zu", i);
        CHECK(memcmp(head.mask, mask, 4) == 0, "head %zu", i);
    }
}

/* RFC 6455, sections 5.1 to 5.5, once more and otherwise: all that a client may begin with. */
static int may_begin(int first, int second, int in_message) {
    static const int opens[] = {0x01, 0x02, 0x81, 0x82}, goes_on[] = {0x00, 0x80};
    static const int controls[] = {0x88, 0x89, 0x8A};
    int may = 0;
    for (int i = 0; i < 4; i++)
        may |= first == opens[i] && !in_message;
    for (int i = 0; i < 2; i++)
        may |= first == goes_on[i] && in_message;
    for (int i = 0; i < 3; i++)
        may |= first == controls[i] && second <= 0x80 + 125;
    return may && second >= 0x80;
}

static void check_beginnings(guarded memory) {
    uint8_t *at = memory.high - WEBSOCKET_MOST_HEAD;
    memset(at, 0, WEBSOCKET_MOST_HEAD);
    for (int octets = 0; octets < 65536 * 2; octets++) {
        int in_message = octets >> 16, first = octets >> 8 & 255, second = octets & 255;
        websocket_head head;
        at[0] = (uint8_t)first;
        at[1] = (uint8_t)second;
        int found = websocket_read_head(at, WEBSOCKET_MOST_HEAD, in_message, &head);
        int expected = may_begin(first, second, in_message) ? 1 : -1;
        CHECK(found == expected, "%02x %02x in message: %d", first, second, in_message);
        int early = websocket_read_head(at, 2, in_message, &head);
        CHECK(early == (expected < 0 ? -1 : 0), "%02x %02x alone", first, second);
    }
}

/* Both buffers at every alignment, each ending where memory does, and nothing before touched. */
static void check_unmask(guarded source, guarded target) {
    static const uint8_t mask[4] = {MASK};
    for (int n = 0; n <= MOST; n++) {
        for (int shift = 0; shift < 33; shift++) {
            uint8_t *src = source.high - n - shift, *dst = target.high - n;
            for (int i = 0; i < n; i++)
                src[i] = (uint8_t)(i * 31 + n);
            memset(target.low, 0x5A, ROOM);
            websocket_unmask(src, n, mask, dst);
            for (int i = 0; i < n; i++)
                CHECK(dst[i] == (src[i] ^ mask[i % 4]), "%d of %d, shift %d", i, n, shift);
            for (uint8_t *p = target.low; p < dst; p++)
                CHECK(*p == 0x5A, "%d before, shift %d", (int)(dst - p), shift);
        }
        websocket_unmask(target.high - n, n, mask, source.high - n);
    }
}

/* A frame comes by these pieces: none of it counts before its last octet. */
static void come(websocket_flow *flow, int first, int n_payload, int piece) {
    uint8_t at[6] = {(uint8_t)first, (uint8_t)(0x80 | n_payload), MASK};
    websocket_head head;
    int n = 6 + n_payload;
    int64_t n_messages = flow->n_messages;
    CHECK(websocket_look(flow, at, 6, &head) == 1, "%02x", first);
    websocket_begin(flow, &head);
    while (n > 0 && !flow->is_over) {
        CHECK(flow->n_messages == n_messages, "%02x, %d to come", first, n);
        ptrdiff_t passed = websocket_pass(flow, piece);
        CHECK(passed == (piece < n ? piece : n), "%02x, %d to come", first, n);
        n -= (int)passed;
    }
    CHECK(flow->is_over || flow->n_left == 0, "%02x", first);
}

static void check_flow(void) {
    for (int piece = 1; piece < 20; piece++) {
        websocket_flow flow = {0};
        static const struct {
            int first, n_payload, n_messages, in_message;
        } frames[] = {
            {0x81, 0, 1, 0}, {0x82, 9, 2, 0},  {0x89, 3, 2, 0}, {0x01, 5, 2, 1}, {0x8A, 0, 2, 1},
            {0x00, 0, 2, 1}, {0x89, 12, 2, 1}, {0x80, 0, 3, 0}, {0x02, 0, 3, 1}, {0x80, 1, 4, 0},
        };
        for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
            come(&flow, frames[i].first, frames[i].n_payload, piece);
            CHECK(flow.n_messages == frames[i].n_messages, "frame %zu", i);
            CHECK(flow.in_message == frames[i].in_message, "frame %zu", i);
            CHECK(!flow.is_over, "frame %zu", i);
        }
        come(&flow, 0x88, 2, piece);
        CHECK(flow.is_over && websocket_pass(&flow, 1000) == 1000, "close");
        CHECK(flow.n_messages == 4, "close");
    }
}

static void check_wrong(void) {
    static const uint8_t wrong[][2] = {{0x80, 0x80}, {0x81, 0x00}, {0xC1, 0x80}, {0x83, 0x80}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        websocket_flow flow = {0};
        websocket_head head;
        come(&flow, 0x81, 1, 99);
        CHECK(websocket_look(&flow, wrong[i], 1, &head) == 0 && !flow.is_over, "%zu", i);
        CHECK(websocket_look(&flow, wrong[i], 2, &head) == -1 && flow.is_over, "%zu", i);
        CHECK(websocket_pass(&flow, 3) == 3 && flow.n_messages == 1, "%zu", i);
    }
}

int main(void) {
    guarded source = guarded_new(ROOM), target = guarded_new(ROOM);
    check_heads(source);
    check_beginnings(source);
    check_unmask(source, target);
    check_flow();
    check_wrong();
    printf("websocket: ok\n");
    return 0;
}
