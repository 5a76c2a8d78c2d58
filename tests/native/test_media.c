/* The scanner of media.h on messages that end where memory does: cut anywhere, with any character
   anywhere. And the headers of websocket frames.

   cc -I ext/voice_ai/codec tests/native/test_media.c -o test_media && ./test_media */

#define _DEFAULT_SOURCE
#include "guarded.h"
#include "media.h"

enum { ROOM = 4096 };

#define SID "\"MZ0123456789abcdef0123456789abcdef\""

static const char plain[] =
    "{\"event\":\"media\",\"sequenceNumber\":\"3\",\"media\":{\"track\":\"inbound\","
    "\"chunk\":\"1\",\"timestamp\":\"5\",\"payload\":\"/v7+\"},\"streamSid\":" SID "}";

static const char *const taken[] = {
    plain,
    " {\t\"streamSid\" : " SID "\n,\r\"media\" : { \"payload\" : \"/v7+\" , \"timestamp\" : 5,"
    "\"chunk\":1 } ,\"sequenceNumber\":\"000000000000000003\",\"event\":\"media\" } \n",
    "{\"a\":-1,\"b\":\"~ !#[]\",\"c\":null,\"d\":true,\"e\":false,\"f\":0,\"event\":\"media\","
    "\"sequenceNumber\":3,\"media\":{\"a\":1,\"a\":2,\"event\":\"x\",\"chunk\":1,"
    "\"timestamp\":\"5\",\"payload\":\"/v7+\"},\"streamSid\":" SID "}",
};

#define WITH(own, body)                                                                            \
    "{\"event\":\"media\"," own "\"media\":{" body "\"timestamp\":5,\"payload\":\"/v7+\"},"        \
    "\"streamSid\":" SID "}"

static const char *const not_taken[] = {
    "",
    "{",
    "{}",
    "[]",
    "null",
    WITH("", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":3,", ""),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"chunk\":1,"),
    WITH("\"sequenceNumber\":3,\"sequenceNumber\":3,", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":3,\"event\":\"media\",", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":03,", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":-3,", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":3.0,", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":3e0,", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":\"\",", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":\"3 \",", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":\"1234567890123456789\",", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":1234567890123456789,", "\"chunk\":1,"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"track\":\"outbound\","),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"track\":null,"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":{},"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":[],"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":1.5,"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":-,"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":,"),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":\"\\n\","),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":\"\x7f\","),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,\"x\":\"\xc3\xa9\","),
    WITH("\"sequenceNumber\":3,", "\"chunk\":1,,"),
    WITH("\"sequenceNumber\":3,", "\"ch\\u0075nk\":1,"),
};

static int scan(guarded memory, const void *text, size_t n, media_fields *fields) {
    uint8_t *at = memory.high - n;
    memcpy(at, text, n);
    return media_scan(at, (ptrdiff_t)n, (const uint8_t *)SID, sizeof SID - 1, fields);
}

static void check_taken(guarded memory) {
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        size_t n = strlen(taken[i]);
        media_fields f;
        CHECK(scan(memory, taken[i], n, &f), "%s", taken[i]);
        CHECK(f.n_chars == 4 && memcmp(f.payload, "/v7+", 4) == 0, "%s", taken[i]);
        CHECK(f.timestamp_ms == 5 && f.chunk == 1 && f.sequence_number == 3, "%s", taken[i]);
        size_t n_whole = n;
        while (taken[i][n_whole - 1] != '}')
            n_whole--;
        for (size_t cut = 0; cut < n; cut++)
            CHECK(scan(memory, taken[i], cut, &f) == (cut >= n_whole), "%zu of %s", cut, taken[i]);
    }
    for (size_t i = 0; i < sizeof not_taken / sizeof *not_taken; i++) {
        media_fields f;
        CHECK(!scan(memory, not_taken[i], strlen(not_taken[i]), &f), "%s", not_taken[i]);
    }
}

/* What is taken may differ, the memory that is touched may not. */
static void check_characters(guarded memory) {
    char text[sizeof plain];
    long n_taken = 0;
    for (size_t at = 0; at + 1 < sizeof plain; at++) {
        for (int c = 0; c < 256; c++) {
            media_fields f;
            memcpy(text, plain, sizeof plain);
            text[at] = (char)c;
            n_taken += scan(memory, text, sizeof plain - 1, &f);
            for (size_t cut = at; cut <= at + 1; cut++)
                scan(memory, text, cut, &f);
        }
    }
    CHECK(n_taken > 256 && n_taken < 20000, "%ld", n_taken);
}

static void check_payload_sizes(guarded memory) {
    static char text[ROOM + MEDIA_MAX_CHARS];
    const int sizes[] = {0, 1, MEDIA_MAX_CHARS, MEDIA_MAX_CHARS + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        media_fields f;
        char *at = text + sprintf(text, "{\"event\":\"media\",\"streamSid\":" SID ",\"media\":{"
                                        "\"chunk\":1,\"timestamp\":1,\"payload\":\"");
        memset(at, 'A', (size_t)sizes[i]);
        strcpy(at + sizes[i], "\"},\"sequenceNumber\":1}");
        int expected = sizes[i] > 0 && sizes[i] <= MEDIA_MAX_CHARS;
        CHECK(scan(memory, text, strlen(text), &f) == expected, "%d characters", sizes[i]);
    }
}

static void check_headers(guarded memory) {
    static const struct {
        ptrdiff_t n_octets, n_header;
        uint8_t header[4];
    } cases[] = {
        {0, 2, {0x81, 0}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xFF, 0xFF}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ptrdiff_t n = cases[i].n_header;
        uint8_t *dst = memory.high - n;
        CHECK(frame_header_size(cases[i].n_octets) == n, "%td", cases[i].n_octets);
        CHECK(put_frame_header(dst, cases[i].n_octets) == memory.high, "%td", cases[i].n_octets);
        CHECK(memcmp(dst, cases[i].header, (size_t)n) == 0, "%td", cases[i].n_octets);
    }
}

int main(void) {
    guarded memory = guarded_new(ROOM + MEDIA_MAX_CHARS);
    check_taken(memory);
    check_characters(memory);
    check_payload_sizes(memory);
    check_headers(memory);
    printf("media: ok\n");
    return 0;
}
