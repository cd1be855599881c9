#include "services/signal/stream/fifo.h"

/* A list, not a ring: an idle stream, and nearly all are idle, costs two pointers. */

#include <stdlib.h>

#include "libcommon/base/alloc.h"

struct item {
    struct rk_list node;
    struct rk_bytes *frame;
    uint64_t at_ms;
};

void fifo_init(struct fifo *f, struct fifo_budget *budget)
{
    f->budget = budget;
    rk_list_init(&f->items);
    f->count = f->bytes = 0;
}

static struct rk_bytes *take(struct fifo *f, uint64_t *out_at_ms)
{
    struct item *i = rk_list_entry(f->items.next, struct item, node);
    struct rk_bytes *frame = i->frame;

    *out_at_ms = i->at_ms;
    rk_list_remove(&i->node);
    f->count--;
    f->bytes -= frame->n;
    f->budget->bytes -= frame->n;
    free(i);
    return frame;
}

void fifo_done(struct fifo *f)
{
    uint64_t at;

    while (f->count > 0)
        rk_bytes_unref(take(f, &at));
}

bool fifo_push(struct fifo *f, struct rk_bytes *frame, uint64_t now_ms)
{
    struct item *i;

    if (f->count >= FIFO_MAX_MESSAGES || frame->n > f->budget->max_bytes - f->budget->bytes ||
        (f->count > 0 && (frame->n > FIFO_MAX_BYTES || f->bytes > FIFO_MAX_BYTES - frame->n)))
        return false;
    i = rk_new(struct item);
    i->frame = rk_bytes_ref(frame);
    i->at_ms = now_ms;
    rk_list_append(&f->items, &i->node);
    f->count++;
    f->bytes += frame->n;
    f->budget->bytes += frame->n;
    return true;
}

struct rk_bytes *
fifo_pop(struct fifo *f, uint64_t now_ms, unsigned *expired, uint64_t *out_waited_ms)
{
    while (f->count > 0) {
        uint64_t at;
        struct rk_bytes *frame = take(f, &at);

        if (now_ms - at <= FIFO_MAX_AGE_MS) {
            *out_waited_ms = now_ms - at;
            return frame;
        }
        rk_bytes_unref(frame);
        (*expired)++;
    }
    return NULL;
}
