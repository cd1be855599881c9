#pragma once

/* Limit: how often somebody may try something, counted in Postgres for all replicas together.
 * Worker thread. */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/call.h"

/*
 * One more try of `what` by `who`. False in *out_within when there were more than `max` in the
 * `window_s` seconds that began with the first. A transaction of its own, or part of the open one.
 */
int limit_try(struct call *c,
              const char *what,
              const char *who,
              int64_t max,
              int64_t window_s,
              bool *out_within,
              struct rk_err *err) RK_CHECKED;
