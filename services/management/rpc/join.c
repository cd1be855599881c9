/* A crowd is those who bring one key, or are one user's: some under way, the others in line. */

#include "services/management/rpc/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

#define TOGETHER_MAX 64
#define WAITING_MAX 20000
#define ATTEMPTS 3

struct joins {
    struct app *app;
    struct rk_map *crowds; /* by what they bring */
    size_t waiting;
};

/* Those under way. */
struct party {
    size_t n;
    struct request *q[TOGETHER_MAX];
    struct rk_peer_registration regs[TOGETHER_MAX];
    struct rk_registered out[TOGETHER_MAX];
    struct rk_bell bell;
    int r; /* everybody's, where it is not 0 */
    struct rk_err err;
};

struct crowd {
    struct rk_job job;
    struct joins *owner;
    struct rk_list line; /* of struct request */
    struct party *party;
    char *name;
};

struct joins *joins_new(struct app *app)
{
    struct joins *js = rk_new(struct joins);

    js->app = app;
    js->crowds = rk_map_new();
    return js;
}

size_t joins_waiting(const struct joins *js)
{
    return js->waiting;
}

void joins_close(struct joins *js)
{
    rk_map_free(js->crowds);
    free(js);
}

static struct request *leave_line(struct crowd *c)
{
    struct request *q = rk_list_entry(c->line.next, struct request, in_line);

    rk_list_remove(&q->in_line);
    c->owner->waiting--;
    return q;
}

void joins_stop(struct joins *js)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(js->crowds, &it, &value)) {
        struct crowd *c = value;

        while (!rk_list_empty(&c->line)) {
            struct request *q = leave_line(c);

            q->r = rk_fail(&q->err, RK_UNAVAILABLE, "shutting down");
            q->after(q);
        }
    }
}

static void describe(struct request *q, struct rk_peer_registration *out)
{
    size_t n = q->login->n_dnslabels;
    struct rk_str *labels = rk_arena_alloc(q->arena, n * sizeof(*labels) + 1);

    for (size_t i = 0; i < n; i++)
        labels[i] = rk_str(q->login->dnslabels[i]);
    *out = (struct rk_peer_registration){
        .setup_key = q->login->setupkey,
        .user_id = *q->user_id ? q->user_id : NULL,
        .meta = q->meta,
        .ssh_key = q->ssh_key,
        .dns_labels = labels,
        .dns_labels_n = n,
        .connection_ip = q->remote_ip,
        .country_code = q->place.country,
        .city_name = q->place.city,
        .geoname_id = q->place.geoname_id,
        .default_domain = q->app->cfg->dns_domain,
        .ephemeral_s = q->app->cfg->ephemeral_life_s,
    };
    memcpy(out->key, q->env.key, RK_KEY_LEN);
}

static void one_by_one(struct rk_pg *pg, struct party *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct rk_registered *o = &p->out[i];
        int r = rk_peer_register_all(pg, &p->regs[i], 1, o, &p->bell, &p->err);

        if (r < 0) {
            o->r = r;
            o->err = p->err;
        }
    }
    p->r = 0;
}

static void job_run(struct rk_job *j, void *worker)
{
    struct party *p = rk_container_of(j, struct crowd, job)->party;
    struct worker *w = worker;

    rk_trace_enter(&p->q[0]->trace); /* a change has one */
    p->r = RK_CONFLICT;
    for (int i = 0; i < ATTEMPTS && p->r == RK_CONFLICT; i++)
        p->r = rk_peer_register_all(w->pg, p->regs, p->n, p->out, &p->bell, &p->err);
    if (p->r < 0 && p->r != RK_UNAVAILABLE && p->n > 1)
        one_by_one(w->pg, p); /* what is wrong with one is not the others' business */
    rk_trace_leave();
}

static void come_home(struct party *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct request *q = p->q[i];

        q->r = p->r < 0 ? p->r : p->out[i].r;
        q->err = p->r < 0 ? p->err : p->out[i].err;
        q->bell = p->bell;
        q->registered_before = p->r == 0 && p->out[i].known;
        q->after(q);
    }
    free(p);
}

static void set_out(struct crowd *c);

static void job_done(struct rk_job *j)
{
    struct crowd *c = rk_container_of(j, struct crowd, job);
    struct party *p = rk_steal(c->party);
    struct app *app = c->owner->app;

    if (j->refused)
        p->r = rk_fail(&p->err, RK_UNAVAILABLE, "shutting down");
    set_out(c); /* at once, so that the worker whose connection knows how goes on with it */
    app_ring(app, p->bell.account_id, p->bell.serial);
    come_home(p);
}

/* As many as fit. Of nobody there is no crowd. */
static void set_out(struct crowd *c)
{
    struct app *app = c->owner->app;
    struct party *p;

    while (!rk_list_empty(&c->line)) {
        p = rk_new(struct party);
        while (p->n < TOGETHER_MAX && !rk_list_empty(&c->line)) {
            p->q[p->n] = leave_line(c);
            describe(p->q[p->n], &p->regs[p->n]);
            p->n++;
        }
        c->job.run = job_run;
        c->job.done = job_done;
        c->job.kind = KIND_JOIN;
        c->party = p;
        if (rk_workers_submit(app->workers, app->loop, &c->job))
            return;
        p->r = rk_fail(&p->err, RK_UNAVAILABLE, "too many requests wait");
        come_home(p);
    }
    rk_map_del(c->owner->crowds, rk_str(c->name));
    free(c->name);
    free(c);
}

/* A user's id is not taken for a key: the word in front tells them apart. */
static const char *name_of(const struct request *q)
{
    const char *kind = *q->user_id ? "user " : "key ";
    const char *what = *q->user_id ? q->user_id : q->login->setupkey;
    size_t n = strlen(kind) + strlen(what) + 1;
    char *name = rk_arena_alloc(q->arena, n);

    (void)snprintf(name, n, "%s%s", kind, what);
    return name;
}

void join(struct request *q, request_step_fn *after)
{
    struct joins *js = q->app->joins;
    const char *name = name_of(q);
    struct crowd *c = rk_map_get(js->crowds, rk_str(name));

    if (js->waiting >= WAITING_MAX || (!c && rk_workers_full(q->app->workers))) {
        request_fail(q, RK_GRPC_UNAVAILABLE, "too many requests wait, please try again");
        return;
    }
    q->after = after;
    js->waiting++;
    if (c) {
        rk_list_append(&c->line, &q->in_line);
        return;
    }
    c = rk_new(struct crowd);
    c->owner = js;
    c->name = rk_strdup(name);
    rk_list_init(&c->line);
    rk_list_append(&c->line, &q->in_line);
    rk_map_put(js->crowds, rk_str(c->name), c);
    set_out(c);
}
