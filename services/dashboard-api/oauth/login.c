/* See login.h and login_int.h. */

#include "services/dashboard-api/oauth/login.h"

#include <string.h>

#include "libcommon/account/rules/subject.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/oauth/code.h"
#include "services/dashboard-api/oauth/limit.h"
#include "services/dashboard-api/oauth/login_int.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/secret.h"
#include "services/dashboard-api/oauth/target.h"
#include "services/dashboard-api/oauth/view.h"
#include "services/dashboard-api/page/cookie.h"
#include "services/dashboard-api/page/page.h"

/* Logins begun from one address. A whole office may stand behind it. */
#define MAX_BEGUN 600
#define BEGUN_WINDOW_S 300
#define MAX_WAYS 64

static const struct rk_pg_stmt add_login = {
    "oauth_login_add",
    "INSERT INTO oauth_login (id, browser, client_id, redirect_uri, scope, state, nonce, "
    "code_challenge, connector_id, login_hint, fresh, device, expires_at) VALUES ($1, $2, $3, $4, "
    "$5, $6, $7, $8, $9, $10, $11, $12, now() + $13::bigint * interval '1 minute')"
};
static const struct rk_pg_stmt find_login = {
    "oauth_login_find", "SELECT client_id, connector_id, login_hint, fresh, device, session, note, "
                        "created_at, expires_at, browser = $2, expires_at > now() "
                        "FROM oauth_login WHERE id = $1"
};
static const struct rk_pg_stmt set_note = { "oauth_login_note",
                                            "UPDATE oauth_login SET note = $2 WHERE id = $1" };
static const struct rk_pg_stmt set_session = {
    "oauth_login_session",
    "UPDATE oauth_login SET session = $2, note = NULL WHERE id = $1 AND expires_at > now()"
};
static const struct rk_pg_stmt take_login = {
    "oauth_login_take", "DELETE FROM oauth_login WHERE id = $1 AND expires_at > now() "
                        "RETURNING client_id, redirect_uri, scope, state, nonce, code_challenge"
};
/* Of several accounts none shows a stranger whom it signs in with: its people name their connector.
 */
#define WAYS "FROM connector WHERE id = $1 OR NOT EXISTS (SELECT 1 FROM account OFFSET 1)"
static const struct rk_pg_stmt list_ways = { "oauth_ways", "SELECT id, type, name " WAYS
                                                           " ORDER BY lower(name), id LIMIT 63" };
static const struct rk_pg_stmt any_way = { "oauth_any_way", "SELECT EXISTS (SELECT 1 " WAYS ")" };

static struct rk_str id_of(struct call *c, const struct login *l)
{
    return secret_hash(c->arena, l->id);
}

int login_begin(struct call *c,
                const struct login_purpose *p,
                struct login *out,
                struct rk_err *err)
{
    struct login l = { .client_id = p->client_id,
                       .connector_id = p->connector_id,
                       .login_hint = p->login_hint,
                       .fresh = p->fresh,
                       .device = p->device };
    struct rk_str hash;
    bool within;
    int r;

    r = limit_try(c, "login", call_source(c), MAX_BEGUN, BEGUN_WINDOW_S, &within, err);
    if (r < 0)
        return r;
    if (!within)
        return rk_fail(err, RK_EXHAUSTED, "too many logins from one address");
    l.id = secret_new(c->arena, &hash);
    r = rk_pg_run(c->pg, &add_login, NULL, err, RK_P_BYTEA(hash),
                  RK_P_BYTEA(secret_hash(c->arena, cookie_page_make(c))), RK_P_C(p->client_id),
                  RK_P_C(p->redirect_uri), RK_P_C(p->scope), RK_P_C(p->state), RK_P_C(p->nonce),
                  RK_P_C(p->code_challenge), RK_P_C(p->connector_id), RK_P_C(p->login_hint),
                  RK_P_BOOL(p->fresh), p->device.n > 0 ? RK_P_BYTEA(p->device) : RK_P_NULL,
                  RK_P_INT(LOGIN_MINUTES));
    if (r == 0)
        *out = l;
    return r;
}

