#pragma once

/* Callers with a token of the identity provider. Worker threads. */

#include "services/dashboard-api/call.h"

/*
 * Checks call.token and signs its user in; fills call.caller and call.sign_in_bell. Every way that
 * this can fail is one answer, RK_UNAUTHENTICATED "token invalid", except that Postgres or the
 * provider is away, or that the token was taken back: "token expired", upon which the dashboard
 * asks who it is once more. CALL_MOVE with call.wants_keys: the provider's keys must be fetched
 * first.
 */
int bearer_load(struct call *c, struct rk_err *err) RK_CHECKED;
