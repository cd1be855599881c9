/* See second.h. */

#include "services/dashboard-api/login/second.h"

#include "libcommon/account/rules/subject.h"
#include "services/dashboard-api/login/guess.h"
#include "services/dashboard-api/page/cookie.h"

int second_find(struct call *c, struct step *s, struct rk_err *err)
{
    int r = step_find(c, s, err);

    if (r != RK_NOT_FOUND)
        return r;
    (void)page_error(c, 400, TEXT_ERROR_LOGIN_GONE);
    return 1;
}

int second_failed(struct call *c, struct step *s, struct rk_err *err)
{
    bool over;
    int r = step_failed(c, s, &over, err);

    if (r < 0 || !over)
        return r;
    (void)page_error_retry(c, 401, TEXT_TOTP_OVER, login_path(c, &s->login, RK_CONNECTOR_LOCAL));
    return 1;
}

int second_try(struct call *c, struct step *s, struct rk_err *err)
{
    bool allowed;
    int r = guess_try(c, GUESS_FACTOR, s->user.id, &allowed, err);

    if (r < 0 || allowed)
        return r;
    (void)page_error(c, 429, TEXT_TOTP_WAIT);
    return 1;
}

int second_right(struct call *c, struct step *s, struct rk_err *err)
{
    int r = guess_right(c, GUESS_FACTOR, s->user.id, err);

    s->proved = true;
    return r < 0 ? r : step_done(c, s, err);
}

bool second_passkeys_work(struct call *c)
{
    struct rk_str origin = rk_str(cookie_origin(c));

    return cookie_secure(c) || rk_str_eq(origin, RK_STR("http://localhost")) ||
           rk_str_starts(origin, RK_STR("http://localhost:"));
}