/* What login_note has kept. */
static int open_note(
    struct call *c, struct rk_str id, struct rk_str sealed, struct login *l, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf plain = { .max = LOGIN_NOTE_MAX };
    int r;

    if (sealed.n == 0)
        return 0;
    r = rk_seal_get(c->seal, secret_name(c->arena, "login", id), sealed, &plain, err);
    if (r == 0)
        l->note = rk_strn(rk_arena_strn(c->arena, rk_buf_str(&plain)), plain.n);
    return r;
}

/* The person is told one thing for all of these; whoever runs this may want to know which it is. */
static int no_login(const struct call *c, const char *why, struct rk_err *err)
{
    rk_info(NULL, "a sign-in from %s cannot go on: %s", c->remote_ip, why);
    return rk_fail(err, RK_NOT_FOUND, "%s", why);
}

int login_find(struct call *c, const char *id, struct login *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *browser = cookie_page(c);
    struct login l = { .id = id };
    struct rk_str hash;
    int r;

    if (!id || strlen(id) > 64)
        return no_login(c, "the address names none", err);
    if (!browser)
        return no_login(c, "the browser has sent no cookie of ours", err);
    hash = secret_hash(c->arena, id);
    r = rk_pg_run(c->pg, &find_login, &res, err, RK_P_BYTEA(hash),
                  RK_P_BYTEA(secret_hash(c->arena, browser)));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return no_login(c, "there is none of that id", err);
    if (!rk_pg_bool(res, 0, 9))
        return no_login(c, "another browser began it", err);
    if (!rk_pg_bool(res, 0, 10))
        return no_login(c, "it has expired", err);
    l.client_id = rk_arena_strn(c->arena, rk_pg_str(res, 0, 0));
    l.connector_id = rk_arena_strn(c->arena, rk_pg_str(res, 0, 1));
    l.login_hint = rk_arena_strn(c->arena, rk_pg_str(res, 0, 2));
    l.fresh = rk_pg_bool(res, 0, 3);
    l.device = rk_pg_bytes(res, 0, 4, c->arena);
    l.session = rk_pg_bytes(res, 0, 5, c->arena);
    l.created_us = rk_pg_time(res, 0, 7);
    l.expires_us = rk_pg_time(res, 0, 8);
    r = open_note(c, hash, rk_pg_bytes(res, 0, 6, c->arena), &l, err);
    if (r == 0)
        *out = l;
    return r;
}

static const char *path(struct call *c, const char *to, const struct login *l)
{
    return rk_arena_printf(c->arena, "%s?login=%s", to, l->id);
}

const char *login_path(struct call *c, const struct login *l, const char *connector_id)
{
    return path(c, rk_arena_printf(c->arena, "/oauth2/auth/%s", connector_id), l);
}

const char *login_chooser_path(struct call *c, const struct login *l)
{
    return path(c, "/oauth2/auth", l);
}

const char *login_approve_path(struct call *c, const struct login *l)
{
    return path(c, "/oauth2/device/approve", l);
}

int login_note(struct call *c, struct login *l, struct rk_str note, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = LOGIN_NOTE_MAX + 256 };
    struct rk_str id = id_of(c, l);
    int r;

    if (note.n > LOGIN_NOTE_MAX)
        return rk_fail(err, RK_INTERNAL, "a note of %zu bytes", note.n);
    rk_seal_put(c->seal, secret_name(c->arena, "login", id), note, &sealed);
    r = rk_pg_run(c->pg, &set_note, NULL, err, RK_P_BYTEA(id), RK_P_BYTEA(rk_buf_str(&sealed)));
    if (r == 0)
        l->note = note;
    return r;
}

