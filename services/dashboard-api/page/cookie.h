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

/* Whether our public address is https. */
bool cookie_secure(const struct call *c);
