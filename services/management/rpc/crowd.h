#pragma once

/*
 * Crowds: requests that would only wait for one another, as each of them writes the same account's
 * row. While a worker serves some of a crowd the others of it wait here, and as many as fit go into
 * the next transaction together: a storm waits for a commit in sixty-four requests, and each crowd
 * has one worker at the most, so that the other accounts have theirs. Loop thread.
 */

#include "services/management/rpc/request.h"

#define CROWD_TOGETHER_MAX 64

struct crowds;

struct crowds *crowds_new(struct app *app);
/* Who waits is refused, and nobody goes on. */
void crowds_stop(struct crowds *cs);
/* Once the workers have ended and their jobs have come home. */
void crowds_close(struct crowds *cs);
size_t crowds_waiting(const struct crowds *cs);

/* Serves n requests of one crowd, CROWD_TOGETHER_MAX at the most: sets each one's r and err.
 * *out_bell: what all of them have to be rung for; it stays as it was without any. On a worker's
 * thread, with the first one's trace. */
typedef void
crowd_serve_fn(struct request *const *q, size_t n, struct worker *w, struct rk_bell *out_bell);

/*
 * q goes with the crowd of that name, all of which come with the same `serve` and `kind`. `after`
 * finds r and err, and the bell, which has been rung. Answers by itself when too many wait.
 */
void crowd_take(struct request *q,
                const char *name,
                enum job_kind kind,
                crowd_serve_fn *serve,
                request_step_fn *after);
