/* See pages.h. A password is changed by who is signed in and knows the old one; all other sessions
 * end. */

#include "libcommon/account/rules/subject.h"
#include "libcommon/account/rules/user.h"
#include "services/dashboard-api/login/chosen.h"
#include "services/dashboard-api/login/guess.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/session.h"

/* 1: nobody is signed in, or not with a password of ours, and a page says so. */
static int
find(struct call *c, struct session *session, struct local_user *user, struct rk_err *err)
{
    const struct provider *p;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    r = session_find(c, session, err);
    if (r == RK_NOT_FOUND || (r == 0 && session->needs_factor)) {
        (void)page_error_retry(c, 401, TEXT_CHANGE_SIGN_IN, "/");
        return 1;
    }
    if (r == 0)
        r = local_find(c, session->who.user_id, user, err);
    if (r == RK_NOT_FOUND) {
        (void)page_error(c, 404, TEXT_CHANGE_NOT_LOCAL);
        return 1;
    }
    return r;
}

static int show(struct call *c,
                const struct local_user *user,
                enum text wrong_old,
                const struct chosen *chosen)
{
    bool wrong = wrong_old || !chosen_good(chosen);
    struct sheet s;

    page_begin(c, &s, TEXT_CHANGE_TITLE);
    chosen_status(&s, wrong);
    page_form(&s, "/oauth2/password", "password");
    chosen_whose(&s, user->email);
    page_field(&s, &(struct page_field){ .name = "old_password",
                                         .label = TEXT_CHANGE_OLD,
                                         .type = "password",
                                         .autocomplete = "current-password",
                                         .error = wrong_old,
                                         .focus = !wrong || wrong_old });
    chosen_fields(&s, chosen, false);
    page_button(&s, TEXT_CHANGE_SUBMIT, NULL, NULL);
    return page_end(&s);
}

int change_page_get(struct call *c, struct rk_err *err)
{
    struct session session;
    struct local_user user;
    int r = find(c, &session, &user, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return show(c, &user, TEXT_NONE, &(struct chosen){ .password = "" });
}

/* Whoever sits at somebody else's browser guesses no better than a stranger. */
static int change(struct call *c,
                  const struct session *session,
                  const struct local_user *user,
                  const char *old,
                  struct chosen *chosen,
                  struct rk_err *err)
{
    struct rk_actor actor = { .account_id = user->account_id, .user_id = user->id };
    struct local_user checked;
    struct session renewed;
    struct sheet s;
    int r;

    r = local_check(c, user->email, old, false, &checked, err);
    if (r == RK_UNAUTHENTICATED || (r == 0 && strcmp(checked.id, user->id) != 0))
        return show(c, user, TEXT_CHANGE_WRONG, chosen);
    if (r < 0)
        return r;
    if (strcmp(old, chosen->password) == 0) {
        chosen->wrong = TEXT_CHANGE_SAME;
        return show(c, user, TEXT_NONE, chosen);
    }
    r = rk_user_replace_password(c->pg, &actor, (struct rk_str){ NULL, 0 },
                                 rk_str(checked.password_hash), chosen->password, err);
    if (r == 0)
        r = session_start(c, &session->who, session->second_factor, session->remember, &renewed,
                          err);
    if (r < 0)
        return r;
    page_begin(c, &s, TEXT_CHANGE_DONE_TITLE);
    page_notice(&s, "done", TEXT_CHANGE_DONE_PROMPT, NULL);
    page_link_button(&s, TEXT_GO_ON, NULL, "/");
    return page_end(&s);
}

int change_page_post(struct call *c, struct rk_err *err)
{
    struct session session;
    struct local_user user;
    struct chosen chosen;
    struct form f;
    int r;

    r = find(c, &session, &user, err);
    if (r == 0)
        r = form_take(c, "password", &f, err);
    if (r != 0)
        return r < 0 ? r : 0;
    chosen = chosen_take(&f);
    if (!chosen_good(&chosen) || c->turned_away)
        return show(c, &user, TEXT_NONE, &chosen);
    r = call_may_hash(c);
    return r != 0 ? r : change(c, &session, &user, form_get(&f, "old_password"), &chosen, err);
}
