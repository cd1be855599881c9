/* A batch is a job of a worker pool whose workers have a buffer in place of a connection. */

#include "services/management/fanout/makers.h"

#include <assert.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/cores.h"
#include "libcommon/loop/workers.h"
#include "services/management/app.h"
#include "services/management/fanout/order.h"
#include "services/management/fanout/round.h"
#include "services/management/fanout/session.h"

/* About a millisecond's work: many times what handing it over costs, and little beside what the
 * last batch of a round makes the others wait. */
#define BATCH_ORDERS 16

struct makers {
    struct app *app;
    struct rk_workers *threads;
    struct rk_list hubs; /* whose sessions may owe maps, the next one first */
    size_t batch_bytes;
    size_t under_way, under_way_max;
    bool stopped;
};

struct batch {
    struct rk_job job;
    struct makers *makers;
    struct hub *hub; /* NULL: gone */
    struct rk_list by_hub;
    struct rk_snapshot *snap;
    struct order_terms terms;
    size_t n, made; /* those from `made` on are given back */
    struct order orders[BATCH_ORDERS];
};

/* --- a maker's thread --- */

static void *maker_open(void *arg)
{
    struct rk_buf *scratch = rk_new(struct rk_buf);

    (void)arg;
    rk_buf_init(scratch, ORDER_BYTES_MAX);
    return scratch;
}

static void maker_idle(void *maker)
{
    rk_buf_done(maker);
}

static void maker_close(void *maker)
{
    rk_buf_done(maker);
    free(maker);
}

static const struct rk_workers_ops maker_ops = { .open = maker_open,
                                                 .close = maker_close,
                                                 .idle = maker_idle };

static void batch_run(struct rk_job *j, void *maker)
{
    struct batch *b = rk_container_of(j, struct batch, job);
    size_t bytes = 0;

    while (b->made < b->n && bytes < b->makers->batch_bytes) {
        struct order *o = &b->orders[b->made++];

        order_make(o, &b->terms, maker);
        bytes += o->frame ? o->frame->n : 0;
    }
}

/* --- the loop --- */

static void feed(struct makers *m);

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        order_done(&b->orders[i]);
    rk_snapshot_unref(b->snap);
    free(b);
}

static void want(struct makers *m, struct hub *h)
{
    rk_list_remove(&h->by_makers);
    rk_list_append(&m->hubs, &h->by_makers);
}

static void batch_done(struct rk_job *j)
{
    struct batch *b = rk_container_of(j, struct batch, job);
    struct makers *m = b->makers;

    m->under_way--;
    for (size_t i = 0; i < b->made; i++)
        if (b->orders[i].session)
            round_settle(b->hub, &b->orders[i]);
    for (size_t i = b->n; i-- > b->made;)
        if (b->orders[i].session)
            session_order_back(&b->orders[i]);
    rk_list_remove(&b->by_hub);
    if (b->hub && rk_list_empty(&b->hub->by_makers))
        want(m, b->hub);
    batch_free(b);
    feed(m);
}

/* NULL when nobody is to be written to. */
static struct batch *batch_new(struct makers *m, struct hub *h)
{
    struct session *who[BATCH_ORDERS];
    size_t n = round_take(h, who, BATCH_ORDERS);
    struct batch *b;

    if (n == 0)
        return NULL;
    b = rk_new(struct batch);
    b->job.run = batch_run;
    b->job.done = batch_done;
    b->makers = m;
    b->hub = h;
    rk_list_append(&h->batches, &b->by_hub);
    b->snap = rk_snapshot_ref(h->snap);
    for (b->n = 0; b->n < n; b->n++)
        session_order(m->app, who[b->n], &b->orders[b->n]);
    b->terms = session_terms(m->app, b->snap);
    return b;
}

static void feed(struct makers *m)
{
    while (!m->stopped && m->under_way < m->under_way_max && !rk_list_empty(&m->hubs)) {
        struct hub *h = rk_list_entry(m->hubs.next, struct hub, by_makers);
        struct batch *b = batch_new(m, h);
        bool taken;

        if (!b) {
            rk_list_remove(&h->by_makers);
            if (rk_list_empty(&h->batches))
                round_over(h);
            continue;
        }
        want(m, h); /* behind the others */
        m->under_way++;
        taken = rk_workers_submit(m->threads, m->app->loop, &b->job);
        assert(taken); /* there is room for all that may be under way */
    }
}

void makers_join(struct makers *m, struct hub *h)
{
    want(m, h);
    feed(m);
}

void makers_forget(struct hub *h)
{
    rk_list_remove(&h->by_makers);
    while (!rk_list_empty(&h->batches)) {
        struct batch *b = rk_list_entry(h->batches.next, struct batch, by_hub);

        rk_list_remove(&b->by_hub);
        b->hub = NULL;
    }
}

size_t makers_under_way(const struct makers *m)
{
    return m->under_way;
}

/* What more of them make, one loop does not write. */
#define DEFAULT_THREADS_MAX 4

static unsigned default_threads(void)
{
    unsigned cores = rk_cores();

    return cores < DEFAULT_THREADS_MAX ? cores : DEFAULT_THREADS_MAX;
}

struct makers *makers_new(struct app *app, unsigned threads, size_t batch_bytes)
{
    struct makers *m = rk_new(struct makers);

    if (threads == 0)
        threads = default_threads();
    m->app = app;
    rk_list_init(&m->hubs);
    m->batch_bytes = batch_bytes;
    m->under_way_max = (size_t)threads * MAKERS_BATCHES;
    m->threads = rk_workers_new(threads, m->under_way_max, &maker_ops, NULL);
    return m;
}

void makers_stop(struct makers *m)
{
    m->stopped = true;
    rk_workers_free(m->threads);
}

void makers_close(struct makers *m)
{
    free(m);
}
