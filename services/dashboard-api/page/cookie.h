#pragma once

/* Cookies of the pages below /oauth2: HttpOnly, SameSite=Lax, Secure when we are reached by https.
 * Worker thread. */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/call.h"

/* The value the browser sent, in the call's arena; NULL without one. Of several with one name the
 * first counts. */
const char *cookie_get(struct call *c, const char *name);

/* `value` is of base64url or hex. */
#define COOKIE_OF_SESSION (-1) /* until the browser closes */
#define COOKIE_FORGET 0
void cookie_set(struct call *c, const char *name, const char *value, int64_t max_age_s);

/*
 * The page cookie: 256 random bits that tell this browser from others before anybody has signed in.
 * Forms and logins under way are bound to it. cookie_page: NULL when the browser has none;
 * cookie_page_make gives it one.
 */
const char *cookie_page(struct call *c);
const char *cookie_page_make(struct call *c);

/* Whether our public address is https; and its origin, "https://host[:port]". */
bool cookie_secure(const struct call *c);
const char *cookie_origin(const struct call *c);
