/* See step.h. */

#include "services/dashboard-api/login/step.h"

#include <jansson.h>

#include "libcommon/account/rules/subject.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/login/familiar.h"
#include "services/dashboard-api/page/cookie.h"
#include "services/dashboard-api/page/page.h"

#define COOKIE "netbird-step"

const char *step_path(struct call *c, const struct login *l, const char *page)
{
    return rk_arena_printf(c->arena, "/oauth2/mfa/%s?login=%s", page, l->id);
}

const char *step_purpose(struct call *c, const struct login *l, const char *page)
{
    return rk_arena_printf(c->arena, "%s %s", page, l->id);
}

static const char *digest(struct call *c, const char *cookie)
{
    char b64[45];

    rk_sha256_b64(rk_str(cookie), b64);
    return rk_arena_strdup(c->arena, b64);
}

static int finish(struct call *c,
                  const struct login *l,
                  const struct local_user *user,
                  bool second_factor,
                  bool remember,
                  struct rk_err *err)
{
    struct login_proof proof = {
        .who = { .user_id = user->id,
                 .connector_id = RK_CONNECTOR_LOCAL,
                 .email = user->email,
                 .name = user->name,
                 .email_verified = true }, /* an admin, an invite or the setup has given it */
        .second_factor = second_factor,
        .remember = remember,
    };

    familiar_make(c, user->email);
    return login_done(c, l, &proof, err);
}

int step_begin(struct call *c,
               struct login *login,
               const struct local_user *user,
               bool remember,
               struct rk_err *err)
{
    struct step s = { .login = *login, .user = *user, .remember = remember };
    char *cookie;
    int r;

    if (!user->needs_factor)
        return finish(c, login, user, false, remember, err);
    cookie = rk_arena_alloc(c->arena, RK_RANDOM_TEXT_LEN + 1);
    rk_random_text(cookie);
    s.holder = digest(c, cookie);
    r = step_keep(c, &s, err);
    if (r < 0)
        return r;
    cookie_set(c, COOKIE, cookie, COOKIE_OF_SESSION);
    return page_redirect(c, step_path(c, login, "totp"));
}

int step_keep(struct call *c, struct step *s, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf out = { .max = LOGIN_NOTE_MAX };
    char secret[RK_B64_LEN(TOTP_SECRET_BYTES) + 1] = "";
    struct rk_json j;

    if (s->has_secret)
        rk_b64_encode(s->secret, sizeof(s->secret), secret);
    rk_json_init(&j, &out);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "holder", s->holder);
    rk_json_cstr(&j, "user", s->user.id);
    rk_json_bool(&j, "remember", s->remember);
    rk_json_uint(&j, "failures", s->failures);
    rk_json_bool(&j, "proved", s->proved);
    rk_json_cstr(&j, "secret", secret);
    rk_json_cstr(&j, "challenge", s->challenge);
    rk_json_object_end(&j);
    return login_note(c, &s->login, rk_buf_str(&out), err);
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *v = json_string_value(json_object_get(o, name));

    return v ? v : "";
}

/* What step_keep wrote, except the user, whose id it returns. */
static const char *read_note(struct call *c, const json_t *o, struct step *s)
{
    size_t n;

    s->holder = rk_arena_strdup(c->arena, text_of(o, "holder"));
    s->remember = json_is_true(json_object_get(o, "remember"));
    s->failures = (unsigned)json_integer_value(json_object_get(o, "failures"));
    s->proved = json_is_true(json_object_get(o, "proved"));
    s->has_secret = rk_b64_decode(rk_str(text_of(o, "secret")), s->secret, sizeof(s->secret), &n) &&
                    n == sizeof(s->secret);
    (void)rk_str_copy(rk_str(text_of(o, "challenge")), s->challenge, sizeof(s->challenge));
    return rk_arena_strdup(c->arena, text_of(o, "user"));
}

int step_find(struct call *c, struct step *out, struct rk_err *err)
{
    struct step s = { .failures = 0 };
    const char *cookie = cookie_get(c, COOKIE), *user, *have;
    json_t *note;
    int r;

    r = login_find(c, call_query(c, "login"), &s.login, err);
    if (r < 0)
        return r;
    note = s.login.note.n > 0 ? json_loadb(s.login.note.p, s.login.note.n, 0, NULL) : NULL;
    if (!note || !cookie) {
        json_decref(note);
        return rk_fail(err, RK_NOT_FOUND, "no password was given yet");
    }
    user = read_note(c, note, &s);
    json_decref(note);
    have = digest(c, cookie);
    if (!rk_const_eq_str(rk_str(s.holder), rk_str(have)))
        return rk_fail(err, RK_NOT_FOUND, "the password was given elsewhere");
    r = local_find(c, user, &s.user, err);
    if (r == 0)
        *out = s;
    return r;
}

int step_failed(struct call *c, struct step *s, bool *out_over, struct rk_err *err)
{
    *out_over = ++s->failures >= STEP_MAX_FAILURES;
    if (!*out_over)
        return step_keep(c, s, err);
    cookie_set(c, COOKIE, "", COOKIE_FORGET);
    return login_note(c, &s->login, rk_str(""), err);
}

int step_done(struct call *c, struct step *s, struct rk_err *err)
{
    if (!s->proved)
        return rk_fail(err, RK_DENIED, "the second factor was not given");
    cookie_set(c, COOKIE, "", COOKIE_FORGET);
    return finish(c, &s->login, &s->user, true, s->remember, err);
}
