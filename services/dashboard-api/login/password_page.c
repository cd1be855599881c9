/* See pages.h. Every failure is the same page, whatever was wrong; only that too many are signing
 * in at the moment is told, which has to do with nobody. */

#include "libcommon/loop/workers.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/login/familiar.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/login/step.h"
#include "services/dashboard-api/oauth/login.h"
#include "services/dashboard-api/page/form.h"
#include "services/dashboard-api/page/page.h"

static const char *purpose(struct call *c, const char *id)
{
    return rk_arena_printf(c->arena, "login %s", id);
}

struct entry {
    const char *email;
    bool remember;
};

/* `problem`: what is wrong, or TEXT_NONE. `choice`: there are other ways to sign in. */
static int
show(struct call *c, const struct login *l, bool choice, const struct entry *e, enum text problem)
{
    struct sheet s;

    c->status = problem == TEXT_NONE ? 200 : problem == TEXT_ERROR_BUSY ? 503 : 401;
    page_begin(c, &s, TEXT_LOGIN_TITLE);
    if (problem != TEXT_NONE)
        page_notice(&s, "error", problem, NULL);
    page_form(&s, rk_arena_printf(c->arena, "/oauth2/auth/local/login?login=%s", l->id),
              purpose(c, l->id));
    page_field(&s, &(struct page_field){ .name = "login",
                                         .label = TEXT_LOGIN_EMAIL,
                                         .type = "email",
                                         .value = e->email,
                                         .autocomplete = "username",
                                         .maxlength = LOCAL_EMAIL_MAX,
                                         .focus = e->email[0] == '\0' });
    page_field(&s, &(struct page_field){ .name = "password",
                                         .label = TEXT_LOGIN_PASSWORD,
                                         .type = "password",
                                         .autocomplete = "current-password",
                                         .focus = e->email[0] != '\0' });
    page_checkbox(&s, "remember_me", TEXT_LOGIN_REMEMBER, e->remember);
    page_button(&s, TEXT_LOGIN_SUBMIT, NULL, NULL);
    html_close(&s.html);
    if (choice)
        page_anchor(&s, TEXT_LOGIN_OTHER, login_chooser_path(c, l));
    return page_end(&s);
}

static int answer(struct call *c,
                  const struct login *l,
                  const struct entry *e,
                  enum text problem,
                  struct rk_err *err)
{
    bool choice;
    int r = login_has_choice(c, l, &choice, err);

    return r < 0 ? r : show(c, l, choice, e, problem);
}

/* The login of the query. 1: it is over, or cannot be this way, and a page says so. */
static int find(struct call *c, struct login *l, struct rk_err *err)
{
    int r = login_find(c, call_query(c, "login"), l, err);

    if (r == 0 && c->config->local_auth_disabled) {
        (void)page_error_retry(c, 404, TEXT_ERROR_CONNECTOR, login_chooser_path(c, l));
        return 1;
    }
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
    return answer(c, &l, &(struct entry){ .email = l.login_hint }, TEXT_NONE, err);
}

/* Before anything is hashed. Who finds the queue full, as it is while somebody tries passwords, is
 * sent away before Postgres is asked for anything. */
static int queue(struct call *c, const char *id, const struct entry *e, struct rk_err *err)
{
    struct login l;
    bool allowed;
    int r;

    r = familiar_goes_first(c, e->email, &c->first, err);
    if (r < 0)
        return r;
    if (!c->first && rk_workers_full(c->shared->pool[POOL_PASSWORD]))
        return show(c, &(struct login){ .id = id }, false, e, TEXT_ERROR_BUSY);
    r = find(c, &l, err);
    if (r != 0)
        return r < 0 ? r : 0;
    /* Who may not try anyway keeps nobody waiting there. */
    r = local_may_try(c, e->email, c->first, &allowed, err);
    if (r < 0)
        return r;
    if (!allowed)
        return answer(c, &l, e, TEXT_LOGIN_FAILED, err);
    return call_may_hash(c);
}

int login_password_post(struct call *c, struct rk_err *err)
{
    const char *id = call_query(c, "login");
    struct login l;
    struct local_user user;
    struct entry e;
    struct form f;
    int r;

    r = form_take(c, purpose(c, id ? id : ""), &f, err);
    if (r < 0)
        return r;
    e = (struct entry){
        .email = rk_arena_strn(c->arena, rk_str_trim(rk_str(form_get(&f, "login")))),
        .remember = strcmp(form_get(&f, "remember_me"), "on") == 0,
    };
    if (c->turned_away)
        return show(c, &(struct login){ .id = id }, false, &e, TEXT_ERROR_BUSY);
    if (c->pool != POOL_PASSWORD)
        return queue(c, id, &e, err);
    r = find(c, &l, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = local_check(c, e.email, form_get(&f, "password"), c->first, &user, err);
    if (r == RK_UNAUTHENTICATED) {
        rk_info(NULL, "login failed from %s", c->remote_ip);
        return answer(c, &l, &e, TEXT_LOGIN_FAILED, err);
    }
    return r < 0 ? r : step_begin(c, &l, &user, e.remember, err);
}
