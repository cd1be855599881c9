/* The frame of what a directory does, and the log it leaves. */

#include <stdarg.h>
#include <stdio.h>

#include "libcommon/account/rules/scim_int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/crypto/hash.h"

#define MAX_ARENA ((size_t)64 << 20)
#define MAX_MESSAGE 512
#define NOBODY "sys" /* who did it, in the audit trail */

/* Says now and then that the directory is there, on the way. */
static const struct rk_pg_stmt find_stmt = {
    "scim_find",
    "WITH seen AS (UPDATE scim_integration SET last_synced_at = now() WHERE token_hash = $1 AND "
    "enabled AND coalesce(last_synced_at, '-infinity') < now() - interval '10 s') "
    "SELECT id, account_id, enabled FROM scim_integration WHERE token_hash = $1"
};
static const struct rk_pg_stmt load_stmt = {
    "scim_load", "SELECT enabled, connector_id, group_prefixes, user_group_prefixes FROM "
                 "scim_integration WHERE id = $1 AND account_id = $2"
};
/* What is past the bound goes with each entry, so it is one row at a time. */
static const struct rk_pg_stmt log_stmt = {
    "scim_log_add",
    "WITH old AS (DELETE FROM scim_log WHERE integration_id = $1 AND id <= (SELECT id FROM "
    "scim_log "
    "WHERE integration_id = $1 ORDER BY id DESC OFFSET $4::bigint LIMIT 1)) INSERT INTO scim_log "
    "(integration_id, level, message) SELECT id, $2, $3 FROM scim_integration WHERE id = $1"
};

static const char *const levels[] = {
    [RK_SCIM_INFO] = "info",
    [RK_SCIM_WARN] = "warning",
    [RK_SCIM_ERROR] = "error",
};

int rk_scim_find(struct rk_pg *pg, struct rk_str token, struct rk_scim *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char hash[45];
    int r;

    if (!rk_pat_valid(RK_SCIM_PREFIX, token))
        return rk_fail(err, RK_UNAUTHENTICATED, "token invalid");
    rk_sha256_b64(token, hash);
    r = rk_pg_run(pg, &find_stmt, &res, err, RK_P_C(hash));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_UNAUTHENTICATED, "token invalid");
    if (!rk_pg_bool(res, 0, 2))
        return rk_fail(err, RK_DENIED, "the integration is disabled");
    out->id = rk_pg_int(res, 0, 0);
    (void)rk_str_copy(rk_pg_str(res, 0, 1), out->account_id, sizeof(out->account_id));
    return 0;
}

int rk_scim_log(struct rk_pg *pg,
                int64_t integration_id,
                enum rk_scim_level level,
                const char *message,
                struct rk_err *err)
{
    return rk_pg_run(pg, &log_stmt, NULL, err, RK_P_INT(integration_id), RK_P_C(levels[level]),
                     RK_P_C(message), RK_P_INT(RK_SCIM_LOG_MAX - 1));
}

int rk_scim_note(
    struct rk_scim_change *sc, enum rk_scim_level level, struct rk_err *err, const char *fmt, ...)
{
    char text[MAX_MESSAGE];
    size_t n;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    /* Cut in the middle of a character. */
    for (n = strlen(text); n > 0 && !rk_utf8_valid(rk_strn(text, n)); n--)
        text[n - 1] = '\0';
    return rk_pg_later(rk_change_pg(sc->ch), &log_stmt, NULL, err, RK_P_INT(sc->scim.id),
                       RK_P_C(levels[level]), RK_P_C(text), RK_P_INT(RK_SCIM_LOG_MAX - 1));
}

void rk_scim_abort(struct rk_scim_change *sc)
{
    if (!sc)
        return;
    rk_change_abort(sc->ch);
    rk_pg_result_free(sc->row);
    rk_free(sc->group_prefixes);
    rk_free(sc->user_group_prefixes);
    rk_arena_free(sc->arena);
    rk_free(sc);
}

static struct rk_scim_change *new_change(const struct rk_scim *scim, const char *by)
{
    struct rk_scim_change *sc = rk_new(struct rk_scim_change);

