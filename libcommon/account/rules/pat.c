/* See pat.h. */

#include "libcommon/account/rules/pat.h"

#include "libcommon/crypto/hash.h"

static const struct rk_pg_stmt owner_stmt = {
    "pat_owner", "SELECT account_id, is_service_user, name FROM users WHERE id = $1"
};
static const struct rk_pg_stmt insert_stmt = {
    "pat_insert",
    "INSERT INTO pat (id, account_id, user_id, name, hash, created_by, created_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, now(), now() + $7::bigint * interval '24 hours')"
};
static const struct rk_pg_stmt get_stmt = {
    "pat_get", "SELECT name FROM pat WHERE account_id = $1 AND user_id = $2 AND id = $3"
};
static const struct rk_pg_stmt delete_stmt = {
    "pat_delete", "DELETE FROM pat WHERE account_id = $1 AND user_id = $2 AND id = $3"
};

static int load_owner(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *user_id,
                      struct rk_pg_result **out,
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(pg, &owner_stmt, &res, err, RK_P_C(user_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user: %s not found", user_id);
    if (!rk_str_eq(rk_pg_str(res, 0, 0), rk_str(actor->account_id)))
        return rk_fail(err, RK_DENIED, "permission denied");
    if (strcmp(user_id, actor->user_id) != 0 && !(rk_pg_bool(res, 0, 1) && actor->is_admin))
        return rk_fail(err, RK_DENIED, "admin role required to perform this action");
    *out = rk_steal(res);
    return 0;
}

int rk_pat_check_owner(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *user_id,
                       struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *owner = NULL;

    return load_owner(pg, actor, user_id, &owner, err);
}

static int pat_event(struct rk_change *ch,
                     const struct rk_actor *actor,
                     const char *code,
                     const char *user_id,
                     const char *name,
                     const struct rk_pg_result *owner,
                     struct rk_err *err)
{
    return rk_actor_tell(ch, actor, code, user_id, err, "name", name, "is_service_user",
                         rk_pg_bool(owner, 0, 1) ? "true" : "false", "user_name",
                         rk_pg_str(owner, 0, 2).p, NULL);
}

int rk_pat_create(struct rk_pg *pg,
                  const struct rk_actor *actor,
                  const char *user_id,
                  const char *name,
                  int64_t days,
                  char out_id[RK_XID_LEN + 1],
                  char out_plain[RK_PAT_LEN + 1],
                  struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *owner = NULL;
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1], hash[45];
    int r;

    if (name[0] == '\0')
        return rk_fail(err, RK_INVALID, "token name can't be empty");
    if (days < 1 || days > RK_PAT_MAX_DAYS)
        return rk_fail(err, RK_INVALID, "expiration has to be between 1 and 365");
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_TOKEN, id, user_id, &ch, err);
    if (r < 0)
        return r;
    r = load_owner(pg, actor, user_id, &owner, err);
    if (r < 0)
        return r;

    rk_pat_new(RK_PAT_PREFIX, plain);
    rk_sha256_b64(rk_str(plain), hash);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_C(user_id), RK_P_C(name), RK_P_C(hash), RK_P_C(actor->user_id),
                    RK_P_INT(days));
    if (r < 0)
        return r;
    r = pat_event(ch, actor, "personal.access.token.create", user_id, name, owner, err);
    if (r < 0)
        return r;
    r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    memcpy(out_plain, plain, sizeof(plain));
    return 0;
}

int rk_pat_delete(struct rk_pg *pg,
                  const struct rk_actor *actor,
                  const char *user_id,
                  const char *id,
                  struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *owner = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *pat = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_TOKEN, id, user_id, &ch, err);
    if (r < 0)
        return r;
    r = load_owner(pg, actor, user_id, &owner, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &get_stmt, &pat, err, RK_P_C(actor->account_id), RK_P_C(user_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(pat) == 0)
        return rk_fail(err, RK_NOT_FOUND, "pat: %s not found", id);
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(user_id),
                    RK_P_C(id));
    if (r < 0)
        return r;
    r = pat_event(ch, actor, "personal.access.token.delete", user_id, rk_pg_str(pat, 0, 0).p, owner,
                  err);
    if (r < 0)
        return r;
    return rk_change_commit(&ch, NULL, err);
}
