#pragma once

/*
 * Familiar: a browser in which a person has signed in with a password of ours before. It keeps a
 * cookie with the keyed hash of that person's address, so nothing is stored here and nobody can
 * read in it who that was. While strangers try passwords its login goes before theirs, and what
 * they have tried does not keep it waiting. Worker thread.
 */

#include <stdbool.h>

#include "services/dashboard-api/call.h"

/* With the answer to a login. */
void familiar_make(struct call *c, const char *email);

/* Whether the browser is, to whoever has this address: small and capital letters of ASCII are the
 * same. */
bool familiar_is(struct call *c, const char *email);

/*
 * Takes one of the ten logins in 15 minutes with which all of somebody's familiar browsers together
 * go before others; *out_first false when it is not one, which asks nobody, or they are used up.
 */
int familiar_goes_first(struct call *c, const char *email, bool *out_first, struct rk_err *err)
    RK_CHECKED;
