/* Deadlines: written, claimed, acted on. The statements compute them, by the database's clock. */

#include "libcommon/account/peer/due.h"

#include <stdlib.h>

#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"

#define ACCOUNTS_MAX 64      /* of one call */
#define ROWS_MAX 500         /* of one transaction */
#define PATIENCE_US 300000   /* an account that is being changed is waited for only then */
#define AGAIN_MS 50          /* between two looks, however much is due */
#define ROUNDS_PER_ACCOUNT 4 /* transactions of one account in one call */

static const char *const names[RK_DUE_KINDS] = { "ephemeral", "login", "inactivity", "job" };

/* Deadlines of peer p of account a with status s; NULL = none. */
#define EPHEMERAL_AT(life)                                                                         \
    "CASE WHEN p.ephemeral AND NOT s.connected AND " life                                          \
    "::bigint > 0 THEN s.last_seen + make_interval(secs => " life "::bigint) END"
#define LOGIN_AT                                                                                   \
    "CASE WHEN p.user_id <> '' AND p.login_expiration_enabled AND NOT p.login_expired AND "        \
    "coalesce((a.settings->>'peer_login_expiration_enabled')::boolean, true) THEN "                \
    "coalesce(p.last_login, '-infinity') + make_interval(secs => "                                 \
    "coalesce((a.settings->>'peer_login_expiration')::bigint, 86400)) END"
/* A login counts, too: who has just signed in again has yet to connect. */
#define INACTIVITY_AT                                                                              \
    "CASE WHEN p.user_id <> '' AND p.inactivity_expiration_enabled AND NOT p.login_expired AND "   \
    "NOT s.connected AND "                                                                         \
    "coalesce((a.settings->>'peer_inactivity_expiration_enabled')::boolean, false) THEN "          \
    "greatest(s.last_seen, p.last_login) + make_interval(secs => "                                 \
    "coalesce((a.settings->>'peer_inactivity_expiration')::bigint, 600)) END"
#define OF_PEERS "JOIN account a ON a.id = p.account_id JOIN peer_status s ON s.peer_id = p.id "
/* In one order, so that two that write rows of the same peers do not wait for each other. */
#define PUT                                                                                        \
    "INSERT INTO due (kind, object_id, account_id, at) "                                           \
    "SELECT kind, id, account_id, greatest(at, clock_timestamp()) FROM want WHERE at IS NOT NULL " \
    "ORDER BY id, kind ON CONFLICT (kind, object_id) DO UPDATE SET at = excluded.at "              \
    "WHERE due.at <> excluded.at"

int rk_due_follow(struct rk_pg *pg,
                  const struct rk_str *peer_ids,
                  size_t n,
                  int64_t ephemeral_s,
                  struct rk_err *err)
{
    static const struct rk_pg_stmt follow = {
        "due_follow",
        "WITH want AS MATERIALIZED (SELECT k.kind, p.id, p.account_id, k.at FROM "
        "unnest($1::text[]) i CROSS JOIN LATERAL (SELECT * FROM peer WHERE id = i "
        "LIMIT 1) p " OF_PEERS "CROSS JOIN LATERAL (VALUES ('ephemeral', " EPHEMERAL_AT(
            "$2") "), ('login', " LOGIN_AT "), ('inactivity', " INACTIVITY_AT
                  ")) k(kind, at) WHERE p.ephemeral OR p.user_id <> '') " PUT
    };

    return rk_pg_later(pg, &follow, NULL, err, RK_P_ARRAY(peer_ids, n), RK_P_INT(ephemeral_s));
}

int rk_due_follow_account(struct rk_change *ch, struct rk_err *err)
{
    static const struct rk_pg_stmt follow = {
        "due_follow_account",
        "WITH want AS MATERIALIZED (SELECT k.kind, p.id, p.account_id, k.at FROM peer p " OF_PEERS
        "CROSS JOIN LATERAL (VALUES ('login', " LOGIN_AT "), ('inactivity', " INACTIVITY_AT
        ")) k(kind, at) WHERE p.account_id = $1 AND p.user_id <> '') " PUT
    };

    return rk_pg_later(rk_change_pg(ch), &follow, NULL, err, RK_P_C(rk_change_account_id(ch)));
}

