#pragma once

/*
 * Changes that known peers make: those of one account are a crowd (crowd.h), and each party of it
 * shares a commit and a serial (rk_batch_begin). Agents that all have something new, as after an
 * upgrade, or that all leave, cost the account a change in sixty-four of them. Loop thread.
 */

#include "services/management/rpc/request.h"

/* As request_work, for work that changes q->peer_id's account, q->account_id, and may be done
 * twice: `after` finds the bell, which has been rung. */
void request_change(struct request *q,
                    void (*work)(struct request *q, struct worker *w),
                    request_step_fn *after);
