/* See pages.h. The first account, by the rule of POST /api/setup; there only until it exists. */

#include "libcommon/account/rules/account_create.h"
#include "services/dashboard-api/api/setup.h"
#include "services/dashboard-api/login/chosen.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/oauth/provider.h"

#define MAX_NAME 255

struct entry {
    const char *name, *email;
    enum text wrong_name, wrong_email;
    struct chosen chosen;
};

static int show(struct call *c, const struct entry *e)
{
    bool wrong = e->wrong_name || e->wrong_email || !chosen_good(&e->chosen);
    struct sheet s;

    page_begin(c, &s, TEXT_SETUP_TITLE);
    chosen_status(&s, wrong);
    page_say(&s, "p", TEXT_SETUP_PROMPT, NULL);
    page_form(&s, "/oauth2/setup", "setup");
    page_field(&s, &(struct page_field){ .name = "name",
                                         .label = TEXT_SETUP_NAME,
                                         .value = e->name,
                                         .autocomplete = "name",
                                         .maxlength = MAX_NAME,
                                         .error = e->wrong_name,
                                         .focus = !wrong || e->wrong_name });
    page_field(&s, &(struct page_field){ .name = "email",
                                         .label = TEXT_LOGIN_EMAIL,
                                         .type = "email",
                                         .value = e->email,
                                         .autocomplete = "username",
                                         .maxlength = 254,
                                         .error = e->wrong_email,
                                         .focus = e->wrong_email && !e->wrong_name });
    chosen_fields(&s, &e->chosen, false);
    page_button(&s, TEXT_SETUP_SUBMIT, NULL, NULL);
    return page_end(&s);
}

static int show_over(struct call *c)
{
    return page_error_retry(c, 404, TEXT_SETUP_OVER, NULL);
}

/* 1: there is an account, and a page says so. */
static int still_open(struct call *c, struct rk_err *err)
{
    const struct provider *p;
    bool any;
    int r;

    r = provider_of(c, &p, err);
    if (r == 0)
        r = rk_account_any(c->pg, &any, err);
    if (r < 0 || !any)
        return r;
    (void)show_over(c);
    return 1;
}

int setup_page_get(struct call *c, struct rk_err *err)
{
    int r = still_open(c, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return show(c, &(struct entry){ .name = "", .email = "" });
}

static int create(struct call *c, const struct entry *e, struct rk_err *err)
{
    const struct setup_body in = { .email = e->email,
                                   .name = e->name,
                                   .password = e->chosen.password };
    struct rk_account_created created;
    struct sheet s;
    int r = setup_first_account(c->pg, c->config, &in, NULL, &created, err);

    if (r == RK_PRECONDITION)
        return show_over(c);
    if (r < 0)
        return r;
    setup_log(c, &created);
    page_begin(c, &s, TEXT_SETUP_DONE_TITLE);
    page_notice(&s, "done", TEXT_SETUP_DONE_PROMPT, e->email, NULL);
    page_link_button(&s, TEXT_GO_ON, NULL, "/");
    return page_end(&s);
}

int setup_page_post(struct call *c, struct rk_err *err)
{
    struct form f;
    struct entry e;
    int r;

    r = still_open(c, err);
    if (r == 0)
        r = form_take(c, "setup", &f, err);
    if (r != 0)
        return r < 0 ? r : 0;
    e = (struct entry){
        .name = rk_arena_strn(c->arena, rk_str_trim(rk_str(form_get(&f, "name")))),
        .email = rk_arena_strn(c->arena, rk_str_trim(rk_str(form_get(&f, "email")))),
        .chosen = chosen_take(&f),
    };
    if (e.name[0] == '\0' || strlen(e.name) > MAX_NAME)
        e.wrong_name = TEXT_NAME_MISSING;
    if (!setup_email_valid(e.email))
        e.wrong_email = TEXT_EMAIL_WRONG;
    if (e.wrong_name || e.wrong_email || !chosen_good(&e.chosen) || c->turned_away)
        return show(c, &e);
    r = call_may_hash(c);
    return r != 0 ? r : create(c, &e, err);
}
