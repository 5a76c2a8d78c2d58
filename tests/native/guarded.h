/* Memory whose end, or whose beginning, is the last octet that may be touched: a page without
   access lies behind it, and one before it. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    uint8_t *low, *high;
} guarded;

static inline guarded guarded_new(size_t n_octets) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = (n_octets + page - 1) / page * page;
    uint8_t *all = mmap(
        NULL, inner + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
    );
    if (all == MAP_FAILED || mprotect(all, page, PROT_NONE) != 0 ||
        mprotect(all + page + inner, page, PROT_NONE) != 0) {
        perror("guarded_new");
        exit(2);
    }
    return (guarded){all + page, all + page + inner};
}

/* The lines of C's assert, also with NDEBUG. */
#define CHECK(held, ...)                                                                           \
    do {                                                                                           \
        if (!(held)) {                                                                             \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #held);                             \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
