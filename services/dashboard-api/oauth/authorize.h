#pragma once

/* The authorization endpoint, OpenID Connect Core 3.1.2 with PKCE (RFC 7636) for everybody. Worker
 * thread. */

#include "services/dashboard-api/call.h"

/* GET and POST /oauth2/auth. */
int oauth_authorize(struct call *c, struct rk_err *err) RK_CHECKED;
/* The same as GET /oauth2/auth/{connector}?<an authorization request>: the chooser is passed over.
 */
int oauth_authorize_with(struct call *c, const char *connector_id, struct rk_err *err) RK_CHECKED;
/* GET /oauth2/auth/local */
int oauth_authorize_local(struct call *c, struct rk_err *err) RK_CHECKED;
