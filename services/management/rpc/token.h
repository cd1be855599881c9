#pragma once

/*
 * A call that carries a token of the identity provider (Login, ExtendAuthSession): it is verified,
 * taken so that no other call can use it, and its user signed in, all on a worker. When the
 * provider's keys must be fetched first the call waits for them, and only such calls do. Loop
 * thread, except where it says worker.
 */

#include "services/management/rpc/request.h"

/* `then` with q->user_id, or the answer that the token deserves. `jwt` lives as long as q. */
void token_take(struct request *q, const char *jwt, request_step_fn *then);

/* Worker: what the token was taken for failed by q->r; unless that is its holder's doing, the token
 * may be used again. */
void token_settle(struct request *q, struct worker *w);
