/* See pages.h. A passkey in place of a code, and the offer to add one. The script only moves bytes
 * between the form and the browser. */

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/login/factor.h"
#include "services/dashboard-api/login/guess.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/login/passkey.h"
#include "services/dashboard-api/login/second.h"
#include "services/dashboard-api/page/cookie.h"

#define MAX_PASSKEYS 10

static const struct rk_pg_stmt list_stmt = {
    "passkey_list", "SELECT id FROM passkey WHERE user_id = $1 ORDER BY created_at LIMIT 10"
};
static const struct rk_pg_stmt find_stmt = {
    "passkey_find",
    "SELECT algorithm, public_key, sign_count FROM passkey WHERE user_id = $1 AND id = $2"
};
/* Only for who has the app too, and up to MAX_PASSKEYS of them. */
static const struct rk_pg_stmt add_stmt = {
    "passkey_add",
    "WITH made AS (INSERT INTO passkey (id, user_id, algorithm, public_key, sign_count) "
    "SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM passkey WHERE user_id = $2) < $6 "
    "RETURNING user_id) INSERT INTO event (account_id, code, initiator_id, target_id) "
    "SELECT u.account_id, 'user.passkey.add', u.id, u.id FROM users u JOIN made ON u.id = "
    "made.user_id"
};
/* Of two at once with the same signature one is used. */
static const struct rk_pg_stmt use_stmt = {
    "passkey_use", "UPDATE passkey SET sign_count = $3, used_at = now() WHERE user_id = $1 "
                   "AND id = $2 AND (sign_count < $3 OR $3 = 0)"
};

static struct passkey_ask ask_of(struct call *c, const char *challenge)
{
    struct rk_str origin = rk_str(cookie_origin(c)), host;
    const char *after = strstr(origin.p, "://");
    struct rk_str rest = rk_str(after ? after + 3 : "");

    (void)rk_str_next(&rest, ':', &host);
    return (struct passkey_ask){ .challenge = challenge,
                                 .origin = cookie_origin(c),
                                 .rp = rk_arena_strn(c->arena, host) };
}

static int new_challenge(struct call *c, struct step *st, struct rk_err *err)
{
    rk_random_text(st->challenge);
    return step_keep(c, st, err);
}

static void put_b64url(struct rk_json *j, const char *key, const void *p, size_t n)
{
    char text[RK_B64URL_LEN(PASSKEY_ID_MAX) + 1];

    rk_b64url_encode(p, n, text);
    rk_json_cstr(j, key, text);
}

/* What the script hands to the browser. */
static int options(struct call *c, const struct step *st, const char **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *known = NULL;
    rk_auto(rk_buf_done) struct rk_buf text = { .max = 64 * 1024 };
    uint8_t user[32];
    struct rk_json j;
    int r = rk_pg_run(c->pg, &list_stmt, &known, err, RK_P_C(st->user.id));

    if (r < 0)
        return r;
    rk_sha256(st->user.id, strlen(st->user.id), user);
    rk_json_init(&j, &text);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "challenge", st->challenge);
    rk_json_cstr(&j, "rp", ask_of(c, "").rp);
    put_b64url(&j, "user", user, sizeof(user));
    rk_json_cstr(&j, "name", st->user.email);
    rk_json_array(&j, "algorithms");
    for (size_t i = 0; i < RK_COUNT(passkey_algorithms); i++)
        rk_json_int(&j, NULL, passkey_algorithms[i]);
    rk_json_array_end(&j);
    rk_json_array(&j, "credentials");
    for (int i = 0; i < rk_pg_rows(known); i++) {
        struct rk_str id = rk_pg_bytes(known, i, 0, c->arena);

        put_b64url(&j, NULL, id.p, id.n < PASSKEY_ID_MAX ? id.n : PASSKEY_ID_MAX);
    }
    rk_json_array_end(&j);
    rk_json_object_end(&j);
    *out = rk_arena_strn(c->arena, rk_buf_str(&text));
    return 0;
}

