#pragma once

/*
 * A call that carries a token of the identity provider (Login, ExtendAuthSession): it is verified,
 * taken so that no other peer can use it, and its user signed in, all on a worker. When the
 * provider's keys must be fetched first the call waits for them, and only such calls do. Loop
 * thread.
 */

#include "services/management/rpc/request.h"

/* `then` with q->user_id, or the answer that the token deserves. `jwt` lives as long as q. */
void token_take(struct request *q, const char *jwt, request_step_fn *then);
