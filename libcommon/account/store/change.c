/*
 * The frame of every change: one transaction that holds the account's row. Objects are named as the
 * change goes and written down at the end, with the one serial they all share, as do all changes of
 * a batch.
 */

#include "libcommon/account/store/store.h"

#include <stdlib.h>

#include "libcommon/account/rules/audit_int.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/obs/trace.h"

#define MAX_OBJECT_ID RK_OBJECT_ID_MAX /* "<group>:<peer>" is shorter */

struct touched {
    enum rk_object_kind kind;
    char id[MAX_OBJECT_ID + 1];
    char trace[RK_TRACE_LEN + 1]; /* "" = none */
};

struct touches {
    struct touched *v;
    size_t n, cap;
};

struct rk_change {
    struct rk_pg *pg;
    struct rk_pg_tx *tx;
    struct rk_pg_result *lock; /* NULL: not waited for yet */
    char account_id[RK_XID_LEN + 1];
    struct touches touched;
    struct audit *audit; /* NULL until something is watched */
    struct audit_events events;
    struct rk_batch *batch; /* NULL: it is committed by itself */
    struct rk_left *left, *leaves;
};

struct rk_batch {
    struct rk_pg_share share;
    bool (*more)(void *arg);
    void *arg;
    char account_id[RK_XID_LEN + 1]; /* "" until something is changed */
    struct touches touched;
    struct audit_events events;
    struct rk_pg_result *serial;
    struct rk_left *left; /* by the change that was put off last */
};

static const struct rk_pg_stmt lock_account = {
    "change_lock", "SELECT serial FROM account WHERE id = $1 FOR NO KEY UPDATE"
};
static const struct rk_pg_stmt log_change = {
    "change_log",
    "WITH a AS (UPDATE account SET serial = serial + 1 WHERE id = $1 RETURNING serial), "
    "l AS (INSERT INTO account_change (account_id, serial, kind, object_id, trace) "
    "SELECT $1, a.serial, k, o, nullif(t, '') FROM a, unnest($2::text[], $3::text[], $4::text[]) "
    "AS x(k, o, t) "
    "ON CONFLICT DO NOTHING) SELECT serial FROM a"
};
/* The row of the account is written by every change: who has read something knows by it that
 * nothing has happened since. */
static const struct rk_pg_stmt note_change = { "change_note",
                                               "UPDATE account SET serial = serial WHERE id = $1" };
static const struct rk_pg_stmt add_event = {
    "event_add", "INSERT INTO event (account_id, code, initiator_id, target_id, meta) "
                 "VALUES ($1, $2, $3, $4, $5::jsonb)"
};

static const char *const kind_names[RK_OBJ_COUNT] = {
    [RK_OBJ_ACCOUNT] = "account",
    [RK_OBJ_PEER] = "peer",
    [RK_OBJ_GROUP] = "group",
    [RK_OBJ_GROUP_PEER] = "group_peer",
    [RK_OBJ_POLICY] = "policy",
    [RK_OBJ_USER] = "user",
    [RK_OBJ_POSTURE_CHECK] = "posture_check",
    [RK_OBJ_ROUTE] = "route",
    [RK_OBJ_NETWORK] = "network",
    [RK_OBJ_RESOURCE] = "network_resource",
    [RK_OBJ_ROUTER] = "network_router",
    [RK_OBJ_NAMESERVER_GROUP] = "nameserver_group",
    [RK_OBJ_ZONE] = "zone",
};

const char *store_kind_name(enum rk_object_kind kind)
{
    return kind_names[kind];
}

bool store_kind_parse(struct rk_str name, enum rk_object_kind *out)
{
    for (size_t i = 0; i < RK_OBJ_COUNT; i++) {
        if (rk_str_eq(name, rk_str(kind_names[i]))) {
            *out = (enum rk_object_kind)i;
            return true;
        }
    }
    return false;
}

static const struct rk_pg_stmt lock_idle_account = {
    "change_lock_idle", "SELECT serial FROM account WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED"
};

static int no_account(const char *account_id, struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "account not found: %.64s", account_id);
}

/* What holds the changes that wait for COMMIT in this connection, when this is another one of their
 * account. */
static struct rk_batch *batch_for(const struct rk_pg *pg, const char *account_id)
{
    struct rk_pg_share *s = rk_pg_shared(pg);
    struct rk_batch *b = s ? rk_container_of(s, struct rk_batch, share) : NULL;

    return b && (b->account_id[0] == '\0' || strcmp(b->account_id, account_id) == 0) ? b : NULL;
}

