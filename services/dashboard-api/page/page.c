/* See page.h. */

#include "services/dashboard-api/page/page.h"

#include <stdarg.h>
#include <stdio.h>

#include "services/dashboard-api/page/form.h"
#include "services/dashboard-api/page/static.h"

#define MAX_VALUES 4

bool page_header(unsigned n, bool scripted, const char **out_name, const char **out_value)
{
    /* Without form-action: it would stop the redirects that follow a login. */
#define POLICY                                                                                     \
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "         \
    "base-uri 'none'"
    static const struct {
        const char *name, *value;
    } headers[] = {
        { "Content-Security-Policy", POLICY },
        { "X-Content-Type-Options", "nosniff" },
        { "Referrer-Policy", "no-referrer" },
    };

    if (n >= RK_COUNT(headers))
        return false;
    *out_name = headers[n].name;
    *out_value = n == 0 && scripted ? POLICY "; script-src 'self'" : headers[n].value;
    return true;
}

/* `text` with its {} replaced. */
static void say(struct html *h, const char *text, const char *const *values, size_t n)
{
    char part[512];
    size_t used = 0;

    for (const char *brace; (brace = strstr(text, "{}")); text = brace + 2) {
        (void)rk_str_copy(rk_strn(text, (size_t)(brace - text)), part, sizeof(part));
        html_text(h, part);
        html_text(h, used < n ? values[used++] : "");
    }
    html_text(h, text);
}

static size_t take_values(va_list ap, const char *values[MAX_VALUES])
{
    const char *v;
    size_t n = 0;

    while (n < MAX_VALUES && (v = va_arg(ap, const char *)))
        values[n++] = v;
    return n;
}

static void begin(struct html *h, enum lang lang, enum text title)
{
    const char *values[] = { text_in(lang, title) };

    rk_buf_put_c(h->out, "<!doctype html>");
    html_open(h, "html", "lang", lang_tag(lang), NULL);
    html_open(h, "head", NULL);
    html_void(h, "meta", "charset", "utf-8", NULL);
    html_void(h, "meta", "name", "viewport", "content", "width=device-width, initial-scale=1",
              NULL);
    html_void(h, "meta", "name", "color-scheme", "content", "light dark", NULL);
    html_void(h, "meta", "name", "robots", "content", "noindex", NULL);
    html_open(h, "title", NULL);
    say(h, text_in(lang, TEXT_TITLE_OF), values, 1);
    html_close(h);
    html_void(h, "link", "rel", "icon", "type", "image/svg+xml", "href", static_path("logo.svg"),
              NULL);
    html_void(h, "link", "rel", "stylesheet", "href", static_path("style.css"), NULL);
    html_close(h);
    html_open(h, "body", NULL);
    html_open(h, "header", NULL);
    html_void(h, "img", "src", static_path("logo.svg"), "alt", "", "width", "40", "height", "40",
              NULL);
    html_leaf(h, "span", "Rookery", NULL);
    html_close(h);
    html_open(h, "main", NULL);
    html_leaf(h, "h1", values[0], NULL);
}

static void end(struct html *h)
{
    while (h->depth > 0)
        html_close(h);
    rk_buf_put_c(h->out, "\n");
}

void page_begin(struct call *c, struct sheet *s, enum text title)
{
    *s = (struct sheet){ .c = c, .lang = lang_of(c->head.accept_language) };
    c->no_store = true;
    rk_buf_clear(&c->out);
    html_init(&s->html, &c->out);
    begin(&s->html, s->lang, title);
}

int page_end(struct sheet *s)
{
    end(&s->html);
    return 0;
}

int page_error_retry(struct call *c, unsigned status, enum text why, const char *retry)
{
    struct sheet s;

    c->status = status;
    page_begin(c, &s, TEXT_ERROR_TITLE);
    page_notice(&s, "error", why, NULL);
    if (retry)
        page_link_button(&s, TEXT_TRY_AGAIN, NULL, retry);
    return page_end(&s);
}

int page_error(struct call *c, unsigned status, enum text why)
{
    return page_error_retry(c, status, why, NULL);
}

int page_redirect(struct call *c, const char *to)
{
    c->status = 303;
    c->no_store = true;
    rk_buf_clear(&c->out);
    call_header(c, "Location", to);
    return 0;
}

void page_write_error(struct rk_buf *out, const char *accept_language, unsigned status)
{
    static const struct {
        unsigned status;
        enum text text;
    } why[] = {
        { 400, TEXT_ERROR_REQUEST },    { 403, TEXT_ERROR_FORM },     { 404, TEXT_ERROR_NOT_FOUND },
        { 422, TEXT_ERROR_REQUEST },    { 429, TEXT_ERROR_TOO_MANY }, { 503, TEXT_ERROR_BUSY },
        { 401, TEXT_ERROR_LOGIN_GONE },
    };
    struct sheet s = { .lang = lang_of(accept_language) };
    enum text text = TEXT_ERROR_OURS;

    for (size_t i = 0; i < RK_COUNT(why); i++)
        if (why[i].status == status)
            text = why[i].text;
    html_init(&s.html, out);
    begin(&s.html, s.lang, TEXT_ERROR_TITLE);
    page_notice(&s, "error", text, NULL);
    end(&s.html);
}

