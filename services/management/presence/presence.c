/* One map entry a peer, the newest state; flushed by a timer, one job at a time. */

#include "services/management/presence/presence.h"

#include "libcommon/account/peer/peers.h"
#include "libcommon/base/alloc.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/due/due.h"
#include "services/management/fanout/session.h"
#include "services/management/hub/hub.h"

#define FLUSH_MS 200
#define BATCH_MAX 1000

struct row {
    struct rk_peer_presence p;
    char account_id[RK_XID_LEN + 1];
    uint8_t key[RK_KEY_LEN];
};

struct presence {
    struct app *app;
    struct rk_map *rows; /* peer id → struct row */
    struct rk_timer flush;
    bool writing;
    bool closing;
};

struct batch {
    struct rk_job job;
    struct presence *owner;
    size_t n;
    struct row *rows[BATCH_MAX];
    struct rk_peer_presence out[BATCH_MAX];
    bool superseded[BATCH_MAX];
    int r;
    struct rk_err err;
};

static void on_flush(struct rk_timer *t);

struct presence *presence_new(struct app *app)
{
    struct presence *p = rk_new(struct presence);

    p->app = app;
    p->rows = rk_map_new();
    rk_timer_init(app->loop, &p->flush, on_flush);
    rk_timer_start(&p->flush, FLUSH_MS, FLUSH_MS);
    return p;
}

static void closed(struct rk_timer *t)
{
    struct presence *p = rk_container_of(t, struct presence, flush);
    void *value;
    size_t it = 0;

    while (rk_map_each(p->rows, &it, &value))
        free(value);
    rk_map_free(p->rows);
    free(p);
}

void presence_close(struct presence *p)
{
    p->closing = true;
    rk_timer_close(&p->flush, closed);
}

static void put(struct app *app, struct session *s, bool connected)
{
    struct row *r = rk_map_get(app->presence->rows, rk_str(s->peer_id));

    if (!r) {
        r = rk_new(struct row);
        memcpy(r->p.peer_id, s->peer_id, sizeof(s->peer_id));
        rk_map_put(app->presence->rows, rk_str(r->p.peer_id), r);
    } else if (r->p.session > s->token) {
        return; /* what waits is of a newer stream */
    }
    r->p.connected = connected;
    r->p.session = s->token;
    snprintf(r->p.replica, sizeof(r->p.replica), "%s", app->replica);
    snprintf(r->p.connection_ip, sizeof(r->p.connection_ip), "%s", s->remote_ip);
    if (s->hub)
        memcpy(r->account_id, s->hub->id, sizeof(r->account_id));
    memcpy(r->key, s->key, RK_KEY_LEN);
}

void presence_connected(struct app *app, struct session *s)
{
    char msg[256];

    put(app, s, true);
    snprintf(msg, sizeof(msg), "%s %s %lld %s", s->key_b64, s->hub->id, (long long)s->token,
             app->replica);
    rk_rds_publish(app->rds, PRESENCE_CHANNEL, rk_str(msg));
}

void presence_disconnected(struct app *app, struct session *s)
{
    put(app, s, false);
}

void presence_repeat(struct app *app)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(app->hubs, &it, &value)) {
        struct hub *h = value;
        struct rk_list *n, *tmp;

        rk_list_each(&h->sessions, n, tmp) put(app, rk_list_entry(n, struct session, by_hub), true);
    }
}

bool presence_idle(const struct presence *p)
{
    return !p->writing && rk_map_count(p->rows) == 0;
}

/* A newer stream of this peer exists elsewhere: ours ends. */
static void
supersede(struct app *app, struct rk_str account_id, const uint8_t key[RK_KEY_LEN], int64_t newer)
{
    struct hub *h = hub_find(app, account_id);
    struct session *s;
    size_t i;

    if (!h || !h->snap)
        return;
    i = rk_snapshot_find_key(h->snap, key);
    if (i == RK_NO_PEER || i >= h->by_index_n)
        return;
    s = h->by_index[i];
    if (!s || s->token >= newer)
        return;
    hub_detach(h, s);
    session_end(app, s, RK_GRPC_OK, NULL);
}

void presence_heard(struct app *app, struct rk_str payload)
{
    struct rk_str key_b64, account, token, instance;
    uint8_t key[RK_KEY_LEN];
    int64_t newer;

    if (!rk_str_next(&payload, ' ', &key_b64) || !rk_str_next(&payload, ' ', &account) ||
        !rk_str_next(&payload, ' ', &token) || !rk_str_next(&payload, ' ', &instance))
        return;
    if (rk_str_eq(instance, rk_str(app->replica)) || !rk_key_parse(key_b64, key) ||
        !rk_str_i64(token, &newer))
        return;
    supersede(app, account, key, newer);
}

static void batch_run(struct rk_job *j, void *worker)
{
    struct batch *b = rk_container_of(j, struct batch, job);
    struct worker *w = worker;

    b->r = rk_peer_store_presence(w->pg, b->out, b->n, w->cfg->ephemeral_life_s, b->superseded,
                                  &b->err);
}

static void batch_done(struct rk_job *j)
{
    struct batch *b = rk_container_of(j, struct batch, job);
    struct presence *p = b->owner;

    p->writing = false;
    for (size_t i = 0; i < b->n; i++) {
        struct row *r = b->rows[i];

        if (b->job.refused || b->r < 0) { /* keep it, unless something newer waits already */
            if (!p->closing && !rk_map_get(p->rows, rk_str(r->p.peer_id))) {
                rk_map_put(p->rows, rk_str(r->p.peer_id), r);
                continue;
            }
        } else if (b->superseded[i]) {
            supersede(p->app, rk_str(r->account_id), r->key, r->p.session + 1);
        } else if (!r->p.connected) {
            due_heard(p->app->due);
        }
        free(r);
    }
    free(b);
}

static void on_flush(struct rk_timer *t)
{
    struct presence *p = rk_container_of(t, struct presence, flush);
    struct batch *b;
    void *value;
    size_t it = 0;

    if (p->writing || rk_map_count(p->rows) == 0)
        return;
    b = rk_new(struct batch);
    b->owner = p;
    b->job.run = batch_run;
    b->job.done = batch_done;
    b->job.kind = KIND_PRESENCE;
    while (b->n < BATCH_MAX && rk_map_each(p->rows, &it, &value)) {
        b->rows[b->n] = value;
        b->out[b->n] = b->rows[b->n]->p;
        b->n++;
    }
    if (!rk_workers_submit(p->app->workers, p->app->loop, &b->job)) {
        free(b);
        return;
    }
    p->writing = true;
    for (size_t i = 0; i < b->n; i++)
        rk_map_del(p->rows, rk_str(b->rows[i]->p.peer_id));
}