int login_ask(struct call *c, const struct login *l, bool choose, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct view_way ways[MAX_WAYS];
    const char *ids[MAX_WAYS];
    size_t n = 0;
    int r;

    r = rk_pg_run(c->pg, &list_ways, &res, err, RK_P_C(l->connector_id));
    if (r < 0)
        return r;
    if (!c->config->local_auth_disabled) {
        ids[n] = RK_CONNECTOR_LOCAL;
        ways[n++] =
            (struct view_way){ RK_CONNECTOR_LOCAL, "", login_path(c, l, RK_CONNECTOR_LOCAL) };
    }
    for (int i = 0; i < rk_pg_rows(res) && n < MAX_WAYS; i++, n++) {
        ids[n] = rk_pg_str(res, i, 0).p;
        ways[n] = (struct view_way){ rk_pg_str(res, i, 1).p, rk_pg_str(res, i, 2).p,
                                     login_path(c, l, ids[n]) };
    }
    if (n == 0)
        return page_error(c, 404, TEXT_ERROR_CONNECTOR);
    if (n == 1)
        return page_redirect(c, ways[0].href);
    for (size_t i = 0; !choose && i < n; i++)
        if (strcmp(ids[i], l->connector_id) == 0)
            return page_redirect(c, ways[i].href);
    return view_chooser(c, ways, n);
}

int login_has_choice(struct call *c, const struct login *l, bool *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &any_way, &res, err, RK_P_C(l->connector_id));

    if (r == 0)
        *out = rk_pg_bool(res, 0, 0);
    return r;
}

int login_join(struct call *c, struct login *l, const struct session *s, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &set_session, &res, err, RK_P_BYTEA(id_of(c, l)), RK_P_BYTEA(s->hash));

    if (r < 0)
        return r;
    if (rk_pg_affected(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "the login is over");
    l->session = s->hash;
    return 0;
}

/* Of two who press at once the row lets one through. */
static int
take(struct call *c, const struct login *l, struct rk_pg_result **out, struct rk_err *err)
{
    int r = rk_pg_run(c->pg, &take_login, out, err, RK_P_BYTEA(id_of(c, l)));

    if (r == 0 && rk_pg_rows(*out) == 0)
        return rk_fail(err, RK_NOT_FOUND, "the login is over");
    return r;
}

int login_end(struct call *c, const struct login *l, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    return take(c, l, &res, err);
}

const char *login_answer(struct call *c,
                         const char *issuer,
                         const char *redirect_uri,
                         const char *state,
                         const char *code,
                         const struct refusal *refusal)
{
    rk_auto(rk_buf_done) struct rk_buf to = { .max = TARGET_MAX };

    rk_buf_put_c(&to, redirect_uri);
    target_put(&to, "code", code);
    if (refusal) {
        target_put(&to, "error", refusal->error);
        target_put(&to, "error_description", refusal->why);
    }
    target_put(&to, "state", state);
    target_put(&to, "iss", issuer);
    return rk_arena_strn(c->arena, rk_buf_str(&to));
}

/* A row that `take` has returned, as what a code is bound to. */
static int answer_with_code(struct call *c,
                            const struct rk_pg_result *row,
                            const struct session *s,
                            const char **out_to,
                            struct rk_err *err)
{
    const struct provider *p;
    const char *code;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    r = code_issue(c,
                   &(struct code_request){ .client_id = rk_pg_str(row, 0, 0).p,
                                           .redirect_uri = rk_pg_str(row, 0, 1).p,
                                           .scope = rk_pg_str(row, 0, 2).p,
                                           .nonce = rk_pg_str(row, 0, 4).p,
                                           .code_challenge = rk_pg_str(row, 0, 5).p },
                   s, &code, err);
    if (r < 0)
        return r;
    *out_to =
        login_answer(c, p->issuer, rk_pg_str(row, 0, 1).p, rk_pg_str(row, 0, 3).p, code, NULL);
    return 0;
}

int login_done(struct call *c,
               const struct login *l,
               const struct login_proof *proof,
               struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct login now = *l;
    struct session s;
    const char *to = login_approve_path(c, l);
    int r;

    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    if (l->device.n == 0) {
        r = take(c, l, &row, err);
        if (r < 0)
            return r;
    }
    r = session_start(c, &proof->who, proof->second_factor, proof->remember, &s, err);
    if (r < 0)
        return r;
    if (l->device.n == 0)
        r = answer_with_code(c, row, &s, &to, err);
    else
        r = login_join(c, &now, &s, err);
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    return page_redirect(c, to);
}
