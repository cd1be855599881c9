#pragma once

/*
 * Registrar: tells management every RK_EDGE_RENEW_MS that this relay or STUN server is there, over
 * one gRPC connection that it makes anew whenever it is lost, looking the name up again. It needs
 * nothing of management: while nobody answers the service goes on, and agents keep the lists they
 * have. Loop thread.
 */

#include <stdint.h>

#include "libcommon/edge/claim.h"
#include "libcommon/edge/config.h"
#include "libcommon/loop/loop.h"

struct rk_registrar;

struct rk_registrar_terms {
    const struct rk_edge_config *cfg; /* checked; stays as it is */
    const char *url;                  /* as agents are told it; likewise */
    const char *relay_secret;         /* during the call */
    uint64_t capacity;                /* connections; 0: no bound */
    uint64_t (*load)(void *arg);      /* connections now; may be NULL */
    void *arg;
};

void rk_registrar_metrics_register(void); /* once, at start */
/* Begins at once. One that has no management_url does nothing. */
int rk_registrar_new(struct rk_loop *l,
                     const struct rk_registrar_terms *terms,
                     struct rk_registrar **out,
                     struct rk_err *err);
/* Has itself taken off the lists. `on_left` is called once, on a later turn: when management has
 * heard it, or after a second. */
void rk_registrar_leave(struct rk_registrar *r, void (*on_left)(void *arg), void *arg);
void rk_registrar_close(struct rk_registrar *r); /* NULL is fine; freed on a later turn */
