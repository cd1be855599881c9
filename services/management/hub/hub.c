/* One account on this replica: loading, waiting, and who is connected. Fan-out rounds are in
 * fanout/round.c. */

#include "services/management/hub/hub.h"

#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/fanout/makers.h"
#include "services/management/fanout/round.h"
#include "services/management/fanout/session.h"
#include "services/management/hub/access.h"
#include "services/management/metrics.h"
#include "services/management/rpc/known.h"

#define UNUSED_KEEP_MS (10 * 60 * 1000)

/* One read of what changed, on a worker; comes back whole. */
struct load {
    struct rk_job job;
    struct hub *hub;
    char id[RK_XID_LEN + 1];
    uint64_t heard;          /* what had been heard when the read was asked for */
    uint64_t started_ms;     /* and when that was */
    struct rk_snapshot *was; /* reference, or NULL */
    struct rk_snapshot *now;
    struct rk_delta *delta;
    struct rk_bitmap affected;
    int r;
    struct rk_err err;
};

static void load_start(struct hub *h);

struct hub *hub_find(struct app *app, struct rk_str account_id)
{
    return rk_map_get(app->hubs, account_id);
}

struct hub *hub_get(struct app *app, const char *account_id)
{
    struct hub *h = hub_find(app, rk_str(account_id));

    if (h)
        return h;
    h = rk_new(struct hub);
    (void)rk_str_copy(rk_str(account_id), h->id, sizeof(h->id));
    h->app = app;
    h->used_ms = rk_mono_ms();
    rk_list_init(&h->waiters);
    rk_list_init(&h->sessions);
    rk_list_init(&h->pending);
    rk_list_init(&h->batches);
    rk_list_init(&h->by_makers);
    rk_timer_init(app->loop, &h->fan, round_on_timer);
    rk_map_put(app->hubs, rk_str(h->id), h);
    metric_add(METRIC_ACCOUNTS_LOADED, 1);
    return h;
}

static void hub_freed(struct rk_timer *t)
{
    struct hub *h = rk_container_of(t, struct hub, fan);

    rk_snapshot_unref(h->snap);
    free(h->by_index);
    free(h);
}

static void hub_drop(struct hub *h)
{
    rk_map_del(h->app->hubs, rk_str(h->id));
    metric_add(METRIC_ACCOUNTS_LOADED, -1);
    known_follow(h->app, h->snap, NULL, NULL);
    makers_forget(h);
    rk_timer_close(&h->fan, hub_freed);
}

/* Wakes the waiters whose serial is there; all of them when the read failed. */
static void wake(struct hub *h, int r, const struct rk_err *err)
{
    uint64_t have = h->snap ? rk_snapshot_serial(h->snap) : 0;
    struct rk_list ready, *n, *tmp;

    rk_list_init(&ready);
    rk_list_each(&h->waiters, n, tmp)
    {
        struct hub_wait *w = rk_list_entry(n, struct hub_wait, node);

        if (r < 0 || have >= w->serial) {
            rk_list_remove(n);
            rk_list_append(&ready, n);
        }
    }
    while (!rk_list_empty(&ready)) {
        struct hub_wait *w = rk_list_entry(ready.next, struct hub_wait, node);

        rk_list_remove(&w->node);
        w->on_ready(w, r, err);
    }
}

/* One that is not loaded is not behind: whoever needs it waits for the newest. */
static void note_behind(struct hub *h)
{
    if (!h->snap || rk_snapshot_serial(h->snap) >= h->heard)
        h->behind_ms = 0;
    else if (h->behind_ms == 0)
        h->behind_ms = rk_mono_ms();
}

void hub_wait(struct hub *h, uint64_t serial, struct hub_wait *w)
{
    h->used_ms = rk_mono_ms();
    if (h->snap && rk_snapshot_serial(h->snap) >= serial) {
        w->on_ready(w, 0, NULL);
        return;
    }
    w->serial = serial;
    rk_list_append(&h->waiters, &w->node);
    if (serial > h->heard)
        h->heard = serial;
    note_behind(h);
    load_start(h);
}

void hub_hear(struct hub *h, uint64_t serial)
{
    if (serial > h->heard)
        h->heard = serial;
    note_behind(h);
    if (!h->snap || h->behind_ms > 0)
        load_start(h);
}

