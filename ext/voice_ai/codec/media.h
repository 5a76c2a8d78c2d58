/* Twilio's `media` messages: the fields of one that is beyond doubt plain, and what goes around the
   payload of one that we send.

   The scanner has no opinions. It takes an object of one level with one object in it, `media`; its
   strings are ASCII without escapes, and each field that we know stands once. What it does not
   take may still be a fine message, or a wrong one: the slow reader says. */

#ifndef VOICE_AI_MEDIA_H
#define VOICE_AI_MEDIA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 65,536 octets are eight seconds; Twilio sends 160. */
enum { MEDIA_MAX_OCTETS = 65536, MEDIA_MAX_CHARS = (MEDIA_MAX_OCTETS + 2) / 3 * 4 };

/* A number of more digits is no counter of Twilio's, and might not fit 64 bits. */
enum { MEDIA_MAX_DIGITS = 18 };

typedef struct {
    const uint8_t *payload; /* within the text, and not yet known to be base64 */
    ptrdiff_t n_chars;
    int64_t timestamp_ms, chunk, sequence_number;
} media_fields;

typedef struct {
    const uint8_t *at, *end;
} media_text;

static inline void media_skip_space(media_text *t) {
    while (t->at < t->end &&
           (*t->at == ' ' || *t->at == '\n' || *t->at == '\r' || *t->at == '\t'))
        t->at++;
}

/* Each media_take_* moves on past what it names, and returns whether it was there. */
static inline int media_take(media_text *t, const void *what, ptrdiff_t n) {
    if (t->end - t->at < n || memcmp(t->at, what, (size_t)n) != 0)
        return 0;
    t->at += n;
    return 1;
}

#define MEDIA_TAKE(t, literal) media_take(t, literal, (ptrdiff_t)sizeof(literal) - 1)

static inline int media_take_mark(media_text *t, uint8_t mark) {
    /* Mostly there is no space. */
    if (t->at < t->end && *t->at != mark)
        media_skip_space(t);
    if (t->at == t->end || *t->at != mark)
        return 0;
    t->at++;
    return 1;
}

static inline int media_take_digits(media_text *t, int64_t *number, int *n_digits) {
    const uint8_t *start = t->at;
    int64_t sum = 0;
    while (t->at < t->end && t->at - start < MEDIA_MAX_DIGITS) {
        uint8_t digit = (uint8_t)(*t->at - '0');
        if (digit > 9)
            break;
        sum = 10 * sum + digit;
        t->at++;
    }
    *number = sum;
    *n_digits = (int)(t->at - start);
    return *n_digits > 0;
}

/* A JSON number that is whole. What follows it, a 19th digit too, is looked at by the caller, who
   needs a mark there. */
static inline int media_take_whole(media_text *t, int64_t *number) {
    int n_digits;
    int zero = t->at < t->end && *t->at == '0';
    return media_take_digits(t, number, &n_digits) && !(zero && n_digits > 1);
}

static inline int media_take_number(media_text *t, int64_t *number) {
    int n_digits;
    if (MEDIA_TAKE(t, "\""))
        return media_take_digits(t, number, &n_digits) && MEDIA_TAKE(t, "\"");
    return media_take_whole(t, number);
}

/* The rest of a string, from behind its first quote to behind its last. */
static inline int media_take_string(media_text *t) {
    for (; t->at < t->end; t->at++) {
        if (*t->at == '"') {
            t->at++;
            return 1;
        }
        if (*t->at < ' ' || *t->at > '~' || *t->at == '\\')
            return 0;
    }
    return 0;
}

/* What stands in it is left to the base64 decoder, which takes no character that could matter. */
static inline int media_take_payload(media_text *t, media_fields *fields) {
    if (!MEDIA_TAKE(t, "\""))
        return 0;
    const uint8_t *quote = memchr(t->at, '"', (size_t)(t->end - t->at));
    if (quote == NULL)
        return 0;
    fields->payload = t->at;
    fields->n_chars = quote - t->at;
    t->at = quote + 1;
    return fields->n_chars > 0 && fields->n_chars <= MEDIA_MAX_CHARS;
}

/* The value of a field that we do not know: a string, a whole number, true, false or null. */
static inline int media_take_simple(media_text *t) {
    int64_t ignored;
    if (MEDIA_TAKE(t, "\""))
        return media_take_string(t);
    if (MEDIA_TAKE(t, "true") || MEDIA_TAKE(t, "false") || MEDIA_TAKE(t, "null"))
        return 1;
    (void)MEDIA_TAKE(t, "-");
    return media_take_whole(t, &ignored);
}

/* The fields that we know; EVENT to STREAM_SID are the message's own, the rest are in `media`. */
enum {
    MEDIA_EVENT = 1,
    MEDIA_SEQUENCE_NUMBER = 2,
    MEDIA_BODY = 4,
    MEDIA_STREAM_SID = 8,
    MEDIA_TRACK = 16,
    MEDIA_CHUNK = 32,
    MEDIA_TIMESTAMP = 64,
    MEDIA_PAYLOAD = 128,
    MEDIA_UNKNOWN = 0,
};
enum {
    MEDIA_ALL = MEDIA_EVENT | MEDIA_SEQUENCE_NUMBER | MEDIA_BODY | MEDIA_STREAM_SID,
    MEDIA_ALL_OF_BODY = MEDIA_CHUNK | MEDIA_TIMESTAMP | MEDIA_PAYLOAD, /* not the track */
};

