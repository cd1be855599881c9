#pragma once

/*
 * Who a client says it is at an endpoint that it posts to: client_id in the body, or Basic with an
 * empty secret, which agents try first. Our clients are public, so a secret proves nothing and is
 * refused. Before anything of the request is looked up. Worker thread.
 */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/client.h"
#include "services/dashboard-api/oauth/params.h"
#include "services/dashboard-api/oauth/refusal.h"

/* Pure. NULL, and *out_why, when it is none of ours. */
const struct client *client_authenticate(const struct clients *clients,
                                         const char *authorization,
                                         const struct params *params,
                                         struct rk_arena *arena,
                                         struct refusal *out_why);

/* A client's POST: its body is a form in which nothing stands twice, and the client is one of ours.
 * NULL, and *out_why, for anything else. */
const struct client *client_posts(struct call *c,
                                  const struct clients *clients,
                                  struct params *out,
                                  struct refusal *out_why);
