#pragma once

/*
 * Visit: a gRPC connection as an agent makes it, on a loop of this thread's own, for ANSWER_MS at
 * most. One thread.
 */

#include "libcommon/grpc/client.h"
#include "libcommon/net/target.h"
#include "tools/doctor/check.h"

struct visit {
    struct rk_loop *loop;
    struct rk_tls *tls;
    struct rk_grpc_client *grpc; /* NULL: it is closed */
    struct rk_timer limit;
    char lost[256]; /* why the connection ended by itself */
};

/* Where `to` has TLS its certificate is looked at first, and what is wrong said: false then, or
 * when there is no connection, and nothing need be closed. */
bool visit_open(struct visit *v, struct check *c, const char *topic, const struct rk_target *to);
/* Until visit_end, the end of the connection, or the limit. */
void visit_run(struct visit *v);
void visit_end(struct visit *v); /* from a callback */
void visit_close(struct visit *v);
