/* See setup_body.h. */

#include "services/dashboard-api/api/setup_body.h"

#include "libcommon/account/rules/password.h"
#include "libcommon/account/rules/pat.h"

#define PAT_DAYS 1

bool setup_email_valid(const char *s)
{
    const char *at = strchr(s, '@');
    struct rk_str rest, label;

    if (!at || at == s || strlen(s) > 254)
        return false;
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("()<>[]:;,\\\"", *p) ||
            (*p == '@' && p != at))
            return false;
    rest = rk_str(at + 1);
    while (rk_str_next(&rest, '.', &label))
        if (label.n == 0)
            return false;
    return true;
}

int setup_body_check(const struct setup_body *b, struct rk_err *err)
{
    if (b->create_pat && (b->pat_days < 1 || b->pat_days > RK_PAT_MAX_DAYS))
        return rk_fail(err, RK_INVALID, "pat_expire_in must be between 1 and 365");
    if (b->email[0] == '\0')
        return rk_fail(err, RK_INVALID, "email is required");
    if (!setup_email_valid(b->email))
        return rk_fail(err, RK_INVALID, "invalid email format");
    if (b->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "name is required");
    if (rk_password_judge(rk_str(b->password)) == RK_PASSWORD_SHORT) /* in words of its own */
        return rk_fail(err, RK_INVALID, "password must be at least 8 characters");
    return rk_password_rules(b->password, err);
}

int setup_body_decode(struct rk_str text,
                      struct rk_arena *arena,
                      bool pat_enabled,
                      struct body *body,
                      struct setup_body *out,
                      struct rk_err *err)
{
    bool wanted;

    if (body_parse(text, arena, body, err) < 0)
        return rk_fail(err, RK_BAD_REQUEST, "invalid request body");
    out->email = body_str(body, body->root, "email");
    out->password = body_str(body, body->root, "password");
    out->name = body_str(body, body->root, "name");
    wanted = body_bool(body, body->root, "create_pat");
    out->pat_days = body_get(body->root, "pat_expire_in")
                        ? body_int(body, body->root, "pat_expire_in")
                        : PAT_DAYS;
    out->create_pat = wanted && pat_enabled;
    if (body->bad)
        return rk_fail(err, RK_BAD_REQUEST, "invalid request body");
    return setup_body_check(out, err);
}