int rk_due_put(struct rk_change *ch,
               enum rk_due_kind kind,
               const char *object_id,
               int64_t seconds,
               struct rk_err *err)
{
    static const struct rk_pg_stmt put = {
        "due_put", "WITH want AS (SELECT $1 AS kind, $2 AS id, $3 AS account_id, "
                   "clock_timestamp() + make_interval(secs => $4::bigint) AS at) " PUT
    };

    return rk_pg_later(rk_change_pg(ch), &put, NULL, err, RK_P_C(names[kind]), RK_P_C(object_id),
                       RK_P_C(rk_change_account_id(ch)), RK_P_INT(seconds));
}

/* --- acting --- */

/*
 * What is due of one account, with what its peer says now; one that a network is routed through
 * cannot go, and is looked at again later. Status rows that somebody holds are
 * being written (the peer comes or goes): those are for the next look.
 */
static const struct rk_pg_stmt claim = {
    "due_claim",
    "WITH ripe AS MATERIALIZED (SELECT kind, object_id FROM due WHERE account_id = $1 AND at <= "
    "clock_timestamp() AND kind <> 'job' ORDER BY at LIMIT $2::bigint), "
    "held AS MATERIALIZED (SELECT * FROM peer_status WHERE peer_id IN (SELECT object_id FROM ripe) "
    "ORDER BY peer_id FOR UPDATE SKIP LOCKED), "
    "row AS MATERIALIZED (SELECT d.* FROM due d JOIN ripe r ON r.kind = d.kind AND r.object_id = "
    "d.object_id JOIN held h ON h.peer_id = d.object_id WHERE d.at <= clock_timestamp() "
    "FOR UPDATE OF d SKIP LOCKED) "
    "SELECT x.kind, x.object_id, x.late, x.at, coalesce(x.at <= clock_timestamp(), false) "
    "FROM (SELECT d.kind, d.object_id, (extract(epoch FROM clock_timestamp() - d.at) * "
    "1000000)::bigint AS late, CASE WHEN d.kind = 'login' THEN " LOGIN_AT " WHEN d.kind = "
    "'inactivity' THEN " INACTIVITY_AT " WHEN p.ephemeral AND EXISTS (SELECT 1 FROM network_router "
    "n WHERE n.account_id = $1 AND n.peer_id = p.id) THEN clock_timestamp() + make_interval(secs "
    "=> $3::bigint) ELSE " EPHEMERAL_AT(
        "$3") " END AS at FROM row d JOIN peer p ON p.id = d.object_id JOIN account a ON a.id = "
              "p.account_id "
              "JOIN held s ON s.peer_id = p.id) x ORDER BY x.object_id"
};
enum {
    KIND,
    OBJECT,
    LATE,
    AT,
    RIPE,
};

/* A list that one statement takes. */
struct ids {
    struct rk_str *v;
    size_t n;
};

static void ids_add(struct ids *x, struct rk_str id, size_t cap)
{
    if (!x->v)
        x->v = rk_new_array(struct rk_str, cap);
    x->v[x->n++] = id;
}

struct acting {
    struct rk_pg *pg;
    const struct rk_due_params *params;
    struct rk_change *ch;
    struct rk_pg_result *rows, *jobs;
    struct ids gone, expired;          /* peers */
    struct ids done_kind, done_object; /* rows that go */
    struct ids move_kind, move_object, move_at;
    uint64_t claimed_ns;
};

static void acting_done(struct acting *x)
{
    struct ids *lists[] = { &x->gone,      &x->expired,     &x->done_kind, &x->done_object,
                            &x->move_kind, &x->move_object, &x->move_at };

    rk_change_abort(x->ch);
    rk_pg_result_free(x->rows);
    rk_pg_result_free(x->jobs);
    for (size_t i = 0; i < RK_COUNT(lists); i++)
        free(lists[i]->v);
}
RK_DEFINE_AUTO_DONE(struct acting, acting_done)

static enum rk_due_kind kind_of(struct rk_str name)
{
    for (int i = 0; i < RK_DUE_KINDS; i++) {
        if (rk_str_eq(name, rk_str(names[i])))
            return (enum rk_due_kind)i;
    }
    return RK_DUE_KINDS;
}

