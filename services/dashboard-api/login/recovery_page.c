/* See pages.h. A recovery code in place of the app. */

#include "services/dashboard-api/login/factor.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/login/second.h"

static int show(struct call *c, struct step *st, bool wrong)
{
    struct sheet s;

    c->status = wrong ? 401 : 200;
    page_begin(c, &s, TEXT_RECOVERY_TITLE);
    page_say(&s, "p", TEXT_RECOVERY_PROMPT, st->user.email, NULL);
    page_form(&s, step_path(c, &st->login, "recovery"), step_purpose(c, &st->login, "recovery"));
    page_field(&s, &(struct page_field){ .name = "code",
                                         .label = TEXT_RECOVERY_CODE,
                                         .maxlength = 32,
                                         .error = wrong ? TEXT_RECOVERY_WRONG : TEXT_NONE,
                                         .focus = true,
                                         .code = true });
    page_button(&s, TEXT_TOTP_SUBMIT, NULL, NULL);
    html_close(&s.html);
    page_anchor(&s, TEXT_RECOVERY_APP, step_path(c, &st->login, "totp"));
    return page_end(&s);
}

int login_recovery_get(struct call *c, struct rk_err *err)
{
    struct step st;
    int r = second_find(c, &st, err);

    if (r != 0)
        return r < 0 ? r : 0;
    return show(c, &st, false);
}

int login_recovery_post(struct call *c, struct rk_err *err)
{
    struct step st;
    struct form form;
    bool right;
    int r;

    r = second_find(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = form_take(c, step_purpose(c, &st.login, "recovery"), &form, err);
    if (r == 0)
        r = second_try(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = factor_try_recovery(c, st.user.id, form_get(&form, "code"), &right, err);
    if (r < 0)
        return r;
    if (right)
        return second_right(c, &st, err);
    r = second_failed(c, &st, err);
    return r < 0 ? r : r > 0 ? 0 : show(c, &st, true);
}