    sc->scim = *scim;
    sc->arena = rk_arena_new(MAX_ARENA);
    sc->actor = (struct rk_actor){ .account_id = sc->scim.account_id,
                                   .user_id = by ? by : NOBODY,
                                   .default_domain = scim->default_domain };
    return sc;
}

int scim_load(struct rk_scim_change *sc, struct rk_err *err)
{
    int r;

    rk_pg_result_free(sc->row);
    sc->row = NULL;
    rk_free(sc->group_prefixes);
    rk_free(sc->user_group_prefixes);
    sc->group_prefixes = sc->user_group_prefixes = NULL;
    r = rk_pg_run(rk_change_pg(sc->ch), &load_stmt, &sc->row, err, RK_P_INT(sc->scim.id),
                  RK_P_C(sc->scim.account_id));

    if (r < 0)
        return r;
    if (rk_pg_rows(sc->row) == 0)
        return rk_fail(err, RK_NOT_FOUND, "scim integration not found");
    sc->connector_id = rk_pg_str(sc->row, 0, 1).p;
    rk_pg_array(sc->row, 0, 2, &sc->group_prefixes, &sc->group_prefixes_n);
    rk_pg_array(sc->row, 0, 3, &sc->user_group_prefixes, &sc->user_group_prefixes_n);
    return 0;
}

int scim_begin(struct rk_pg *pg,
               const struct rk_scim *scim,
               const char *by,
               struct rk_scim_change **out,
               bool *out_enabled,
               struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = new_change(scim, by);
    int r = rk_change_begin(pg, scim->account_id, &sc->ch, err);

    if (r == 0)
        r = scim_load(sc, err);
    if (r < 0)
        return r;
    *out_enabled = rk_pg_bool(sc->row, 0, 0);
    *out = rk_steal(sc);
    return 0;
}

int scim_within(struct rk_change *ch,
                const struct rk_scim *scim,
                const char *by,
                struct rk_scim_change **out,
                struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = new_change(scim, by);
    int r;

    sc->ch = ch;
    r = scim_load(sc, err);
    if (r < 0) {
        sc->ch = NULL;
        return r;
    }
    *out = rk_steal(sc);
    return 0;
}

int rk_scim_begin(struct rk_pg *pg,
                  const struct rk_scim *scim,
                  struct rk_scim_change **out,
                  struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    bool enabled = false;
    int r = scim_begin(pg, scim, NULL, &sc, &enabled, err);

    if (r == RK_NOT_FOUND) /* it has just gone */
        return rk_fail(err, RK_UNAUTHENTICATED, "token invalid");
    if (r < 0)
        return r;
    if (!enabled)
        return rk_fail(err, RK_DENIED, "the integration is disabled");
    *out = rk_steal(sc);
    return 0;
}

int rk_scim_commit(struct rk_scim_change **sc, struct rk_bell *out_bell, struct rk_err *err)
{
    int r = scim_settle(*sc, err);

    if (r == 0)
        r = rk_actor_commit(&(*sc)->ch, &(*sc)->actor, out_bell, err);
    if (r < 0)
        return r;
    rk_scim_abort(*sc);
    *sc = NULL;
    return 0;
}

void scim_dirty(struct rk_scim_change *sc, struct rk_str user_id)
{
    if (sc->dirty_n == sc->dirty_cap) {
        size_t cap = sc->dirty_cap ? 2 * sc->dirty_cap : 64;
        struct rk_str *more = rk_arena_alloc(sc->arena, cap * sizeof(*more));

        if (sc->dirty_n > 0)
            memcpy(more, sc->dirty, sc->dirty_n * sizeof(*more));
        sc->dirty = more;
        sc->dirty_cap = cap;
    }
    sc->dirty[sc->dirty_n++] = rk_str(rk_arena_strn(sc->arena, user_id));
}

void scim_dirty_rows(struct rk_scim_change *sc, const struct rk_pg_result *res)
{
    sc->members_too = true;
    for (int i = 0; i < rk_pg_rows(res); i++)
        scim_dirty(sc, rk_pg_str(res, i, 0));
}