/* A peer flagged for one reason is not flagged for the other too. */
static void sort_rows(struct acting *x)
{
    size_t cap = (size_t)rk_pg_rows(x->rows) + 1;

    for (int i = 0; i < rk_pg_rows(x->rows); i++) {
        struct rk_str kind = rk_pg_str(x->rows, i, KIND), id = rk_pg_str(x->rows, i, OBJECT);
        bool gone = kind_of(kind) == RK_DUE_EPHEMERAL;

        if (rk_pg_null(x->rows, i, AT)) { /* no deadline any more */
            ids_add(&x->done_kind, kind, cap);
            ids_add(&x->done_object, id, cap);
        } else if (!rk_pg_bool(x->rows, i, RIPE)) {
            ids_add(&x->move_kind, kind, cap);
            ids_add(&x->move_object, id, cap);
            ids_add(&x->move_at, rk_pg_str(x->rows, i, AT), cap);
        } else if (gone) {
            ids_add(&x->gone, id, cap);
        } else if (x->expired.n == 0 || !rk_str_eq(x->expired.v[x->expired.n - 1], id)) {
            ids_add(&x->expired, id, cap);
        }
    }
}

static int settle_rows(struct acting *x, struct rk_err *err)
{
    static const struct rk_pg_stmt drop = {
        "due_drop", "DELETE FROM due d USING unnest($1::text[], $2::text[]) AS x(kind, id) WHERE "
                    "d.kind = x.kind AND d.object_id = x.id"
    };
    static const struct rk_pg_stmt move = {
        "due_move", "UPDATE due d SET at = x.at::timestamptz FROM unnest($1::text[], $2::text[], "
                    "$3::text[]) AS x(kind, id, at) WHERE d.kind = x.kind AND d.object_id = x.id"
    };
    /* Of peers that were deleted otherwise. */
    static const struct rk_pg_stmt stale = {
        "due_stale", "DELETE FROM due d WHERE d.account_id = $1 AND d.at <= clock_timestamp() AND "
                     "d.kind <> 'job' AND NOT EXISTS (SELECT 1 FROM peer p WHERE p.id = "
                     "d.object_id)"
    };
    int r = rk_pg_later(x->pg, &stale, NULL, err, RK_P_C(rk_change_account_id(x->ch)));

    if (r == 0 && x->done_kind.n > 0)
        r = rk_pg_later(x->pg, &drop, NULL, err, RK_P_ARRAY(x->done_kind.v, x->done_kind.n),
                        RK_P_ARRAY(x->done_object.v, x->done_object.n));
    if (r == 0 && x->move_kind.n > 0)
        r = rk_pg_later(x->pg, &move, NULL, err, RK_P_ARRAY(x->move_kind.v, x->move_kind.n),
                        RK_P_ARRAY(x->move_object.v, x->move_object.n),
                        RK_P_ARRAY(x->move_at.v, x->move_at.n));
    return r;
}