/* The form that the script fills in; it stays hidden without it. */
static int put_form(struct sheet *s,
                    const struct step *st,
                    const char *page,
                    const char *act,
                    enum text label,
                    struct rk_err *err)
{
    static const char *const fields[] = { "credential", "client_data", "authenticator_data",
                                          "signature" };
    const char *with;
    int r = options(s->c, st, &with, err);

    if (r < 0)
        return r;
    html_leaf(&s->html, "p", text_in(s->lang, TEXT_PASSKEY_FAILED), "id", "passkey-failed", "class",
              "notice error", "role", "alert", "hidden", "", NULL);
    html_open(&s->html, "form", "id", "passkey", "method", "post", "action",
              step_path(s->c, &st->login, page), "data-passkey", act, "data-options", with,
              "hidden", "", NULL);
    form_put_token(s, step_purpose(s->c, &st->login, page));
    for (size_t i = 0; i < RK_COUNT(fields); i++)
        page_hidden(s, fields[i], "");
    page_button(s, label, NULL, NULL);
    html_close(&s->html);
    html_open(&s->html, "noscript", NULL);
    html_leaf(&s->html, "p", text_in(s->lang, TEXT_PASSKEY_NO_SCRIPT), NULL);
    html_close(&s->html);
    page_script(s, "passkey.js");
    return 0;
}

static int show_get(struct call *c, struct step *st, bool failed, struct rk_err *err)
{
    struct sheet s;
    int r = new_challenge(c, st, err);

    if (r < 0)
        return r;
    c->status = failed ? 401 : 200;
    page_begin(c, &s, TEXT_PASSKEY_TITLE);
    if (failed)
        page_notice(&s, "error", TEXT_PASSKEY_FAILED, NULL);
    page_say(&s, "p", TEXT_PASSKEY_PROMPT, NULL);
    r = put_form(&s, st, "passkey", "get", TEXT_PASSKEY_USE, err);
    if (r < 0)
        return r;
    page_anchor(&s, TEXT_RECOVERY_APP, step_path(c, &st->login, "totp"));
    return page_end(&s);
}

static int show_offer(struct call *c, struct step *st, bool failed, struct rk_err *err)
{
    struct sheet s;
    int r = new_challenge(c, st, err);

    if (r < 0)
        return r;
    page_begin(c, &s, TEXT_PASSKEY_OFFER_TITLE);
    if (failed)
        page_notice(&s, "error", TEXT_PASSKEY_FAILED, NULL);
    page_say(&s, "p", TEXT_PASSKEY_OFFER_PROMPT, NULL);
    r = put_form(&s, st, "offer", "create", TEXT_PASSKEY_ADD, err);
    if (r < 0)
        return r;
    page_form(&s, step_path(c, &st->login, "offer"), step_purpose(c, &st->login, "offer"));
    page_button_quiet(&s, TEXT_PASSKEY_LATER, "answer", "later");
    html_close(&s.html);
    return page_end(&s);
}

/* A field of base64url; longer than any, or not one, is empty. */
static struct rk_str bytes_of(struct call *c, const struct form *f, const char *name)
{
    struct rk_str text = rk_str(form_get(f, name));
    uint8_t *out = rk_arena_alloc(c->arena, PASSKEY_DATA_MAX);
    size_t n;

    if (!rk_b64url_decode(text, out, PASSKEY_DATA_MAX, &n))
        return rk_strn(out, 0);
    return rk_strn(out, n);
}

