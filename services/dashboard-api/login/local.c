/* See local.h. */

#include "services/dashboard-api/login/local.h"

#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/rules/password.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/password.h"
#include "services/dashboard-api/login/guess.h"

#define COLUMNS                                                                                    \
    "u.id, u.account_id, u.email, u.name, "                                                        \
    "coalesce((a.settings->>'local_mfa_enabled')::boolean, false)"
#define FROM "FROM users u JOIN account a ON a.id = u.account_id WHERE u.password_hash IS NOT NULL"

/* $1 in lower case as Postgres has it, so that its index is of use and everybody means the same. */
static const struct rk_pg_stmt by_email = { "local_by_email",
                                            "SELECT " COLUMNS ", u.password_hash " FROM
                                            " AND lower(u.email) = lower($1)" };
static const struct rk_pg_stmt by_id = { "local_by_id",
                                         "SELECT " COLUMNS " " FROM " AND u.id = $1" };
static const struct rk_pg_stmt lower_stmt = { "local_lower", "SELECT lower($1)" };
static const struct rk_pg_stmt set_hash = {
    "local_rehash", "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2"
};
static const struct rk_pg_stmt replace_hash = {
    "local_set_password", "UPDATE users SET password_hash = $2 WHERE lower(email) = lower($1) "
                          "AND password_hash IS NOT NULL RETURNING id"
};
static const struct rk_pg_stmt any_connector = { "local_any_connector",
                                                 "SELECT EXISTS (SELECT 1 FROM connector)" };
static const struct rk_pg_stmt end_local = {
    "local_end", "WITH s AS (DELETE FROM oauth_session WHERE connector_id = 'local'),"
                 " g AS (DELETE FROM oauth_grant WHERE connector_id = 'local'),"
                 " c AS (DELETE FROM oauth_code WHERE connector_id = 'local')"
                 " DELETE FROM oauth_device WHERE connector_id = 'local'"
};
static const struct rk_pg_stmt tell_stmt = {
    "local_tell", "INSERT INTO event (account_id, code, initiator_id, target_id) SELECT "
                  "account_id, $2, CASE WHEN $3 THEN '" LOCAL_OPERATOR "' ELSE id END, id "
                  "FROM users WHERE id = $1"
};
enum {
    ID,
    ACCOUNT,
    EMAIL,
    NAME,
    NEEDS_FACTOR,
    HASH
};

static void take(struct call *c, const struct rk_pg_result *res, struct local_user *out)
{
    *out = (struct local_user){
        .id = rk_arena_strn(c->arena, rk_pg_str(res, 0, ID)),
        .account_id = rk_arena_strn(c->arena, rk_pg_str(res, 0, ACCOUNT)),
        .email = rk_arena_strn(c->arena, rk_pg_str(res, 0, EMAIL)),
        .name = rk_arena_strn(c->arena, rk_pg_str(res, 0, NAME)),
        .needs_factor = rk_pg_bool(res, 0, NEEDS_FACTOR),
    };
}

/* The name under which guesses are counted. */
static int guessed(struct call *c, const char *email, const char **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &lower_stmt, &res, err, RK_P_C(email));

    if (r == 0)
        *out = rk_arena_strn(c->arena, rk_pg_str(res, 0, 0));
    return r;
}

int local_may_try(
    struct call *c, const char *email, bool familiar, bool *out_allowed, struct rk_err *err)
{
    const char *who;
    bool source = true, account;
    int r;

    r = guessed(c, email, &who, err);
    if (r == 0 && !familiar)
        r = guess_may(c, GUESS_SOURCE, call_source(c), &source, err);
    if (r == 0)
        r = guess_may(c, familiar ? GUESS_FAMILIAR : GUESS_PASSWORD, who, &account, err);
    if (r == 0)
        *out_allowed = source && account;
    return r;
}

