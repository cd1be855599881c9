/* See grant.h. */

#include "services/dashboard-api/oauth/grant.h"

#include "libcommon/base/id.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/oauth/refresh_token.h"
#include "services/dashboard-api/oauth/scope.h"
#include "services/dashboard-api/oauth/secret.h"

#define AFTER_S 60 /* a grant outlives its tokens: clocks differ */

static const struct rk_pg_stmt add_grant = {
    "oauth_grant_add",
    "INSERT INTO oauth_grant (id, user_id, connector_id, client_id, scope, identity, auth_time, "
    "refresh_key, expires_at, last_at, session) VALUES ($1, $2, $3, $4, $5, $6::jsonb, "
    "to_timestamp($7::bigint), $8, now() + $9::bigint * interval '1 second', "
    "now() + $10::bigint * interval '1 second', $11)"
};
/* Bounds what one person's logins leave behind. */
static const struct rk_pg_stmt drop_oldest = {
    "oauth_grant_drop_oldest",
    "DELETE FROM oauth_grant WHERE id IN (SELECT id FROM oauth_grant WHERE user_id = $1 AND "
    "client_id = $2 AND refresh_key IS NOT NULL ORDER BY rotated_at DESC OFFSET $3::bigint)"
};
#define GOOD_PERSON                                                                                \
    "CASE WHEN g.connector_id = 'local' "                                                          \
    "THEN EXISTS (SELECT 1 FROM users u WHERE u.id = g.user_id AND NOT u.blocked) "                \
    "ELSE EXISTS (SELECT 1 FROM connector k WHERE k.id = g.connector_id) AND "                     \
    "NOT EXISTS (SELECT 1 FROM users u WHERE u.id = g.user_id AND u.blocked) END"
static const struct rk_pg_stmt lock_grant = {
    "oauth_grant_lock",
    "SELECT g.client_id, g.scope, g.identity::text, extract(epoch FROM g.auth_time)::bigint, "
    "g.refresh_key, g.generation, "
    "(extract(epoch FROM clock_timestamp() - g.rotated_at) * 1000)::bigint, "
    "g.expires_at > clock_timestamp(), " GOOD_PERSON
    " FROM oauth_grant g WHERE g.id = $1 FOR UPDATE OF g"
};
static const struct rk_pg_stmt rotate_grant = {
    "oauth_grant_rotate",
    "UPDATE oauth_grant SET generation = generation + 1, rotated_at = clock_timestamp(), "
    "expires_at = LEAST(now() + $2::bigint * interval '1 second', last_at) WHERE id = $1"
};
static const struct rk_pg_stmt end_grant = { "oauth_grant_end",
                                             "DELETE FROM oauth_grant WHERE id = $1" };
static const struct rk_pg_stmt ask_grant = { "oauth_grant_alive",
                                             "SELECT 1 FROM oauth_grant g WHERE g.id = $1 AND "
                                             "g.expires_at > now() AND " GOOD_PERSON };
/* $2: of the browser that is left, $3: or of the one in which this grant began. */
static const struct rk_pg_stmt end_browser = {
    "oauth_grant_end_browser",
    "DELETE FROM oauth_grant WHERE user_id = $1 AND (id = $3 OR session = $2 OR "
    "session = (SELECT session FROM oauth_grant WHERE id = $3))"
};
/* No more refreshing; the access token that is out lives as long as it may. */
static const struct rk_pg_stmt end_refresh = {
    "oauth_grant_end_refresh",
    "UPDATE oauth_grant SET refresh_key = NULL, expires_at = LEAST(expires_at, now() + $3::bigint "
    "* interval '1 second') WHERE user_id = $1 AND client_id = $2 AND refresh_key IS NOT NULL"
};

static const char *
token_text(struct call *c, const uint8_t *id, uint64_t generation, const uint8_t *key)
{
    char *text = rk_arena_alloc(c->arena, REFRESH_TOKEN_LEN + 1);

    refresh_token_write(id, generation, key, text);
    return text;
}

/* A family's key, sealed. */
static struct rk_str new_key(struct call *c, struct grant *g)
{
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
    uint8_t key[REFRESH_KEY_LEN];
    struct rk_str out;

    rk_random(key, sizeof(key));
    g->refresh_token = token_text(c, (const uint8_t *)g->id.p, 0, key);
    rk_seal_put(c->seal, secret_name(c->arena, "refresh", g->id), rk_strn(key, sizeof(key)),
                &sealed);
    rk_wipe(key, sizeof(key));
    out = rk_buf_str(&sealed);
    return rk_strn(rk_arena_strn(c->arena, out), out.n);
}

int grant_new(struct call *c, struct grant *g, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf json = { .max = CALL_MAX_OUT };
    bool offline = g->scope & SCOPE_OFFLINE;
    uint8_t *id = rk_arena_alloc(c->arena, REFRESH_ID_LEN);
    struct rk_str key = { NULL, 0 };
    int r;

    rk_random(id, REFRESH_ID_LEN);
    g->id = rk_strn(id, REFRESH_ID_LEN);
    g->refresh_token = NULL;
    if (offline)
        key = new_key(c, g);
    identity_write(&g->who, &json);
    r = rk_pg_run(c->pg, &add_grant, NULL, err, RK_P_BYTEA(g->id), RK_P_C(g->who.user_id),
                  RK_P_C(g->who.connector_id), RK_P_C(g->client->id),
                  RK_P_C(scope_text(g->scope, c->arena)), RK_P_STR(rk_buf_str(&json)),
                  RK_P_INT(g->auth_time_s), offline ? RK_P_BYTEA(key) : RK_P_NULL,
                  RK_P_INT(offline ? GRANT_IDLE_S : g->client->token_s + AFTER_S),
                  RK_P_INT(offline ? GRANT_LONGEST_S : g->client->token_s + AFTER_S),
                  g->session.n > 0 ? RK_P_BYTEA(g->session) : RK_P_NULL);
    if (r < 0 || !offline)
        return r;
    return rk_pg_run(c->pg, &drop_oldest, NULL, err, RK_P_C(g->who.user_id), RK_P_C(g->client->id),
                     RK_P_INT(GRANT_MAX_FAMILIES));
}