static int begin_with(struct rk_pg *pg,
                      const struct rk_pg_stmt *lock,
                      const char *account_id,
                      struct rk_change **out,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = rk_new(struct rk_change);
    bool locked;
    int r;

    ch->pg = pg;
    audit_events_init(&ch->events);
    if (!rk_str_copy(rk_str(account_id), ch->account_id, sizeof(ch->account_id)))
        return no_account(account_id, err);
    ch->batch = batch_for(pg, account_id);
    locked = ch->batch && rk_pg_put_off(pg);
    if (locked)
        ch->left = rk_steal(ch->batch->left);
    r = rk_pg_begin(pg, ch->batch ? RK_PG_SHARED : RK_PG_READ_COMMITTED, &ch->tx, err);
    if (r == 0 && !locked)
        r = rk_pg_later(pg, lock, &ch->lock, err, RK_P_C(account_id));
    if (r < 0)
        return r;
    r = rk_pg_ask_guard(pg, err);
    if (r < 0)
        return r;
    *out = rk_steal(ch);
    return 0;
}

int rk_change_begin_later(struct rk_pg *pg,
                          const char *account_id,
                          struct rk_change **out,
                          struct rk_err *err)
{
    return begin_with(pg, &lock_account, account_id, out, err);
}

/* Once the lock has been waited for. */
static int check_lock(const struct rk_change *ch, struct rk_err *err)
{
    return !ch->lock || rk_pg_rows(ch->lock) > 0 ? 0 : no_account(ch->account_id, err);
}

static int begin_now(struct rk_pg *pg,
                     const struct rk_pg_stmt *lock,
                     const char *account_id,
                     struct rk_change **out,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    int r = begin_with(pg, lock, account_id, &ch, err);

    if (r == 0)
        r = rk_pg_catch_up(pg, err);
    if (r == 0)
        r = check_lock(ch, err);
    if (r == 0)
        *out = rk_steal(ch);
    return r;
}

int rk_change_begin(struct rk_pg *pg,
                    const char *account_id,
                    struct rk_change **out,
                    struct rk_err *err)
{
    return begin_now(pg, &lock_account, account_id, out, err);
}

int rk_change_begin_idle(struct rk_pg *pg,
                         const char *account_id,
                         struct rk_change **out,
                         struct rk_err *err)
{
    return begin_now(pg, &lock_idle_account, account_id, out, err);
}

static void forget_left(struct rk_left *l)
{
    if (l)
        l->free(l);
}

struct rk_left *rk_change_left(const struct rk_change *ch)
{
    return ch->left;
}

void rk_change_leave(struct rk_change *ch, struct rk_left *l)
{
    forget_left(ch->leaves);
    ch->leaves = l;
}

void rk_change_abort(struct rk_change *ch)
{
    if (!ch)
        return;
    rk_pg_rollback(ch->tx);
    rk_pg_result_free(ch->lock);
    forget_left(ch->left);
    forget_left(ch->leaves);
    audit_free(ch->audit);
    audit_events_done(&ch->events);
    free(ch->touched.v);
    free(ch);
}

/* Room for one more, which the caller counts. */
static struct touched *touches_next(struct touches *t)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->v = rk_realloc(t->v, t->cap * sizeof(*t->v));
    }
    return &t->v[t->n];
}

int rk_change_touch(struct rk_change *ch,
                    enum rk_object_kind kind,
                    const char *object_id,
                    struct rk_err *err)
{
    const struct rk_trace *trace = rk_trace_current();
    struct touched *t = touches_next(&ch->touched);

    *t = (struct touched){ .kind = kind };
    if (!rk_str_copy(rk_str(object_id), t->id, sizeof(t->id)))
        return rk_fail(err, RK_INTERNAL, "object id is too long");
    if (trace)
        memcpy(t->trace, trace->id, sizeof(t->trace));
    ch->touched.n++;
    return 0;
}

int rk_change_touch_member(struct rk_change *ch,
                           const char *group_id,
                           const char *peer_id,
                           struct rk_err *err)
{
    char id[MAX_OBJECT_ID + 1];

    if (snprintf(id, sizeof(id), "%s:%s", group_id, peer_id) >= (int)sizeof(id))
        return rk_fail(err, RK_INTERNAL, "object id is too long");
    return rk_change_touch(ch, RK_OBJ_GROUP_PEER, id, err);
}

int rk_change_event(struct rk_change *ch,
                    const char *code,
                    const char *initiator_id,
                    const char *target_id,
                    struct rk_str meta,
                    struct rk_err *err)
{
    if (meta.n == 0)
        meta = RK_STR("{}");
    if (audit_events_hold(&ch->events, code, initiator_id, target_id, meta))
        return 0;
    return rk_pg_later(ch->pg, &add_event, NULL, err, RK_P_C(ch->account_id), RK_P_C(code),
                       RK_P_C(initiator_id), RK_P_C(target_id), RK_P_STR(meta));
}

json_t *rk_change_seen(const struct rk_change *ch, const char *id)
{
    return audit_seen(ch->audit, id);
}

void rk_change_becomes(struct rk_change *ch, const char *id, json_t *after)
{
    audit_becomes(ch->audit, id, after);
}

int rk_change_watch(struct rk_change *ch,
                    enum rk_watched kind,
                    const char *id,
                    const char *also,
                    struct rk_err *err)
{
    return audit_watch(&ch->audit, ch->pg, ch->account_id, kind, id, also, err);
}

