/* See session.h. */

#include "services/dashboard-api/oauth/session.h"

#include "libcommon/account/rules/subject.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/secret.h"
#include "services/dashboard-api/page/cookie.h"

/* A use is written down once a minute at most. */
static const struct rk_pg_stmt find_session = {
    "oauth_session_find",
    "SELECT s.identity::text, s.second_factor, extract(epoch FROM s.auth_time)::bigint, "
    "s.used_at < now() - interval '1 minute', "
    "s.connector_id = 'local' AND NOT s.second_factor AND EXISTS (SELECT 1 FROM users u JOIN "
    "account a ON a.id = u.account_id WHERE u.id = s.user_id AND "
    "(a.settings->>'local_mfa_enabled')::boolean), s.remember "
    "FROM oauth_session s WHERE s.id = $1 AND s.expires_at > now() AND "
    "s.used_at > now() - $2::bigint * interval '1 second' AND "
    "CASE WHEN s.connector_id = 'local' "
    "THEN EXISTS (SELECT 1 FROM users u WHERE u.id = s.user_id) "
    "ELSE EXISTS (SELECT 1 FROM connector k WHERE k.id = s.connector_id) END"
};
static const struct rk_pg_stmt touch_session = {
    "oauth_session_touch",
    "UPDATE oauth_session SET used_at = now() WHERE id = $1 AND used_at < now()"
};
static const struct rk_pg_stmt add_session = {
    "oauth_session_add",
    "INSERT INTO oauth_session (id, user_id, connector_id, identity, second_factor, remember, "
    "auth_time, used_at, expires_at) VALUES ($1, $2, $3, $4::jsonb, $5, $6, now(), now(), "
    "now() + $7::bigint * interval '1 second') RETURNING extract(epoch FROM auth_time)::bigint"
};
/* The same browser goes on, with another session. */
static const struct rk_pg_stmt hand_on = {
    "oauth_session_hand_on",
    "UPDATE oauth_grant SET session = $2 WHERE session = $1 AND user_id = $3"
};
static const struct rk_pg_stmt end_session = { "oauth_session_end",
                                               "DELETE FROM oauth_session WHERE id = $1" };

int session_find(struct call *c, struct session *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *cookie = cookie_get(c, SESSION_COOKIE);
    const struct provider *p;
    struct session s = { .second_factor = false };
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    if (!cookie)
        return rk_fail(err, RK_NOT_FOUND, "no session");
    s.hash = secret_hash(c->arena, cookie);
    r = rk_pg_run(c->pg, &find_session, &res, err, RK_P_BYTEA(s.hash), RK_P_INT(p->session_idle_s));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "the session is over");
    r = identity_read(rk_pg_str(res, 0, 0), c->arena, &s.who, err);
    if (r < 0)
        return r;
    s.second_factor = rk_pg_bool(res, 0, 1);
    s.auth_time_s = rk_pg_int(res, 0, 2);
    s.needs_factor = rk_pg_bool(res, 0, 4);
    s.remember = rk_pg_bool(res, 0, 5);
    if (rk_pg_bool(res, 0, 3)) {
        r = rk_pg_run(c->pg, &touch_session, NULL, err, RK_P_BYTEA(s.hash));
        if (r < 0)
            return r;
    }
    *out = s;
    return 0;
}

int session_start(struct call *c,
                  const struct identity *who,
                  bool second_factor,
                  bool remember,
                  struct session *out,
                  struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf json = { .max = CALL_MAX_OUT };
    const char *old = cookie_get(c, SESSION_COOKIE), *id;
    const struct provider *p;
    struct session s = { .who = *who, .second_factor = second_factor, .remember = remember };
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    identity_write(who, &json);
    id = secret_new(c->arena, &s.hash);
    if (old) {
        struct rk_str hash = secret_hash(c->arena, old);

        r = rk_pg_run(c->pg, &end_session, NULL, err, RK_P_BYTEA(hash));
        if (r == 0)
            r = rk_pg_run(c->pg, &hand_on, NULL, err, RK_P_BYTEA(hash), RK_P_BYTEA(s.hash),
                          RK_P_C(who->user_id));
        if (r < 0)
            return r;
    }
    r = rk_pg_run(c->pg, &add_session, &res, err, RK_P_BYTEA(s.hash), RK_P_C(who->user_id),
                  RK_P_C(who->connector_id), RK_P_STR(rk_buf_str(&json)), RK_P_BOOL(second_factor),
                  RK_P_BOOL(remember), RK_P_INT(p->session_s));
    if (r < 0)
        return r;
    s.auth_time_s = rk_pg_int(res, 0, 0);
    cookie_set(c, SESSION_COOKIE, id, remember ? p->session_s : COOKIE_OF_SESSION);
    *out = s;
    return 0;
}

int session_end(struct call *c, const struct session *s, struct rk_err *err)
{
    int r = rk_pg_run(c->pg, &end_session, NULL, err, RK_P_BYTEA(s->hash));

    if (r == 0)
        cookie_set(c, SESSION_COOKIE, "", COOKIE_FORGET);
    return r;
}
