/* See factor.h. */

#include "services/dashboard-api/login/factor.h"

#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/store/reseal.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/login/local.h"

static const struct rk_pg_stmt load_stmt = {
    "factor_load", "SELECT EXISTS (SELECT 1 FROM user_factor WHERE user_id = $1), "
                   "(SELECT count(*) FROM passkey WHERE user_id = $1), "
                   "(SELECT count(*) FROM recovery_code WHERE user_id = $1)"
};
static const struct rk_pg_stmt add_stmt = {
    "factor_add", "INSERT INTO user_factor (user_id, sealed_totp, last_step) VALUES ($1, $2, $3) "
                  "ON CONFLICT (user_id) DO NOTHING"
};
static const struct rk_pg_stmt again_stmt = {
    "factor_again", "UPDATE user_factor SET last_step = $2 WHERE user_id = $1 AND last_step <= $2 "
                    "RETURNING sealed_totp"
};
static const struct rk_pg_stmt drop_codes = { "factor_drop_codes",
                                              "DELETE FROM recovery_code WHERE user_id = $1" };
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
        if (!recovery_digest(c->seal->key[0], user_id, rk_str(out_codes[i]), digest))
            return rk_fail(err, RK_INTERNAL, "a recovery code of ours is none");
        r = rk_pg_run(c->pg, &add_code, NULL, err, RK_P_C(user_id),
                      RK_P_BYTEA(rk_strn(digest, sizeof(digest))));
        if (r < 0)
            return r;
    }
    return 0;
}

/* The secret is enrolled, and its owner sends a code for that once more, or a later one: the
 * answer, with the recovery codes, was lost. */
static int enrolled_so(
    struct call *c, const char *user_id, struct rk_str secret, int64_t step, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf have = { .max = 256 };
    bool same = false;
    int r;

    r = rk_pg_run(c->pg, &again_stmt, &res, err, RK_P_C(user_id), RK_P_INT(step));
    if (r == 0 && rk_pg_rows(res) == 1) {
        r = rk_seal_get(c->seal, seal_name(c, user_id), rk_pg_bytes(res, 0, 0, c->arena), &have,
                        err);
        same = r == 0 && rk_const_eq_str(rk_buf_str(&have), secret);
        if (have.p)
            rk_wipe(have.p, have.n);
    }
    if (r < 0)
        return r;
    if (!same)
        return rk_fail(err, RK_EXISTS, "there is another factor already");
    return rk_pg_run(c->pg, &drop_codes, NULL, err, RK_P_C(user_id));
}

int factor_enrol(struct call *c,
                 const char *user_id,
                 const uint8_t secret[TOTP_SECRET_BYTES],
                 int64_t step,
                 char out_codes[RECOVERY_CODES][RECOVERY_LEN + 1],
                 struct rk_err *err)
{
    const struct rk_str plain = rk_strn(secret, TOTP_SECRET_BYTES);
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *made = NULL;
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
    int r;

    rk_seal_put(c->seal, seal_name(c, user_id), plain, &sealed);
    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_pg_run(c->pg, &add_stmt, &made, err, RK_P_C(user_id),
                      RK_P_BYTEA(rk_buf_str(&sealed)), RK_P_INT(step));
    if (r == 0)
        r = rk_pg_affected(made) == 1
                ? local_tell(c->pg, user_id, "user.second.factor.add", false, err)
                : enrolled_so(c, user_id, plain, step, err);
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

/* 1: it is gone now; 0: there is no such code under this key. */
static int spend(struct call *c,
                 const uint8_t key[RK_SEAL_KEY],
                 const char *user_id,
                 const char *code,
                 struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    uint8_t digest[RECOVERY_DIGEST];
    int r;

    if (!recovery_digest(key, user_id, rk_str(code), digest))
        return 0;
    r = rk_pg_run(c->pg, &spend_code, &res, err, RK_P_C(user_id),
                  RK_P_BYTEA(rk_strn(digest, sizeof(digest))));
    return r < 0 ? r : rk_pg_affected(res) > 0;
}

/* Codes of before secret_key was changed have digests of that one. */
static int
spend_under_any(struct call *c, const char *user_id, const char *code, struct rk_err *err)
{
    struct rk_retired_keys retired = { 0 };
    int r = 0;

    for (unsigned i = 0; r == 0 && i < c->seal->n; i++)
        r = spend(c, c->seal->key[i], user_id, code, err);
    if (r == 0)
        r = rk_store_retired_keys(c->pg, c->seal, &retired, err);
    for (unsigned i = 0; r == 0 && i < retired.n; i++)
        r = spend(c, retired.key[i], user_id, code, err);
    rk_wipe(&retired, sizeof(retired));
    return r;
}

int factor_try_recovery(
    struct call *c, const char *user_id, const char *code, bool *out_right, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    int r;

    *out_right = false;
    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = spend_under_any(c, user_id, code, err);
    if (r <= 0)
        return r;
    r = local_tell(c->pg, user_id, "user.recovery.code.use", false, err);
    if (r == 0)
        r = rk_pg_commit(&tx, err);
    *out_right = r == 0;
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
    if (r == 0)
        r = local_tell(pg, rk_pg_str(user, 0, 0).p, "user.second.factor.reset", true, err);
    return r < 0 ? r : rk_pg_commit(&tx, err);
}