uint64_t hub_behind_ms(struct app *app)
{
    uint64_t now = rk_mono_ms(), longest = 0;
    void *value;
    size_t it = 0;

    while (rk_map_each(app->hubs, &it, &value)) {
        const struct hub *h = value;

        if (h->behind_ms > 0 && now - h->behind_ms > longest)
            longest = now - h->behind_ms;
    }
    return longest;
}

static void load_run(struct rk_job *j, void *worker)
{
    struct load *ld = rk_container_of(j, struct load, job);
    struct worker *w = worker;
    uint64_t since = ld->was ? rk_snapshot_serial(ld->was) : 0;

    ld->r = rk_store_load(w->pg, ld->id, since, w->cfg->dns_domain, &ld->delta, &ld->err);
    if (ld->r < 0 || ld->delta->account_gone)
        return;
    ld->now = rk_snapshot_apply(ld->was, ld->delta);
    if (ld->was)
        rk_snapshot_affected(ld->was, ld->now, &ld->affected);
}

/* Peers that were connected here and no longer exist. */
static void end_deleted(struct hub *h, const struct rk_snapshot *now)
{
    struct rk_list *n, *tmp;

    rk_list_each(&h->sessions, n, tmp)
    {
        struct session *s = rk_list_entry(n, struct session, by_hub);

        if (!now || rk_snapshot_find_key(now, s->key) == RK_NO_PEER)
            session_deleted(h->app, s);
    }
}

static void fit_index(struct hub *h)
{
    size_t bound = rk_snapshot_peer_bound(h->snap);

    if (bound <= h->by_index_n)
        return;
    h->by_index = rk_realloc(h->by_index, bound * sizeof(*h->by_index));
    memset(h->by_index + h->by_index_n, 0, (bound - h->by_index_n) * sizeof(*h->by_index));
    h->by_index_n = bound;
}

static bool some_peer_went(const struct rk_delta *d)
{
    if (d->full || d->account_gone)
        return true;
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i].kind == RK_OBJ_PEER && !d->items[i].present)
            return true;
    }
    return false;
}

/* A deleted peer's index may be in use by another one already. */
static void reindex(struct hub *h)
{
    struct rk_list *n, *tmp;

    memset(h->by_index, 0, h->by_index_n * sizeof(*h->by_index));
    rk_list_each(&h->sessions, n, tmp)
    {
        struct session *s = rk_list_entry(n, struct session, by_hub);

        s->index = rk_snapshot_find_key(h->snap, s->key);
        h->by_index[s->index] = s;
    }
}

/* What netbirdConfig holds of the account has changed: everybody gets it with their next map. */
static void owe_config(struct hub *h, int64_t committed_at_us)
{
    struct rk_list *n, *tmp;

    rk_list_each(&h->sessions, n, tmp)
    {
        struct session *s = rk_list_entry(n, struct session, by_hub);

        s->owes_config = true;
        hub_mark(h, s, committed_at_us);
    }
}

static void tell(const struct hub *h, const struct load *ld)
{
    struct rk_logctx ctx = { .account = h->id };

    for (size_t i = 0; i < ld->delta->traces_n; i++) {
        ctx.trace = ld->delta->traces[i];
        rk_debug(&ctx, "it is here, at serial %llu: %zu peers have another map",
                 (unsigned long long)ld->delta->serial, rk_bitmap_count(&ld->affected));
    }
}

static void swap_in(struct hub *h, struct load *ld)
{
    bool went = some_peer_went(ld->delta);
    bool config_changed = h->snap && rk_snapshot_account(h->snap)->metrics_push_enabled !=
                                         rk_snapshot_account(ld->now)->metrics_push_enabled;

    if (went)
        end_deleted(h, ld->now);
    known_follow(h->app, h->snap, ld->now, ld->delta);
    rk_snapshot_unref(h->snap);
    h->snap = rk_steal(ld->now);
    fit_index(h);
    if (went)
        reindex(h);
    access_enforce(h, ld->delta);
    if (config_changed)
        owe_config(h, ld->delta->committed_at_us);
    hub_mark_all(h, &ld->affected, ld->delta->committed_at_us);
}

