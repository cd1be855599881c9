#include "libcommon/oidc/keeper.h"

/*
 * A pool of one thread and one job, the fetch. The keeper goes when the job has come home and the
 * timer has closed.
 */

#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/loop/workers.h"
#include "libcommon/obs/log.h"

#define LOOK_MS 1000

struct rk_keeper {
    struct rk_loop *loop;
    struct rk_verifier *v;
    char *conninfo; /* NULL: not needed */
    struct rk_workers *workers;
    struct rk_timer timer;
    struct rk_list waiting; /* of struct rk_task */
    struct rk_job job;
    bool busy;
    bool closing;
    bool timer_closed;
    bool failed; /* said so */
    int outcome;
    struct rk_err err;
};

static void *worker_open(void *arg)
{
    const struct rk_keeper *k = arg;

    return k->conninfo ? rk_pg_new(k->conninfo, "rookery keys") : NULL;
}

static void worker_close(void *worker)
{
    rk_pg_free(worker);
}

static void run(struct rk_job *j, void *worker)
{
    struct rk_keeper *k = rk_container_of(j, struct rk_keeper, job);

    k->err = (struct rk_err){ 0 };
    k->outcome = rk_verifier_fetch(k->v, worker, &k->err);
}

static void begin(struct rk_keeper *k)
{
    if (!k->busy)
        k->busy = rk_workers_submit(k->workers, k->loop, &k->job);
}

static void say(struct rk_keeper *k)
{
    if (k->outcome < 0 && !k->failed)
        rk_warn(NULL, "keys of the identity provider: %s; trying again", k->err.msg);
    else if (k->outcome == 0 && k->failed)
        rk_info(NULL, "keys of the identity provider: they are here");
    k->failed = k->outcome < 0;
}

static void go(struct rk_keeper *k)
{
    if (!k->closing || k->busy || !k->timer_closed)
        return;
    free(k->conninfo);
    free(k);
}

static void done(struct rk_job *j)
{
    struct rk_keeper *k = rk_container_of(j, struct rk_keeper, job);
    struct rk_list *head = &k->waiting, heard;

    k->busy = false;
    if (k->closing) {
        go(k);
        return;
    }
    say(k);
    /* Whoever begins to wait from in here waits for the next fetch. */
    rk_list_init(&heard);
    while (!rk_list_empty(head)) {
        struct rk_list *n = head->next;

        rk_list_remove(n);
        rk_list_append(&heard, n);
    }
    while (!rk_list_empty(&heard)) {
        struct rk_task *t = rk_list_entry(heard.next, struct rk_task, node);

        rk_list_remove(&t->node);
        t->run(t);
    }
}

static void on_timer(struct rk_timer *t)
{
    struct rk_keeper *k = rk_container_of(t, struct rk_keeper, timer);

    if (rk_verifier_due(k->v))
        begin(k);
}

struct rk_keeper *rk_keeper_new(struct rk_loop *loop, struct rk_verifier *v, const char *conninfo)
{
    static const struct rk_workers_ops ops = { .open = worker_open, .close = worker_close };
    struct rk_keeper *k = rk_new(struct rk_keeper);

    k->loop = loop;
    k->v = v;
    k->conninfo = conninfo ? rk_strdup(conninfo) : NULL;
    k->job.run = run;
    k->job.done = done;
    rk_list_init(&k->waiting);
    k->workers = rk_workers_new(1, 1, &ops, k);
    rk_timer_init(loop, &k->timer, on_timer);
    rk_timer_start(&k->timer, 0, LOOK_MS);
    return k;
}

void rk_keeper_wait(struct rk_keeper *k, struct rk_task *t)
{
    if (k->closing) {
        rk_loop_defer(k->loop, t);
        return;
    }
    rk_list_append(&k->waiting, &t->node);
    begin(k);
}

static void on_timer_closed(struct rk_timer *t)
{
    struct rk_keeper *k = rk_container_of(t, struct rk_keeper, timer);

    k->timer_closed = true;
    go(k);
}

void rk_keeper_close(struct rk_keeper *k)
{
    if (!k || k->closing)
        return;
    k->closing = true;
    rk_verifier_stop(k->v);
    rk_workers_free(k->workers);
    while (!rk_list_empty(&k->waiting)) {
        struct rk_task *t = rk_list_entry(k->waiting.next, struct rk_task, node);

        rk_list_remove(&t->node);
        rk_loop_defer(k->loop, t);
    }
    rk_timer_close(&k->timer, on_timer_closed);
}
