#pragma once

/*
 * Newcomers: those who bring one setup key are a crowd (crowd.h), so are one user's, and each party
 * of it is registered in one transaction. Loop thread.
 */

#include "services/management/rpc/request.h"

/*
 * Registers the peer of q->login and q->meta, for q->user_id if there is one. `after` finds r, err,
 * bell (which has been rung) and registered_before. Answers by itself when too many wait.
 */
void join(struct request *q, request_step_fn *after);