void page_say(struct sheet *s, const char *tag, enum text text, ...)
{
    const char *values[MAX_VALUES];
    size_t n;
    va_list ap;

    va_start(ap, text);
    n = take_values(ap, values);
    va_end(ap);
    html_open(&s->html, tag, NULL);
    say(&s->html, text_in(s->lang, text), values, n);
    html_close(&s->html);
}

void page_notice(struct sheet *s, const char *kind, enum text text, ...)
{
    bool error = strcmp(kind, "error") == 0;
    const char *values[MAX_VALUES];
    size_t n;
    va_list ap;

    va_start(ap, text);
    n = take_values(ap, values);
    va_end(ap);
    html_open(&s->html, "p", "class", error ? "notice error" : "notice done", "role",
              error ? "alert" : "status", NULL);
    say(&s->html, text_in(s->lang, text), values, n);
    html_close(&s->html);
}

void page_form(struct sheet *s, const char *action, const char *purpose)
{
    html_open(&s->html, "form", "method", "post", "action", action, NULL);
    form_put_token(s, purpose);
}

void page_hidden(struct sheet *s, const char *name, const char *value)
{
    html_void(&s->html, "input", "type", "hidden", "name", name, "value", value, NULL);
}

/* The text that a field's aria-describedby points to. */
static void describe(struct sheet *s, const char *id, const char *class, enum text text)
{
    if (text != TEXT_NONE)
        html_leaf(&s->html, "p", text_in(s->lang, text), "id", id, "class", class, NULL);
}

void page_field(struct sheet *s, const struct page_field *f)
{
    struct html *h = &s->html;
    char hint[72], error[72], both[148], length[12];

    snprintf(hint, sizeof(hint), "%.60s-hint", f->name);
    snprintf(error, sizeof(error), "%.60s-error", f->name);
    snprintf(both, sizeof(both), "%s%s%s", f->error ? error : "", f->error && f->hint ? " " : "",
             f->hint ? hint : "");
    snprintf(length, sizeof(length), "%u", f->maxlength);
    html_open(h, "div", "class", "field", NULL);
    html_leaf(h, "label", text_in(s->lang, f->label), "for", f->name, NULL);
    describe(s, error, "wrong", f->error);
    html_void(h, "input", "id", f->name, "name", f->name, "type", f->type ? f->type : "text",
              "class", f->code ? "code" : NULL, "value", f->value, "autocomplete",
              f->autocomplete ? f->autocomplete : "off", "inputmode", f->inputmode, "pattern",
              f->pattern, "maxlength", f->maxlength ? length : NULL, "autocapitalize",
              f->type   ? NULL
              : f->code ? "characters"
                        : NULL,
              "spellcheck", "false", "aria-describedby", both[0] ? both : NULL, "aria-invalid",
              f->error ? "true" : NULL, "required", f->optional ? NULL : "", "autofocus",
              f->focus ? "" : NULL, NULL);
    describe(s, hint, "hint", f->hint);
    html_close(h);
}

void page_checkbox(struct sheet *s, const char *name, enum text label, bool checked)
{
    struct html *h = &s->html;

    html_open(h, "div", "class", "check", NULL);
    html_void(h, "input", "id", name, "name", name, "type", "checkbox", "value", "on", "checked",
              checked ? "" : NULL, NULL);
    html_leaf(h, "label", text_in(s->lang, label), "for", name, NULL);
    html_close(h);
}

void page_button(struct sheet *s, enum text label, const char *name, const char *value)
{
    html_leaf(&s->html, "button", text_in(s->lang, label), "type", "submit", "name", name, "value",
              value, NULL);
}

void page_button_quiet(struct sheet *s, enum text label, const char *name, const char *value)
{
    html_leaf(&s->html, "button", text_in(s->lang, label), "type", "submit", "class", "quiet",
              "name", name, "value", value, NULL);
}

void page_link_button(struct sheet *s, enum text label, const char *arg, const char *href)
{
    html_open(&s->html, "a", "class", "button", "href", href, NULL);
    say(&s->html, text_in(s->lang, label), &arg, arg ? 1 : 0);
    html_close(&s->html);
}

void page_anchor(struct sheet *s, enum text label, const char *href)
{
    html_open(&s->html, "p", "class", "aside", NULL);
    html_leaf(&s->html, "a", text_in(s->lang, label), "href", href, NULL);
    html_close(&s->html);
}

void page_facts_begin(struct sheet *s)
{
    html_open(&s->html, "dl", NULL);
}

void page_fact(struct sheet *s, enum text term, const char *value)
{
    html_leaf(&s->html, "dt", text_in(s->lang, term), NULL);
    html_leaf(&s->html, "dd", value, NULL);
}

void page_facts_end(struct sheet *s)
{
    html_close(&s->html);
}

void page_script(struct sheet *s, const char *name)
{
    s->c->scripted = true;
    html_open(&s->html, "script", "src", static_path(name), "defer", "", NULL);
    html_close(&s->html);
}
