#include "services/relay/core/outq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

static struct chunk *take(struct chunk_pool *p)
{
    struct chunk *c = p->free;

    if (c) {
        p->free = c->next;
        p->count--;
    } else {
        c = rk_alloc(sizeof(*c));
    }
    c->next = NULL;
    c->begin = c->end = 0;
    return c;
}

static void give(struct chunk_pool *p, struct chunk *c)
{
    if (p->count >= CHUNK_POOL_MAX) {
        free(c);
        return;
    }
    c->next = p->free;
    p->free = c;
    p->count++;
}

void chunk_pool_done(struct chunk_pool *p)
{
    while (p->free) {
        struct chunk *c = p->free;

        p->free = c->next;
        free(c);
    }
    p->count = 0;
}

uint8_t *outq_reserve(struct outq *q, struct chunk_pool *pool, size_t n)
{
    assert(n <= OUTQ_CHUNK);
    if (!q->last || q->last->end + n > OUTQ_CHUNK) {
        struct chunk *c = take(pool);

        if (q->last)
            q->last->next = c;
        else
            q->first = c;
        q->last = c;
    }
    return q->last->b + q->last->end;
}

void outq_commit(struct outq *q, size_t n)
{
    q->last->end += (uint32_t)n;
    q->bytes += n;
}

void outq_put(struct outq *q, struct chunk_pool *pool, const void *p, size_t n)
{
    for (const uint8_t *from = p; n > 0;) {
        uint8_t *to = outq_reserve(q, pool, 1);
        size_t room = OUTQ_CHUNK - q->last->end, part = n < room ? n : room;

        memcpy(to, from, part);
        outq_commit(q, part);
        from += part;
        n -= part;
    }
}

unsigned outq_iov(const struct outq *q, struct iovec *iov, unsigned max)
{
    unsigned k = 0;

    for (struct chunk *c = q->first; c && k < max; c = c->next)
        if (c->end > c->begin)
            iov[k++] = (struct iovec){ c->b + c->begin, c->end - c->begin };
    return k;
}

void outq_consume(struct outq *q, struct chunk_pool *pool, size_t n)
{
    q->bytes -= n;
    while (q->first) {
        struct chunk *c = q->first;
        size_t part = c->end - c->begin;

        if (n < part) {
            c->begin += (uint32_t)n;
            return;
        }
        n -= part;
        q->first = c->next;
        if (!q->first)
            q->last = NULL;
        give(pool, c);
    }
}

void outq_clear(struct outq *q, struct chunk_pool *pool)
{
    outq_consume(q, pool, q->bytes);
}
