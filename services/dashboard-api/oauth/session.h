#pragma once

/*
 * Session: a browser that somebody has signed in with. The cookie holds 256 random bits, the table
 * their SHA-256. 24 hours, 1 hour without use (both settings). Worker thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/identity.h"

#define SESSION_COOKIE "netbird-session"

struct session {
    struct rk_str hash; /* of the id; in the arena */
    struct identity who;
    bool second_factor;
    bool remember;     /* it outlives the browser */
    bool needs_factor; /* the account wants one from its local users, and this session has none */
    int64_t auth_time_s;
};

/*
 * The browser's session, and notes that it was used. RK_NOT_FOUND: none, over, or of a user or
 * connector that is gone.
 */
int session_find(struct call *c, struct session *out, struct rk_err *err) RK_CHECKED;

/* A new one in place of the browser's old one, and its cookie. Part of the caller's transaction. */
int session_start(struct call *c,
                  const struct identity *who,
                  bool second_factor,
                  bool remember,
                  struct session *out,
                  struct rk_err *err) RK_CHECKED;
/* Ends it; the cookie goes with this answer. */
int session_end(struct call *c, const struct session *s, struct rk_err *err) RK_CHECKED;
