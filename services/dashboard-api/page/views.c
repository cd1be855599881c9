/* See views.h. */

#include "services/dashboard-api/page/views.h"

#include "libcommon/base/clock.h"
#include "services/dashboard-api/page/page.h"

int view_chooser(struct call *c, const struct chooser_way *ways, size_t n)
{
    struct sheet s;

    page_begin(c, &s, TEXT_CHOOSER_TITLE);
    page_say(&s, "p", TEXT_CHOOSER_PROMPT, NULL);
    html_open(&s.html, "ul", "class", "ways", NULL);
    for (size_t i = 0; i < n; i++) {
        html_open(&s.html, "li", NULL);
        page_link_button(&s, ways[i].name ? TEXT_CHOOSER_WITH : TEXT_CHOOSER_EMAIL, ways[i].name,
                         ways[i].href);
        html_close(&s.html);
    }
    html_close(&s.html);
    return page_end(&s);
}

int view_device_code(struct call *c, const char *user_code, bool wrong)
{
    struct sheet s;

    page_begin(c, &s, TEXT_DEVICE_TITLE);
    page_say(&s, "p", TEXT_DEVICE_PROMPT, NULL);
    page_form(&s, "/oauth2/device/auth/verify_code", "device");
    page_field(&s, &(struct page_field){ .name = "user_code",
                                         .label = TEXT_DEVICE_CODE,
                                         .value = user_code,
                                         .error = wrong ? TEXT_DEVICE_WRONG : TEXT_NONE,
                                         .maxlength = 32,
                                         .focus = true,
                                         .code = true });
    page_button(&s, TEXT_CONTINUE, NULL, NULL);
    return page_end(&s);
}

/* "2026-01-02 03:04:05 UTC" */
static const char *time_text(struct call *c, int64_t us)
{
    char text[RK_TIME_LEN];

    rk_time_format(us, text);
    return rk_arena_printf(c->arena, "%.10s %.8s UTC", text, text + 11);
}

int view_device_confirm(struct call *c, const struct device_view *v)
{
    struct sheet s;

    page_begin(c, &s, TEXT_DEVICE_CONFIRM_TITLE);
    page_say(&s, "p", TEXT_DEVICE_CONFIRM_PROMPT, NULL);
    page_facts_begin(&s);
    page_fact(&s, TEXT_DEVICE_CODE, v->user_code);
    page_fact(&s, TEXT_DEVICE_CLIENT, v->client);
    page_fact(&s, TEXT_DEVICE_ADDRESS, v->remote_ip);
    page_fact(&s, TEXT_DEVICE_TIME, time_text(c, v->asked_us));
    page_fact(&s, TEXT_DEVICE_ACCOUNT, v->account);
    page_facts_end(&s);
    page_form(&s, v->action, v->purpose);
    page_button(&s, TEXT_DEVICE_APPROVE, "answer", "approve");
    page_button_quiet(&s, TEXT_DEVICE_DENY, "answer", "deny");
    return page_end(&s);
}

int view_device_done(struct call *c, bool approved)
{
    struct sheet s;

    page_begin(c, &s, approved ? TEXT_DEVICE_DONE_TITLE : TEXT_DEVICE_DENIED_TITLE);
    page_notice(&s, "done", approved ? TEXT_DEVICE_DONE_PROMPT : TEXT_DEVICE_DENIED_PROMPT, NULL);
    return page_end(&s);
}

int view_logout_confirm(struct call *c, const char *action, const char *const *fields)
{
    struct sheet s;

    page_begin(c, &s, TEXT_LOGOUT_TITLE);
    page_say(&s, "p", TEXT_LOGOUT_PROMPT, NULL);
    page_form(&s, action, "logout");
    for (size_t i = 0; fields[i]; i += 2)
        page_hidden(&s, fields[i], fields[i + 1]);
    page_button(&s, TEXT_LOGOUT_SUBMIT, NULL, NULL);
    return page_end(&s);
}

int view_logged_out(struct call *c, const char *back)
{
    struct sheet s;

    page_begin(c, &s, TEXT_LOGOUT_DONE_TITLE);
    page_notice(&s, "done", TEXT_LOGOUT_DONE_PROMPT, NULL);
    if (back)
        page_link_button(&s, TEXT_LOGOUT_BACK, NULL, back);
    return page_end(&s);
}
