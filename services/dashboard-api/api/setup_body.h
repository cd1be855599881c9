#pragma once

/* The body of POST /api/setup, decoded and checked without a database. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/json/body.h"

/* Strings live as long as the body. */
struct setup_body {
    const char *email, *password, *name;
    bool create_pat; /* a token is asked for, and the server grants it */
    int64_t pat_days;
};

/* RK_BAD_REQUEST "invalid request body", or RK_INVALID. */
int setup_body_decode(struct rk_str text,
                      struct rk_arena *arena,
                      bool pat_enabled,
                      struct body *body,
                      struct setup_body *out,
                      struct rk_err *err) RK_CHECKED;

/* RK_INVALID, with what is wrong with the first value that is. */
int setup_body_check(const struct setup_body *b, struct rk_err *err) RK_CHECKED;

/* local@domain with something on both sides, one '@', no spaces; the domain has no empty label. */
bool setup_email_valid(const char *s);
