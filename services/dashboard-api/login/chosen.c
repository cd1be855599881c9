/* See chosen.h. */

#include "services/dashboard-api/login/chosen.h"

#include "libcommon/account/rules/password.h"

struct chosen chosen_take(const struct form *f)
{
    static const enum text texts[] = {
        [RK_PASSWORD_GOOD] = TEXT_NONE,
        [RK_PASSWORD_EMPTY] = TEXT_PASSWORD_MISSING,
        [RK_PASSWORD_SHORT] = TEXT_PASSWORD_SHORT,
        [RK_PASSWORD_LONG] = TEXT_PASSWORD_LONG,
        [RK_PASSWORD_WEAK] = TEXT_PASSWORD_WEAK,
    };
    struct chosen p = { .password = form_get(f, "password") };

    p.wrong = texts[rk_password_judge(rk_str(p.password))];
    if (p.wrong == TEXT_NONE && strcmp(p.password, form_get(f, "password_again")) != 0)
        p.wrong_again = TEXT_PASSWORD_DIFFERS;
    return p;
}

bool chosen_good(const struct chosen *p)
{
    return p->wrong == TEXT_NONE && p->wrong_again == TEXT_NONE;
}

void chosen_status(struct sheet *s, bool wrong)
{
    s->c->status = s->c->turned_away ? 503 : wrong ? 422 : 200;
    if (s->c->turned_away)
        page_notice(s, "error", TEXT_ERROR_BUSY, NULL);
}

void chosen_whose(struct sheet *s, const char *email)
{
    html_void(&s->html, "input", "type", "email", "name", "email", "value", email, "autocomplete",
              "username", "readonly", "", "hidden", "", "aria-label",
              text_in(s->lang, TEXT_LOGIN_EMAIL), NULL);
}

void chosen_fields(struct sheet *s, const struct chosen *p, bool focus)
{
    page_field(s, &(struct page_field){ .name = "password",
                                        .label = TEXT_PASSWORD_NEW,
                                        .type = "password",
                                        .autocomplete = "new-password",
                                        .hint = TEXT_PASSWORD_RULE,
                                        .error = p->wrong,
                                        .focus = focus || p->wrong != TEXT_NONE });
    page_field(s, &(struct page_field){ .name = "password_again",
                                        .label = TEXT_PASSWORD_AGAIN,
                                        .type = "password",
                                        .autocomplete = "new-password",
                                        .error = p->wrong_again,
                                        .focus = !focus && p->wrong_again != TEXT_NONE });
}