bool hub_read_again(uint64_t have, uint64_t *heard, uint64_t heard_before, bool awaited)
{
    if (have >= *heard)
        return awaited;
    if (*heard != heard_before || awaited)
        return true;
    *heard = have;
    return false;
}

static void load_done(struct rk_job *j)
{
    struct load *ld = rk_container_of(j, struct load, job);
    struct hub *h = ld->hub;

    h->loading = false;
    if (ld->job.refused)
        ld->r = rk_fail(&ld->err, RK_UNAVAILABLE, "shutting down");
    if (ld->r < 0) {
        metric_add(METRIC_LOADS_FAILED, 1);
        wake(h, ld->r, &ld->err);
    } else if (ld->delta->account_gone) {
        struct rk_err gone;

        end_deleted(h, NULL);
        rk_fail(&gone, RK_NOT_FOUND, "account is gone");
        wake(h, RK_NOT_FOUND, &gone);
        hub_drop(h);
        h = NULL;
    } else {
        tell(h, ld);
        swap_in(h, ld);
        wake(h, 0, NULL);
        if (hub_read_again(rk_snapshot_serial(h->snap), &h->heard, ld->heard,
                           !rk_list_empty(&h->waiters)))
            load_start(h);
        /* What is not there yet was heard of after the read had begun. */
        if (h->behind_ms > 0 && rk_snapshot_serial(h->snap) >= ld->heard)
            h->behind_ms = ld->started_ms;
        note_behind(h);
    }
    rk_snapshot_unref(ld->was);
    rk_snapshot_unref(ld->now);
    rk_delta_free(ld->delta);
    rk_bitmap_done(&ld->affected);
    free(ld);
}

static void load_start(struct hub *h)
{
    struct load *ld;

    if (h->loading)
        return; /* load_done looks at `heard` again */
    ld = rk_new(struct load);
    ld->job.run = load_run;
    ld->job.done = load_done;
    ld->job.kind = KIND_LOAD;
    ld->hub = h;
    (void)rk_str_copy(rk_str(h->id), ld->id, sizeof(ld->id));
    ld->heard = h->heard;
    ld->started_ms = rk_mono_ms();
    ld->was = h->snap ? rk_snapshot_ref(h->snap) : NULL;
    rk_bitmap_init(&ld->affected);
    if (!rk_workers_submit(h->app->workers, h->app->loop, &ld->job)) {
        struct rk_err err;

        rk_snapshot_unref(ld->was);
        free(ld);
        metric_add(METRIC_LOADS_FAILED, 1);
        wake(h, rk_fail(&err, RK_UNAVAILABLE, "too many jobs wait"), &err);
        return;
    }
    h->loading = true;
    metric_add(METRIC_LOADS, 1);
}

void hub_attach(struct hub *h, struct session *s, size_t index)
{
    struct session *older = h->by_index[index];

    if (older) {
        hub_detach(h, older);
        session_end(h->app, older, RK_GRPC_OK, NULL); /* the newer stream wins */
    }
    s->hub = h;
    s->index = index;
    h->by_index[index] = s;
    rk_list_append(&h->sessions, &s->by_hub);
    h->session_count++;
    h->used_ms = rk_mono_ms();
}

void hub_detach(struct hub *h, struct session *s)
{
    if (s->index < h->by_index_n && h->by_index[s->index] == s)
        h->by_index[s->index] = NULL;
    rk_list_remove(&s->by_hub);
    rk_list_remove(&s->by_pending);
    session_order_drop(s);
    h->session_count--;
    h->used_ms = rk_mono_ms();
    s->hub = NULL;
}

void hub_mark(struct hub *h, struct session *s, int64_t committed_at_us)
{
    if (committed_at_us != RK_TIME_UNSET &&
        (s->owes_since_us == RK_TIME_UNSET || committed_at_us < s->owes_since_us))
        s->owes_since_us = committed_at_us;
    if (!rk_list_empty(&s->by_pending)) {
        metric_add(METRIC_MAPS_MERGED, 1);
        return;
    }
    rk_list_append(&h->pending, &s->by_pending);
    round_arm(h);
}

