#pragma once

/*
 * Keeper: keeps one verifier's keys fresh for a service, on a thread of its own, so that a provider
 * that is slow or away holds up nobody but those who wait for its keys. Loop thread only.
 */

#include "libcommon/loop/loop.h"
#include "libcommon/oidc/verifier.h"

struct rk_keeper;

/* Fetches at once, then looks every second whether a fetch is due. `conninfo` is for the embedded
 * provider's keys, else may be NULL. The verifier outlives the keeper. */
struct rk_keeper *rk_keeper_new(struct rk_loop *loop, struct rk_verifier *v, const char *conninfo);
/* Stops the verifier and joins the thread, within a second or so, or as soon as Postgres lets it
 * go; who waits is called on the next turn. The loop must still run turns; the verifier is not
 * touched any more. NULL is fine. */
void rk_keeper_close(struct rk_keeper *k);

/* For a check that said RK_VERIFIER_FETCH: `t->run` on the loop when a fetch that is under way or
 * begins now has ended, however that went. Costs no thread while it waits. */
void rk_keeper_wait(struct rk_keeper *k, struct rk_task *t);
