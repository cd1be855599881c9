/* See proxy_token.h. */

#include "libcommon/account/rules/proxy_token.h"

#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

#define MAX_NAME 255

static const struct rk_pg_stmt insert_stmt = {
    "proxy_token_insert",
    "INSERT INTO proxy_token (id, account_id, name, hash, created_by, expires_at) VALUES ($1, $2, "
    "$3, $4, $5, now() + make_interval(secs => nullif($6::bigint, 0)))"
};
static const struct rk_pg_stmt revoke_stmt = {
    "proxy_token_revoke",
    "WITH was AS (SELECT id, name, revoked FROM proxy_token WHERE account_id = $1 AND id = $2 FOR "
    "UPDATE), now AS (UPDATE proxy_token t SET revoked = true FROM was WHERE t.id = was.id) SELECT "
    "name, revoked FROM was"
};

int rk_proxy_token_create(struct rk_pg *pg,
                          const struct rk_actor *actor,
                          const char *name,
                          int64_t expires_in_s,
                          char out_id[RK_XID_LEN + 1],
                          char out_plain[RK_PAT_LEN + 1],
                          struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1], hash[45];
    int r;

    if (name[0] == '\0' || strlen(name) > MAX_NAME)
        return rk_fail(err, RK_BAD_REQUEST, "name is required and must be at most 255 characters");
    if (expires_in_s < 0)
        return rk_fail(err, RK_BAD_REQUEST, "expires_in must be non-negative");
    if (expires_in_s > RK_PROXY_TOKEN_MAX_SECONDS)
        return rk_fail(err, RK_BAD_REQUEST, "expires_in must be at most 100 years");
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_PROXY_TOKEN, id, NULL, &ch, err);
    if (r < 0)
        return r;
    rk_pat_new(RK_PROXY_TOKEN_PREFIX, plain);
    rk_sha256_b64(rk_str(plain), hash);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_C(name), RK_P_C(hash), RK_P_C(actor->user_id), RK_P_INT(expires_in_s));
    if (r == 0)
        r = rk_actor_tell(ch, actor, "proxy.token.create", id, err, "name", name, NULL);
    if (r == 0)
        r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    memcpy(out_plain, plain, sizeof(plain));
    rk_wipe(plain, sizeof(plain));
    return 0;
}

int rk_proxy_token_revoke(struct rk_pg *pg,
                          const struct rk_actor *actor,
                          const char *id,
                          struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *was = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_PROXY_TOKEN, id, NULL, &ch, err);
    if (r == 0)
        r = rk_pg_run(pg, &revoke_stmt, &was, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(was) == 0)
        return rk_fail(err, RK_NOT_FOUND, "token not found");
    if (rk_pg_bool(was, 0, 1))
        return 0;
    r = rk_actor_tell(ch, actor, "proxy.token.revoke", id, err, "name", rk_pg_str(was, 0, 0).p,
                      NULL);
    return r < 0 ? r : rk_change_commit(&ch, NULL, err);
}
