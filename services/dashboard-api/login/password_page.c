/* See pages.h. Every failure is the same page, whatever was wrong; only that too many are signing
 * in at the moment is told, which has to do with nobody. */

#include "libcommon/loop/workers.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/login/step.h"
#include "services/dashboard-api/oauth/login.h"
#include "services/dashboard-api/page/form.h"
#include "services/dashboard-api/page/page.h"

static const char *purpose(struct call *c, const struct login *l)
{
    return rk_arena_printf(c->arena, "login %s", l->id);
}

/* `problem`: what is wrong, or TEXT_NONE. */
static int show(struct call *c,
                const struct login *l,
                const char *email,
                bool remember,
                enum text problem,
                struct rk_err *err)
{
    struct sheet s;
    bool choice;
    int r = login_has_choice(c, l, &choice, err);

    if (r < 0)
        return r;
    c->status = problem == TEXT_NONE ? 200 : problem == TEXT_ERROR_BUSY ? 503 : 401;
    page_begin(c, &s, TEXT_LOGIN_TITLE);
    if (problem != TEXT_NONE)
        page_notice(&s, "error", problem, NULL);
    page_form(&s, rk_arena_printf(c->arena, "/oauth2/auth/local/login?login=%s", l->id),
              purpose(c, l));
    page_field(&s, &(struct page_field){ .name = "login",
                                         .label = TEXT_LOGIN_EMAIL,
                                         .type = "email",
                                         .value = email,
                                         .autocomplete = "username",
                                         .maxlength = LOCAL_EMAIL_MAX,
                                         .focus = email[0] == '\0' });
    page_field(&s, &(struct page_field){ .name = "password",
                                         .label = TEXT_LOGIN_PASSWORD,
                                         .type = "password",
                                         .autocomplete = "current-password",
                                         .focus = email[0] != '\0' });
    page_checkbox(&s, "remember_me", TEXT_LOGIN_REMEMBER, remember);
    page_button(&s, TEXT_LOGIN_SUBMIT, NULL, NULL);
    html_close(&s.html);
    if (choice)
        page_anchor(&s, TEXT_LOGIN_OTHER, login_chooser_path(c, l));
    return page_end(&s);
}

/* The login of the query. 1: it is over, and a page says so. */
static int find(struct call *c, struct login *l, struct rk_err *err)
{
    int r = login_find(c, call_query(c, "login"), l, err);

    if (r != RK_NOT_FOUND)
        return r;
    (void)page_error(c, 400, TEXT_ERROR_LOGIN_GONE);
    return 1;
}

int login_password_get(struct call *c, struct rk_err *err)
{
    struct login l;
    int r = find(c, &l, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return show(c, &l, l.login_hint, false, TEXT_NONE, err);
}

int login_password_post(struct call *c, struct rk_err *err)
{
    struct login l;
    struct local_user user;
    struct form f;
    const char *email, *password;
    bool remember, allowed = false;
    int r;

    r = find(c, &l, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = form_take(c, purpose(c, &l), &f, err);
    if (r < 0)
        return r;
    email = rk_arena_strn(c->arena, rk_str_trim(rk_str(form_get(&f, "login"))));
    password = form_get(&f, "password");
    remember = strcmp(form_get(&f, "remember_me"), "on") == 0;
    if (c->pool != POOL_PASSWORD && rk_workers_full(c->shared->pool[POOL_PASSWORD]))
        return show(c, &l, email, remember, TEXT_ERROR_BUSY, err);
    if (c->pool != POOL_PASSWORD) { /* who may not try anyway keeps nobody waiting there */
        r = local_may_try(c, email, &allowed, err);
        if (r < 0)
            return r;
        if (!allowed)
            return show(c, &l, email, remember, TEXT_LOGIN_FAILED, err);
        c->move = POOL_PASSWORD;
        return CALL_MOVE;
    }
    r = local_check(c, email, password, &user, err);
    if (r == RK_UNAUTHENTICATED) {
        rk_info(NULL, "login failed from %s", c->remote_ip);
        return show(c, &l, email, remember, TEXT_LOGIN_FAILED, err);
    }
    return r < 0 ? r : step_begin(c, &l, &user, remember, err);
}
