/* See html.h. */

#include "services/dashboard-api/page/html.h"

#include <assert.h>
#include <stdarg.h>

void html_init(struct html *h, struct rk_buf *out)
{
    *h = (struct html){ .out = out };
}

/* What is not UTF-8, or a control character, would be a riddle to the browser: U+FFFD instead. */
static void escape(struct rk_buf *out, const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0, len; i < n; i += len) {
        unsigned char c = (unsigned char)s[i];

        len = rk_utf8_len((const uint8_t *)s + i, n - i);
        if (len == 0 || (c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
            len = len ? len : 1;
            rk_buf_put_c(out, "\xef\xbf\xbd");
        } else if (c == '&') {
            rk_buf_put_c(out, "&amp;");
        } else if (c == '<') {
            rk_buf_put_c(out, "&lt;");
        } else if (c == '>') {
            rk_buf_put_c(out, "&gt;");
        } else if (c == '"') {
            rk_buf_put_c(out, "&quot;");
        } else if (c == '\'') {
            rk_buf_put_c(out, "&#39;");
        } else {
            rk_buf_put(out, s + i, len);
        }
    }
}

static bool is_address(const char *name)
{
    return strcmp(name, "href") == 0 || strcmp(name, "src") == 0 || strcmp(name, "action") == 0;
}

static bool address_allowed(const char *value)
{
    static const char *const begins[] = { "https://", "http://", "data:image/svg+xml;base64,",
                                          "data:text/plain;charset=utf-8;base64," };

    if (value[0] == '/')
        return value[1] != '/' && value[1] != '\\';
    if (value[0] == '#')
        return true;
    for (size_t i = 0; i < RK_COUNT(begins); i++)
        if (rk_str_starts(rk_str(value), rk_str(begins[i])))
            return true;
    return false;
}

static void start(struct html *h, const char *tag, va_list ap)
{
    const char *name;

    rk_buf_put_c(h->out, "<");
    rk_buf_put_c(h->out, tag);
    while ((name = va_arg(ap, const char *))) {
        const char *value = va_arg(ap, const char *);

        if (!value)
            continue;
        rk_buf_put_c(h->out, " ");
        rk_buf_put_c(h->out, name);
        if (value[0] == '\0' && strcmp(name, "value") != 0 && strcmp(name, "alt") != 0)
            continue;
        rk_buf_put_c(h->out, "=\"");
        escape(h->out, is_address(name) && !address_allowed(value) ? "#" : value);
        rk_buf_put_c(h->out, "\"");
    }
    rk_buf_put_c(h->out, ">");
}

static void push(struct html *h, const char *tag)
{
    assert(h->depth < HTML_MAX_DEPTH);
    h->open[h->depth++] = tag;
}

void html_open(struct html *h, const char *tag, ...)
{
    va_list ap;

    va_start(ap, tag);
    start(h, tag, ap);
    va_end(ap);
    push(h, tag);
}

void html_close(struct html *h)
{
    assert(h->depth > 0);
    rk_buf_put_c(h->out, "</");
    rk_buf_put_c(h->out, h->open[--h->depth]);
    rk_buf_put_c(h->out, ">");
}

void html_void(struct html *h, const char *tag, ...)
{
    va_list ap;

    va_start(ap, tag);
    start(h, tag, ap);
    va_end(ap);
}

void html_text(struct html *h, const char *text)
{
    escape(h->out, text);
}

void html_leaf(struct html *h, const char *tag, const char *text, ...)
{
    va_list ap;

    va_start(ap, text);
    start(h, tag, ap);
    va_end(ap);
    push(h, tag);
    html_text(h, text);
    html_close(h);
}