void hub_mark_all(struct hub *h, const struct rk_bitmap *peers, int64_t committed_at_us)
{
    size_t n = rk_bitmap_count(peers);
    uint32_t *kin = rk_new_array(uint32_t, n);

    rk_snapshot_kin(h->snap, peers, kin);
    for (size_t i = 0; i < n; i++)
        if (kin[i] < h->by_index_n && h->by_index[kin[i]])
            hub_mark(h, h->by_index[kin[i]], committed_at_us);
    rk_free(kin);
}

void hub_resend(struct hub *h, const uint8_t key[RK_KEY_LEN])
{
    size_t i = h->snap ? rk_snapshot_find_key(h->snap, key) : RK_NO_PEER;
    struct session *s = i < h->by_index_n ? h->by_index[i] : NULL;

    if (!s)
        return;
    s->has_digest = false;
    hub_mark(h, s, RK_TIME_UNSET);
}

/* --- sweep --- */

struct sweep {
    struct rk_job job;
    struct app *app;
    size_t n;
    char (*ids)[RK_XID_LEN + 1];
    uint64_t *had; /* when it was asked */
    uint64_t *serials;
    int r;
    struct rk_err err;
};

static void sweep_free(struct sweep *sw)
{
    free(sw->ids);
    free(sw->had);
    free(sw->serials);
    free(sw);
}

static void sweep_run(struct rk_job *j, void *worker)
{
    struct sweep *sw = rk_container_of(j, struct sweep, job);
    struct worker *w = worker;

    sw->r = rk_store_serials(w->pg, (const char(*)[RK_XID_LEN + 1]) sw->ids, sw->n, sw->serials,
                             &sw->err);
}

static void sweep_done(struct rk_job *j)
{
    struct sweep *sw = rk_container_of(j, struct sweep, job);
    struct app *app = sw->app;

    app->sweeping = false;
    rk_admin_ready(app->admin, "postgres", !sw->job.refused && sw->r == 0,
                   "Postgres does not answer");
    for (size_t i = 0; !sw->job.refused && sw->r == 0 && i < sw->n; i++) {
        struct hub *h = hub_find(app, rk_str(sw->ids[i]));
        uint64_t have = h && h->snap ? rk_snapshot_serial(h->snap) : 0;

        if (!h || h->loading || sw->serials[i] == have)
            continue;
        if (sw->serials[i] < have && sw->serials[i] >= sw->had[i])
            continue; /* it was loaded after the question */
        metric_add(METRIC_SWEEP_FOUND, 1);
        if (sw->serials[i] == 0 || sw->serials[i] < have) {
            rk_warn(NULL, "account %s went back from serial %llu to %llu", h->id,
                    (unsigned long long)have, (unsigned long long)sw->serials[i]);
            load_start(h);
        } else {
            hub_hear(h, sw->serials[i]);
        }
    }
    sweep_free(sw);
}

void hub_sweep(struct app *app)
{
    uint64_t now = rk_mono_ms();
    struct sweep *sw;
    void *value;
    size_t it = 0;

    if (app->sweeping)
        return;
    sw = rk_new(struct sweep);
    sw->app = app;
    sw->job.run = sweep_run;
    sw->job.done = sweep_done;
    sw->ids = rk_zalloc_array(rk_map_count(app->hubs) + 1, sizeof(*sw->ids));
    sw->had = rk_new_array(uint64_t, rk_map_count(app->hubs) + 1);
    sw->serials = rk_new_array(uint64_t, rk_map_count(app->hubs) + 1);
    while (rk_map_each(app->hubs, &it, &value)) {
        struct hub *h = value;

        if (h->session_count == 0 && !h->loading && rk_list_empty(&h->waiters) &&
            now - h->used_ms > UNUSED_KEEP_MS)
            hub_drop(h);
        else if (h->snap) {
            memcpy(sw->ids[sw->n], h->id, sizeof(h->id));
            sw->had[sw->n++] = rk_snapshot_serial(h->snap);
        }
    }
    app->sweeping = rk_workers_submit(app->workers, app->loop, &sw->job);
    if (!app->sweeping)
        sweep_free(sw);
}

void hub_close_all(struct app *app)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(app->hubs, &it, &value))
        hub_drop(value);
}
