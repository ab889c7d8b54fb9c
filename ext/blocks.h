/* Memory for large arrays, kept for reuse: fresh pages cost more than most kernels (1.4 GB/s when first touched).
 *
 * Sizes are rounded up to four classes for each power of two; a freed block waits on the list of its class, as long as all
 * waiting blocks together stay below a limit.
 */
#ifndef TINYGRAD_CNN_BLOCKS_H
#define TINYGRAD_CNN_BLOCKS_H

#include <stdint.h>
#include <stdlib.h>

#if defined(__GNUC__) && !defined(_WIN32)
#include <pthread.h>
static pthread_mutex_t blocks_mutex = PTHREAD_MUTEX_INITIALIZER;
#define BLOCKS_LOCK() pthread_mutex_lock(&blocks_mutex)
#define BLOCKS_UNLOCK() pthread_mutex_unlock(&blocks_mutex)
#else /* the interpreter's lock is held in every call */
#define BLOCKS_LOCK() ((void)0)
#define BLOCKS_UNLOCK() ((void)0)
#endif

enum { BLOCK_CLASSES = 192, BLOCK_ALIGNMENT = 64 };

typedef struct block_header { struct block_header *next; void *start; } block_header; /* in front of the aligned memory */

static struct {
    block_header *waiting[BLOCK_CLASSES];
    size_t waiting_bytes, used_bytes, peak_bytes, limit;
} blocks;

static int block_class(size_t bytes, size_t *rounded) {
#ifdef __SANITIZE_ADDRESS__ /* exact sizes and no reuse: the sanitizer sees every access behind the end */
    *rounded = bytes;
    return 0;
#endif
    int power = 12;
    while (((size_t)1 << (power + 1)) <= bytes && power < 46) power++;
    size_t step = (size_t)1 << (power - 2), base = (size_t)1 << power;
    size_t quarter = bytes <= base ? 0 : (bytes - base + step - 1) / step;
    *rounded = base + quarter * step;
    return (power - 12) * 4 + (int)quarter;
}

static void *block_take(size_t bytes) { /* NULL when memory is out */
    size_t size;
    int class = block_class(bytes, &size);
    BLOCKS_LOCK();
    block_header *found = blocks.waiting[class];
    if (found) {
        blocks.waiting[class] = found->next;
        blocks.waiting_bytes -= size;
    }
    BLOCKS_UNLOCK();
    if (!found) {
        char *start = malloc(size + sizeof(block_header) + BLOCK_ALIGNMENT);
        if (!start) return NULL;
        uintptr_t memory = ((uintptr_t)start + sizeof(block_header) + BLOCK_ALIGNMENT - 1) & ~(uintptr_t)(BLOCK_ALIGNMENT - 1);
        found = (block_header *)memory - 1;
        found->start = start;
    }
    BLOCKS_LOCK();
    blocks.used_bytes += size;
    if (blocks.used_bytes > blocks.peak_bytes) blocks.peak_bytes = blocks.used_bytes;
    BLOCKS_UNLOCK();
    return found + 1;
}

static void block_give(void *memory, size_t bytes) {
    size_t size;
    int class = block_class(bytes, &size);
    block_header *block = (block_header *)memory - 1;
    BLOCKS_LOCK();
    blocks.used_bytes -= size;
#ifdef __SANITIZE_ADDRESS__
    int keep = 0;
#else
    int keep = blocks.waiting_bytes + size <= blocks.limit;
#endif
    if (keep) {
        block->next = blocks.waiting[class];
        blocks.waiting[class] = block;
        blocks.waiting_bytes += size;
    }
    BLOCKS_UNLOCK();
    if (!keep) free(block->start);
}

static void blocks_empty(void) {
    BLOCKS_LOCK();
    for (int class = 0; class < BLOCK_CLASSES; class++)
        while (blocks.waiting[class]) {
            block_header *block = blocks.waiting[class];
            blocks.waiting[class] = block->next;
            free(block->start);
        }
    blocks.waiting_bytes = 0;
    BLOCKS_UNLOCK();
}

#endif
