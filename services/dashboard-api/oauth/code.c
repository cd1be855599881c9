/* See code.h. */

#include "services/dashboard-api/oauth/code.h"

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/oauth/authorize_request.h"
#include "services/dashboard-api/oauth/scope.h"
#include "services/dashboard-api/oauth/secret.h"

static const struct rk_pg_stmt add_code = {
    "oauth_code_add",
    "INSERT INTO oauth_code (id, client_id, redirect_uri, scope, nonce, code_challenge, session, "
    "user_id, connector_id, identity, auth_time, good_until, expires_at) VALUES ($1, $2, $3, $4, "
    "$5, $6, $7, $8, $9, $10::jsonb, to_timestamp($11::bigint), "
    "now() + $12::bigint * interval '1 second', now() + interval '2 hours')"
};
static const struct rk_pg_stmt lock_code = {
    "oauth_code_lock",
    "SELECT client_id, redirect_uri, scope, nonce, code_challenge, identity::text, "
    "extract(epoch FROM auth_time)::bigint, good_until > now(), used_at IS NOT NULL, "
    "EXISTS (SELECT 1 FROM oauth_session s WHERE s.id = oauth_code.session), session "
    "FROM oauth_code WHERE id = $1 FOR UPDATE"
};
static const struct rk_pg_stmt use_code = { "oauth_code_use",
                                            "UPDATE oauth_code SET used_at = now() WHERE id = $1" };
static const struct rk_pg_stmt set_grant = { "oauth_code_grant",
                                             "UPDATE oauth_code SET grant_id = $2 WHERE id = $1" };
static const struct rk_pg_stmt revoke = {
    "oauth_code_revoke",
    "DELETE FROM oauth_grant WHERE id = (SELECT grant_id FROM oauth_code WHERE id = $1)"
};

int code_issue(struct call *c,
               const struct code_request *q,
               const struct session *s,
               const char **out_code,
               struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf json = { .max = CALL_MAX_OUT };
    struct rk_str hash;
    const char *code = secret_new(c->arena, &hash);
    int r;

    identity_write(&s->who, &json);
    r = rk_pg_run(c->pg, &add_code, NULL, err, RK_P_BYTEA(hash), RK_P_C(q->client_id),
                  RK_P_C(q->redirect_uri), RK_P_C(q->scope), RK_P_C(q->nonce),
                  RK_P_C(q->code_challenge), RK_P_BYTEA(s->hash), RK_P_C(s->who.user_id),
                  RK_P_C(s->who.connector_id), RK_P_STR(rk_buf_str(&json)),
                  RK_P_INT(s->auth_time_s), RK_P_INT(CODE_S));
    if (r == 0)
        *out_code = code;
    return r;
}

bool code_verifier_good(const char *verifier, const char *challenge)
{
    char have[RK_B64URL_LEN(32) + 1];
    size_t n = strlen(verifier);
    uint8_t hash[32];

    if (n < 43 || n > 128 || strlen(challenge) != CHALLENGE_LEN)
        return false;
    for (size_t i = 0; i < n; i++) {
        char ch = verifier[i];

        if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') ||
              ch == '-' || ch == '.' || ch == '_' || ch == '~'))
            return false;
    }
    rk_sha256(verifier, n, hash);
    rk_b64url_encode(hash, sizeof(hash), have);
    return rk_const_eq(have, challenge, CHALLENGE_LEN);
}

static int refuse(struct refusal *out, const char *why)
{
    *out = (struct refusal){ "invalid_grant", why };
    return 0;
}

int code_redeem(struct call *c,
                const char *code,
                const char *client_id,
                const char *redirect_uri,
                const char *verifier,
                struct code *out,
                struct refusal *out_why,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct code got = { .id = secret_hash(c->arena, code) };
    int r;

    r = rk_pg_run(c->pg, &lock_code, &res, err, RK_P_BYTEA(got.id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0 || !rk_str_eq(rk_pg_str(res, 0, 0), rk_str(client_id)))
        return refuse(out_why, "the code is not known");
    if (rk_pg_bool(res, 0, 8)) {
        (void)refuse(out_why, "the code was used before");
        return rk_pg_run(c->pg, &revoke, NULL, err, RK_P_BYTEA(got.id));
    }
    if (!rk_pg_bool(res, 0, 7))
        return refuse(out_why, "the code has expired");
    if (!rk_pg_bool(res, 0, 9))
        return refuse(out_why, "the session of the code has ended");
    if (!rk_str_eq(rk_pg_str(res, 0, 1), rk_str(redirect_uri)))
        return refuse(out_why, "redirect_uri is not the one of the code");
    /* From here on it is spent: who guesses at a verifier has one guess. */
    r = rk_pg_run(c->pg, &use_code, NULL, err, RK_P_BYTEA(got.id));
    if (r < 0)
        return r;
    if (!code_verifier_good(verifier, rk_pg_str(res, 0, 4).p))
        return refuse(out_why, "code_verifier does not match");
    r = identity_read(rk_pg_str(res, 0, 5), c->arena, &got.who, err);
    if (r < 0)
        return r;
    (void)scope_parse(rk_pg_str(res, 0, 2), &got.scope);
    got.nonce = rk_arena_strn(c->arena, rk_pg_str(res, 0, 3));
    got.auth_time_s = rk_pg_int(res, 0, 6);
    got.session = rk_pg_bytes(res, 0, 10, c->arena);
    *out = got;
    return 0;
}

int code_redeemed_for(struct call *c,
                      const struct code *code,
                      struct rk_str grant_id,
                      struct rk_err *err)
{
    return rk_pg_run(c->pg, &set_grant, NULL, err, RK_P_BYTEA(code->id), RK_P_BYTEA(grant_id));
}
