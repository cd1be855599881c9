/*
 * The frame of every change: one transaction that holds the account's row. Objects are named as the
 * change goes and written down at the end, with the one serial they all share.
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
};

struct rk_change {
    struct rk_pg *pg;
    struct rk_pg_tx *tx;
    struct rk_pg_result *lock; /* NULL: not waited for yet */
    char account_id[RK_XID_LEN + 1];
    struct touched *touched;
    size_t n, cap;
    struct audit *audit; /* NULL until something is watched */
};

static const struct rk_pg_stmt lock_account = {
    "change_lock", "SELECT serial FROM account WHERE id = $1 FOR NO KEY UPDATE"
};
static const struct rk_pg_stmt log_change = {
    "change_log",
    "WITH a AS (UPDATE account SET serial = serial + 1 WHERE id = $1 RETURNING serial), "
    "l AS (INSERT INTO account_change (account_id, serial, kind, object_id, trace) "
    "SELECT $1, a.serial, k, o, $4 FROM a, unnest($2::text[], $3::text[]) AS t(k, o) "
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

static int begin_with(struct rk_pg *pg,
                      const struct rk_pg_stmt *lock,
                      const char *account_id,
                      struct rk_change **out,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = rk_new(struct rk_change);
    int r;

    ch->pg = pg;
    if (!rk_str_copy(rk_str(account_id), ch->account_id, sizeof(ch->account_id)))
        return no_account(account_id, err);
    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &ch->tx, err);
    if (r < 0)
        return r;
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
    return rk_pg_rows(ch->lock) > 0 ? 0 : no_account(ch->account_id, err);
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

void rk_change_abort(struct rk_change *ch)
{
    if (!ch)
        return;
    rk_pg_rollback(ch->tx);
    rk_pg_result_free(ch->lock);
    audit_free(ch->audit);
    free(ch->touched);
    free(ch);
}

int rk_change_touch(struct rk_change *ch,
                    enum rk_object_kind kind,
                    const char *object_id,
                    struct rk_err *err)
{
    struct touched *t;

    if (ch->n == ch->cap) {
        ch->cap = ch->cap ? ch->cap * 2 : 8;
        ch->touched = rk_realloc(ch->touched, ch->cap * sizeof(*ch->touched));
    }
    t = &ch->touched[ch->n];
    t->kind = kind;
    if (!rk_str_copy(rk_str(object_id), t->id, sizeof(t->id)))
        return rk_fail(err, RK_INTERNAL, "object id is too long");
    ch->n++;
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
    if (ch->audit && audit_hold(ch->audit, code, initiator_id, target_id, meta))
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

/* Raises the serial and writes account_change, on the way to COMMIT. */
static int write_changes(struct rk_change *ch, struct rk_pg_result **out, struct rk_err *err)
{
    rk_auto(rk_cfree) char *block = rk_alloc(2 * ch->n * sizeof(struct rk_str));
    struct rk_str *kinds = (struct rk_str *)(void *)block, *ids = kinds + ch->n;
    const struct rk_trace *trace = rk_trace_current();
    size_t i;

    for (i = 0; i < ch->n; i++) {
        kinds[i] = rk_str(store_kind_name(ch->touched[i].kind));
        ids[i] = rk_str(ch->touched[i].id);
    }
    return rk_pg_later(ch->pg, &log_change, out, err, RK_P_C(ch->account_id),
                       RK_P_ARRAY(kinds, ch->n), RK_P_ARRAY(ids, ch->n),
                       trace ? RK_P_C(trace->id) : RK_P_NULL);
}

int rk_change_commit(struct rk_change **ch, uint64_t *out_serial, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if ((*ch)->audit) {
        r = audit_write((*ch)->audit, (*ch)->pg, (*ch)->account_id, err);
        if (r < 0)
            return r;
    }
    r = (*ch)->lock ? check_lock(*ch, err) : 0;
    if (r < 0)
        return r;
    if ((*ch)->n > 0) {
        r = write_changes(*ch, &res, err);
    } else {
        r = rk_pg_later((*ch)->pg, &note_change, NULL, err, RK_P_C((*ch)->account_id));
    }
    if (r < 0)
        return r;
    r = rk_pg_commit(&(*ch)->tx, err);
    if (r < 0)
        return r;
    rk_change_abort(*ch);
    *ch = NULL;
    if (out_serial)
        *out_serial = res && rk_pg_rows(res) ? (uint64_t)rk_pg_int(res, 0, 0) : 0;
    return 0;
}

const char *rk_change_account_id(const struct rk_change *ch)
{
    return ch->account_id;
}

struct rk_pg *rk_change_pg(const struct rk_change *ch)
{
    return ch->pg;
}
