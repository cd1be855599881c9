#pragma once

/* Answers of the provider's endpoints; each returns 0, what a handler returns. Worker thread. */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/refusal.h"

/* {"error","error_description"} with 400, or 401 for invalid_client. */
int reply_refused(struct call *c, const struct refusal *why);
/* Nobody keeps what is answered. */
void reply_no_store(struct call *c);
