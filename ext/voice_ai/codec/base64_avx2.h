/* Base64 in vectors of 32 and of 16 letters.

   The method, not the code, is W. Mula and D. Lemire's: "Faster Base64 Encoding and Decoding Using
   AVX2 Instructions", ACM Transactions on the Web 12(3), 2018 (arXiv:1704.00605). Six-bit fields
   are moved by multiplications, letters are told apart by their two halves in table look-ups. */

#include <immintrin.h>

/* Both lanes of a vector, each the same 16 octets. */
#define BASE64_TWICE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))

/* Twelve octets at the bottom of each lane become sixteen values of six bits.
   A group of three octets is laid out as 1 0 2 1, so that each field lies within one 16-bit word;
   a multiplication's upper half shifts right by 10 and by 6, its lower half left by 4 and by 8. */
FOR_AVX2 static inline __m256i base64_spread_avx2(__m256i octets) {
    __m256i words = _mm256_shuffle_epi8(
        octets, BASE64_TWICE(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10)
    );
    __m256i first_third = _mm256_mulhi_epu16(
        _mm256_and_si256(words, _mm256_set1_epi32(0x0FC0FC00)), _mm256_set1_epi32(0x04000040)
    );
    __m256i second_fourth = _mm256_mullo_epi16(
        _mm256_and_si256(words, _mm256_set1_epi32(0x003F03F0)), _mm256_set1_epi32(0x01000010)
    );
    return _mm256_or_si256(first_third, second_fourth);
}

/* What is added to a value depends on its range: 26-51 are 0 here, 52-63 are 1-12, 0-25 are 13. */
FOR_AVX2 static inline __m256i base64_letters_avx2(__m256i values) {
    const __m256i offsets = BASE64_TWICE(
        'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
        '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0
    );
    __m256i range = _mm256_subs_epu8(values, _mm256_set1_epi8(51));
    __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
    range = _mm256_or_si256(range, _mm256_and_si256(upper, _mm256_set1_epi8(13)));
    return _mm256_add_epi8(values, _mm256_shuffle_epi8(offsets, range));
}

FOR_AVX2 static void base64_encode_avx2(
    const uint8_t *src, ptrdiff_t n_octets, uint8_t *dst
) {
    /* Two loads of 16 octets, 12 apart, of which 12 are used. */
    for (; n_octets >= 28; n_octets -= 24, src += 24, dst += 32) {
        __m256i octets = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)src));
        octets = _mm256_inserti128_si256(octets, _mm_loadu_si128((const __m128i *)(src + 12)), 1);
        __m256i letters = base64_letters_avx2(base64_spread_avx2(octets));
        _mm256_storeu_si256((__m256i *)dst, letters);
    }
    for (; n_octets >= 16; n_octets -= 12, src += 12, dst += 16) {
        __m256i octets = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)src));
        __m256i letters = base64_letters_avx2(base64_spread_avx2(octets));
        _mm_storeu_si128((__m128i *)dst, _mm256_castsi256_si128(letters));
    }
    base64_encode_portable(src, n_octets, dst);
}

/* Letters to their values; what is no letter sets bits in `*bad`.

   A bit for each upper half stands in `by_upper`, and in `by_lower` the upper halves that this
   lower half makes no letter with: 1 for 2 ('+' and '/' only), 2 for 3 (the digits), 4 for 4 and 6
   (all but 0), 8 for 5 and 7 (0 to A), 16 for the rest, which make none at all. */
FOR_AVX2 static inline __m256i base64_values_avx2(__m256i letters, __m256i *bad) {
    const __m256i by_upper = BASE64_TWICE(
        16, 16, 1, 2, 4, 8, 4, 8, 16, 16, 16, 16, 16, 16, 16, 16
    );
    const __m256i by_lower = BASE64_TWICE(
        1 + 4 + 16, 1 + 16, 1 + 16, 1 + 16, 1 + 16, 1 + 16, 1 + 16, 1 + 16,
        1 + 16, 1 + 16, 1 + 2 + 16, 2 + 8 + 16, 1 + 2 + 8 + 16, 1 + 2 + 8 + 16,
        1 + 2 + 8 + 16, 2 + 8 + 16
    );
    /* By the upper half, less one for '/'. */
    const __m256i offsets = BASE64_TWICE(
        0, 63 - '/', 62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 0, 0, 0, 0, 0, 0, 0, 0
    );
    const __m256i half = _mm256_set1_epi8(0x0F);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi32(letters, 4), half);
    __m256i lower = _mm256_and_si256(letters, half);
    __m256i wrong = _mm256_and_si256(
        _mm256_shuffle_epi8(by_upper, upper), _mm256_shuffle_epi8(by_lower, lower)
    );
    *bad = _mm256_or_si256(*bad, wrong);
    __m256i slash = _mm256_cmpeq_epi8(letters, _mm256_set1_epi8('/'));
    __m256i offset = _mm256_shuffle_epi8(offsets, _mm256_add_epi8(upper, slash));
    return _mm256_add_epi8(letters, offset);
}

/* Sixteen values in each lane become twelve octets at its bottom: two by two into 12 bits, then
   into 24, whose octets are put into their order. */
FOR_AVX2 static inline __m256i base64_packed_avx2(__m256i values) {
    __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
    __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
    return _mm256_shuffle_epi8(
        fours, BASE64_TWICE(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1)
    );
}

FOR_AVX2 static ptrdiff_t base64_decode_avx2(
    const uint8_t *text, ptrdiff_t n_chars, uint8_t *dst
) {
    ptrdiff_t n_octets = base64_decoded_size(text, n_chars);
    __m256i bad = _mm256_setzero_si256();
    if (n_octets <= 0)
        return n_octets;
    /* The last four, which may be padded, are left to the end. */
    for (; n_chars > 32; n_chars -= 32, text += 32, dst += 24) {
        __m256i letters = _mm256_loadu_si256((const __m256i *)text);
        __m256i lanes = base64_packed_avx2(base64_values_avx2(letters, &bad));
        __m256i octets = _mm256_permutevar8x32_epi32(
            lanes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7)
        );
        _mm_storeu_si128((__m128i *)dst, _mm256_castsi256_si128(octets));
        _mm_storel_epi64((__m128i *)(dst + 16), _mm256_extracti128_si256(octets, 1));
    }
    for (; n_chars > 16; n_chars -= 16, text += 16, dst += 12) {
        /* In both lanes: what is above a cast is undefined, and would be looked at. */
        __m256i letters = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)text));
        __m128i octets = _mm256_castsi256_si128(
            base64_packed_avx2(base64_values_avx2(letters, &bad))
        );
        int32_t last = _mm_extract_epi32(octets, 2);
        _mm_storel_epi64((__m128i *)dst, octets);
        memcpy(dst + 8, &last, sizeof last);
    }
    if (!_mm256_testz_si256(bad, bad) || base64_decode_portable(text, n_chars, dst) < 0)
        return -1;
    return n_octets;
}
