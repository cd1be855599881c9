/*
 * The device grant's endpoints: where a device asks (RFC 8628, 3.1), and where a person types its
 * code, signs in, and says yes or no. A link with the code in it saves typing and nothing else, and
 * nobody approves by being signed in.
 */

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/oauth/client_auth.h"
#include "services/dashboard-api/oauth/device.h"
#include "services/dashboard-api/oauth/limit.h"
#include "services/dashboard-api/oauth/login_int.h"
#include "services/dashboard-api/oauth/oauth.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/reply.h"
#include "services/dashboard-api/oauth/scope.h"
#include "services/dashboard-api/oauth/secret.h"
#include "services/dashboard-api/oauth/view.h"
#include "services/dashboard-api/page/cookie.h"
#include "services/dashboard-api/page/form.h"

/* Guesses at user codes. */
#define TRIES_BROWSER 5
#define TRIES_ADDRESS 20
#define TRIES_WINDOW_S 300

static int answer_device(struct call *c,
                         const struct provider *p,
                         const char *device_code,
                         const char *user_code)
{
    reply_no_store(c);
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "device_code", device_code);
    rk_json_cstr(&c->json, "user_code", user_code);
    rk_json_cstr(&c->json, "verification_uri", rk_arena_printf(c->arena, "%s/device", p->issuer));
    rk_json_cstr(&c->json, "verification_uri_complete",
                 rk_arena_printf(c->arena, "%s/device?user_code=%s", p->issuer, user_code));
    rk_json_int(&c->json, "expires_in", DEVICE_S);
    rk_json_int(&c->json, "interval", DEVICE_INTERVAL_S);
    rk_json_object_end(&c->json);
    return 0;
}

int oauth_device_code(struct call *c, struct rk_err *err)
{
    const struct provider *p;
    const struct client *client;
    struct params params;
    struct refusal why;
    char user_code[USER_CODE_LEN + 1];
    const char *asked, *device_code;
    unsigned scope = SCOPE_OPENID;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    client = client_posts(c, &p->clients, &params, &why);
    if (!client)
        return reply_refused(c, &why);
    if (!client->may_be_device)
        return reply_refused(
            c, &(struct refusal){ "unauthorized_client", "this client is not for devices" });
    asked = params_get(&params, "scope");
    if (asked && (!scope_parse(rk_str(asked), &scope) || !(scope & SCOPE_OPENID)))
        return reply_refused(
            c, &(struct refusal){ "invalid_scope", "the scope must have openid and known words" });
    r = device_new(c, client->id, scope_text(scope, c->arena), &device_code, user_code, err);
    if (r == RK_EXHAUSTED) {
        r = reply_refused(c, &(struct refusal){ "temporarily_unavailable",
                                                "too many devices wait to be approved" });
        c->status = 429;
        return r;
    }
    if (r < 0)
        return r;
    return answer_device(c, p, device_code, user_code);
}

int oauth_device_page(struct call *c, struct rk_err *err)
{
    const char *code = call_query(c, "user_code");
    char tidy[USER_CODE_LEN + 1];
    const struct provider *p;
    int r = provider_of(c, &p, err);

    if (r < 0)
        return r;
    (void)cookie_page_make(c);
    return view_device_code(c, code && user_code_read(rk_str(code), tidy) ? tidy : "", false);
}

/* Tries are counted whether they are good or not: who guesses right was guessing. */
static int within_limits(struct call *c, bool *out, struct rk_err *err)
{
    const char *browser = cookie_page(c);
    int r;

    r = limit_try(c, "device-address", call_source(c), TRIES_ADDRESS, TRIES_WINDOW_S, out, err);
    if (r < 0 || !*out || !browser)
        return r;
    {
        char name[2 * SECRET_HASH_LEN + 1];
        struct rk_str hash = secret_hash(c->arena, browser);

        rk_hex_encode(hash.p, hash.n, name);
        return limit_try(c, "device-browser", name, TRIES_BROWSER, TRIES_WINDOW_S, out, err);
    }
}

/* A form that is not from our page, or that nobody can read. */
static int bad_form(struct call *c, int code)
{
    return view_problem(c, code == RK_DENIED ? VIEW_FORGED : VIEW_BAD_REQUEST);
}

