/* See guess.h. */

#include "services/dashboard-api/login/guess.h"

#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"

static const struct rk_pg_stmt try_pause = {
    "guess_try_pause",
    "INSERT INTO password_guess AS g (name, tries, free_at, expires_at) "
    "VALUES ($1, 1, now(), now() + interval '1 day') "
    "ON CONFLICT (name) DO UPDATE SET "
    "tries = CASE WHEN g.expires_at <= now() THEN 1 ELSE least(g.tries + 1, 40) END, "
    "free_at = CASE WHEN g.expires_at <= now() OR g.tries + 1 < 5 THEN now() "
    "ELSE now() + least(power(2, g.tries + 1 - 5), 900) * interval '1 second' END, "
    "expires_at = now() + interval '1 day' "
    "WHERE g.free_at <= now() RETURNING tries"
};
static const struct rk_pg_stmt may_pause = {
    "guess_may_pause",
    "SELECT NOT EXISTS (SELECT 1 FROM password_guess WHERE name = $1 AND free_at > now())"
};
static const struct rk_pg_stmt right_pause = { "guess_right_pause",
                                               "DELETE FROM password_guess WHERE name = $1" };
/* $2: how many in $3 seconds from the first. */
static const struct rk_pg_stmt try_window = {
    "guess_try_window", "INSERT INTO password_guess AS g (name, tries, free_at, expires_at) "
                        "VALUES ($1, 1, now(), now() + $3::bigint * interval '1 second') "
                        "ON CONFLICT (name) DO UPDATE SET "
                        "tries = CASE WHEN g.expires_at <= now() THEN 1 ELSE g.tries + 1 END, "
                        "expires_at = CASE WHEN g.expires_at <= now() "
                        "THEN now() + $3::bigint * interval '1 second' ELSE g.expires_at END "
                        "WHERE g.expires_at <= now() OR g.tries < $2::bigint RETURNING tries"
};
static const struct rk_pg_stmt may_window = {
    "guess_may_window", "SELECT NOT EXISTS (SELECT 1 FROM password_guess WHERE name = $1 "
                        "AND expires_at > now() AND tries >= $2::bigint)"
};
static const struct rk_pg_stmt right_window = {
    "guess_right_window",
    "UPDATE password_guess SET tries = tries - 1 WHERE name = $1 AND tries > 0"
};
static const struct {
    const char *prefix;
    int64_t max, window_s; /* 0 = a pause that doubles */
} rules[] = {
    [GUESS_PASSWORD] = { "password", 0, 0 },       [GUESS_FAMILIAR] = { "familiar", 0, 0 },
    [GUESS_FAMILIAR_FIRST] = { "first", 10, 900 }, [GUESS_SOURCE] = { "source", 30, 600 },
    [GUESS_FACTOR] = { "factor", 10, 900 },
};

/* What somebody typed may be a password in the wrong field: only its digest is kept. */
static const char *name_of(struct call *c, enum guess_at at, const char *who)
{
    uint8_t digest[32];
    char hex[2 * sizeof(digest) + 1];

    rk_sha256(who, strlen(who), digest);
    rk_hex_encode(digest, sizeof(digest), hex);
    return rk_arena_printf(c->arena, "%s %s", rules[at].prefix, hex);
}

int guess_try(
    struct call *c, enum guess_at at, const char *who, bool *out_allowed, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *name = name_of(c, at, who);
    int r;

    if (rules[at].window_s == 0)
        r = rk_pg_run(c->pg, &try_pause, &res, err, RK_P_C(name));
    else
        r = rk_pg_run(c->pg, &try_window, &res, err, RK_P_C(name), RK_P_INT(rules[at].max),
                      RK_P_INT(rules[at].window_s));
    if (r == 0)
        *out_allowed = rk_pg_rows(res) == 1;
    return r;
}

int guess_may(
    struct call *c, enum guess_at at, const char *who, bool *out_allowed, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *name = name_of(c, at, who);
    int r;

    if (rules[at].window_s == 0)
        r = rk_pg_run(c->pg, &may_pause, &res, err, RK_P_C(name));
    else
        r = rk_pg_run(c->pg, &may_window, &res, err, RK_P_C(name), RK_P_INT(rules[at].max));
    if (r == 0)
        *out_allowed = rk_pg_bool(res, 0, 0);
    return r;
}

int guess_right(struct call *c, enum guess_at at, const char *who, struct rk_err *err)
{
    return rk_pg_run(c->pg, rules[at].window_s == 0 ? &right_pause : &right_window, NULL, err,
                     RK_P_C(name_of(c, at, who)));
}
