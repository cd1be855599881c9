#pragma once

/*
 * Bytes waiting for one connection, in chunks of 32 KiB that come from and return to a pool of the
 * loop: a connection with nothing to send holds no buffer. The bound is the owner's (it looks at
 * `bytes` before it appends). One thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define OUTQ_CHUNK (32 * 1024)

struct chunk {
    struct chunk *next;
    uint32_t begin, end;
    uint8_t b[OUTQ_CHUNK];
};

struct chunk_pool {
    struct chunk *free;
    unsigned count; /* kept free, at most CHUNK_POOL_MAX; more go back to malloc */
};
#define CHUNK_POOL_MAX 128
void chunk_pool_done(struct chunk_pool *p);

struct outq {
    struct chunk *first, *last;
    size_t bytes;
};

/* Contiguous room for n <= OUTQ_CHUNK bytes; then outq_commit(n). */
uint8_t *outq_reserve(struct outq *q, struct chunk_pool *pool, size_t n);
void outq_commit(struct outq *q, size_t n);
/* Any number of bytes, over as many chunks as it takes. */
void outq_put(struct outq *q, struct chunk_pool *pool, const void *p, size_t n);
unsigned outq_iov(const struct outq *q, struct iovec *iov, unsigned max);
void outq_consume(struct outq *q, struct chunk_pool *pool, size_t n);
void outq_clear(struct outq *q, struct chunk_pool *pool);
