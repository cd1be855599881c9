#pragma once

/*
 * Guesses at passwords and codes, counted in Postgres for all replicas together. A guess is counted
 * before it is looked at, so that many at once are as many as one after the other, and is taken
 * back when it was right. Nobody is ever locked out for good, and whether somebody exists makes no
 * difference. Worker thread; each call is a transaction of its own.
 */

#include <stdbool.h>

#include "services/dashboard-api/call.h"

enum guess_at {
    /* A password of this e-mail address: after 5 in vain a pause, of 1 s at first, each time twice
     * as long, up to 15 minutes. A day without any and they are forgotten. */
    GUESS_PASSWORD,
    /* The same from browsers in which they have signed in (familiar.h), which strangers' guesses do
     * not keep waiting. */
    GUESS_FAMILIAR,
    /* Logins of those that went before others', in vain or not: 10 in 15 minutes. */
    GUESS_FAMILIAR_FIRST,
    /* From this address (rk_addr_source): 30 in vain in 10 minutes. */
    GUESS_SOURCE,
    /* A second factor of this user: 10 in vain in 15 minutes. */
    GUESS_FACTOR,
};

/* *out_allowed false: not now, whatever it is; nothing was counted. `who` has any length. */
int guess_try(struct call *c,
              enum guess_at at,
              const char *who,
              bool *out_allowed,
              struct rk_err *err) RK_CHECKED;
/* Whether guess_try would allow one. Counts nothing. */
int guess_may(struct call *c,
              enum guess_at at,
              const char *who,
              bool *out_allowed,
              struct rk_err *err) RK_CHECKED;
/* It was right. */
int guess_right(struct call *c, enum guess_at at, const char *who, struct rk_err *err) RK_CHECKED;
