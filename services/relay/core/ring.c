#include "services/relay/core/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"

#define SKIP UINT32_MAX /* length word that says: the rest up to the end is unused */
#define LINE 64

struct ring {
    uint8_t *b;
    size_t size;
    _Alignas(LINE) _Atomic size_t head; /* producer's position, ever growing */
    size_t seen_tail;                   /* producer's last look at tail */
    size_t at;                          /* producer: where the reserved record begins */
    _Alignas(LINE) _Atomic size_t tail; /* consumer's position */
};

struct record {
    uint32_t n;
    uint32_t pad;
    uint8_t p[];
};

static size_t span(size_t n)
{
    return (sizeof(struct record) + n + 7) & ~(size_t)7;
}

struct ring *ring_new(size_t bytes)
{
    struct ring *r = aligned_alloc(LINE, (sizeof(*r) + LINE - 1) / LINE * LINE);

    assert(r && (bytes & (bytes - 1)) == 0);
    *r = (struct ring){ .b = rk_alloc(bytes), .size = bytes };
    return r;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    free(r->b);
    free(r);
}

static struct record *record_at(struct ring *r, size_t pos)
{
    return (struct record *)(void *)(r->b + (pos & (r->size - 1)));
}

void *ring_reserve(struct ring *r, size_t n)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t to_end = r->size - (head & (r->size - 1));
    size_t need = span(n), skip = need > to_end ? to_end : 0;

    assert(need <= r->size / 8);
    if (head + skip + need - r->seen_tail > r->size) {
        r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head + skip + need - r->seen_tail > r->size)
            return NULL;
    }
    if (skip)
        record_at(r, head)->n = SKIP;
    r->at = head + skip;
    return record_at(r, r->at)->p;
}

void ring_push(struct ring *r, size_t n)
{
    record_at(r, r->at)->n = (uint32_t)n;
    atomic_store_explicit(&r->head, r->at + span(n), memory_order_release);
}

bool ring_empty(const struct ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_acquire) ==
           atomic_load_explicit(&r->tail, memory_order_relaxed);
}

void *ring_peek(struct ring *r, size_t *out_n)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    struct record *rec;

    if (atomic_load_explicit(&r->head, memory_order_acquire) == tail)
        return NULL;
    rec = record_at(r, tail);
    if (rec->n == SKIP) {
        tail += r->size - (tail & (r->size - 1));
        atomic_store_explicit(&r->tail, tail, memory_order_release);
        rec = record_at(r, tail);
    }
    *out_n = rec->n;
    return rec->p;
}

void ring_pop(struct ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    atomic_store_explicit(&r->tail, tail + span(record_at(r, tail)->n), memory_order_release);
}
