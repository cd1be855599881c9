#pragma once

/*
 * Keeper: keeps one verifier's keys fresh for a service, on a thread of its own, so that a provider
 * that is slow or away holds up nobody but those who wait for its keys. Loop thread only.
 */

#include "libcommon/base/attr.h"
#include "libcommon/loop/loop.h"
#include "libcommon/oidc/verifier.h"

struct rk_keeper;

/* Looks every second whether a fetch is due. `conninfo` is for the embedded provider's keys, else
 * may be NULL. The verifier outlives the keeper. */
struct rk_keeper *rk_keeper_new(struct rk_loop *loop, struct rk_verifier *v, const char *conninfo);
/* Stops the verifier, joins the thread; who waits is called (at once, from in here). */
void rk_keeper_free(struct rk_keeper *k);
RK_DEFINE_AUTO(struct rk_keeper, rk_keeper_free)

/* For a check that said RK_VERIFIER_FETCH: `t->run` on the loop when a fetch that was under way or
 * begins now has ended, however. Costs no thread while it waits. */
void rk_keeper_wait(struct rk_keeper *k, struct rk_task *t);
