/* See asker.h. */

#include "libcommon/pg/asker.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"

#define PATIENCE_MS 500 /* then the thread does the waiting, and finds out what is wrong */

/* Outlives the asker's interest in it until libuv lets go. */
struct watch {
    uv_poll_t poll;
    struct rk_asker *asker;
};

struct rk_asker {
    struct rk_loop *loop;
    struct rk_pg *pg;
    struct rk_workers *thread;
    struct rk_list waiting;
    struct rk_question *asked; /* the one that is under way */
    bool at_thread;            /* there */
    struct watch *watch;       /* the connection is up and the loop's; NULL: it is not */
    struct rk_timer deadline;
    struct rk_task turn;
    bool turning, stopped;
};

static void *lend_pg(void *arg)
{
    return ((struct rk_asker *)arg)->pg;
}

static void return_pg(void *worker)
{
    (void)worker;
}

static void next(struct rk_task *t);
static void on_deadline(struct rk_timer *t);

struct rk_asker *rk_asker_new(struct rk_loop *l, const char *conninfo, const char *application_name)
{
    static const struct rk_workers_ops ops = { .open = lend_pg, .close = return_pg };
    struct rk_asker *a = rk_new(struct rk_asker);

    a->loop = l;
    a->pg = rk_pg_new(conninfo, application_name);
    rk_list_init(&a->waiting);
    rk_timer_init(l, &a->deadline, on_deadline);
    a->turn.run = next;
    a->thread = rk_workers_new(1, 1, &ops, a);
    return a;
}

static void next_soon(struct rk_asker *a)
{
    if (a->turning)
        return;
    a->turning = true;
    rk_loop_defer(a->loop, &a->turn);
}

static void answered(struct rk_asker *a)
{
    struct rk_question *q = rk_steal(a->asked);

    rk_timer_stop(&a->deadline);
    next_soon(a);
    q->on_done(q);
}

/* --- on the loop --- */

static void on_watch_closed(uv_handle_t *h)
{
    free(h->data);
}

static void unwatch(struct rk_asker *a)
{
    struct watch *w = rk_steal(a->watch);

    if (!w)
        return;
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static void give_up(struct rk_asker *a)
{
    unwatch(a);
    rk_pg_cut(a->pg);
}

static void on_readable(uv_poll_t *h, int status, int events)
{
    struct rk_asker *a = ((struct watch *)h->data)->asker;
    struct rk_question *q = a->asked;

    (void)status; /* reading says it, too */
    (void)events;
    if (!q) {
        give_up(a); /* nothing was asked: the server says goodbye */
        return;
    }
    q->r = rk_pg_come(a->pg, q->stmt, &q->res, &q->err);
    if (q->r == 1)
        return;
    if (rk_pg_fd(a->pg) < 0)
        unwatch(a);
    answered(a);
}

static void watch(struct rk_asker *a)
{
    struct watch *w;

    if (rk_pg_fd(a->pg) < 0)
        return;
    w = rk_new(struct watch);
    w->asker = a;
    w->poll.data = w;
    if (uv_poll_init(rk_loop_uv(a->loop), &w->poll, rk_pg_fd(a->pg)) < 0) {
        free(w);
        return;
    }
    a->watch = w;
    uv_poll_start(&w->poll, UV_READABLE, on_readable);
}

/* --- on the thread --- */

static void run(struct rk_job *j, void *worker)
{
    struct rk_question *q = rk_container_of(j, struct rk_question, job);

    q->at_thread = true;
    q->r = rk_pg_exec(worker, q->stmt, q->params, q->n, &q->res, &q->err);
}

static void done(struct rk_job *j)
{
    struct rk_question *q = rk_container_of(j, struct rk_question, job);
    struct rk_asker *a = q->asker;

    if (j->refused)
        q->r = rk_fail(&q->err, RK_UNAVAILABLE, "shutting down");
    a->at_thread = false;
    if (!a->stopped)
        watch(a);
    answered(a);
}

/* What was asked changes nothing, so it may be asked again where the answer did not come. */
static void await(struct rk_job *j, void *worker)
{
    struct rk_question *q = rk_container_of(j, struct rk_question, job);

    q->r = rk_pg_await(worker, q->stmt, &q->res, &q->err);
    if (q->r == RK_UNAVAILABLE)
        run(j, worker);
}

static bool to_thread(struct rk_asker *a, void (*what)(struct rk_job *j, void *worker))
{
    unwatch(a);
    a->asked->job.run = what;
    a->asked->job.done = done;
    a->at_thread = !a->stopped && rk_workers_submit(a->thread, a->loop, &a->asked->job);
    return a->at_thread;
}

static void on_deadline(struct rk_timer *t)
{
    struct rk_asker *a = rk_container_of(t, struct rk_asker, deadline);

    if (to_thread(a, await))
        return;
    rk_pg_cut(a->pg);
    a->asked->r = rk_fail(&a->asked->err, RK_UNAVAILABLE, "shutting down");
    answered(a);
}

static void next(struct rk_task *t)
{
    struct rk_asker *a = rk_container_of(t, struct rk_asker, turn);
    struct rk_question *q;

    a->turning = false;
    if (a->asked || rk_list_empty(&a->waiting))
        return;
    q = rk_list_entry(a->waiting.next, struct rk_question, node);
    rk_list_remove(&q->node);
    a->asked = q;
    if (!a->stopped && a->watch && rk_pg_send(a->pg, q->stmt, q->params, q->n)) {
        rk_timer_start(&a->deadline, PATIENCE_MS, 0);
        return;
    }
    if (to_thread(a, run))
        return;
    q->r = rk_fail(&q->err, RK_UNAVAILABLE, "shutting down");
    answered(a);
}

void rk_asker_ask(struct rk_asker *a, struct rk_question *q)
{
    q->asker = a;
    q->r = 0;
    q->at_thread = false;
    q->res = NULL;
    rk_list_append(&a->waiting, &q->node);
    if (!a->asked)
        next_soon(a);
}

void rk_asker_stop(struct rk_asker *a)
{
    a->stopped = true;
    rk_workers_free(rk_steal(a->thread));
    if (a->asked && !a->at_thread)
        rk_timer_start(&a->deadline, 0, 0);
}

static void on_timer_closed(struct rk_timer *t)
{
    free(rk_container_of(t, struct rk_asker, deadline));
}

void rk_asker_free(struct rk_asker *a)
{
    if (!a)
        return;
    if (a->turning)
        rk_list_remove(&a->turn.node);
    unwatch(a);
    rk_pg_free(a->pg);
    rk_timer_close(&a->deadline, on_timer_closed);
}