static int refuse(struct refusal *out, const char *why)
{
    *out = (struct refusal){ "invalid_grant", why };
    return 0;
}

static int end(struct call *c, const struct grant *g, struct rk_err *err)
{
    return rk_pg_run(c->pg, &end_grant, NULL, err, RK_P_BYTEA(g->id));
}

static int open_key(struct call *c,
                    const struct grant *g,
                    struct rk_str sealed,
                    uint8_t out[REFRESH_KEY_LEN],
                    struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf plain = { .max = REFRESH_KEY_LEN };
    int r = rk_seal_get(c->seal, secret_name(c->arena, "refresh", g->id), sealed, &plain, err);

    if (r < 0 || plain.n != REFRESH_KEY_LEN)
        return rk_fail(err, RK_INTERNAL, "the key of a grant cannot be read");
    memcpy(out, plain.p, REFRESH_KEY_LEN);
    rk_wipe(plain.p, plain.n);
    return 0;
}

/* `t` is genuine, the row is locked. */
static int follow(struct call *c,
                  const struct rk_pg_result *row,
                  const struct refresh_token *t,
                  const uint8_t key[REFRESH_KEY_LEN],
                  struct grant *g,
                  struct refusal *out_why,
                  struct rk_err *err)
{
    uint64_t newest = (uint64_t)rk_pg_int(row, 0, 5);

    if (!rk_pg_bool(row, 0, 7))
        return refuse(out_why, "the refresh token has expired");
    if (!rk_pg_bool(row, 0, 8)) {
        (void)refuse(out_why, "the user may not sign in");
        return end(c, g, err);
    }
    switch (refresh_judge(t->generation, newest, rk_pg_int(row, 0, 6))) {
    case REFRESH_REUSED:
        (void)refuse(out_why, "the refresh token was used before");
        return end(c, g, err);
    case REFRESH_REPEAT:
        g->refresh_token = token_text(c, t->family, newest, key);
        return 0;
    case REFRESH_ROTATE:
        g->refresh_token = token_text(c, t->family, newest + 1, key);
        return rk_pg_run(c->pg, &rotate_grant, NULL, err, RK_P_BYTEA(g->id),
                         RK_P_INT(GRANT_IDLE_S));
    }
    return rk_fail(err, RK_INTERNAL, "no verdict");
}

int grant_refresh(struct call *c,
                  const struct client *client,
                  const char *token,
                  struct grant *out,
                  struct refusal *out_why,
                  struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct grant g = { .client = client };
    struct refresh_token t;
    uint8_t key[REFRESH_KEY_LEN];
    int r;

    if (!refresh_token_read(rk_str(token), &t))
        return refuse(out_why, "the refresh token is not known");
    g.id = rk_strn(rk_arena_strn(c->arena, rk_strn(t.family, REFRESH_ID_LEN)), REFRESH_ID_LEN);
    r = rk_pg_run(c->pg, &lock_grant, &row, err, RK_P_BYTEA(g.id));
    if (r < 0)
        return r;
    if (rk_pg_rows(row) == 0 || rk_pg_null(row, 0, 4) ||
        !rk_str_eq(rk_pg_str(row, 0, 0), rk_str(client->id)))
        return refuse(out_why, "the refresh token is not known");
    r = open_key(c, &g, rk_pg_bytes(row, 0, 4, c->arena), key, err);
    if (r < 0)
        return r;
    if (refresh_token_genuine(&t, key))
        r = follow(c, row, &t, key, &g, out_why, err);
    else
        r = refuse(out_why, "the refresh token is not known");
    rk_wipe(key, sizeof(key));
    if (r < 0 || out_why->error)
        return r;
    (void)scope_parse(rk_pg_str(row, 0, 1), &g.scope);
    r = identity_read(rk_pg_str(row, 0, 2), c->arena, &g.who, err);
    if (r < 0)
        return r;
    g.auth_time_s = rk_pg_int(row, 0, 3);
    *out = g;
    return 0;
}

int grant_alive(struct call *c, struct rk_str id, bool *out_alive, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &ask_grant, &res, err, RK_P_BYTEA(id));

    if (r == 0)
        *out_alive = rk_pg_rows(res) > 0;
    return r;
}

static struct rk_pg_param id_or_null(struct rk_str id)
{
    return id.n > 0 ? RK_P_BYTEA(id) : RK_P_NULL;
}

int grant_sign_out(struct call *c,
                   const char *user_id,
                   const struct client *client,
                   struct rk_str session,
                   struct rk_str grant,
                   struct rk_err *err)
{
    int r = rk_pg_run(c->pg, &end_browser, NULL, err, RK_P_C(user_id), id_or_null(session),
                      id_or_null(grant));

    if (r < 0 || !client)
        return r;
    return rk_pg_run(c->pg, &end_refresh, NULL, err, RK_P_C(user_id), RK_P_C(client->id),
                     RK_P_INT(client->token_s + AFTER_S));
}