static int count_try(struct call *c, const char *who, bool familiar, struct rk_err *err)
{
    bool allowed = true;
    int r = 0;

    if (!familiar)
        r = guess_try(c, GUESS_SOURCE, call_source(c), &allowed, err);
    if (r == 0 && allowed)
        r = guess_try(c, familiar ? GUESS_FAMILIAR : GUESS_PASSWORD, who, &allowed, err);
    if (r < 0)
        return r;
    return allowed ? 0 : rk_fail(err, RK_UNAUTHENTICATED, "too many guesses");
}

static int take_back(struct call *c, const char *who, bool familiar, struct rk_err *err)
{
    int r = guess_right(c, familiar ? GUESS_FAMILIAR : GUESS_PASSWORD, who, err);

    return r < 0 || familiar ? r : guess_right(c, GUESS_SOURCE, call_source(c), err);
}

/* It was made by another server, or by us when we were weaker. */
static int
renew(struct call *c, const char *id, const char *old, const char *password, struct rk_err *err)
{
    char hash[RK_PASSWORD_LEN];

    if (!rk_password_outdated(old))
        return 0;
    rk_password_hash(rk_str(password), hash);
    return rk_pg_run(c->pg, &set_hash, NULL, err, RK_P_C(id), RK_P_C(old), RK_P_C(hash));
}

int local_check(struct call *c,
                const char *email,
                const char *password,
                bool familiar,
                struct local_user *out,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *who;
    bool right;
    int r;

    if (strlen(email) > LOCAL_EMAIL_MAX || strlen(password) > RK_PASSWORD_MAX)
        return rk_fail(err, RK_UNAUTHENTICATED, "longer than any");
    r = guessed(c, email, &who, err);
    if (r == 0)
        r = count_try(c, who, familiar, err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &by_email, &res, err, RK_P_C(email));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0) {
        rk_password_verify_nobody(rk_str(password));
        return rk_fail(err, RK_UNAUTHENTICATED, "no such user");
    }
    right = rk_password_verify(rk_str(password), rk_pg_str(res, 0, HASH).p);
    if (!right)
        return rk_fail(err, RK_UNAUTHENTICATED, "wrong password");
    r = take_back(c, who, familiar, err);
    if (r == 0)
        r = renew(c, rk_pg_str(res, 0, ID).p, rk_pg_str(res, 0, HASH).p, password, err);
    if (r < 0)
        return r;
    take(c, res, out);
    out->password_hash = rk_arena_strn(c->arena, rk_pg_str(res, 0, HASH));
    return 0;
}

int local_find(struct call *c, const char *id, struct local_user *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &by_id, &res, err, RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "no such local user");
    take(c, res, out);
    return 0;
}

int local_tell(
    struct rk_pg *pg, const char *id, const char *code, bool by_operator, struct rk_err *err)
{
    return rk_pg_run(pg, &tell_stmt, NULL, err, RK_P_C(id), RK_P_C(code), RK_P_BOOL(by_operator));
}

int local_set_password(struct rk_pg *pg,
                       const char *email,
                       const char *password,
                       struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *user = NULL;
    char hash[RK_PASSWORD_LEN];
    int r;

    r = rk_password_rules(password, err);
    if (r < 0)
        return r;
    rk_password_hash(rk_str(password), hash);
    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_pg_run(pg, &replace_hash, &user, err, RK_P_C(email), RK_P_C(hash));
    if (r < 0)
        return r;
    if (rk_pg_rows(user) == 0)
        return rk_fail(err, RK_NOT_FOUND, "no local user has the e-mail address %s", email);
    r = rk_user_sessions_end(pg, rk_pg_str(user, 0, 0).p, err);
    if (r == 0)
        r = local_tell(pg, rk_pg_str(user, 0, 0).p, "user.password.reset", true, err);
    return r < 0 ? r : rk_pg_commit(&tx, err);
}

int local_shut(struct rk_pg *pg, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run0(pg, &any_connector, &res, err);

    if (r < 0)
        return r;
    if (!rk_pg_bool(res, 0, 0))
        return rk_fail(err, RK_PRECONDITION,
                       "local_auth_disabled needs an identity provider: enter one first");
    return rk_pg_run0(pg, &end_local, NULL, err);
}
