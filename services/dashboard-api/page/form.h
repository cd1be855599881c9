#pragma once

/*
 * Forms: bodies of application/x-www-form-urlencoded, and the token that says that a form is the
 * one we gave to this browser. The token is a keyed hash of the page cookie's value and the form's
 * purpose (what it does, and to what: "login <id>"), so nothing is stored. Worker thread.
 */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/page/page.h"

#define FORM_MAX_BODY ((size_t)64 << 10)
#define FORM_MAX_FIELDS 64

struct form_field {
    const char *name, *value;
};
struct form {
    struct form_field field[FORM_MAX_FIELDS];
    size_t n;
};

/* RK_BAD_REQUEST: another Content-Type, a field twice, too many, a NUL, not UTF-8. `text` is the
 * body or a query; values live in the arena. */
int form_parse(struct rk_str text, struct rk_arena *arena, struct form *out, struct rk_err *err)
    RK_CHECKED;
const char *form_get(const struct form *f, const char *name); /* "" when absent */
bool form_has(const struct form *f, const char *name);

/* The hidden field of a form that page_form() has opened; page_form() writes it. Makes the page
 * cookie when the browser has none. */
void form_put_token(struct sheet *s, const char *purpose);

/*
 * Reads the body of a POST from one of our pages: its type, its fields, its token for `purpose`,
 * and, when the browser says so, that it came from our own origin. RK_BAD_REQUEST, RK_DENIED.
 */
int form_take(struct call *c, const char *purpose, struct form *out, struct rk_err *err) RK_CHECKED;