/* Flags peers, which ends their streams and moves them to the offline peers of others. */
static int expire(struct rk_change *ch,
                  const struct rk_str *ids,
                  size_t n,
                  const char *default_domain,
                  const char *reason,
                  struct rk_err *err)
{
    static const struct rk_pg_stmt flag = {
        "due_flag", "UPDATE peer SET login_expired = true WHERE account_id = $1 AND id = "
                    "ANY($2::text[]) AND NOT login_expired RETURNING id"
    };
    static const struct rk_pg_stmt status = {
        "due_flag_status", "UPDATE peer_status SET connected = false WHERE peer_id IN (SELECT "
                           "peer_id FROM peer_status WHERE peer_id = ANY($1::text[]) ORDER BY "
                           "peer_id FOR UPDATE)"
    };
    static const struct rk_pg_stmt drop = {
        "due_flag_drop", "DELETE FROM due WHERE account_id = $1 AND object_id = ANY($2::text[]) "
                         "AND kind IN ('login', 'inactivity')"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *facts = NULL;
    struct rk_pg *pg = rk_change_pg(ch);
    const char *account = rk_change_account_id(ch);
    int r;

    r = peer_facts_load(ch, ids, n, default_domain, &facts, err);
    if (r == 0)
        r = rk_pg_later(pg, &status, NULL, err, RK_P_ARRAY(ids, n));
    if (r == 0)
        r = rk_pg_later(pg, &flag, NULL, err, RK_P_C(account), RK_P_ARRAY(ids, n));
    if (r == 0)
        r = rk_pg_later(pg, &drop, NULL, err, RK_P_C(account), RK_P_ARRAY(ids, n));
    for (int i = 0; r == 0 && i < rk_pg_rows(facts); i++) {
        rk_auto(rk_buf_done) struct rk_buf meta;
        struct peer_facts f;

        rk_buf_init(&meta, 64 * 1024);
        peer_facts_read(facts, i, &f);
        peer_facts_json(&f, "reason", rk_str(reason), &meta);
        r = rk_change_touch(ch, RK_OBJ_PEER, f.id.p, err);
        if (r == 0)
            r = rk_change_event(ch, "peer.login.expire", f.user_id.n ? f.user_id.p : "sys", f.id.p,
                                rk_buf_str(&meta), err);
    }
    return r;
}

/* Jobs that are still open fail; of those that were answered only the row is left. */
static int fail_jobs(struct acting *x, struct rk_err *err)
{
    static const struct rk_pg_stmt fail = {
        "due_fail_jobs",
        "WITH row AS (SELECT kind, object_id, at FROM due WHERE account_id = $1 AND kind = 'job' "
        "AND at <= clock_timestamp() ORDER BY at LIMIT $2::bigint FOR UPDATE SKIP LOCKED), "
        "gone AS (DELETE FROM due d USING row WHERE d.kind = row.kind AND d.object_id = "
        "row.object_id), "
        "late AS (UPDATE peer_job j SET status = 'failed', failed_reason = 'Time out', "
        "completed_at = clock_timestamp() FROM row WHERE j.id = row.object_id AND j.status = "
        "'pending' RETURNING j.id) "
        "SELECT row.kind, row.object_id, (extract(epoch FROM clock_timestamp() - row.at) * "
        "1000000)::bigint FROM late JOIN row ON row.object_id = late.id"
    };

    return rk_pg_run(x->pg, &fail, &x->jobs, err, RK_P_C(rk_change_account_id(x->ch)),
                     RK_P_INT(ROWS_MAX));
}

static void tell_late(const struct acting *x, const struct rk_pg_result *rows, bool all)
{
    const struct rk_due_params *p = x->params;
    int64_t since_us = (int64_t)((rk_mono_ns() - x->claimed_ns) / 1000);

    for (int i = 0; i < rk_pg_rows(rows); i++) {
        if (all || rk_pg_bool(rows, i, RIPE))
            p->on_acted(p->arg, kind_of(rk_pg_str(rows, i, KIND)),
                        rk_pg_int(rows, i, LATE) + since_us);
    }
}

/* One transaction of one account. *out_n = how many rows it found. */
static int act_once(struct rk_pg *pg,
                    const char *account_id,
                    bool patient,
                    const struct rk_due_params *params,
                    struct rk_bell *out_bell,
                    int *out_n,
                    struct rk_err *err)
{
    rk_auto(acting_done) struct acting x = { .pg = pg, .params = params };
    uint64_t serial = 0;
    int n, r;

    r = patient ? rk_change_begin(pg, account_id, &x.ch, err)
                : rk_change_begin_idle(pg, account_id, &x.ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &claim, &x.rows, err, RK_P_C(account_id), RK_P_INT(ROWS_MAX),
                  RK_P_INT(params->ephemeral_s));
    if (r == 0)
        r = fail_jobs(&x, err);
    if (r < 0)
        return r;
    x.claimed_ns = rk_mono_ns();
    n = rk_pg_rows(x.rows) + rk_pg_rows(x.jobs);
    sort_rows(&x);
    if (x.gone.n > 0)
        r = peer_delete_all(x.ch, x.gone.v, x.gone.n, "sys", params->default_domain, err);
    if (r == 0 && x.expired.n > 0)
        r = expire(x.ch, x.expired.v, x.expired.n, params->default_domain, "login expired", err);
    if (r == 0)
        r = settle_rows(&x, err);
    if (r == 0)
        r = rk_change_commit(&x.ch, &serial, err);
    if (r < 0)
        return r;
    tell_late(&x, x.rows, false);
    tell_late(&x, x.jobs, true);
    rk_str_copy(rk_str(account_id), out_bell->account_id, sizeof(out_bell->account_id));
    if (serial > 0)
        out_bell->serial = serial;
    *out_n = n;
    return 0;
}

/* Until there is no more, a few times at most. */
static int act_account(struct rk_pg *pg,
                       const char *account_id,
                       bool patient,
                       const struct rk_due_params *params,
                       struct rk_bell *out_bell,
                       struct rk_err *err)
{
    int n = ROWS_MAX, r = 0;

