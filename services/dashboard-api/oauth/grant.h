#pragma once

/*
 * Grant: what a client was given for one person. Its access tokens name it, so that it can be asked
 * whether it is still in force; with offline_access it is a family of refresh tokens, of which one
 * at a time is good. Worker thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/client.h"
#include "services/dashboard-api/oauth/identity.h"
#include "services/dashboard-api/oauth/refusal.h"

#define GRANT_IDLE_S (30 * 86400)
#define GRANT_LONGEST_S (90 * 86400)
/* Of refresh tokens; the family that was used longest ago goes. */
#define GRANT_MAX_FAMILIES 16

struct grant {
    struct rk_str id;
    const struct client *client;
    unsigned scope;
    struct identity who;
    int64_t auth_time_s;
    struct rk_str session;     /* the browser's, in which it began; empty: a device */
    const char *refresh_token; /* the good one; NULL without offline_access */
};

/* A new one: fills id and refresh_token of *g, by its other members. Inside the caller's
 * transaction. */
int grant_new(struct call *c, struct grant *g, struct rk_err *err) RK_CHECKED;
/*
 * The grant of a refresh token, and its next one. Inside the caller's transaction, which is to be
 * committed even when `out_why` has an error.
 */
int grant_refresh(struct call *c,
                  const struct client *client,
                  const char *token,
                  struct grant *out,
                  struct refusal *out_why,
                  struct rk_err *err) RK_CHECKED;
/* Still in force, and its person not blocked. */
int grant_alive(struct call *c, struct rk_str id, bool *out_alive, struct rk_err *err) RK_CHECKED;
/*
 * Somebody signs out: ends what was granted in that browser, known by its session or by a grant
 * (empty: not known), and what would go on giving this client (NULL: not known) new tokens
 * elsewhere.
 */
int grant_sign_out(struct call *c,
                   const char *user_id,
                   const struct client *client,
                   struct rk_str session,
                   struct rk_str grant,
                   struct rk_err *err) RK_CHECKED;
