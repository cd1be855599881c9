/* A crowd is some requests under way, in a job, and the others in line. */

#include "services/management/rpc/crowd.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"

#define WAITING_MAX 20000

struct crowds {
    struct app *app;
    struct rk_map *by_name;
    size_t waiting;
};

/* Those under way. */
struct party {
    size_t n;
    struct request *q[CROWD_TOGETHER_MAX];
    struct rk_bell bell;
};

struct crowd {
    struct rk_job job;
    struct crowds *owner;
    crowd_serve_fn *serve;
    struct rk_list line; /* of struct request */
    struct party *party;
    char *name;
};

struct crowds *crowds_new(struct app *app)
{
    struct crowds *cs = rk_new(struct crowds);

    cs->app = app;
    cs->by_name = rk_map_new();
    return cs;
}

size_t crowds_waiting(const struct crowds *cs)
{
    return cs->waiting;
}

void crowds_close(struct crowds *cs)
{
    rk_map_free(cs->by_name);
    free(cs);
}

static struct request *leave_line(struct crowd *c)
{
    struct request *q = rk_list_entry(c->line.next, struct request, in_line);

    rk_list_remove(&q->in_line);
    c->owner->waiting--;
    return q;
}

static void refuse(struct request *q, const char *why)
{
    q->r = rk_fail(&q->err, RK_UNAVAILABLE, "%s", why);
    q->after(q);
}

void crowds_stop(struct crowds *cs)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(cs->by_name, &it, &value)) {
        struct crowd *c = value;

        while (!rk_list_empty(&c->line))
            refuse(leave_line(c), "shutting down");
    }
}

static void job_run(struct rk_job *j, void *worker)
{
    struct crowd *c = rk_container_of(j, struct crowd, job);
    struct party *p = c->party;

    rk_trace_enter(&p->q[0]->trace); /* a change has one */
    c->serve(p->q, p->n, worker, &p->bell);
    rk_trace_leave();
}

static void set_out(struct crowd *c);

static void job_done(struct rk_job *j)
{
    struct crowd *c = rk_container_of(j, struct crowd, job);
    struct party *p = rk_steal(c->party);
    struct app *app = c->owner->app;
    bool refused = j->refused;

    set_out(c); /* at once, so that the worker whose connection knows how goes on with it; c may be
                   gone then */
    app_ring(app, p->bell.account_id, p->bell.serial);
    for (size_t i = 0; i < p->n; i++) {
        if (p->bell.serial > 0)
            p->q[i]->bell = p->bell;
        if (refused)
            refuse(p->q[i], "shutting down");
        else
            p->q[i]->after(p->q[i]);
    }
    free(p);
}

/* As many as fit. Of nobody there is no crowd. */
static void set_out(struct crowd *c)
{
    struct app *app = c->owner->app;
    struct party *p;

    while (!rk_list_empty(&c->line)) {
        p = rk_new(struct party);
        while (p->n < CROWD_TOGETHER_MAX && !rk_list_empty(&c->line))
            p->q[p->n++] = leave_line(c);
        c->party = p;
        if (rk_workers_submit(app->workers, app->loop, &c->job))
            return;
        for (size_t i = 0; i < p->n; i++)
            refuse(p->q[i], "too many requests wait");
        free(p);
    }
    rk_map_del(c->owner->by_name, rk_str(c->name));
    free(c->name);
    free(c);
}

void crowd_take(struct request *q,
                const char *name,
                enum job_kind kind,
                crowd_serve_fn *serve,
                request_step_fn *after)
{
    struct crowds *cs = q->app->crowds;
    struct crowd *c = rk_map_get(cs->by_name, rk_str(name));

    if (cs->waiting >= WAITING_MAX || (!c && rk_workers_full(q->app->workers))) {
        request_fail(q, RK_GRPC_UNAVAILABLE, "too many requests wait, please try again");
        return;
    }
    q->after = after;
    cs->waiting++;
    if (c) {
        rk_list_append(&c->line, &q->in_line);
        return;
    }
    c = rk_new(struct crowd);
    c->job = (struct rk_job){ .run = job_run, .done = job_done, .kind = kind };
    c->owner = cs;
    c->serve = serve;
    c->name = rk_strdup(name);
    rk_list_init(&c->line);
    rk_list_append(&c->line, &q->in_line);
    rk_map_put(cs->by_name, rk_str(c->name), c);
    set_out(c);
}