/* Raises the serial and writes account_change, where anything was touched. */
static int write_changes(struct rk_pg *pg,
                         const char *account_id,
                         const struct touches *t,
                         struct rk_pg_result **out,
                         struct rk_err *err)
{
    rk_auto(rk_cfree) char *block = rk_alloc((3 * t->n + 1) * sizeof(struct rk_str));
    struct rk_str *kinds = (struct rk_str *)(void *)block, *ids = kinds + t->n,
                  *traces = ids + t->n;

    if (t->n == 0)
        return rk_pg_later(pg, &note_change, NULL, err, RK_P_C(account_id));
    for (size_t i = 0; i < t->n; i++) {
        kinds[i] = rk_str(store_kind_name(t->v[i].kind));
        ids[i] = rk_str(t->v[i].id);
        traces[i] = rk_str(t->v[i].trace);
    }
    return rk_pg_later(pg, &log_change, out, err, RK_P_C(account_id), RK_P_ARRAY(kinds, t->n),
                       RK_P_ARRAY(ids, t->n), RK_P_ARRAY(traces, t->n));
}

static uint64_t serial_in(const struct rk_pg_result *res)
{
    return res && rk_pg_rows(res) > 0 ? (uint64_t)rk_pg_int(res, 0, 0) : 0;
}

/* What it touched is written with the others'. */
static int commit_in_batch(struct rk_change *ch, struct rk_err *err)
{
    struct rk_batch *b = ch->batch;
    size_t before = b->touched.n, events_before = b->events.n;
    int r;

    for (size_t i = 0; i < ch->touched.n; i++) {
        *touches_next(&b->touched) = ch->touched.v[i];
        b->touched.n++;
    }
    audit_events_move(&b->events, &ch->events);
    memcpy(b->account_id, ch->account_id, sizeof(b->account_id));
    r = rk_pg_commit(&ch->tx, err);
    if (r < 0) {
        b->touched.n = before;
        audit_events_cut(&b->events, events_before);
        return r;
    }
    b->left = rk_steal(ch->leaves);
    return 0;
}

static int commit_alone(struct rk_change *ch, uint64_t *out_serial, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = audit_events_write(&ch->events, ch->pg, ch->account_id, err);

    if (r == 0)
        r = write_changes(ch->pg, ch->account_id, &ch->touched, &res, err);
    if (r == 0)
        r = rk_pg_commit(&ch->tx, err);
    if (r == 0)
        *out_serial = serial_in(res);
    return r;
}

int rk_change_commit(struct rk_change **ch, uint64_t *out_serial, struct rk_err *err)
{
    uint64_t serial = 0;
    int r = 0;

    if ((*ch)->audit)
        r = audit_compare((*ch)->audit, &(*ch)->events, (*ch)->pg, (*ch)->account_id, err);
    if (r == 0 && (*ch)->lock)
        r = check_lock(*ch, err);
    if (r == 0)
        r = (*ch)->batch ? commit_in_batch(*ch, err) : commit_alone(*ch, &serial, err);
    if (r < 0)
        return r;
    rk_change_abort(*ch);
    *ch = NULL;
    if (out_serial)
        *out_serial = serial;
    return 0;
}

static bool batch_more(struct rk_pg_share *s)
{
    struct rk_batch *b = rk_container_of(s, struct rk_batch, share);

    return b->more(b->arg);
}

static int batch_close(struct rk_pg_share *s, struct rk_pg *pg, struct rk_err *err)
{
    struct rk_batch *b = rk_container_of(s, struct rk_batch, share);
    int r = audit_events_write(&b->events, pg, b->account_id, err);

    if (r < 0)
        return r;
    rk_pg_result_free(rk_steal(b->serial));
    return write_changes(pg, b->account_id, &b->touched, &b->serial, err);
}

struct rk_batch *rk_batch_begin(struct rk_pg *pg, bool (*more)(void *arg), void *arg)
{
    struct rk_batch *b = rk_new(struct rk_batch);

    b->share = (struct rk_pg_share){ .more = batch_more, .close = batch_close };
    audit_events_init(&b->events);
    b->more = more;
    b->arg = arg;
    rk_pg_share(pg, &b->share);
    return b;
}

int rk_batch_end(struct rk_batch *b, struct rk_pg *pg, struct rk_bell *out_bell, struct rk_err *err)
{
    int r = rk_pg_share_end(pg, err);

    if (r == 0 && b->serial) {
        memcpy(out_bell->account_id, b->account_id, sizeof(b->account_id));
        out_bell->serial = serial_in(b->serial);
    }
    rk_pg_result_free(b->serial);
    forget_left(b->left);
    audit_events_done(&b->events);
    free(b->touched.v);
    rk_free(b);
    return r;
}

const char *rk_change_account_id(const struct rk_change *ch)
{
    return ch->account_id;
}

struct rk_pg *rk_change_pg(const struct rk_change *ch)
{
    return ch->pg;
}
