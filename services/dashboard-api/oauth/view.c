/* See view.h. */

#include "services/dashboard-api/oauth/view.h"

#include "libcommon/base/clock.h"
#include "services/dashboard-api/page/page.h"

int view_problem(struct call *c, enum view_problem what)
{
    static const struct {
        unsigned status;
        enum text text;
    } problems[] = {
        [VIEW_BAD_CLIENT] = { 400, TEXT_ERROR_CLIENT },
        [VIEW_BAD_REDIRECT] = { 400, TEXT_ERROR_REDIRECT },
        [VIEW_BAD_REQUEST] = { 400, TEXT_ERROR_REQUEST },
        [VIEW_LOGIN_OVER] = { 400, TEXT_ERROR_LOGIN_GONE },
        [VIEW_FORGED] = { 403, TEXT_ERROR_FORM },
        [VIEW_TOO_MANY] = { 429, TEXT_ERROR_TOO_MANY },
    };

    return page_error(c, problems[what].status, problems[what].text);
}

int view_chooser(struct call *c, const struct view_way *ways, size_t n)
{
    struct sheet s;

    page_begin(c, &s, TEXT_CHOOSER_TITLE);
    page_say(&s, "p", TEXT_CHOOSER_PROMPT, NULL);
    html_open(&s.html, "ul", "class", "ways", NULL);
    for (size_t i = 0; i < n; i++) {
        bool named = ways[i].name[0] != '\0';

        html_open(&s.html, "li", NULL);
        page_link_button(&s, named ? TEXT_CHOOSER_WITH : TEXT_CHOOSER_EMAIL,
                         named ? ways[i].name : NULL, ways[i].href);
        html_close(&s.html);
    }
    html_close(&s.html);
    return page_end(&s);
}

int view_device_code(struct call *c, const char *user_code, bool bad)
{
    struct sheet s;

    page_begin(c, &s, TEXT_DEVICE_TITLE);
    page_say(&s, "p", TEXT_DEVICE_PROMPT, NULL);
    page_form(&s, "/oauth2/device/auth/verify_code", "device");
    page_field(&s, &(struct page_field){ .name = "user_code",
                                         .label = TEXT_DEVICE_CODE,
                                         .value = user_code,
                                         .error = bad ? TEXT_DEVICE_WRONG : TEXT_NONE,
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

int view_device_approve(struct call *c, const struct view_device *d)
{
    struct sheet s;

    page_begin(c, &s, TEXT_DEVICE_CONFIRM_TITLE);
    page_say(&s, "p", TEXT_DEVICE_CONFIRM_PROMPT, NULL);
    page_facts_begin(&s);
    page_fact(&s, TEXT_DEVICE_CODE, d->user_code);
    page_fact(&s, TEXT_DEVICE_CLIENT, d->client_name);
    page_fact(&s, TEXT_DEVICE_ADDRESS, d->remote_ip);
    page_fact(&s, TEXT_DEVICE_TIME, time_text(c, d->asked_us));
    page_fact(&s, TEXT_DEVICE_ACCOUNT, d->who);
    page_facts_end(&s);
    page_form(&s, rk_arena_printf(c->arena, "/oauth2/device/approve?login=%s", d->login_id),
              rk_arena_printf(c->arena, "device %s", d->login_id));
    page_button(&s, TEXT_DEVICE_APPROVE, "answer", "approve");
    page_button_quiet(&s, TEXT_DEVICE_DENY, "answer", "deny");
    return page_end(&s);
}

int view_device_end(struct call *c, bool approved)
{
    struct sheet s;

    page_begin(c, &s, approved ? TEXT_DEVICE_DONE_TITLE : TEXT_DEVICE_DENIED_TITLE);
    page_notice(&s, "done", approved ? TEXT_DEVICE_DONE_PROMPT : TEXT_DEVICE_DENIED_PROMPT, NULL);
    return page_end(&s);
}

int view_logout_confirm(struct call *c,
                        const char *client_id,
                        const char *post_logout_redirect_uri,
                        const char *state)
{
    const struct {
        const char *name, *value;
    } along[] = {
        { "client_id", client_id },
        { "post_logout_redirect_uri", post_logout_redirect_uri },
        { "state", state },
    };
    struct sheet s;

    page_begin(c, &s, TEXT_LOGOUT_TITLE);
    page_say(&s, "p", TEXT_LOGOUT_PROMPT, NULL);
    page_form(&s, "/oauth2/logout", "logout");
    for (size_t i = 0; i < RK_COUNT(along); i++)
        if (along[i].value[0] != '\0')
            page_hidden(&s, along[i].name, along[i].value);
    page_button(&s, TEXT_LOGOUT_SUBMIT, NULL, NULL);
    return page_end(&s);
}

int view_logged_out(struct call *c)
{
    struct sheet s;

    page_begin(c, &s, TEXT_LOGOUT_DONE_TITLE);
    page_notice(&s, "done", TEXT_LOGOUT_DONE_PROMPT, NULL);
    return page_end(&s);
}