int login_passkey_get(struct call *c, struct rk_err *err)
{
    struct step st;
    int r = second_find(c, &st, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return show_get(c, &st, false, err);
}

/* RK_DENIED: not a passkey of this user, or not its signature of our challenge. */
static int take_signature(struct call *c, struct step *st, const struct form *f, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *used = NULL;
    struct passkey_ask ask = ask_of(c, rk_arena_strdup(c->arena, st->challenge));
    struct rk_str id = bytes_of(c, f, "credential");
    struct passkey *k = rk_arena_alloc(c->arena, sizeof(*k));
    struct rk_str key;
    uint32_t count;
    int r;

    st->challenge[0] = '\0'; /* good for one answer */
    r = step_keep(c, st, err);
    if (r == 0)
        r = rk_pg_run(c->pg, &find_stmt, &row, err, RK_P_C(st->user.id), RK_P_BYTEA(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(row) == 0)
        return rk_fail(err, RK_DENIED, "passkey: not one of this user's");
    k->algorithm = (int)rk_pg_int(row, 0, 0);
    k->count = (uint32_t)rk_pg_int(row, 0, 2);
    key = rk_pg_bytes(row, 0, 1, c->arena);
    k->key_n = key.n < sizeof(k->key) ? key.n : sizeof(k->key);
    memcpy(k->key, key.p, k->key_n);
    r = passkey_signed(&ask, k, bytes_of(c, f, "client_data"), bytes_of(c, f, "authenticator_data"),
                       bytes_of(c, f, "signature"), &count, err);
    if (r == 0)
        r = rk_pg_run(c->pg, &use_stmt, &used, err, RK_P_C(st->user.id), RK_P_BYTEA(id),
                      RK_P_INT(count));
    if (r == 0 && rk_pg_affected(used) != 1)
        r = rk_fail(err, RK_DENIED, "passkey: this signature was used");
    return r;
}

int login_passkey_post(struct call *c, struct rk_err *err)
{
    struct step st;
    struct form form;
    int r;

    r = second_find(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = form_take(c, step_purpose(c, &st.login, "passkey"), &form, err);
    if (r == 0)
        r = second_try(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = take_signature(c, &st, &form, err);
    if (r == 0)
        return second_right(c, &st, err);
    if (r != RK_DENIED)
        return r;
    rk_info(NULL, "%s (from %s)", err->msg, c->remote_ip);
    r = second_failed(c, &st, err);
    return r < 0 ? r : r > 0 ? 0 : show_get(c, &st, true, err);
}

int login_offer_get(struct call *c, struct rk_err *err)
{
    struct step st;
    int r = second_find(c, &st, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return st.proved ? show_offer(c, &st, false, err)
                     : page_redirect(c, step_path(c, &st.login, "totp"));
}

static int add_passkey(struct call *c, struct step *st, const struct form *f, struct rk_err *err)
{
    struct passkey_ask ask = ask_of(c, rk_arena_strdup(c->arena, st->challenge));
    struct passkey *made = rk_arena_alloc(c->arena, sizeof(*made));
    int r;

    st->challenge[0] = '\0';
    r = step_keep(c, st, err);
    if (r == 0)
        r = passkey_made(&ask, bytes_of(c, f, "client_data"), bytes_of(c, f, "authenticator_data"),
                         made, err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &add_stmt, NULL, err, RK_P_BYTEA(rk_strn(made->id, made->id_n)),
                  RK_P_C(st->user.id), RK_P_INT(made->algorithm),
                  RK_P_BYTEA(rk_strn(made->key, made->key_n)), RK_P_INT(made->count),
                  RK_P_INT(MAX_PASSKEYS));
    return r == RK_EXISTS ? rk_fail(err, RK_DENIED, "passkey: somebody has this one") : r;
}

int login_offer_post(struct call *c, struct rk_err *err)
{
    struct step st;
    struct form form;
    int r;

    r = second_find(c, &st, err);
    if (r == 0)
        r = form_take(c, step_purpose(c, &st.login, "offer"), &form, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (!st.proved)
        return page_redirect(c, step_path(c, &st.login, "totp"));
    if (strcmp(form_get(&form, "answer"), "ask") == 0)
        return show_offer(c, &st, false, err);
    if (!form_has(&form, "client_data"))
        return step_done(c, &st, err);
    r = add_passkey(c, &st, &form, err);
    if (r == 0)
        return step_done(c, &st, err);
    if (r != RK_DENIED)
        return r;
    rk_info(NULL, "%s (from %s)", err->msg, c->remote_ip);
    return show_offer(c, &st, true, err);
}
