#pragma once

/* What the two halves of a sign-in through an upstream provider share. Worker threads. */

#include "libcommon/account/rules/connector.h"
#include "services/dashboard-api/call.h"

/* Where this provider sends people back to, as it is registered with it; in the arena. */
const char *redirect_uri(struct call *c, const struct rk_connector *k);

/* The page that says, without saying why, that it did not work; why is for the log. `retry` leads
 * there once more. 0, what a handler returns. */
int upstream_problem(struct call *c,
                     const struct rk_connector *k,
                     const struct rk_err *why,
                     const char *retry);
