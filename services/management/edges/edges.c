/* One read at a time; what is heard meanwhile causes one more. */

#include "services/management/edges/edges.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/fanout/session.h"
#include "services/management/metrics.h"

#define HEARD_MS 20 /* several that come together are one read */
#define FAILED_MS 1000
#define SLEEP_MIN_MS 500
#define SLEEP_MAX_MS 30000 /* a bell may have been lost */
#define SILENT_MS (2 * RK_EDGE_RENEW_MS + 1000)
#define HOLD_MS (RK_EDGE_LEASE_MS + RK_EDGE_RENEW_MS)
#define FORGOTTEN_MS (10 * 60 * 1000)
#define SESSIONS_A_TURN 200

struct edges {
    struct app *app;
    struct rk_timer timer, walk;
    struct rk_edge_rows *rows; /* NULL: never read */
    struct edge *edge;         /* one a row */
    struct rk_map *by_url;     /* → struct edge */
    uint64_t hold_until_ms;    /* nobody is taken for lost */
    uint64_t read_at_ms;       /* what the timer is set to; 0: not */
    bool started, reading, heard;
    struct rk_list told, stale; /* sessions; stale: perhaps other lists are due */
    unsigned timers;            /* not closed yet */
};

struct reading {
    struct rk_job job;
    struct edges *owner;
    struct rk_edge_rows *rows;
    int r;
    struct rk_err err;
};

/* --- pure --- */

uint64_t edges_sleep(const struct rk_edge_rows *rows)
{
    int64_t next = SLEEP_MAX_MS;

    for (size_t i = 0; i < rows->n; i++)
        if (rows->row[i].left_ms > 0 && rows->row[i].left_ms < next)
            next = rows->row[i].left_ms;
    return next < SLEEP_MIN_MS ? SLEEP_MIN_MS : (uint64_t)next;
}

bool edges_silent(const struct rk_edge_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->row[i].left_ms > RK_EDGE_LEASE_MS - SILENT_MS)
            return false;
    return true;
}

enum edge_state edges_state(const struct rk_edge_row *row, bool held, bool was_out)
{
    if (row->drained || row->leaving || (row->left_ms <= 0 && (!held || was_out)))
        return EDGE_OUT;
    return row->crowded ? EDGE_CROWDED : EDGE_FIT;
}

/* --- telling sessions --- */

static void on_walk(struct rk_timer *t)
{
    struct edges *e = rk_container_of(t, struct edges, walk);

    for (int i = 0; i < SESSIONS_A_TURN && !rk_list_empty(&e->stale); i++) {
        struct session *s = rk_list_entry(e->stale.next, struct session, by_edges);

        edges_told(e, s);
        if (session_tell_edges(e->app, s))
            metric_add(METRIC_EDGE_LISTS_SENT, 1);
    }
    if (!rk_list_empty(&e->stale))
        rk_timer_start(&e->walk, 1, 0);
}

static void look_at_everybody(struct edges *e)
{
    while (!rk_list_empty(&e->told)) {
        struct rk_list *n = e->told.next;

        rk_list_remove(n);
        rk_list_append(&e->stale, n);
    }
    if (!rk_list_empty(&e->stale))
        rk_timer_start(&e->walk, 0, 0);
}

void edges_told(struct edges *e, struct session *s)
{
    rk_list_remove(&s->by_edges);
    rk_list_append(&e->told, &s->by_edges);
}

/* --- reading --- */

static void read_within(struct edges *e, uint64_t ms)
{
    uint64_t at = rk_mono_ms() + ms;

    if (!e->started || (e->read_at_ms != 0 && e->read_at_ms <= at))
        return;
    e->read_at_ms = at;
    rk_timer_start(&e->timer, ms, 0);
}

static void count(const struct edges *e)
{
    int64_t all[EDGE_STATES] = { 0 }, relays[EDGE_STATES] = { 0 };

    for (size_t i = 0; i < e->rows->n; i++) {
        all[e->edge[i].state]++;
        relays[e->edge[i].state] += e->edge[i].kind == RK_EDGE_RELAY;
    }
    for (unsigned k = 0; k < EDGE_STATES; k++) {
        rk_metric_set_at(&metrics[METRIC_EDGES], k, all[k]);
        rk_metric_set_at(&metrics[METRIC_RELAYS], k, relays[k]);
    }
}

/* Whether lists may come out otherwise; their load does not count. */
static bool differs(const struct edges *e, const struct edge *now, const struct rk_edge_rows *rows)
{
    if (!e->rows || e->rows->n != rows->n)
        return true;
    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(now[i].url, e->edge[i].url) != 0 || now[i].state != e->edge[i].state ||
            strcmp(now[i].region, e->edge[i].region) != 0 ||
            memcmp(&now[i].at, &e->edge[i].at, sizeof(now[i].at)) != 0)
            return true;
    return false;
}

