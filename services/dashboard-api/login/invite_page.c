/* See pages.h. Whoever holds an invitation chooses a password; counted with the same two calls of
 * REST. */

#include "libcommon/account/rules/invite.h"
#include "libcommon/account/rules/rate.h"
#include "services/dashboard-api/login/chosen.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/oauth/provider.h"

static int show_over(struct call *c)
{
    return page_error(c, 404, TEXT_INVITE_OVER);
}

/* 1: there is no such invitation any more, and a page says so. */
static int find(struct call *c, const char *token, struct rk_invite *out, struct rk_err *err)
{
    const struct provider *p;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    if (c->config->local_auth_disabled) {
        (void)show_over(c);
        return 1;
    }
    if (!c->turned_away) /* it was counted when it came */
        r = rk_rate_take(c->pg, &rk_invite_strangers, call_source(c), err);
    if (r == 0)
        r = rk_invite_find(c->pg, token ? token : "", out, err);
    if (r == RK_INVALID || r == RK_NOT_FOUND || (r == 0 && out->expired)) {
        (void)show_over(c);
        return 1;
    }
    return r;
}

static int
show(struct call *c, const char *token, const struct rk_invite *i, const struct chosen *chosen)
{
    bool wrong = !chosen_good(chosen);
    struct sheet s;

    page_begin(c, &s, TEXT_INVITE_TITLE);
    chosen_status(&s, wrong);
    page_say(&s, "p", TEXT_INVITE_PROMPT, i->invited_by, i->email, NULL);
    page_form(&s, "/oauth2/invite", "invite");
    page_hidden(&s, "token", token);
    chosen_whose(&s, i->email);
    chosen_fields(&s, chosen, !wrong);
    page_button(&s, TEXT_INVITE_SUBMIT, NULL, NULL);
    return page_end(&s);
}

int invite_page_get(struct call *c, struct rk_err *err)
{
    rk_auto(rk_invite_done) struct rk_invite invite = { .row = NULL };
    const char *token = call_query(c, "token");
    int r = find(c, token, &invite, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return show(c, token, &invite, &(struct chosen){ .password = "" });
}

int invite_page_post(struct call *c, struct rk_err *err)
{
    rk_auto(rk_invite_done) struct rk_invite invite = { .row = NULL };
    struct chosen chosen;
    const char *token;
    struct form f;
    struct sheet s;
    int r;

    r = form_take(c, "invite", &f, err);
    if (r < 0)
        return r;
    token = form_get(&f, "token");
    chosen = chosen_take(&f);
    if (c->pool != POOL_PASSWORD) {
        r = find(c, token, &invite, err);
        if (r != 0)
            return r < 0 ? r : 0;
        if (!chosen_good(&chosen) || c->turned_away)
            return show(c, token, &invite, &chosen);
        return call_may_hash(c);
    }
    r = rk_invite_accept(c->pg, token, chosen.password, &c->bell, err);
    if (r == RK_INVALID || r == RK_NOT_FOUND || r == RK_EXISTS)
        return show_over(c);
    if (r < 0)
        return r;
    page_begin(c, &s, TEXT_INVITE_DONE_TITLE);
    page_notice(&s, "done", TEXT_INVITE_DONE_PROMPT, NULL);
    page_link_button(&s, TEXT_GO_ON, NULL, "/");
    return page_end(&s);
}
