#pragma once

/* Signing in through an upstream provider. Worker threads; what waits for the provider moves to
 * POOL_OUTBOUND. */

#include "services/dashboard-api/call.h"

/* GET /oauth2/auth/{connector}?login=: off to it. */
handler_fn connector_start;
/* GET /oauth2/callback and /oauth2/callback/{connector}: back from it. */
handler_fn connector_callback;
/* POST of the same (response_mode=form_post): the browser comes once more, with its cookies. */
handler_fn connector_callback_form;
