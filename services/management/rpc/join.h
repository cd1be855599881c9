#pragma once

/*
 * Newcomers. While one transaction registers those who bring a setup key, others who bring it wait,
 * and as many as fit go into the next one together: a storm waits for a commit in sixty-four
 * logins, and each key has one worker at the most. The same for a user's peers. Loop thread.
 */

#include "services/management/rpc/request.h"

struct joins;

struct joins *joins_new(struct app *app);
/* Who waits is refused, and nobody goes on. */
void joins_stop(struct joins *js);
/* Once the workers have ended and their jobs have come home. */
void joins_close(struct joins *js);
size_t joins_waiting(const struct joins *js);

/*
 * Registers the peer of q->login and q->meta, for q->user_id if there is one. `after` finds r, err,
 * bell (which has been rung) and registered_before. Answers by itself when too many wait.
 */
void join(struct request *q, request_step_fn *after);
