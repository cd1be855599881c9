#pragma once

/*
 * Pages for people: one layout, one stylesheet, texts of the catalogue in the browser's language,
 * and the headers of every page (page_header, which the HTTP server adds to all answers of
 * ROUTE_PAGE). A handler writes
 *
 *     page_begin(c, &s, TEXT_DEVICE_TITLE);
 *     page_form(&s, "/oauth2/device/auth/verify_code", "device");
 *     page_field(&s, &(struct page_field){ .name = "user_code", .label = TEXT_DEVICE_CODE });
 *     page_button(&s, TEXT_CONTINUE, NULL, NULL);
 *     html_close(&s.html);
 *     return page_end(&s);
 *
 * Worker thread, except where said.
 */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/page/html.h"
#include "services/dashboard-api/page/text.h"

/* A page being written. */
struct sheet {
    struct call *c; /* NULL for errors made on the loop */
    struct html html;
    enum lang lang;
};

/* Everything up to the heading and its text; the caller may have set c->status. */
void page_begin(struct call *c, struct sheet *s, enum text title);
/* The rest. 0, what a handler returns. */
int page_end(struct sheet *s);

/* A page that says what went wrong; 0, what a handler returns. `retry`: a link to begin again, a
 * path of ours, or NULL. */
int page_error(struct call *c, unsigned status, enum text why);
int page_error_retry(struct call *c, unsigned status, enum text why, const char *retry);

/* 303 to `to`, which is registered or of our own making. */
int page_redirect(struct call *c, const char *to);

/* A text with what stands for its {} in turn; NULL at the end. */
void page_say(struct sheet *s, const char *tag, enum text text, ...) __attribute__((sentinel));
/* What a person must notice, read out by screen readers; `kind` is "error" or "done". */
void page_notice(struct sheet *s, const char *kind, enum text text, ...) __attribute__((sentinel));

/* Opens a <form method=post>; `purpose` as in form.h. The caller closes it. */
void page_form(struct sheet *s, const char *action, const char *purpose);

struct page_field {
    const char *name;
    enum text label;
    const char *type;         /* NULL = text */
    const char *value;        /* NULL = empty */
    const char *autocomplete; /* NULL = off */
    const char *inputmode;    /* NULL = as the type wants */
    const char *pattern;
    enum text hint;     /* TEXT_NONE without; stands below, and is read out with the field */
    enum text error;    /* the same, for what is wrong with it */
    unsigned maxlength; /* 0 = none */
    bool focus;
    bool optional;
    bool code; /* few characters, set apart */
};
void page_field(struct sheet *s, const struct page_field *f);
void page_hidden(struct sheet *s, const char *name, const char *value);
void page_checkbox(struct sheet *s, const char *name, enum text label, bool checked);
/* A submit button; with name and value it says which one was pressed. */
void page_button(struct sheet *s, enum text label, const char *name, const char *value);
void page_button_quiet(struct sheet *s, enum text label, const char *name, const char *value);
/* A link that looks like a button; `arg` stands for the label's {}. */
void page_link_button(struct sheet *s, enum text label, const char *arg, const char *href);
void page_anchor(struct sheet *s, enum text label, const char *href);
/* Terms and what they are, as in <dl>. */
void page_facts_begin(struct sheet *s);
void page_fact(struct sheet *s, enum text term, const char *value);
void page_facts_end(struct sheet *s);
/* The one script of a page that needs one (see static.h); the page is told that it may run. */
void page_script(struct sheet *s, const char *name);

/* The n-th header that goes on every page, or false. Any thread. */
bool page_header(unsigned n, bool scripted, const char **out_name, const char **out_value);
/* An error's page for the HTTP server, which has no handler to ask. Any thread. */
void page_write_error(struct rk_buf *out, const char *accept_language, unsigned status);