/* A key from behind its first quote to behind its last; -1 if there is none. */
static inline int media_take_key(media_text *t) {
    if (MEDIA_TAKE(t, "event\""))
        return MEDIA_EVENT;
    if (MEDIA_TAKE(t, "sequenceNumber\""))
        return MEDIA_SEQUENCE_NUMBER;
    if (MEDIA_TAKE(t, "media\""))
        return MEDIA_BODY;
    if (MEDIA_TAKE(t, "streamSid\""))
        return MEDIA_STREAM_SID;
    return media_take_string(t) ? MEDIA_UNKNOWN : -1;
}

static inline int media_take_body_key(media_text *t) {
    if (MEDIA_TAKE(t, "track\""))
        return MEDIA_TRACK;
    if (MEDIA_TAKE(t, "chunk\""))
        return MEDIA_CHUNK;
    if (MEDIA_TAKE(t, "timestamp\""))
        return MEDIA_TIMESTAMP;
    if (MEDIA_TAKE(t, "payload\""))
        return MEDIA_PAYLOAD;
    return media_take_string(t) ? MEDIA_UNKNOWN : -1;
}

static inline int media_take_body_value(media_text *t, int key, media_fields *fields) {
    switch (key) {
    case MEDIA_TRACK:
        return MEDIA_TAKE(t, "\"inbound\"");
    case MEDIA_CHUNK:
        return media_take_number(t, &fields->chunk);
    case MEDIA_TIMESTAMP:
        return media_take_number(t, &fields->timestamp_ms);
    case MEDIA_PAYLOAD:
        return media_take_payload(t, fields);
    default:
        return media_take_simple(t);
    }
}

/* Behind a value: another field (1), the object's end (0), or neither (-1). */
static inline int media_take_next(media_text *t) {
    return media_take_mark(t, ',') ? 1 : media_take_mark(t, '}') ? 0 : -1;
}

static inline int media_take_body(media_text *t, media_fields *fields) {
    int seen = 0, more = media_take_mark(t, '{') ? 1 : -1;
    while (more > 0) {
        if (!media_take_mark(t, '"'))
            return 0;
        int key = media_take_body_key(t);
        if (key < 0 || (seen & key) || !media_take_mark(t, ':'))
            return 0;
        seen |= key;
        media_skip_space(t);
        if (!media_take_body_value(t, key, fields))
            return 0;
        more = media_take_next(t);
    }
    return more == 0 && (seen & MEDIA_ALL_OF_BODY) == MEDIA_ALL_OF_BODY;
}

static inline int media_take_value(
    media_text *t, int key, const uint8_t *quoted_sid, ptrdiff_t n_quoted, media_fields *fields
) {
    switch (key) {
    case MEDIA_EVENT:
        return MEDIA_TAKE(t, "\"media\"");
    case MEDIA_SEQUENCE_NUMBER:
        return media_take_number(t, &fields->sequence_number);
    case MEDIA_BODY:
        return media_take_body(t, fields);
    case MEDIA_STREAM_SID:
        return media_take(t, quoted_sid, n_quoted);
    default:
        return media_take_simple(t);
    }
}

/* Whether the text is a plain message of the stream whose id stands, with its quotes, in
   `quoted_sid`; then `fields` holds all of it. */
static inline int media_scan(
    const uint8_t *text, ptrdiff_t n_chars, const uint8_t *quoted_sid, ptrdiff_t n_quoted,
    media_fields *fields
) {
    media_text t = {text, text + n_chars};
    int seen = 0, more = media_take_mark(&t, '{') ? 1 : -1;
    while (more > 0) {
        if (!media_take_mark(&t, '"'))
            return 0;
        int key = media_take_key(&t);
        if (key < 0 || (seen & key) || !media_take_mark(&t, ':'))
            return 0;
        seen |= key;
        media_skip_space(&t);
        if (!media_take_value(&t, key, quoted_sid, n_quoted, fields))
            return 0;
        more = media_take_next(&t);
    }
    media_skip_space(&t);
    return more == 0 && t.at == t.end && seen == MEDIA_ALL;
}

/* The header of an unmasked, whole text frame of at most 65,535 octets, as a server sends it (RFC
   6455 section 5.2). */
static inline ptrdiff_t frame_header_size(ptrdiff_t n_octets) {
    return n_octets <= 125 ? 2 : n_octets <= 65535 ? 4 : 10;
}

static inline uint8_t *put_frame_header(uint8_t *dst, ptrdiff_t n_octets) {
    *dst++ = 0x81;
    if (n_octets <= 125) {
        *dst++ = (uint8_t)n_octets;
        return dst;
    }
    int n_more = n_octets <= 65535 ? 2 : 8;
    *dst++ = n_more == 2 ? 126 : 127;
    for (int i = n_more - 1; i >= 0; i--)
        *dst++ = (uint8_t)((uint64_t)n_octets >> 8 * i);
    return dst;
}

#endif
