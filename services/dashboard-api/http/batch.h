#pragma once

/*
 * A request at its worker, and those that wait behind it. Changes of an account wait for one
 * another, so those of one token are made one after the other on one worker: the others are free
 * for who reads, and for other accounts. Those that wait already when one is to be committed are
 * made first and share its commit (rk_batch_begin): one flush of the log, one serial and one bell.
 * Nobody waits for who has not come yet. Nothing is answered before the commit; when that has
 * failed each of them is served again by itself.
 */

#include <stdint.h>

#include "services/dashboard-api/http/request.h"

/* Of the job, in a pool; 0 = none. */
uint64_t batch_lane(const struct request *q, enum pool pool);
/* Of struct rk_job. */
void batch_run(struct rk_job *j, void *worker);
