/* See change.h. */

#include "services/management/rpc/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/store/store.h"
#include "libcommon/base/clock.h"
#include "services/management/rpc/crowd.h"

#define BATCH_MS 20 /* after which it is committed, whoever else is in the party */

struct batch {
    size_t left;
    uint64_t began_ms;
};

static bool more(void *arg)
{
    const struct batch *b = arg;

    return b->left > 0 && rk_mono_ms() - b->began_ms < BATCH_MS;
}

static void serve(struct request *q, struct worker *w)
{
    q->r = 0;
    q->bell = (struct rk_bell){ .serial = 0 };
    rk_trace_enter(&q->trace);
    q->work(q, w);
    rk_trace_leave();
}

/* What is rung for is the newest: a job may make a change of its own after one that is shared. */
static void note_bell(const struct request *q, struct rk_bell *out_bell)
{
    if (q->r == 0 && q->bell.serial > out_bell->serial)
        *out_bell = q->bell;
}

/* Returns how many of them it was. */
static size_t
serve_batch(struct request *const *q, size_t n, struct worker *w, struct rk_bell *out_bell)
{
    struct batch b = { .left = n, .began_ms = rk_mono_ms() };
    struct rk_batch *changes = rk_batch_begin(w->pg, more, &b);
    struct rk_err err = { 0 };
    size_t done = 0;
    int r;

    do {
        b.left--;
        serve(q[done++], w);
    } while (rk_pg_put_off(w->pg) && more(&b));
    r = rk_batch_end(changes, w->pg, out_bell, &err);
    for (size_t i = 0; i < done; i++) {
        if (r == RK_CONFLICT || q[i]->r == RK_CONFLICT) { /* each by itself */
            serve(q[i], w);
        } else if (r < 0 && q[i]->r == 0) {
            q[i]->r = r;
            q[i]->err = err;
        }
        note_bell(q[i], out_bell);
    }
    return done;
}

static int by_peer(const void *a, const void *b)
{
    const struct request *const *x = a, *const *y = b;

    return strcmp((*x)->peer_id, (*y)->peer_id);
}

static void change_all(struct request *const *q, size_t n, struct worker *w, struct rk_bell *bell)
{
    struct request *sorted[CROWD_TOGETHER_MAX];

    /* As presence does, so that no two wait for each other's rows. */
    memcpy(sorted, q, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_peer);
    for (size_t done = 0; done < n;)
        done += serve_batch(sorted + done, n - done, w, bell);
}

void request_change(struct request *q,
                    void (*work)(struct request *q, struct worker *w),
                    request_step_fn *after)
{
    char name[sizeof("account ") + sizeof(q->account_id)];

    q->work = work;
    (void)snprintf(name, sizeof(name), "account %s", q->account_id);
    crowd_take(q, name, KIND_CHANGE, change_all, after);
}