/* Who is signed in is asked to approve; else they sign in first. */
static int begin_approval(struct call *c, const struct device *d, struct rk_err *err)
{
    struct session s;
    struct login l;
    int r;

    r = login_begin(c,
                    &(struct login_purpose){ .client_id = d->client_id,
                                             .redirect_uri = "",
                                             .scope = "",
                                             .state = "",
                                             .nonce = "",
                                             .code_challenge = "",
                                             .connector_id = "",
                                             .login_hint = "",
                                             .device = d->id },
                    &l, err);
    if (r == RK_EXHAUSTED)
        return view_problem(c, VIEW_TOO_MANY);
    if (r < 0)
        return r;
    r = session_find(c, &s, err);
    if (r < 0 && r != RK_NOT_FOUND)
        return r;
    if (r == RK_NOT_FOUND || s.needs_factor)
        return login_ask(c, &l, false, err);
    r = login_join(c, &l, &s, err);
    if (r < 0)
        return r;
    return page_redirect(c, login_approve_path(c, &l));
}

int oauth_device_verify(struct call *c, struct rk_err *err)
{
    const struct provider *p;
    struct device d;
    struct form form;
    bool within;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    r = form_take(c, "device", &form, err);
    if (r == RK_BAD_REQUEST || r == RK_DENIED)
        return bad_form(c, r);
    if (r < 0)
        return r;
    r = within_limits(c, &within, err);
    if (r < 0)
        return r;
    if (!within)
        return view_problem(c, VIEW_TOO_MANY);
    r = device_by_user_code(c, form_get(&form, "user_code"), &d, err);
    if (r == RK_NOT_FOUND)
        return view_device_code(c, form_get(&form, "user_code"), true);
    if (r < 0)
        return r;
    return begin_approval(c, &d, err);
}

struct approval {
    struct login login;
    struct device device;
    struct session session;
};

/* What the approval's page and its form both need. RK_NOT_FOUND: there is nothing to approve. */
static int find_approval(struct call *c, struct approval *out, struct rk_err *err)
{
    int r = login_find(c, call_query(c, "login"), &out->login, err);

    if (r < 0)
        return r;
    if (out->login.device.n == 0)
        return rk_fail(err, RK_NOT_FOUND, "nobody is asked to approve a device");
    r = session_find(c, &out->session, err);
    if (r < 0)
        return r;
    /* Whoever signed in for it, and nobody who came to this browser later. */
    if (!rk_const_eq_str(out->session.hash, out->login.session))
        return rk_fail(err, RK_NOT_FOUND, "another session");
    return device_by_id(c, out->login.device, &out->device, err);
}

static const char *who(const struct identity *id)
{
    return id->email[0] != '\0' ? id->email : id->name[0] != '\0' ? id->name : id->user_id;
}

int oauth_device_approve_page(struct call *c, struct rk_err *err)
{
    const struct provider *p;
    struct approval a;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    r = find_approval(c, &a, err);
    if (r == RK_NOT_FOUND)
        return view_problem(c, VIEW_LOGIN_OVER);
    if (r < 0)
        return r;
    return view_device_approve(
        c, &(struct view_device){ .login_id = a.login.id,
                                  .user_code = a.device.user_code,
                                  .client_name = client_find(&p->clients, a.device.client_id)->name,
                                  .remote_ip = a.device.remote_ip,
                                  .asked_us = a.device.asked_us,
                                  .who = who(&a.session.who) });
}

int oauth_device_approve(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    struct approval a;
    struct form form;
    bool approved;
    int r;

    r = find_approval(c, &a, err);
    if (r == RK_NOT_FOUND)
        return view_problem(c, VIEW_LOGIN_OVER);
    if (r < 0)
        return r;
    r = form_take(c, rk_arena_printf(c->arena, "device %s", a.login.id), &form, err);
    if (r == RK_BAD_REQUEST || r == RK_DENIED)
        return bad_form(c, r);
    if (r < 0)
        return r;
    approved = strcmp(form_get(&form, "answer"), "approve") == 0;
    if (!approved && strcmp(form_get(&form, "answer"), "deny") != 0)
        return view_problem(c, VIEW_BAD_REQUEST);
    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = login_end(c, &a.login, err);
    if (r == 0)
        r = device_answer(c, &a.device, &a.session, approved, err);
    if (r == RK_NOT_FOUND)
        return view_problem(c, VIEW_LOGIN_OVER);
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    return view_device_end(c, approved);
}