    for (int i = 0; i < ROUNDS_PER_ACCOUNT && r == 0 && n >= ROWS_MAX; i++)
        r = act_once(pg, account_id, patient, params, out_bell, &n, err);
    return r;
}

static int look_ahead(struct rk_pg *pg, struct rk_due_report *out, struct rk_err *err)
{
    static const struct rk_pg_stmt next = {
        "due_next", "SELECT ceil(extract(epoch FROM min(at) - clock_timestamp()) * 1000)::bigint "
                    "FROM due"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run0(pg, &next, &res, err);

    if (r < 0)
        return r;
    out->next_ms = rk_pg_null(res, 0, 0) ? -1 : rk_pg_int(res, 0, 0);
    if (!rk_pg_null(res, 0, 0) && out->next_ms < AGAIN_MS)
        out->next_ms = AGAIN_MS;
    return 0;
}

int rk_due_act(struct rk_pg *pg,
               const struct rk_due_params *params,
               struct rk_due_report *out,
               struct rk_err *err)
{
    static const struct rk_pg_stmt ripe = {
        "due_ripe", "SELECT account_id, (extract(epoch FROM clock_timestamp() - min(at)) * "
                    "1000000)::bigint FROM due WHERE at <= clock_timestamp() GROUP BY account_id "
                    "ORDER BY min(at) LIMIT $1::bigint"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r, n;

    *out = (struct rk_due_report){ .next_ms = 0 };
    r = rk_pg_run(pg, &ripe, &res, err, RK_P_INT(ACCOUNTS_MAX));
    if (r < 0)
        return r;
    n = rk_pg_rows(res);
    out->bells = n ? rk_new_array(struct rk_bell, (size_t)n) : NULL;
    for (int i = 0; i < n; i++) {
        struct rk_bell bell = { .serial = 0 };

        r = act_account(pg, rk_pg_str(res, i, 0).p, rk_pg_int(res, i, 1) > PATIENCE_US, params,
                        &bell, err);
        if (bell.serial > 0)
            out->bells[out->bells_n++] = bell;
        /* Busy, or gone, and its rows with it. */
        if (r < 0 && r != RK_NOT_FOUND && r != RK_CONFLICT)
            return r;
    }
    return look_ahead(pg, out, err);
}

int rk_peer_expire_users(struct rk_change *ch,
                         const struct rk_str *user_ids,
                         size_t user_ids_n,
                         const char *default_domain,
                         const char *reason,
                         struct rk_err *err)
{
    static const struct rk_pg_stmt theirs = {
        "due_user_peers", "SELECT array(SELECT id FROM peer WHERE account_id = $1 AND user_id "
                          "IN (SELECT unnest($2::text[])) AND NOT login_expired ORDER BY id)"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n = 0;
    int r = rk_pg_run(rk_change_pg(ch), &theirs, &res, err, RK_P_C(rk_change_account_id(ch)),
                      RK_P_ARRAY(user_ids, user_ids_n));

    if (r < 0)
        return r;
    rk_pg_array(res, 0, 0, &ids, &n);
    return n > 0 ? expire(ch, ids, n, default_domain, reason, err) : 0;
}

int rk_peer_expire_user(struct rk_change *ch,
                        const char *user_id,
                        const char *default_domain,
                        const char *reason,
                        struct rk_err *err)
{
    const struct rk_str one = rk_str(user_id);

    return rk_peer_expire_users(ch, &one, 1, default_domain, reason, err);
}