static void say(const struct edge *was, const struct edge *now)
{
    static const char *const words[] = {
        [EDGE_FIT] = "on the lists", [EDGE_CROWDED] = "crowded", [EDGE_OUT] = "off the lists"
    };

    if (!was || was->state != now->state)
        rk_info(NULL, "%s%s%s is %s", now->url, *now->region ? " of " : "", now->region,
                words[now->state]);
}

/* Puts what was read into effect; takes `rows`. */
static void take(struct edges *e, struct rk_edge_rows *rows)
{
    struct edge *now = rk_new_array(struct edge, rows->n + 1);
    struct rk_map *by_url = rk_map_new();
    uint64_t clock = rk_mono_ms();
    bool news;

    if (edges_silent(rows))
        e->hold_until_ms = clock + HOLD_MS;
    for (size_t i = 0; i < rows->n; i++) {
        const struct rk_edge_row *row = &rows->row[i];
        const struct edge *was = e->by_url ? rk_map_get(e->by_url, rk_str(row->url)) : NULL;

        now[i] = (struct edge){ .url = row->url,
                                .region = row->region,
                                .kind = row->kind,
                                .at = row->at,
                                .capacity = row->capacity,
                                .load = row->load };
        now[i].state = edges_state(row, clock < e->hold_until_ms,
                                   was ? was->state == EDGE_OUT : row->left_ms < -FORGOTTEN_MS);
        rk_map_put(by_url, rk_str(row->url), &now[i]);
        say(was, &now[i]);
    }
    news = differs(e, now, rows);
    rk_map_free(e->by_url);
    rk_edge_rows_free(e->rows);
    free(e->edge);
    e->rows = rows;
    e->edge = now;
    e->by_url = by_url;
    count(e);
    if (news)
        look_at_everybody(e);
}

static void reading_run(struct rk_job *j, void *worker)
{
    struct reading *k = rk_container_of(j, struct reading, job);

    k->r = rk_edge_load(((struct worker *)worker)->pg, &k->rows, &k->err);
}

static void reading_done(struct rk_job *j)
{
    struct reading *k = rk_container_of(j, struct reading, job);
    struct edges *e = k->owner;

    e->reading = false;
    if (j->refused || k->r < 0) {
        /* Who comes back first is not to have the lists alone. */
        e->hold_until_ms = rk_mono_ms() + HOLD_MS;
        read_within(e, FAILED_MS);
    } else {
        read_within(e, edges_sleep(k->rows));
        take(e, rk_steal(k->rows));
    }
    if (e->heard)
        read_within(e, HEARD_MS);
    e->heard = false;
    free(k);
}

static void on_timer(struct rk_timer *t)
{
    struct edges *e = rk_container_of(t, struct edges, timer);
    struct reading *k;

    e->read_at_ms = 0;
    if (e->reading)
        return;
    k = rk_new(struct reading);
    k->owner = e;
    k->job.run = reading_run;
    k->job.done = reading_done;
    e->reading = rk_workers_submit(e->app->workers, e->app->loop, &k->job);
    if (!e->reading) {
        free(k);
        read_within(e, FAILED_MS);
    }
}

void edges_heard(struct edges *e)
{
    if (e->reading)
        e->heard = true;
    else
        read_within(e, HEARD_MS);
}

/* --- what it is for --- */

size_t edges_choose(const struct edges *e,
                    enum rk_edge_kind kind,
                    struct rk_position place,
                    uint64_t who,
                    const struct edge *out[CHOICE_MAX])
{
    return e->rows ? choice_make(e->edge, e->rows->n, kind, place, who, out) : 0;
}

bool edges_knows(const struct edges *e, struct rk_str url)
{
    return e->by_url && rk_map_get(e->by_url, url);
}

/* --- life --- */

struct edges *edges_new(struct app *app)
{
    struct edges *e = rk_new(struct edges);

    e->app = app;
    rk_list_init(&e->told);
    rk_list_init(&e->stale);
    rk_timer_init(app->loop, &e->timer, on_timer);
    rk_timer_init(app->loop, &e->walk, on_walk);
    e->timers = 2;
    return e;
}

void edges_start(struct edges *e)
{
    e->started = true;
    read_within(e, 0);
}

static void closed(struct edges *e)
{
    if (--e->timers > 0)
        return;
    rk_map_free(e->by_url);
    rk_edge_rows_free(e->rows);
    free(e->edge);
    free(e);
}

static void timer_closed(struct rk_timer *t)
{
    closed(rk_container_of(t, struct edges, timer));
}

static void walk_closed(struct rk_timer *t)
{
    closed(rk_container_of(t, struct edges, walk));
}

void edges_close(struct edges *e)
{
    rk_timer_close(&e->timer, timer_closed);
    rk_timer_close(&e->walk, walk_closed);
}
