#include "libcommon/grpc/outq.h"

#include "libcommon/base/alloc.h"

struct rk_grpc_chunk {
    struct rk_grpc_chunk *next;
    struct rk_bytes *b;
};

static void drop_head(struct rk_grpc_outq *q)
{
    struct rk_grpc_chunk *c = q->head;

    q->head = c->next;
    if (!q->head)
        q->tail = NULL;
    q->off = 0;
    rk_bytes_unref(c->b);
    free(c);
}

void rk_grpc_outq_done(struct rk_grpc_outq *q)
{
    while (q->head)
        drop_head(q);
    q->bytes = 0;
}

void rk_grpc_outq_add(struct rk_grpc_outq *q, struct rk_bytes *b)
{
    struct rk_grpc_chunk *c = rk_new(struct rk_grpc_chunk);

    c->b = b;
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
    q->bytes += b->n;
}

void rk_grpc_outq_take(struct rk_grpc_outq *q,
                       size_t n,
                       void (*write)(void *arg, const void *p, size_t n),
                       void *arg)
{
    q->bytes -= n;
    while (n > 0) {
        struct rk_bytes *b = q->head->b;
        size_t now = b->n - q->off < n ? b->n - q->off : n;

        write(arg, b->p + q->off, now);
        q->off += now;
        n -= now;
        if (q->off == b->n)
            drop_head(q);
    }
}

void rk_grpc_outq_trim(struct rk_grpc_outq *q, size_t keep)
{
    struct rk_grpc_chunk *c = q->head, *next;
    size_t have;

    if (keep == 0) {
        rk_grpc_outq_done(q);
        return;
    }
    have = c->b->n - q->off;
    while (have < keep) {
        c = c->next;
        have += c->b->n;
    }
    next = c->next;
    c->next = NULL;
    q->tail = c;
    q->bytes = have;
    while (next) {
        c = next;
        next = c->next;
        rk_bytes_unref(c->b);
        free(c);
    }
}
