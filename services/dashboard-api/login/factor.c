/* See factor.h. */

#include "services/dashboard-api/login/factor.h"

#include "libcommon/account/rules/access_end.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/box.h"

static const struct rk_pg_stmt load_stmt = {
    "factor_load", "SELECT EXISTS (SELECT 1 FROM user_factor WHERE user_id = $1), "
                   "(SELECT count(*) FROM passkey WHERE user_id = $1), "
                   "(SELECT count(*) FROM recovery_code WHERE user_id = $1)"
};
static const struct rk_pg_stmt add_stmt = {
    "factor_add", "INSERT INTO user_factor (user_id, sealed_totp, last_step) VALUES ($1, $2, $3)"
};
static const struct rk_pg_stmt add_code = {
    "factor_add_code", "INSERT INTO recovery_code (user_id, digest) VALUES ($1, $2)"
};
static const struct rk_pg_stmt secret_stmt = {
    "factor_secret", "SELECT sealed_totp, last_step FROM user_factor WHERE user_id = $1"
};
/* Of two at once with the same code one moves it. */
static const struct rk_pg_stmt move_stmt = {
    "factor_move", "UPDATE user_factor SET last_step = $2 WHERE user_id = $1 AND last_step < $2"
};
static const struct rk_pg_stmt spend_code = {
    "factor_spend_code", "DELETE FROM recovery_code WHERE user_id = $1 AND digest = $2"
};
static const struct rk_pg_stmt find_stmt = { "factor_user",
                                             "SELECT id FROM users WHERE lower(email) = lower($1) "
                                             "AND password_hash IS NOT NULL" };
static const struct rk_pg_stmt drop_stmt = {
    "factor_drop", "DELETE FROM user_factor WHERE user_id = $1" /* and what hangs on it */
};

int factor_load(struct call *c, const char *user_id, struct factor *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &load_stmt, &res, err, RK_P_C(user_id));

    if (r == 0)
        *out = (struct factor){ .enrolled = rk_pg_bool(res, 0, 0),
                                .passkeys = rk_pg_int(res, 0, 1),
                                .codes_left = rk_pg_int(res, 0, 2) };
    return r;
}

static const char *seal_name(struct call *c, const char *user_id)
{
    return rk_arena_printf(c->arena, "totp/%s", user_id);
}

static int add_codes(struct call *c,
                     const char *user_id,
                     char out_codes[RECOVERY_CODES][RECOVERY_LEN + 1],
                     struct rk_err *err)
{
    for (size_t i = 0; i < RECOVERY_CODES; i++) {
        uint8_t digest[RECOVERY_DIGEST];
        int r;

        recovery_new(out_codes[i]);
        if (!recovery_digest(c->seal, user_id, rk_str(out_codes[i]), digest))
            return rk_fail(err, RK_INTERNAL, "a recovery code of ours is none");
        r = rk_pg_run(c->pg, &add_code, NULL, err, RK_P_C(user_id),
                      RK_P_BYTEA(rk_strn(digest, sizeof(digest))));
        if (r < 0)
            return r;
    }
    return 0;
}

int factor_enrol(struct call *c,
                 const char *user_id,
                 const uint8_t secret[TOTP_SECRET_BYTES],
                 int64_t step,
                 char out_codes[RECOVERY_CODES][RECOVERY_LEN + 1],
                 struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
    int r;

    rk_seal_put(c->seal, seal_name(c, user_id), rk_strn(secret, TOTP_SECRET_BYTES), &sealed);
    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_pg_run(c->pg, &add_stmt, NULL, err, RK_P_C(user_id), RK_P_BYTEA(rk_buf_str(&sealed)),
                      RK_P_INT(step));
    if (r == 0)
        r = add_codes(c, user_id, out_codes, err);
    return r < 0 ? r : rk_pg_commit(&tx, err);
}

int factor_try_totp(
    struct call *c, const char *user_id, const char *code, bool *out_right, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *moved = NULL;
    rk_auto(rk_buf_done) struct rk_buf secret = { .max = 256 };
    int64_t step;
    int r;

    *out_right = false;
    r = rk_pg_run(c->pg, &secret_stmt, &res, err, RK_P_C(user_id));
    if (r < 0 || rk_pg_rows(res) == 0)
        return r;
    r = rk_seal_get(c->seal, seal_name(c, user_id), rk_pg_bytes(res, 0, 0, c->arena), &secret, err);
    if (r < 0)
        return r;
    if (totp_check(secret.p, secret.n, rk_wall_s(), rk_pg_int(res, 0, 1), rk_str(code), &step)) {
        r = rk_pg_run(c->pg, &move_stmt, &moved, err, RK_P_C(user_id), RK_P_INT(step));
        *out_right = r == 0 && rk_pg_affected(moved) == 1;
    }
    rk_wipe(secret.p, secret.n);
    return r;
}

int factor_try_recovery(
    struct call *c, const char *user_id, const char *code, bool *out_right, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    uint8_t digest[RECOVERY_DIGEST];
    int r;

    *out_right = false;
    if (!recovery_digest(c->seal, user_id, rk_str(code), digest))
        return 0;
    r = rk_pg_run(c->pg, &spend_code, &res, err, RK_P_C(user_id),
                  RK_P_BYTEA(rk_strn(digest, sizeof(digest))));
    if (r == 0)
        *out_right = rk_pg_affected(res) == 1;
    return r;
}

int factor_reset(struct rk_pg *pg, const char *email, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *user = NULL;
    int r;

    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_pg_run(pg, &find_stmt, &user, err, RK_P_C(email));
    if (r < 0)
        return r;
    if (rk_pg_rows(user) == 0)
        return rk_fail(err, RK_NOT_FOUND, "no local user has the e-mail address %s", email);
    r = rk_pg_run(pg, &drop_stmt, NULL, err, RK_P_STR(rk_pg_str(user, 0, 0)));
    if (r == 0)
        r = rk_user_sessions_end(pg, rk_pg_str(user, 0, 0).p, err);
    return r < 0 ? r : rk_pg_commit(&tx, err);
}
